/**
 * One dialog at a time: a question, or the operator's token. And short messages.
 */
import { byId, h } from "./dom.page.js"
import { keepToken, token } from "./source.page.js"

const dialog = /** @type {HTMLDialogElement} */ (byId("dialog"))

/**
 * @param {string} title
 * @param {ReadonlyArray<Node>} content
 * @param {{ readonly yes: string, readonly danger?: boolean, readonly cancel?: string }} words
 * @returns {Promise<boolean>} false: it was left
 */
const open = (title, content, { cancel = "Cancel", danger = false, yes }) =>
  new Promise(resolve => {
    const before = document.activeElement
    let agreed = false
    const form = h(
      "form",
      {
        method: "dialog",
        submit: (/** @type {Event} */ event) => {
          event.preventDefault()
          agreed = true
          dialog.close()
        }
      },
      h("h2", { id: "dialog-title" }, title),
      ...content,
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", class: "quiet", click: () => dialog.close() }, cancel),
        h("button", { type: "submit", class: danger ? "danger" : "primary" }, yes)
      )
    )
    dialog.replaceChildren(form)
    dialog.addEventListener(
      "close",
      () => {
        if (before instanceof HTMLElement) before.focus()
        resolve(agreed)
      },
      { once: true }
    )
    dialog.showModal()
  })

/** @type {(title: string, text: string, yes: string, danger?: boolean) => Promise<boolean>} */
export const confirm = (title, text, yes, danger = false) => open(title, [h("p", {}, text)], { yes, danger })

/** True: there is one to try. @type {(wrong: boolean) => Promise<boolean>} */
export const askToken = async wrong => {
  const input = h("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    "aria-describedby": "token-hint",
    value: token() ?? undefined
  })
  const given = await open(
    "Operator token",
    [
      h(
        "p",
        { id: "token-hint" },
        wrong
          ? "The service does not know this token."
          : "The service asks for the token of its configuration, http.token. It is kept in this tab until the tab is closed."
      ),
      h("label", { for: "token" }, "Token"),
      input
    ],
    { yes: "Use it", cancel: "Not now" }
  )
  if (given) keepToken(input.value.trim())
  return given
}

/** @type {(text: string, tone?: "calm" | "bad") => void} */
export const toast = (text, tone = "calm") => {
  const message = h("p", { class: "toast", "data-tone": tone }, text)
  byId("toasts").append(message)
  setTimeout(() => message.remove(), tone === "bad" ? 12_000 : 6000)
}
