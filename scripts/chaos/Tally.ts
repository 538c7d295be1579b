/**
 * Counters of every instance there was, added up from their last answers.
 */
import type { Status } from "../../src/Spillway.ts"

export interface Counts {
  divertedUnknown: number
  /** Replays that may have reached Kafka all the same, and messages that may be in the queue twice. */
  replayUnknown: number
  storedTwice: number
  /** Out of the spools, to Kafka and to the queues. */
  drained: number
  redelivered: number
  deadLettered: number
}

export class Tally {
  readonly #instances = new Map<string, Counts>()

  observe({ accounting, connections, instance, spool }: Status): void {
    const fallbacks = connections.flatMap(connection => connection.fallbacks)
    this.#instances.set(instance, {
      divertedUnknown: accounting.divertedUnknown,
      replayUnknown: fallbacks.reduce((sum, { replay }) => sum + replay.unknown, 0),
      storedTwice: fallbacks.reduce((sum, { writer }) => sum + writer.storedTwice, 0),
      drained: spool === undefined ? 0 : spool.drained.kafka + spool.drained.queue,
      redelivered: accounting.redelivered,
      deadLettered: accounting.deadLettered
    })
  }

  get sum(): Counts {
    const sum: Counts = {
      divertedUnknown: 0,
      replayUnknown: 0,
      storedTwice: 0,
      drained: 0,
      redelivered: 0,
      deadLettered: 0
    }
    for (const one of this.#instances.values()) {
      sum.divertedUnknown += one.divertedUnknown
      sum.replayUnknown += one.replayUnknown
      sum.storedTwice += one.storedTwice
      sum.drained += one.drained
      sum.redelivered += one.redelivered
      sum.deadLettered += one.deadLettered
    }
    return sum
  }
}
