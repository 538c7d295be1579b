/**
 * Dead letters: what lies there and why, a look at some, and the way back.
 */
import { confirm, toast } from "./dialog.page.js"
import { byId, clock, count, h, plural, say, scrolled, short } from "./dom.page.js"
import { ask } from "./source.page.js"

/** @import { Redriven } from "../../DeadLetters.ts" */
/** @import { Letters, Listed, ListedGroup, Peeked } from "../DeadLetterRoutes.ts" */
/** @import { Status } from "../../Spillway.ts" */

/** Records of one request: the page asks again until all are done, and says how far it is. */
const redriveAtOnce = 2000
const peeked = 20

/** @typedef {{ readonly producer: string, readonly topic?: string | undefined, readonly reason?: string | undefined }} Chosen */

/** @type {(chosen: Chosen) => string} */
const queryOf = ({ producer, reason, topic }) =>
  new URLSearchParams({
    producer,
    ...(topic === undefined ? {} : { topic }),
    ...(reason === undefined ? {} : { reason })
  }).toString()

/** @type {(text: string) => string} */
const pretty = text => {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2)
  } catch {
    return text
  }
}

/** @param {(error: unknown) => void} failed told what went wrong */
export const makeLetters = failed => {
  let busy = false
  const root = byId("letters")
  const hint = h("p", { class: "notes" })
  const list = h("div")
  const look = h("div", { class: "peek", tabindex: -1 })
  const refresh = h(
    "button",
    { type: "button", id: "letters-list", click: () => void run(showList) },
    "Look into the queue"
  )
  byId("letters-actions").append(refresh)
  root.append(hint, list, look)

  /** One thing at a time: a queue that is being looked through hides its messages from others. @param {() => Promise<void>} work */
  const run = async work => {
    if (busy) return
    busy = true
    root.setAttribute("aria-busy", "true")
    try {
      await work()
    } catch (error) {
      failed(error)
    }
    busy = false
    root.removeAttribute("aria-busy")
  }

  const showList = async () => {
    const { queues } = /** @type {Letters} */ (await ask("/v1/dead-letters"))
    say(refresh, "Look again")
    look.replaceChildren()
    list.replaceChildren(...queues.map(queueOf))
  }

  /** @param {Listed} listed */
  const queueOf = listed => {
    if ("fault" in listed)
      return h("p", { class: "reason" }, h("b", {}, listed.queue), ` cannot be looked into: ${listed.fault}`)
    const { complete, groups, messages, producer, queue, records, unreadable } = listed
    if (messages === 0) return h("p", { class: "empty" }, `${queue} is empty.`)
    const all = `${plural("record", records)} in ${plural("message", messages)}`
    const more = `${complete ? "" : "; there is more"}${unreadable === 0 ? "" : `; ${unreadable} cannot be read`}`
    return h(
      "section",
      { "aria-label": `Dead letters in ${queue}` },
      h(
        "div",
        { class: "queue-head" },
        h("p", {}, h("b", {}, queue), `: ${all}${more}`),
        h(
          "button",
          { type: "button", class: "primary", click: () => void run(() => redrive({ producer }, records)) },
          "Redrive all"
        )
      ),
      scrolled(
        `Table of dead letters in ${queue}`,
        h(
          "table",
          { class: "letters" },
          h("caption", { class: "unseen" }, `Dead letters in ${queue} by topic and reason`),
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ...["Reason", "Topic", "Records", "Newest", "What Kafka said"].map(name =>
                h("th", { scope: "col" }, name)
              ),
              h("th", { scope: "col" }, h("span", { class: "unseen" }, "Actions"))
            )
          ),
          h("tbody", {}, ...groups.map(group => rowOf(producer, group)))
        )
      )
    )
  }

  /** @param {string} producer @param {ListedGroup} group */
  const rowOf = (producer, { error, newest, reason, records, topic }) => {
    const chosen = { producer, topic, reason }
    const of = `${reason}${topic === undefined ? "" : ` of ${topic}`}`
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, h("code", {}, reason)),
      h("td", {}, topic ?? "–"),
      h("td", { class: "number" }, count(records)),
      h("td", {}, clock(Date.parse(newest))),
      h("td", { class: "said" }, error),
      h(
        "td",
        { class: "row-actions" },
        h(
          "button",
          { type: "button", "aria-label": `Peek at ${of}`, click: () => void run(() => peek(chosen)) },
          "Peek"
        ),
        // What has no topic cannot be read, and by its reason alone others would be meant as well.
        topic !== undefined &&
          h(
            "button",
            {
              type: "button",
              class: "primary",
              "aria-label": `Redrive ${of}`,
              click: () => void run(() => redrive(chosen, records))
            },
            "Redrive"
          )
      )
    )
  }

  /** @param {Chosen} chosen */
  const peek = async chosen => {
    const { complete, items } = /** @type {Peeked} */ (
      await ask(`/v1/dead-letters/peek?${queryOf(chosen)}&limit=${peeked}`)
    )
    look.replaceChildren(
      h("h3", {}, `${chosen.reason ?? "Dead letters"}${chosen.topic === undefined ? "" : ` of ${chosen.topic}`}`),
      h(
        "p",
        { class: "notes" },
        items.length === 0
          ? "Nothing is there any more."
          : `${plural("record", items.length)}${complete ? "" : ", of more"}, in no order.`
      ),
      ...items.map(itemOf)
    )
    look.focus()
  }

  /** @param {Peeked["items"][number]} item */
  const itemOf = item => {
    /** @type {Record<string, unknown>} */
    const { error, headers, key, keyBase64, unreadable, value, valueBase64, ...facts } = { ...item }
    const shown =
      typeof value === "string"
        ? pretty(value)
        : value === null
          ? "(no value)"
          : typeof valueBase64 === "string"
            ? `base64: ${valueBase64}`
            : ""
    const named = [["key", key ?? keyBase64], ...Object.entries(facts)].filter(
      ([, fact]) => fact !== undefined && fact !== null && fact !== ""
    )
    const texts = Array.isArray(headers)
      ? headers.map(({ name, value, valueBase64 }) => `${name}: ${value ?? valueBase64 ?? ""}`)
      : []
    return h(
      "article",
      { class: "letter" },
      h("p", { class: "said" }, String(unreadable ?? error ?? "")),
      shown === "" ? undefined : h("pre", { tabindex: 0, role: "group", "aria-label": "Value of the record" }, shown),
      h(
        "details",
        { class: "data" },
        h("summary", {}, "All facts"),
        h(
          "dl",
          { class: "pairs" },
          ...named.flatMap(([name, fact]) => [h("dt", {}, String(name)), h("dd", {}, String(fact))]),
          ...(texts.length === 0 ? [] : [h("dt", {}, "headers"), h("dd", {}, texts.join("\n"))])
        )
      )
    )
  }

  /** @param {Chosen} chosen @param {number} records */
  const redrive = async (chosen, records) => {
    const what =
      chosen.reason === undefined
        ? plural("dead letter", records)
        : `${plural("dead letter", records)} with ${chosen.reason}`
    const agreed = await confirm(
      `Redrive ${what}?`,
      "They go back to the fallback queue and from there to Kafka, under their own ids. What Kafka refuses again becomes a dead letter again.",
      "Redrive"
    )
    if (!agreed) return
    let moved = 0
    /** @type {Redriven} */
    let last
    do {
      last = /** @type {Redriven} */ (await ask("/v1/dead-letters/redrive", { ...chosen, maxRecords: redriveAtOnce }))
      moved += last.records
      say(hint, `${plural("record", moved)} on the way back …`)
    } while (last.records > 0 && !last.complete && last.failed === 0)
    say(hint, "")
    const left = last.failed + last.unreadable + last.withheld
    toast(
      `${plural("record", moved)} on the way back to Kafka${left === 0 ? "" : `; ${left} stayed: ${last.fault || "they cannot be read"}`}`,
      left === 0 ? "calm" : "bad"
    )
    await showList()
  }

  /** @type {(status: Status) => void} */
  return ({ accounting, connections }) => {
    if (busy) return
    const queues = connections.flatMap(({ fallbacks }) => fallbacks.map(({ deadLetterQueue }) => deadLetterQueue))
    const since =
      accounting.deadLettered === 0
        ? "No record became a dead letter"
        : `${short(accounting.deadLettered)} records became dead letters`
    say(
      hint,
      queues.length === 0
        ? "No topic has a dead-letter queue."
        : `${since} since the start. Looking hides the messages of ${queues.join(", ")} from others for a moment.`
    )
  }
}
