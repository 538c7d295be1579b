/**
 * A Kafka in memory whose every call can be scripted: for the interleavings a real broker cannot be made to show.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { writeChecksum } from "../internal/batchLayout.ts"
import * as KafkaErrors from "../internal/kafkaErrors.ts"
import { KafkaClient, KafkaError, type ProduceBatch, type ProduceOutcome, type Service } from "../KafkaClient.ts"
import * as RecordBatch from "../RecordBatch.ts"

/** What the next produce call does. Without a script every batch is delivered at once. */
export type Step =
  | { readonly _tag: "Deliver" }
  /** The call as a whole fails with a Kafka error code, nothing is written. */
  | { readonly _tag: "Fail"; readonly code: number; readonly culprits?: ReadonlyArray<number> }
  /** Like a refused connection. */
  | { readonly _tag: "Refuse" }
  /** No answer: ends as unknown at the attempt's timeout, nothing is written. */
  | { readonly _tag: "Hang" }
  /** Written, but the answer is lost: ends as unknown at the attempt's timeout. */
  | { readonly _tag: "LoseAck" }
  /** Delivered after `ms`. */
  | { readonly _tag: "Delay"; readonly ms: number }
  /** Those partitions fail with the code, the others are delivered. */
  | { readonly _tag: "Partial"; readonly code: number; readonly partitions: ReadonlyArray<number> }
  /** Delivered, but the answer leaves those partitions out. */
  | { readonly _tag: "Omit"; readonly partitions: ReadonlyArray<number> }
  /** Delivered once the effect has completed. */
  | { readonly _tag: "Await"; readonly until: Effect.Effect<void> }

/** One record as Kafka stored it. */
export interface StoredRecord extends RecordBatch.ReadRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export interface Memory extends Service {
  /** Steps for the coming produce calls, first in first out; afterwards `always`, or delivery. */
  readonly script: (...steps: ReadonlyArray<Step>) => void
  /** What every produce call does once the script is used up; undefined delivers. */
  readonly always: (step: Step | undefined) => void
  /** Metadata fails like an unreachable cluster while false. */
  readonly reachable: (yes: boolean) => void
  readonly setPartitions: (topic: string, count: number) => void
  readonly deleteTopic: (topic: string) => void
  readonly stored: () => ReadonlyArray<StoredRecord>
  /** Calls so far. */
  readonly calls: { readonly produce: number; readonly metadata: number }
}

/** @param topics name to partition count */
export const make = (topics: Readonly<Record<string, number>>): Memory => {
  const partitions = new Map(Object.entries(topics))
  const stored: Array<StoredRecord> = []
  const steps: Array<Step> = []
  const nextOffset = new Map<string, number>()
  const calls = { produce: 0, metadata: 0 }
  let always: Step | undefined
  let reachable = true

  const write = (batch: ProduceBatch): ProduceOutcome => {
    const count = partitions.get(batch.topic)
    if (count === undefined || batch.partition >= count) return failed(KafkaErrors.fromCode(3))
    if (batch.idempotent) writeChecksum(batch.bytes, batch.bodyChecksum)
    const read = RecordBatch.records(batch.bytes)
    if (Either.isLeft(read)) return failed(KafkaErrors.fromCode(2))
    const key = `${batch.topic}-${batch.partition}`
    const base = nextOffset.get(key) ?? 0
    for (const record of read.right) {
      // Buffers are pooled: keep copies, as a broker would.
      const { key: recordKey, value } = record
      stored.push({
        ...record,
        key: recordKey === null ? null : Uint8Array.from(recordKey),
        value: value === null ? null : Uint8Array.from(value),
        headers: record.headers.map(
          ([name, header]) => [name, header === null ? null : Uint8Array.from(header)] as const
        ),
        tail: Uint8Array.from(record.tail),
        topic: batch.topic,
        partition: batch.partition,
        offset: base + record.offsetDelta
      })
    }
    nextOffset.set(key, base + read.right.length)
    return { _tag: "Delivered", baseOffset: BigInt(base) }
  }

  const refused = new KafkaError({
    class: "Availability",
    reason: "CONNECTION_REFUSED",
    retryable: true,
    message: "connection refused"
  })

  const timedOut = (batches: ReadonlyArray<ProduceBatch>, timeoutMs: number) =>
    Effect.as(
      Effect.sleep(timeoutMs),
      batches.map(batch => {
        batch.maybeWritten = true
        return failed(KafkaErrors.attemptTimeout(true, false, timeoutMs))
      })
    )

  const run = (step: Step, batches: ReadonlyArray<ProduceBatch>, timeoutMs: number) => {
    switch (step._tag) {
      case "Deliver":
        return Effect.sync(() => batches.map(write))
      case "Fail":
        return Effect.sync(() =>
          batches.map(batch => {
            const error = KafkaErrors.fromCode(step.code, { culprits: step.culprits ?? [] })
            if (error.class === "Unknown") batch.maybeWritten = true
            return failed(error)
          })
        )
      case "Refuse":
        return Effect.succeed(batches.map(() => failed(refused)))
      case "Hang":
        return timedOut(batches, timeoutMs)
      case "LoseAck":
        return Effect.suspend(() => {
          batches.forEach(write)
          return timedOut(batches, timeoutMs)
        })
      case "Delay":
        return Effect.map(Effect.sleep(step.ms), () => batches.map(write))
      case "Partial":
        return Effect.sync(() =>
          batches.map(batch =>
            step.partitions.includes(batch.partition) ? failed(KafkaErrors.fromCode(step.code)) : write(batch)
          )
        )
      case "Omit":
        return Effect.sync(() =>
          batches.map(batch => {
            const outcome = write(batch)
            if (!step.partitions.includes(batch.partition)) return outcome
            batch.maybeWritten = true
            return failed(KafkaErrors.unanswered(false))
          })
        )
      case "Await":
        return Effect.map(step.until, () => batches.map(write))
    }
  }

  return {
    produce: (batches, timeoutMs) =>
      Effect.suspend(() => {
        calls.produce++
        return run(steps.shift() ?? always ?? { _tag: "Deliver" }, batches, timeoutMs)
      }),
    metadata: names =>
      Effect.suspend(() => {
        calls.metadata++
        if (!reachable) return Effect.fail(refused)
        return Effect.succeed(
          names.map(topic => {
            const count = partitions.get(topic)
            if (count === undefined) return { _tag: "TopicFailed", topic, error: KafkaErrors.fromCode(3) } as const
            return {
              _tag: "Topic",
              topic,
              partitions: Array.from({ length: count }, (_, partition) => ({
                partition,
                leader: 1,
                replicas: [1],
                inSyncReplicas: [1]
              }))
            } as const
          })
        )
      }),
    script: (...more) => void steps.push(...more),
    always: step => {
      always = step
    },
    reachable: yes => {
      reachable = yes
    },
    setPartitions: (topic, count) => void partitions.set(topic, count),
    deleteTopic: topic => void partitions.delete(topic),
    stored: () => stored,
    calls
  }
}

const failed = (error: KafkaError): ProduceOutcome => ({ _tag: "Failed", error })

export const layer = (memory: Memory): Layer.Layer<KafkaClient> => Layer.succeed(KafkaClient, memory)
