/** Spillway's four ways in: callback, Promise, Effect per record, arrays. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as CircuitBreaker from "../src/CircuitBreaker.ts"
import type * as FallbackWriter from "../src/FallbackWriter.ts"
import * as KafkaJs from "../src/KafkaClient/KafkaJs.ts"
import type { Service as KafkaService } from "../src/KafkaClient.ts"
import * as Producer from "../src/Producer.ts"
import type { Outcome } from "../src/Receipt.ts"
import type { ProducerRecord } from "../src/Record.ts"
import { eventCount, events } from "./events.ts"
import { Flow, type Job, type Measured, measure } from "./window.ts"

/** Records offered and not yet settled at most, and their bytes. */
const outstandingLimit = 50_000
const outstandingBytes = 128 * 1024 * 1024
/** Records offered before the event loop gets its turn. */
const burst = 1000

export const openSchedule = CircuitBreaker.openSchedule({ minMs: 1000, maxMs: 30_000, factor: 2, jitter: 0.2 })

/** The thresholds of the default configuration. */
export const makeBreaker = CircuitBreaker.make(
  {
    consecutiveFailures: 5,
    windowMs: 10_000,
    minimumVolume: 20,
    failureRate: 0.5,
    slowCallMs: undefined,
    slowCallRate: 0.8,
    probes: 1,
    probeTimeoutMs: 5000
  },
  openSchedule
)

export const makeKafka = (job: Pick<Job, "brokers">): Effect.Effect<KafkaService, never, Scope.Scope> =>
  KafkaJs.make({
    brokers: job.brokers,
    clientId: "bench",
    connectionTimeoutMs: 2000,
    requestTimeoutMs: 5000,
    idempotent: true
  })

export const makeProducer = (
  job: Pick<Job, "topic" | "compression">,
  kafka: KafkaService,
  breaker: CircuitBreaker.Service,
  writer?: FallbackWriter.Service,
  onDelivered: (records: number, bytes: number) => void = () => undefined
): Effect.Effect<Producer.Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const producer = yield* Producer.make(
      {
        topics: [
          {
            topic: job.topic,
            encoding: "raw",
            balancer: "default",
            compression: job.compression ?? "none",
            batchSize: 1000,
            batchBytes: 1_000_000,
            idleTimeoutMs: 5,
            writeTimeoutMs: 20_000,
            maxRecordBytes: 1_000_000,
            maxInFlight: 5,
            idHeader: "spillway-id"
          }
        ],
        buffer: { maxRecords: 200_000, maxBytes: 256 * 1024 * 1024, maxWaitMs: 20_000 },
        metadataMaxAgeMs: 10_000,
        origin: "bench"
      },
      { kafka, breaker, fallback: () => writer, onDelivered }
    )
    yield* Effect.forkScoped(Effect.interruptible(producer.run))
    return producer
  })

/** Offers records as fast as they are settled, up to the limit; used by every row that takes single records. */
export const keepOffering = async (
  flow: Flow,
  job: Job,
  offer: (value: Buffer, settled: (outcome: Outcome) => void) => void
): Promise<void> => {
  const values = events(job.size, job.compression)
  const limit = Math.min(outstandingLimit, Math.floor(outstandingBytes / job.size))
  let outstanding = 0
  let next = 0
  let resume: (() => void) | undefined
  const settled = (outcome: Outcome) => {
    if (outcome._tag === "Receipt") flow.acknowledged++
    else flow.fail(outcome)
    outstanding--
    if (outstanding === limit - burst || outstanding === 0) resume?.()
  }
  while (flow.running) {
    for (let i = 0; i < burst && outstanding < limit; i++) {
      const value = values[next++ & (values.length - 1)]
      if (value === undefined) continue
      outstanding++
      offer(value, settled)
    }
    await new Promise<void>(resolve => {
      if (outstanding < limit) setImmediate(resolve)
      else resume = resolve
    })
  }
  while (outstanding > 0) {
    await new Promise<void>(resolve => {
      resume = resolve
    })
  }
}

/** One fiber per caller, each waiting for its outcome before the next. */
const callers = <A>(
  flow: Flow,
  count: number,
  once: () => Effect.Effect<A, unknown>,
  settled: (answer: A) => void
): Promise<unknown> =>
  Effect.runPromise(
    Effect.forEach(
      Array.from({ length: count }),
      () => Effect.whileLoop({ while: () => flow.running, body: once, step: settled }),
      { concurrency: "unbounded", discard: true }
    )
  )

/** Keys, each of many records. */
const sessions = Array.from({ length: eventCount }, (_, index) => `session-${(index * 7919) % 10_007}`)

const rows = {
  offer: (producer: Producer.Service, job: Job, flow: Flow) =>
    keepOffering(flow, job, (value, settled) => producer.offer({ topic: job.topic, key: null, value }, settled)),

  keyed: (producer: Producer.Service, job: Job, flow: Flow) => {
    let next = 0
    return keepOffering(flow, job, (value, settled) => {
      producer.offer({ topic: job.topic, key: sessions[next++ & (eventCount - 1)] ?? null, value }, settled)
    })
  },

  promise: (producer: Producer.Service, job: Job, flow: Flow) =>
    keepOffering(flow, job, (value, settled) => {
      producer.publishPromise({ topic: job.topic, key: null, value }).then(settled, settled)
    }),

  effect: (producer: Producer.Service, job: Job, flow: Flow) => {
    const values = events(job.size)
    let next = 0
    return callers(
      flow,
      1000,
      () => producer.publish({ topic: job.topic, key: null, value: values[next++ & (eventCount - 1)] ?? null }),
      () => {
        flow.acknowledged++
      }
    )
  },

  publishAll: (producer: Producer.Service, job: Job, flow: Flow) => {
    const values = events(job.size)
    let next = 0
    const array = () => {
      const records: Array<ProducerRecord> = []
      for (let i = 0; i < burst; i++) {
        records.push({ topic: job.topic, key: null, value: values[next++ & (eventCount - 1)] ?? null })
      }
      return records
    }
    return callers(
      flow,
      outstandingLimit / burst,
      () => producer.publishAll(array()),
      outcomes => {
        for (const outcome of outcomes) {
          if (outcome._tag === "Receipt") flow.acknowledged++
          else flow.fail(outcome)
        }
      }
    )
  }
} as const

export type SpillwayRow = keyof typeof rows
export const spillwayRows: ReadonlyArray<SpillwayRow> = ["offer", "keyed", "promise", "effect", "publishAll"]

export const runSpillwayRow = (row: SpillwayRow, job: Job): Promise<Measured> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const breaker = yield* makeBreaker
        const flow = new Flow()
        const kafka = yield* makeKafka(job)
        const producer = yield* makeProducer(job, kafka, breaker, undefined, flow.delivered)
        yield* Effect.orDie(producer.reach)
        return yield* Effect.promise(() => measure(job, flow, () => rows[row](producer, job, flow)))
      })
    )
  )
