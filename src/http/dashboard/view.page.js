/**
 * What a status means: plain values for the panels, without any element.
 */
import { count, plural, short, size, span } from "./dom.page.js"

/** @import { ConnectionStatus, Status } from "../../Spillway.ts" */
/** @import { Series } from "./series.page.js" */
/** @import { EdgeName, NodeName } from "./flow.page.js" */

/** @typedef {"calm" | "warn" | "bad" | "idle"} Tone */
/** @typedef {{ readonly value: string, readonly detail: string, readonly tone: Tone }} Place */
/**
 * @typedef {object} Gate
 * @property {"closed" | "open" | "half-open"} state the worst of all connections
 * @property {string} words
 * @property {string} left until the next probe, in words
 * @property {number} share of the wait that is left, 0 to 1
 */
/**
 * @typedef {object} View
 * @property {Status} status
 * @property {Readonly<Record<EdgeName, { readonly perSecond: number, readonly present: boolean }>>} ways
 * @property {Readonly<Record<NodeName, Place>>} places
 * @property {Gate} gate
 * @property {{ readonly messages: number, readonly moving: number, readonly known: boolean }} parked
 * @property {string} story
 * @property {number} skew what to add to this computer's clock to have the service's, ms
 */

const severity = { closed: 0, "half-open": 1, open: 2 }

/** @type {(connections: ReadonlyArray<ConnectionStatus>) => ConnectionStatus["breaker"] | undefined} */
const worstOf = connections =>
  connections.reduce(
    (worst, { breaker }) => (worst === undefined || severity[breaker.state] > severity[worst.state] ? breaker : worst),
    /** @type {ConnectionStatus["breaker"] | undefined} */ (undefined)
  )

/** How long the wait for each probe was when it was first seen, ms. @type {Map<number, number>} */
const waits = new Map()

/** @type {(breaker: ConnectionStatus["breaker"], now: number) => { left: string, share: number }} */
export const countdown = ({ forced, nextProbeAt, state }, now) => {
  if (forced !== undefined) return { left: "by an operator", share: 0 }
  if (state === "half-open") return { left: "probing Kafka", share: 1 }
  if (state !== "open") return { left: "", share: 0 }
  const leftMs = nextProbeAt - now
  if (leftMs <= 0) return { left: "probing now", share: 1 }
  if (waits.size > 50) waits.clear()
  const whole = Math.max(leftMs, waits.get(nextProbeAt) ?? 0)
  waits.set(nextProbeAt, whole)
  return {
    left: `probe in ${leftMs < 10_000 ? `${(leftMs / 1000).toFixed(1)} s` : span(leftMs)}`,
    share: leftMs / whole
  }
}

/** @type {(status: Status, now: number) => Gate} */
export const gateOf = (status, now) => {
  const breaker = worstOf(status.connections)
  if (breaker === undefined) return { state: "closed", words: "no connection", left: "", share: 0 }
  const words = `breaker ${breaker.forced === undefined ? "" : "forced "}${breaker.state}`
  return { state: breaker.state, words, ...countdown(breaker, now) }
}

/** @type {(status: Status) => View["parked"]} */
const parkedOf = status => {
  const depths = status.connections.flatMap(({ fallbacks }) => fallbacks.map(({ depth }) => depth))
  let messages = 0
  let moving = 0
  for (const depth of depths) {
    messages += depth ? depth.visible + depth.delayed + depth.inFlight : 0
    moving += depth?.inFlight ?? 0
  }
  return { messages, moving, known: depths.every(depth => depth !== undefined) }
}

/** What somebody woken by a pager wants to know. @type {(status: Status, parked: View["parked"], series: Series) => string} */
const storyOf = (status, parked, series) => {
  const { health, spool } = status
  const open = status.connections.some(({ breaker }) => breaker.state !== "closed")
  const spooled = spool?.records ?? 0
  const queueDown = status.connections.some(({ fallbacks }) => fallbacks.some(({ fault }) => fault !== ""))
  if (health.readiness === "refusing") {
    return "New publishes fail, and their callers are told so. What was acknowledged before is safe."
  }
  if (open && spooled > 0 && queueDown) {
    return "Kafka and SQS are both away. New records are kept on this host's disk: keep this host alive. They move on by themselves when either is back."
  }
  if (open) {
    const forced = status.connections.some(({ breaker }) => breaker.forced === "open")
    const why = forced ? "An operator keeps records away from Kafka." : "Kafka is not taking records."
    return `${why} New ones become durable in SQS and are replayed by themselves when it is back. Nothing is lost, and nothing here needs you.`
  }
  const replaying = series.rate("redelivered")
  if (parked.messages > 0 || replaying > 0) {
    const left = series.drainMs()
    const pace = replaying > 0 ? `, ${short(Math.round(replaying))} records a second` : ""
    const until = left === undefined ? "" : `, for about ${span(left)} more`
    return `Kafka takes new records. What was parked is being replayed behind them${pace}${until}.`
  }
  if (health.readiness === "degraded") return "Records reach Kafka, but the safety net has a hole: see below."
  const { deadLettered } = status.accounting
  if (deadLettered > 0) {
    const are =
      deadLettered === 1 ? "record that Kafka refused for good has" : "records that Kafka refused for good have"
    return `Every record goes straight to Kafka. ${count(deadLettered)} ${are} become dead letters since the start: look at them below.`
  }
  return "Every record goes straight to Kafka. There is nothing for you to do."
}

/** @type {(status: Status, series: Series, skew: number) => View} */
export const viewOf = (status, series, skew) => {
  const { accounting, connections, spool } = status
  const parked = parkedOf(status)
  const gate = gateOf(status, Date.now() + skew)
  const fallbacks = connections.flatMap(connection => connection.fallbacks)
  const queueFault = fallbacks.find(({ fault }) => fault !== "")?.fault
  const bytes = connections.reduce((sum, { producer }) => sum + producer.inMemory.bytes, 0)
  /** @type {(perSecond: number, present?: boolean) => { perSecond: number, present: boolean }} */
  const way = (perSecond, present = true) => ({ perSecond, present })
  /** @type {Record<Gate["state"], Place>} */
  const kafka = {
    closed: { value: "Taking records", detail: `${short(accounting.delivered)} delivered`, tone: "calm" },
    "half-open": { value: "Being probed", detail: `${short(accounting.delivered)} delivered`, tone: "warn" },
    open: { value: "Not reached", detail: `${short(accounting.delivered)} delivered`, tone: "bad" }
  }
  return {
    status,
    skew,
    parked,
    gate,
    story: storyOf(status, parked, series),
    ways: {
      accepted: way(series.rate("accepted")),
      delivered: way(series.rate("delivered")),
      diverted: way(series.rate("diverted"), fallbacks.length > 0),
      spooled: way(series.rate("spooled"), spool !== undefined),
      redelivered: way(series.rate("redelivered"), fallbacks.length > 0),
      deadLettered: way(series.rate("deadLettered"), fallbacks.length > 0),
      drained: way(series.rate("drained"), spool !== undefined)
    },
    places: {
      callers: { value: short(accounting.accepted), detail: "records accepted", tone: "calm" },
      spillway: {
        value: short(accounting.inMemory),
        detail: `in memory, ${size(bytes)}`,
        tone: status.health.readiness === "refusing" ? "bad" : "calm"
      },
      kafka: kafka[gate.state],
      queue:
        fallbacks.length === 0
          ? { value: "None", detail: "no fallback queue", tone: "idle" }
          : queueFault !== undefined
            ? { value: "Away", detail: queueFault.split(":")[0] ?? "", tone: "bad" }
            : {
                value: parked.known ? short(parked.messages) : "?",
                detail: `message${parked.messages === 1 ? "" : "s"} parked`,
                tone: parked.messages > 0 ? "warn" : "calm"
              },
      spool:
        spool === undefined
          ? { value: "None", detail: "not configured", tone: "idle" }
          : {
              value: short(spool.records),
              detail: spool.fault === "" ? "on this disk" : "cannot store",
              tone: spool.fault !== "" ? "bad" : spool.records > 0 ? "warn" : "calm"
            },
      dead: {
        value: short(accounting.deadLettered),
        detail: "since the start",
        tone: accounting.deadLettered > 0 ? "bad" : "calm"
      }
    }
  }
}

/** Terms of the accounting law, in its order. @type {(status: Status) => ReadonlyArray<readonly [name: string, value: number, tone: string]>} */
export const termsOf = ({ accounting: { delivered, diverted, failed, inMemory, rejected, spooled } }) => [
  ["delivered", delivered, "delivered"],
  ["diverted", diverted, "diverted"],
  ["spooled", spooled, "spooled"],
  ["rejected", rejected, "rejected"],
  ["failed", failed, "failed"],
  ["in memory", inMemory, "memory"]
]

/** What the law leaves to be said. @type {(status: Status) => string} */
export const notesOf = ({ accounting: { deadLettered, divertedUnknown, redelivered } }) =>
  [
    `${plural("record", redelivered)} came back to Kafka by replay`,
    deadLettered === 0 ? "none became a dead letter" : `${count(deadLettered)} became dead letters`,
    divertedUnknown === 0
      ? "no duplicate is possible"
      : `${plural("diverted record", divertedUnknown)} may be in Kafka as well: consumers drop the second by its id`
  ].join(" · ")
