/**
 * The partitions parked records go to: their own as long as the caller fixed it, or the topic has as many partitions as when
 * it was chosen; else one chosen anew.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Envelope } from "../Envelope.ts"
import type { KafkaError, Service as KafkaService } from "../KafkaClient.ts"
import * as RecordBatch from "../RecordBatch.ts"
import { type Balancer, Partitioner } from "./partitioner.ts"

export interface Placed<E extends Envelope> {
  readonly placed: ReadonlyArray<E>
  /** Those whose topic's partitions are not known, and Kafka's word on that topic where there is one. */
  readonly homeless: ReadonlyArray<readonly [envelope: E, error: KafkaError | undefined]>
}

export class Placement {
  readonly #kafka: KafkaService
  readonly #timeoutMs: number
  readonly #partitioner: Partitioner
  /** Partitions by topic, as last seen. */
  readonly #counts = new Map<string, number>()

  /** @param timeoutMs budget for asking Kafka about topics not seen yet */
  constructor(kafka: KafkaService, balancer: Balancer, timeoutMs: number) {
    this.#kafka = kafka
    this.#timeoutMs = timeoutMs
    this.#partitioner = new Partitioner(balancer)
  }

  /** The topic was recreated, or changed in its partitions: Kafka is asked before the next placing. */
  forget(topic: string): void {
    this.#counts.delete(topic)
  }

  /** Every envelope in one of the two, possibly in parts. */
  place<E extends Envelope>(envelopes: ReadonlyArray<E>): Effect.Effect<Placed<E>, KafkaError> {
    return Effect.gen(this, function* () {
      const unseen = new Set(envelopes.map(({ topic }) => topic).filter(topic => !this.#counts.has(topic)))
      const errors = unseen.size > 0 ? yield* this.#learn(Array.from(unseen)) : new Map<string, KafkaError>()
      const placed: Array<E> = []
      const homeless: Array<readonly [E, KafkaError | undefined]> = []
      for (const envelope of envelopes) {
        const count = this.#counts.get(envelope.topic)
        // Also when another replay found the topic changed in the meantime.
        if (count === undefined) homeless.push([envelope, errors.get(envelope.topic)])
        else if (envelope.partition >= 0 && (envelope.partitionFixed || envelope.partitionCount === count))
          placed.push(envelope)
        else placed.push(...this.#anew(envelope, count))
      }
      return { placed, homeless }
    })
  }

  /** Learns the partitions of topics; the errors of those that have none. */
  #learn(topics: ReadonlyArray<string>): Effect.Effect<ReadonlyMap<string, KafkaError>, KafkaError> {
    return Effect.map(this.#kafka.metadata(topics, this.#timeoutMs), found => {
      const errors = new Map<string, KafkaError>()
      for (const topic of found) {
        if (topic._tag === "Topic") this.#counts.set(topic.topic, topic.partitions.length)
        else errors.set(topic.topic, topic.error)
      }
      return errors
    })
  }

  /** A partition for each record, and an envelope for each partition. */
  #anew<E extends Envelope>(envelope: E, count: number): ReadonlyArray<E> {
    const read = RecordBatch.records(envelope.batch)
    if (Either.isLeft(read)) return [{ ...envelope, partition: Math.max(0, envelope.partition), partitionCount: count }]
    const byPartition = new Map<number, Array<RecordBatch.ReadRecord>>()
    const view = { count, usable: () => true, bytes: () => 0 }
    for (const record of read.right) {
      const partition = this.#partitioner.choose(record.key, view)
      const same = byPartition.get(partition)
      if (same === undefined) byPartition.set(partition, [record])
      else same.push(record)
    }
    return Array.from(byPartition, ([partition, records]) => ({
      ...envelope,
      partition,
      partitionCount: count,
      recordCount: records.length,
      batch: records.length === read.right.length ? envelope.batch : RecordBatch.fromRecords(records)
    }))
  }
}
