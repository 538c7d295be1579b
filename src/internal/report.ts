/**
 * What the connections together have to tell: where every record is, and how they are.
 */
import * as Health from "../Health.ts"
import type * as Shutdown from "../Shutdown.ts"
import type * as Spool from "../Spool.ts"
import type { BufferConfig } from "./config/model.ts"
import type { Connection, ConnectionStatus } from "./connection.ts"

/** Everything that was ever accepted, by what became of it. */
export const accountingOf = (connections: ReadonlyArray<Connection>): Shutdown.Accounting => {
  const none = { accepted: 0, delivered: 0, diverted: 0, spooled: 0, divertedUnknown: 0, rejected: 0, failed: 0 }
  const sum = { ...none, inMemory: 0 }
  const replayed = { redelivered: 0, deadLettered: 0 }
  for (const { fallbacks, producer } of connections) {
    const { counters, inMemory } = producer.status()
    sum.accepted += counters.accepted
    sum.delivered += counters.delivered
    sum.diverted += counters.diverted
    sum.spooled += counters.spooled
    sum.divertedUnknown += counters.divertedUnknown
    sum.rejected += counters.rejected
    sum.failed += counters.failed
    sum.inMemory += inMemory.records
    for (const { daemon } of fallbacks.values()) {
      replayed.redelivered += daemon.counters().redelivered
      replayed.deadLettered += daemon.counters().deadLettered
    }
  }
  return { ...sum, ...replayed }
}

/** Where the records in memory are; topics that have none there are left out. */
export const heldOf = (connections: ReadonlyArray<Connection>): ReadonlyArray<Shutdown.Held> =>
  connections.flatMap(({ fallbacks, producer }) =>
    producer.status().topics.flatMap(({ buffered, inFlight, topic }) => {
      const fallback = fallbacks.get(topic)?.status()
      const parking = fallback?.writer.pendingRecords ?? 0
      return buffered + inFlight + parking === 0 ? [] : [{ topic, buffered, inFlight, parking, queue: fallback?.queue }]
    })
  )

export const healthOf = (
  statuses: ReadonlyArray<ConnectionStatus>,
  spool: Spool.Status | undefined,
  buffer: BufferConfig
): Health.Health => {
  const drained = new Set(statuses.flatMap(({ fallbacks }) => fallbacks.map(({ topic }) => topic)))
  return Health.judge({
    spool: spool && { ...spool, stranded: spool.topics.map(({ topic }) => topic).filter(topic => !drained.has(topic)) },
    closed: statuses.some(({ producer }) => producer.closed),
    bufferFull: statuses.some(
      ({ producer: { inMemory } }) => inMemory.records >= buffer.maxRecords || inMemory.bytes >= buffer.maxBytes
    ),
    connections: statuses.map(({ breaker, connection, fallbacks, producer }) => ({
      name: connection,
      breaker: { state: breaker.state, reason: breaker.reason },
      unknownTopics: producer.topics.filter(({ partitions }) => partitions === 0).map(({ topic }) => topic),
      openPartitions: breaker.partitions.length,
      queues: fallbacks.map(({ fault, queue, writer }) => ({ name: queue, fault, backlog: writer.backlog })),
      claimFaults: fallbacks.map(({ writer }) => writer.claimFault).filter(fault => fault !== ""),
      unprotected: producer.topics
        .map(({ topic }) => topic)
        .filter(topic => !fallbacks.some(fallback => fallback.topic === topic))
    }))
  })
}
