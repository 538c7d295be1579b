/**
 * Whether records are accepted, and what becomes of them: the truth for load balancers and people.
 */
import type { BacklogStatus } from "./internal/backlog.ts"

/** `accepting`: to Kafka. `degraded`: accepted, but diverted or without a safety net. `refusing`: publishes fail. */
export type Readiness = "accepting" | "degraded" | "refusing"

export interface Health {
  readonly readiness: Readiness
  /** One sentence per reason; empty when accepting. */
  readonly reasons: ReadonlyArray<string>
}

/** What readiness is judged by. */
export interface Evidence {
  readonly closed: boolean
  readonly bufferFull: boolean
  /** Undefined when none is configured. `fault` is empty when it can store; `stranded`: topics nothing drains. */
  readonly spool:
    | {
        readonly path: string
        readonly records: number
        readonly unreadable: number
        readonly stranded: ReadonlyArray<string>
        readonly fault: string
      }
    | undefined
  readonly connections: ReadonlyArray<{
    readonly name: string
    readonly breaker: { readonly state: "closed" | "open" | "half-open"; readonly reason: string }
    /** Topics whose partitions were never seen. */
    readonly unknownTopics: ReadonlyArray<string>
    /** Partitions whose own breaker is not closed. */
    readonly openPartitions: number
    /** Fallback queues of the connection's topics; `fault` is empty when the queue answers. */
    readonly queues: ReadonlyArray<{
      readonly name: string
      readonly fault: string
      /** Undefined: nothing limits it. */
      readonly backlog: Pick<BacklogStatus, "maxMessages" | "messages" | "state"> | undefined
    }>
    /** Why claim checks took no record when they were last needed. */
    readonly claimFaults: ReadonlyArray<string>
    /** Topics without any fallback queue. */
    readonly unprotected: ReadonlyArray<string>
  }>
}

const worse = (a: Readiness, b: Readiness): Readiness =>
  a === "refusing" || b === "refusing" ? "refusing" : a === "degraded" || b === "degraded" ? "degraded" : "accepting"

export const judge = (evidence: Evidence): Health => {
  const reasons: Array<string> = []
  let readiness: Readiness = "accepting"
  const add = (verdict: Readiness, reason: string) => {
    readiness = worse(readiness, verdict)
    reasons.push(reason)
  }
  if (evidence.closed) add("refusing", "shutting down")
  if (evidence.bufferFull) add("refusing", "the buffer is full")
  const { spool } = evidence
  if (spool !== undefined) {
    if (spool.fault !== "") add("degraded", spool.fault)
    if (spool.records > 0) add("degraded", `spool ${spool.path}: ${spool.records} records are on this host's disk only`)
    if (spool.unreadable > 0) add("degraded", `spool ${spool.path}: ${spool.unreadable} records cannot be read`)
    if (spool.stranded.length > 0) {
      add("degraded", `spool ${spool.path}: no producer with a fallback queue for ${spool.stranded.join(", ")}`)
    }
  }
  for (const connection of evidence.connections) {
    const { breaker, claimFaults, name, openPartitions, queues, unknownTopics, unprotected } = connection
    const faulty = queues.filter(queue => queue.fault !== "")
    for (const queue of faulty) add("degraded", `fallback queue ${queue.name}: ${queue.fault}`)
    for (const { backlog, name: queue } of queues) {
      if (backlog === undefined || backlog.state === "open") continue
      const fate = backlog.state === "holding" ? "waits" : "is refused"
      const full = `backlog limit reached, about ${backlog.messages} of ${backlog.maxMessages} messages`
      add("degraded", `fallback queue ${queue}: ${full}: what Kafka does not take ${fate}`)
    }
    if (breaker.state !== "closed") {
      const spools = spool !== undefined && spool.fault === "" && queues.length > 0
      // What a full queue refuses is not spooled: the limit is on all of it.
      const nowhere = queues.every(({ backlog, fault }) => backlog?.state === "refusing" || (fault !== "" && !spools))
      add(
        nowhere ? "refusing" : "degraded",
        breaker.state === "half-open"
          ? `Kafka connection ${name}: circuit breaker half-open: Kafka answers again, and the next record decides (${breaker.reason})`
          : `Kafka connection ${name}: circuit breaker open: ${breaker.reason}`
      )
      for (const fault of claimFaults) add("degraded", `records too large for a queue message: ${fault}`)
      if (!nowhere && unprotected.length > 0) add("degraded", `no fallback queue for ${unprotected.join(", ")}`)
    } else if (unknownTopics.length > 0) {
      add("degraded", `Kafka connection ${name}: partitions not known yet of ${unknownTopics.join(", ")}`)
    }
    if (openPartitions > 0) add("degraded", `Kafka connection ${name}: ${openPartitions} partitions diverted`)
  }
  return { readiness, reasons }
}
