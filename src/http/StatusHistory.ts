/**
 * `GET /v1/status/history`: the counters of the last five minutes, second by second. Whoever opens the dashboard in an
 * outage sees how it began.
 */
import type { Status } from "../Spillway.ts"

/** As many as the dashboard draws, at one a second. */
const kept = 305

export interface Sample {
  /** ms since the epoch */
  readonly at: number
  readonly totals: Readonly<Record<Counter, number>>
  /** Records durable within each of `bounds`, then all: of every outcome, since the start. */
  readonly latency: ReadonlyArray<number>
  /** Messages in the fallback queues; `null` when not all of them could be asked. */
  readonly parked: number | null
  /** A circuit breaker was not closed. */
  readonly diverting: boolean
}

export type Counter =
  | "accepted"
  | "delivered"
  | "diverted"
  | "spooled"
  | "redelivered"
  | "deadLettered"
  /** Out of the spool, to Kafka or to the queue. */
  | "drained"

export interface History {
  /** The time here, ms since the epoch: whoever reads this may have another clock. */
  readonly now: number
  /** Of the process, ms since the epoch: counters of another one are not comparable. */
  readonly startedAt: number
  /** ms */
  readonly bounds: ReadonlyArray<number>
  /** Oldest first. */
  readonly samples: ReadonlyArray<Sample>
  /** Since when the fallback queues have not been empty, as seen from here, ms since the epoch; `null`: they are. */
  readonly parkedSince: number | null
}

export interface StatusHistory {
  /** To be called each second. */
  readonly add: (status: Status, at: number) => void
  readonly read: () => Omit<History, "now">
}

const outcomes = ["delivered", "diverted", "spooled"] as const

const parkedOf = ({ connections }: Status): number | null => {
  let messages = 0
  for (const { depth } of connections.flatMap(({ fallbacks }) => fallbacks)) {
    if (depth === undefined) return null
    messages += depth.visible + depth.inFlight + depth.delayed
  }
  return messages
}

const sampleOf = (status: Status, at: number): Sample => {
  const { accounting, connections, publishLatency, spool } = status
  const { accepted, deadLettered, delivered, diverted, redelivered, spooled } = accounting
  const drained = spool === undefined ? 0 : spool.drained.kafka + spool.drained.queue
  const sum = (of: (outcome: (typeof outcomes)[number]) => number) => outcomes.reduce((all, one) => all + of(one), 0)
  return {
    at,
    totals: { accepted, delivered, diverted, spooled, redelivered, deadLettered, drained },
    latency: [
      ...publishLatency.delivered.buckets.map((_, index) => sum(one => publishLatency[one].buckets[index]?.[1] ?? 0)),
      sum(one => publishLatency[one].count)
    ],
    parked: parkedOf(status),
    diverting: connections.some(({ breaker }) => breaker.state !== "closed")
  }
}

export const make = (): StatusHistory => {
  const samples: Array<Sample> = []
  let startedAt = 0
  let bounds: ReadonlyArray<number> = []
  let parkedSince: number | null = null
  return {
    add: (status, at) => {
      startedAt = status.startedAt
      bounds = status.publishLatency.delivered.buckets.map(([bound]) => bound)
      const sample = sampleOf(status, at)
      samples.push(sample)
      if (samples.length > kept) samples.shift()
      if (sample.parked === 0) parkedSince = null
      else if (sample.parked !== null) parkedSince ??= at
    },
    read: () => ({ startedAt, bounds, samples, parkedSince })
  }
}
