/**
 * The dashboard: what the service tells each second, on one page.
 */
import { askToken, confirm, toast } from "./dialog.page.js"
import { assign, byId, h, latency, rate, say, span } from "./dom.page.js"
import { Flow } from "./flow.page.js"
import { makeLetters } from "./letters.page.js"
import { addChange, makeBreakers, showFlowTable, showLaw, showParked, showVerdict } from "./panels.page.js"
import { Plot } from "./plot.page.js"
import { Series } from "./series.page.js"
import { ask, listen, Refused, token } from "./source.page.js"
import { gateOf, viewOf } from "./view.page.js"

/** @import { Status } from "../../Spillway.ts" */
/** @import { History } from "../StatusHistory.ts" */
/** @import { View } from "./view.page.js" */

const series = new Series()
const flow = new Flow(byId("flow"))
const throughput = new Plot({
  id: "throughput",
  caption: "Records per second",
  logarithmic: false,
  format: value => rate(value).replace("/s", ""),
  lines: [
    { name: "delivered", tone: "delivered", of: ({ rates }) => rates.delivered },
    { name: "diverted", tone: "diverted", of: ({ rates }) => rates.diverted + rates.spooled },
    { name: "redelivered", tone: "redelivered", of: ({ rates }) => rates.redelivered }
  ]
})
const latencies = new Plot({
  id: "latency",
  caption: "Publish latency",
  logarithmic: true,
  format: latency,
  lines: [
    { name: "p50", tone: "p50", of: ({ p50 }) => p50 },
    { name: "p99", tone: "p99", of: ({ p99 }) => p99 }
  ]
})

/** What went wrong, to the person; a missing token is asked for. @param {unknown} error @param {() => void} [again] */
const failed = (error, again) => {
  if (error instanceof Refused && error.status === 401) {
    void askToken(token() !== null).then(given => given && again?.())
    return
  }
  toast(error instanceof Error ? error.message : String(error), "bad")
}

const holds = {
  open: [
    "Keep records away from Kafka?",
    "Every new record is diverted to SQS, and replay pauses, until you give control back.",
    "Hold open"
  ],
  closed: [
    "Send to Kafka whatever happens?",
    "The breaker will not protect callers from a slow or broken Kafka: each batch waits for its deadline before it is diverted.",
    "Hold closed"
  ]
}

const showBreakers = makeBreakers(async (connection, state) => {
  if (state !== "auto") {
    const [title = "", text = "", yes = ""] = holds[state]
    if (!(await confirm(title, text, yes, true))) return
  }
  const order = () => ask(`/v1/breakers/${encodeURIComponent(connection)}`, { state })
  const done = () =>
    toast(
      state === "auto"
        ? `The breaker of ${connection} decides by itself again.`
        : `The breaker of ${connection} is held ${state}.`
    )
  order().then(done, error => failed(error, () => void order().then(done, failed)))
})
const showLetters = makeLetters(failed)

/** @type {View | undefined} */
let view
/** Since when something is parked, ms since the epoch. @type {number | undefined} */
let parkedSince
let announced = ""
/** What to add to this computer's clock to have the service's, ms. */
let skew = 0

/** @type {(status: Status) => void} */
const show = status => {
  const now = Date.now() + skew
  series.add(status, now)
  view = viewOf(status, series, skew)
  if (view.parked.messages === 0) parkedSince = undefined
  else parkedSince ??= now
  showVerdict(view, series)
  showLaw(status)
  showBreakers(view)
  showParked(view, parkedSince)
  showLetters(status)
  showFlowTable(view)
  flow.show(view)
  throughput.show(series.points)
  latencies.show(series.points)
  const { readiness } = status.health
  // Screen readers hear of changes of readiness only.
  if (announced !== "" && announced !== readiness) say(byId("announcer"), `Readiness: ${readiness}. ${view.story}`)
  announced = readiness
}

/** @type {(name: string, data: Readonly<Record<string, unknown>>) => void} */
const log = (name, data) => {
  const at = Number(data.at)
  if (name === "readiness") {
    const { readiness } = data
    const tone = readiness === "accepting" ? "calm" : readiness === "degraded" ? "warn" : "bad"
    addChange({
      at,
      tone,
      what: `readiness: ${readiness}`,
      why: Array.isArray(data.reasons) ? data.reasons.join("; ") : ""
    })
  } else if (name === "breaker") {
    const { connection, reason, scope, state } = data
    const tone = state === "closed" ? "calm" : state === "open" ? "bad" : "warn"
    addChange({
      at,
      tone,
      what: `breaker of ${connection}${scope === "cluster" ? "" : `, ${scope}`}: ${state}`,
      why: String(reason ?? "")
    })
  }
}

/** @type {(state: "live" | "lost" | "locked", text: string) => void} */
const linked = (state, text) => {
  assign(byId("link"), { "data-state": state })
  say(byId("link-text"), text)
  document.body.toggleAttribute("data-stale", state !== "live")
}

let retryAt = 0
let live = false
setInterval(() => {
  if (view !== undefined && live) {
    view = { ...view, gate: gateOf(view.status, Date.now() + view.skew) }
    flow.tick(view)
    showBreakers(view)
  }
  if (!live && retryAt > 0) linked("lost", `no answer; again in ${span(Math.max(0, retryAt - Date.now()))}`)
}, 200)

const tokenButton = byId("token-button")
/** @type {(() => void) | undefined} */
let unlock
tokenButton.addEventListener("click", async () => {
  if (await askToken(false)) unlock?.()
})

void listen({
  event: (name, data) => {
    if (name === "status") show(/** @type {Status} */ (data))
    else log(name, /** @type {Record<string, unknown>} */ (data))
  },
  live: async () => {
    try {
      const history = /** @type {History} */ (await ask("/v1/status/history"))
      skew = history.now - Date.now()
      series.load(history)
      parkedSince = history.parkedSince ?? undefined
    } catch {
      // Without it the plots begin now.
    }
    live = true
    retryAt = 0
    tokenButton.hidden = true
    linked("live", "live")
  },
  lost: at => {
    live = false
    retryAt = at
  },
  locked: async wrong => {
    live = false
    retryAt = 0
    linked("locked", "token needed")
    tokenButton.hidden = false
    if (await askToken(wrong)) return
    await new Promise(resolve => {
      unlock = () => resolve(undefined)
    })
    unlock = undefined
  }
})

const themes = ["system", "light", "dark"]
const themeButton = byId("theme")
/** @type {(theme: string) => void} */
const applyTheme = theme => {
  if (theme === "system") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
  themeButton.replaceChildren(h("i", { "aria-hidden": "true" }, "◐ "), h("span", {}, "Theme: "), h("b", {}, theme))
}
let theme = localStorage.getItem("spillway-theme") ?? "system"
applyTheme(theme)
themeButton.addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "system"
  localStorage.setItem("spillway-theme", theme)
  applyTheme(theme)
})
