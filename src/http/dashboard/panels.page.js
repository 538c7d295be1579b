/**
 * The panels that show what is: verdict, accounting, breakers, parked records, changes.
 */
import { assign, byId, clock, count, h, latency, plural, rate, s, say, short, size, span, tabled } from "./dom.page.js"
import { rowsOf } from "./flow.page.js"
import { countdown, notesOf, termsOf } from "./view.page.js"

/** @import { Status } from "../../Spillway.ts" */
/** @import { Series } from "./series.page.js" */
/** @import { View } from "./view.page.js" */

const titles = {
  accepting: "Accepting",
  degraded: "Degraded",
  refusing: "Refusing"
}

/** So that the state is not told by colour alone. */
const icons = {
  accepting: "M5 12.5l4.5 4.5L19 7.5",
  degraded: "M12 5v9M12 18.2v.6",
  refusing: "M6.5 6.5l11 11M17.5 6.5l-11 11"
}

/** Keeps elements by key, so that a status each second rebuilds nothing. @template T */
class Kept {
  /** @type {Map<string, T>} */
  #parts = new Map()
  #root
  #make
  /** @param {Element} root @param {(key: string) => T & { root: Element }} make */
  constructor(root, make) {
    this.#root = root
    this.#make = make
  }

  /** @param {ReadonlyArray<string>} keys @param {(part: T, index: number) => void} fill */
  show(keys, fill) {
    if (keys.join("\n") !== [...this.#parts.keys()].join("\n")) {
      const made = keys.map(key => /** @type {const} */ ([key, this.#make(key)]))
      this.#parts = new Map(made)
      this.#root.replaceChildren(...made.map(([, { root }]) => root))
    }
    for (const [index, part] of [...this.#parts.values()].entries()) fill(part, index)
  }
}

const vitals = new Kept(byId("vitals"), name => {
  const value = h("dd")
  return { root: h("div", {}, h("dt", {}, name), value), value }
})

const reasons = new Kept(byId("reasons"), () => {
  const root = h("li")
  return { root }
})

/** @type {(view: View, series: Series) => void} */
export const showVerdict = ({ parked, skew, status, story }, series) => {
  const { health, instance, startedAt } = status
  assign(byId("verdict"), { "data-readiness": health.readiness })
  assign(byId("verdict-icon"), { d: icons[health.readiness] })
  say(byId("verdict-title"), titles[health.readiness])
  say(byId("verdict-story"), story)
  reasons.show(
    health.reasons.map((_, index) => String(index)),
    ({ root }, index) => say(root, health.reasons[index] ?? "")
  )
  const p99 = series.points.at(-1)?.p99
  const facts = [
    ["accepted", rate(series.rate("accepted"))],
    ["p99 to durable", p99 === undefined ? "–" : latency(p99)],
    ["parked", parked.known ? plural("message", parked.messages) : "unknown"],
    ["running for", span(Date.now() + skew - startedAt)]
  ]
  vitals.show(
    facts.map(([name = ""]) => name),
    ({ value }, index) => say(value, facts[index]?.[1] ?? "")
  )
  say(byId("instance"), instance)
  document.title = `${health.readiness === "accepting" ? "" : `${titles[health.readiness]} · `}Spillway`
}

const lawTerms = h("p", { class: "equation" })
const lawBar = s("svg", { class: "bar", viewBox: "0 0 1000 12", preserveAspectRatio: "none", "aria-hidden": "true" })
byId("law").append(lawTerms, lawBar)
const terms = new Kept(lawTerms, name => {
  const value = h("b")
  const sign = name === "accepted" ? "" : name === "delivered" ? "=" : "+"
  return {
    root: h(
      "span",
      { class: `term tone-${name.replace(" ", "-")}` },
      h("span", { class: "sign" }, sign),
      " ",
      h("span", { class: "amount" }, value, " ", h("span", { class: "name" }, name))
    ),
    value
  }
})

/** @type {(status: Status) => void} */
export const showLaw = status => {
  const { accepted } = status.accounting
  const all = termsOf(status)
  const sum = all.reduce((total, [, value]) => total + value, 0)
  const shown = /** @type {const} */ ([["accepted", accepted, ""], ...all])
  terms.show(
    shown.map(([name]) => name),
    ({ value }, index) => say(value, count(shown[index]?.[1] ?? 0))
  )
  let x = 0
  lawBar.replaceChildren(
    ...all.flatMap(([name, value]) => {
      if (value === 0) return []
      // A handful among millions is what one looks for: never thinner than can be seen.
      const width = Math.max(5, (1000 * value) / Math.max(1, sum))
      const part = s("rect", {
        x: x.toFixed(1),
        y: 0,
        width: width.toFixed(1),
        height: 12,
        class: `fill tone-${name.replace(" ", "-")}`
      })
      x += width
      return [part]
    })
  )
  assign(lawBar, { viewBox: `0 0 ${Math.max(1, x).toFixed(1)} 12` })
  const off = accepted - sum
  const pill = byId("law-verdict")
  assign(pill, { "data-tone": off === 0 ? "calm" : "bad" })
  say(pill, off === 0 ? "✓ the sum is right" : `✗ off by ${count(off)}`)
  say(byId("law-notes"), notesOf(status))
}

/** @typedef {"open" | "closed" | "auto"} Force */

const forces = /** @type {const} */ ([
  ["auto", "Automatic"],
  ["open", "Hold open"],
  ["closed", "Hold closed"]
])

/** @param {(connection: string, force: Force) => void} order @returns {(view: View) => void} */
export const makeBreakers = order => {
  const cards = new Kept(byId("breakers"), connection => {
    const state = h("span", { class: "pill" })
    const reason = h("p", { class: "reason" })
    const since = h("p", { class: "notes" })
    const probe = h("progress", { max: 1, value: 0, "aria-label": `Until the next probe of ${connection}` })
    const probeText = h("span")
    const buttons = forces.map(([force, words]) =>
      h(
        "button",
        { type: "button", "data-force": force, "aria-pressed": "false", click: () => order(connection, force) },
        words
      )
    )
    const root = h(
      "article",
      { class: "breaker", "aria-label": `Circuit breaker of ${connection}` },
      h("div", { class: "breaker-head" }, h("h3", {}, connection), state),
      reason,
      since,
      h("div", { class: "probe" }, probe, probeText),
      h("div", { class: "segments", role: "group", "aria-label": `Who decides about ${connection}` }, ...buttons)
    )
    return { root, state, reason, since, probe, probeText, buttons }
  })
  return view => {
    const { connections } = view.status
    cards.show(
      connections.map(({ connection }) => connection),
      (part, index) => {
        const breaker = connections[index]?.breaker
        if (breaker === undefined) return
        const now = Date.now() + view.skew
        assign(part.state, {
          "data-tone": breaker.state === "closed" ? "calm" : breaker.state === "open" ? "bad" : "warn"
        })
        say(part.state, `${breaker.forced === undefined ? "" : "held "}${breaker.state}`)
        say(part.reason, breaker.reason === "" ? "Records go to Kafka." : breaker.reason)
        const partitions =
          breaker.partitions.length === 0 ? "" : ` · diverted by themselves: ${breaker.partitions.join(", ")}`
        say(part.since, `for ${span(now - breaker.since)}${partitions}`)
        const { left, share } = countdown(breaker, now)
        assign(part.root, { "data-waiting": breaker.state === "open" && breaker.forced === undefined })
        part.probe.value = share
        say(part.probeText, left)
        for (const button of part.buttons)
          assign(button, { "aria-pressed": String((breaker.forced ?? "auto") === button.dataset.force) })
      }
    )
  }
}

const spoolName = "spool on this host's disk"

const parkedCards = new Kept(byId("parked"), topic => {
  const names =
    topic === spoolName
      ? ["records", "oldest", "size", "room"]
      : ["waiting", "on their way", "delayed", "replay pace", "oldest"]
  const facts = names.map(name => {
    const value = h("dd")
    return { name, value, root: h("div", {}, h("dt", {}, name), value) }
  })
  const state = h("span", { class: "pill" })
  const note = h("p", { class: "reason" })
  const name = h("p", { class: "notes" })
  const root = h(
    "article",
    { class: "queue", "aria-label": `Parked records of ${topic}` },
    h("div", { class: "breaker-head" }, h("h3", {}, topic), state),
    note,
    h("dl", { class: "facts" }, ...facts.map(fact => fact.root)),
    name
  )
  return { root, facts, state, note, name }
})

/** @type {(view: View, since: number | undefined) => void} */
export const showParked = ({ skew, status }, since) => {
  const now = Date.now() + skew
  const fallbacks = status.connections.flatMap(connection => connection.fallbacks)
  const { spool } = status
  const keys = [...fallbacks.map(({ topic }) => topic), ...(spool === undefined ? [] : [spoolName])]
  parkedCards.show(keys, (part, index) => {
    const fallback = fallbacks[index]
    /** @type {ReadonlyArray<string>} */
    let values
    let fault = ""
    let name = ""
    let full = 0
    if (fallback !== undefined) {
      const { depth } = fallback
      full = depth ? depth.visible + depth.inFlight + depth.delayed : 0
      fault = fallback.fault
      const known = (/** @type {number | undefined} */ value) => (value === undefined ? "?" : short(value))
      const { recordsPerSecond } = fallback.replay
      const oldest = full === 0 ? "–" : since === undefined ? "not known" : `≤ ${span(now - since)}`
      values = [
        known(depth?.visible),
        known(depth?.inFlight),
        known(depth?.delayed),
        Number.isFinite(recordsPerSecond) && recordsPerSecond !== null ? `≤ ${rate(recordsPerSecond)}` : "free",
        oldest
      ]
      name = `SQS ${fallback.queue} · ${plural("billed request", fallback.billedRequests)}`
    } else if (spool !== undefined) {
      full = spool.records
      fault = spool.fault
      values = [
        short(spool.records),
        spool.oldestAt === undefined ? "–" : span(now - spool.oldestAt),
        size(spool.bytes),
        size(spool.maxBytes)
      ]
      name = spool.path
    } else return
    assign(part.state, { "data-tone": fault !== "" ? "bad" : full > 0 ? "warn" : "calm" })
    say(part.state, fault !== "" ? "fault" : full > 0 ? "parked" : "empty")
    say(part.note, fault)
    say(part.name, name)
    for (const [at, fact] of part.facts.entries()) say(fact.value, values[at] ?? "–")
  })
}

const flowTable = h("table")
const flowData = tabled("The picture as a table", "The path of records as a table", flowTable)
byId("flow-data").append(flowData)

/** @type {(view: View) => void} */
export const showFlowTable = view => {
  if (!flowData.open) return
  flowTable.replaceChildren(
    h("caption", {}, "Records per second on each way, and what lies where"),
    h(
      "tbody",
      {},
      ...rowsOf(view).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value)))
    )
  )
}

const mostChanges = 60

// It is longer than its place: the keyboard scrolls it.
assign(byId("changes"), { tabindex: 0, "aria-labelledby": "changes-title" })

/** @typedef {{ readonly at: number, readonly what: string, readonly why: string, readonly tone: string }} Change */

/** @type {(change: Change) => void} */
export const addChange = ({ at, tone, what, why }) => {
  const list = byId("changes")
  list.prepend(
    h(
      "li",
      { "data-tone": tone },
      h("time", { datetime: new Date(at).toISOString() }, clock(at)),
      h("span", { class: "what" }, what),
      why === "" ? undefined : h("span", { class: "why" }, why)
    )
  )
  while (list.children.length > mostChanges) list.lastElementChild?.remove()
}
