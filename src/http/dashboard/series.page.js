/**
 * The last five minutes: counters as they were each second, and what follows from two of them.
 */

/** @import { Status } from "../../Spillway.ts" */
/** @import { Counter, History, Sample } from "../StatusHistory.ts" */

export const windowMs = 300_000
/** Quantiles are of the records of this long: one second may hold too few, ms. */
const quantileMs = 5000

/** @type {ReadonlyArray<Counter>} */
const counters = ["accepted", "delivered", "diverted", "spooled", "redelivered", "deadLettered", "drained"]

/**
 * @typedef {object} Point
 * @property {number} at
 * @property {Readonly<Record<Counter, number>>} rates per second
 * @property {number | undefined} p50 ms; undefined when nothing was published
 * @property {number | undefined} p99
 * @property {number | null} parked
 * @property {boolean} diverting
 */

const outcomes = /** @type {const} */ (["delivered", "diverted", "spooled"])

/** Of all publishes that ended durable. @type {(status: Pick<Status, "publishLatency">) => ReadonlyArray<number>} */
const boundsOf = ({ publishLatency }) => publishLatency.delivered.buckets.map(([bound]) => bound)

/** @type {(status: Status, at: number) => Sample} */
const sampleOf = (status, at) => {
  const { accounting, connections, publishLatency, spool } = status
  const depths = connections.flatMap(({ fallbacks }) => fallbacks.map(({ depth }) => depth))
  const latency = publishLatency.delivered.buckets.map((_, index) =>
    outcomes.reduce((sum, outcome) => sum + (publishLatency[outcome].buckets[index]?.[1] ?? 0), 0)
  )
  latency.push(outcomes.reduce((sum, outcome) => sum + publishLatency[outcome].count, 0))
  return {
    at,
    totals: { ...accounting, drained: spool === undefined ? 0 : spool.drained.kafka + spool.drained.queue },
    diverting: connections.some(({ breaker }) => breaker.state !== "closed"),
    latency,
    parked: depths.some(depth => depth === undefined)
      ? null
      : depths.reduce((sum, depth) => sum + (depth ? depth.visible + depth.inFlight + depth.delayed : 0), 0)
  }
}

/**
 * Interpolated inside the bucket.
 * @type {(q: number, from: ReadonlyArray<number>, to: ReadonlyArray<number>, bounds: ReadonlyArray<number>) => number | undefined}
 */
export const quantile = (q, from, to, bounds) => {
  const grown = to.map((value, index) => value - (from[index] ?? 0))
  const all = grown.at(-1) ?? 0
  if (all <= 0) return undefined
  const wanted = q * all
  let low = 0
  let below = 0
  for (const [index, bound] of bounds.entries()) {
    const upTo = grown[index] ?? 0
    if (upTo >= wanted) return low + ((bound - low) * (wanted - below)) / Math.max(1, upTo - below)
    low = bound
    below = upTo
  }
  return low
}

export class Series {
  /** @type {Array<Sample>} */
  #samples = []
  /** @type {Array<Point>} */
  points = []
  #startedAt = 0
  /** @type {ReadonlyArray<number>} */
  #bounds = []

  /** @param {Status} status @param {number} at */
  add(status, at) {
    this.#of(status.startedAt, boundsOf(status))
    this.#push(sampleOf(status, at))
  }

  /** What was before the page was opened, or while the service could not be reached. @param {History} history */
  load({ bounds, samples, startedAt }) {
    this.#of(startedAt, bounds)
    const later = this.#samples
    this.#samples = []
    this.points = []
    const gapless = [...samples, ...later].sort((a, b) => a.at - b.at)
    for (const sample of gapless) this.#push(sample)
  }

  /** @param {number} startedAt @param {ReadonlyArray<number>} bounds */
  #of(startedAt, bounds) {
    this.#bounds = bounds
    if (startedAt === this.#startedAt) return
    this.#startedAt = startedAt
    this.#samples = []
    this.points = []
  }

  /** @param {Sample} sample */
  #push(sample) {
    const { at } = sample
    const last = this.#samples.at(-1)
    // Two at once would make a rate out of nothing.
    if (last !== undefined && at - last.at < 400) return
    this.#samples.push(sample)
    if (last !== undefined) this.points.push(this.#point(last, sample))
    const oldest = at - windowMs
    while ((this.#samples[0]?.at ?? at) < oldest - quantileMs) this.#samples.shift()
    while ((this.points[0]?.at ?? at) < oldest) this.points.shift()
  }

  /** @param {Sample} last @param {Sample} sample @returns {Point} */
  #point(last, sample) {
    const seconds = (sample.at - last.at) / 1000
    const rates = Object.fromEntries(
      counters.map(name => [name, Math.max(0, (sample.totals[name] - last.totals[name]) / seconds)])
    )
    const from = this.#samples.findLast(({ at }) => at <= sample.at - quantileMs) ?? this.#samples[0] ?? last
    return {
      at: sample.at,
      rates: /** @type {Record<Counter, number>} */ (rates),
      p50: quantile(0.5, from.latency, sample.latency, this.#bounds),
      p99: quantile(0.99, from.latency, sample.latency, this.#bounds),
      parked: sample.parked,
      diverting: sample.diverting
    }
  }

  /** Mean of the last few seconds: steady enough to be read. @param {Counter} name */
  rate(name) {
    const recent = this.points.slice(-3)
    return recent.length === 0 ? 0 : recent.reduce((sum, { rates }) => sum + rates[name], 0) / recent.length
  }
  /** How long what is parked still takes at the pace of the last 20 s, ms; undefined when it does not shrink. */
  drainMs() {
    const now = this.points.at(-1)
    const then = now && this.points.find(({ at }) => at >= now.at - 20_000)
    if (now === undefined || then === undefined || now.at - then.at < 8000) return undefined
    if (now.parked === null || then.parked === null) return undefined
    const perMs = (then.parked - now.parked) / (now.at - then.at)
    return perMs <= 0 || now.parked === 0 ? undefined : now.parked / perMs
  }
}
