/**
 * What this broker takes at most: the same finished batches sent again and again over the same connection, five requests
 * of up to 1 MB in flight. Nothing is encoded, stamped or told to anybody.
 */
import * as Effect from "effect/Effect"
import * as KafkaJs from "../src/KafkaClient/KafkaJs.ts"
import type { Service as KafkaService, ProduceBatch } from "../src/KafkaClient.ts"
import { batchOf } from "../test/support/batches.ts"
import { events } from "./events.ts"
import { Flow, type Job, type Measured, measure, nextId } from "./window.ts"

/** As many records as `offer` puts into a batch. */
const batchRecords = (size: number): number => Math.min(1000, Math.floor(requestBytes / (size + recordOverhead)))
/** Bytes around a value: the record's fields and its id header. */
const recordOverhead = 64
const requestBytes = 1_000_000
const inFlight = 5
const partitions = 6

const resend = async (flow: Flow, job: Job, kafka: KafkaService): Promise<void> => {
  const values = events(job.size).slice(0, batchRecords(job.size))
  const now = Date.now()
  const bytes = batchOf(values.map(value => ({ key: null, value, id: nextId(), timestamp: now })))
  const perRequest = Math.max(1, Math.min(partitions, Math.floor(requestBytes / bytes.length)))
  const one = async (first: number): Promise<void> => {
    for (let round = first; flow.running; round += inFlight) {
      const batches: ReadonlyArray<ProduceBatch> = Array.from({ length: perRequest }, (_, index) => ({
        topic: job.topic,
        partition: (round * perRequest + index) % partitions,
        recordCount: values.length,
        bytes,
        idempotent: false
      }))
      const outcomes = await Effect.runPromise(kafka.produce(batches, 20_000))
      for (const outcome of outcomes) {
        if (outcome._tag === "Delivered") flow.acknowledged += values.length
        else flow.fail(outcome.error)
      }
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, index) => one(index)))
}

export const runStatic = (job: Job): Promise<Measured> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const kafka = yield* KafkaJs.make({
          brokers: job.brokers,
          clientId: "bench",
          connectionTimeoutMs: 2000,
          requestTimeoutMs: 5000,
          idempotent: false
        })
        yield* Effect.orDie(kafka.metadata([job.topic], 5000))
        const flow = new Flow()
        return yield* Effect.promise(() => measure(job, flow, () => resend(flow, job, kafka)))
      })
    )
  )
