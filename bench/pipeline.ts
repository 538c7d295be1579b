/** The way round Kafka: parking while it is away, draining when it is back, and what one message per record would cost. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as DeadLetterQueue from "../src/DeadLetterQueue.ts"
import * as Sqs from "../src/FallbackQueue/Sqs.ts"
import type { Service as Queue } from "../src/FallbackQueue.ts"
import * as FallbackWriter from "../src/FallbackWriter.ts"
import * as RetryDaemon from "../src/RetryDaemon.ts"
import { eventCount, events } from "./events.ts"
import { keepOffering, makeBreaker, makeKafka, makeProducer, openSchedule } from "./spillwayRows.ts"
import { Flow, type Job, type Measured, measure } from "./window.ts"

export class Bill {
  requests = 0
  readonly add = (_operation: string, requests: number): void => {
    this.requests += requests
  }
  perMillion(records: number): number {
    return (this.requests / Math.max(1, records)) * 1_000_000
  }
}

export const makeQueue = (job: Job, queueId: string, bill: Bill): Effect.Effect<Queue, never, Scope.Scope> =>
  Sqs.make({
    queueId,
    client: {
      region: "us-east-1",
      endpoint: job.sqs,
      accessKeyId: "local",
      secretAccessKey: Redacted.make("local"),
      requestTimeoutMs: 10_000,
      connectionTimeoutMs: 2000
    },
    create: {},
    onRequest: bill.add
  })

/**
 * Offers with the breaker forced open until the window is over; every record ends in the queue.
 *
 * @param seen stands between the writer and the queue
 */
export const park = (job: Job, bill: Bill, seen: (queue: Queue) => Queue = queue => queue) =>
  Effect.gen(function* () {
    const kafka = yield* makeKafka(job)
    const breaker = yield* makeBreaker
    const queue = yield* makeQueue(job, "parked", bill)
    const writer = yield* FallbackWriter.make(seen(queue), { collectMs: 5, afterMs: 0, budgetMs: 20_000, openSchedule })
    yield* Effect.forkScoped(Effect.interruptible(writer.run))
    const producer = yield* makeProducer(job, kafka, breaker, writer)
    yield* Effect.orDie(producer.reach)
    breaker.force("open")
    const flow = new Flow()
    const offering = () =>
      keepOffering(flow, job, (value, settled) => producer.offer({ topic: job.topic, key: null, value }, settled))
    const measured = yield* Effect.promise(() => measure(job, flow, offering))
    return { breaker, flow, kafka, measured, queue }
  })

const parking = (job: Job) =>
  Effect.gen(function* () {
    const bill = new Bill()
    const { flow, measured } = yield* park(job, bill)
    return { ...measured, billedPerMillion: bill.perMillion(flow.acknowledged) }
  })

/** Rate and CPU time from when a quarter is done, behind which everybody's program is warm, to the last record. */
export class AfterFirstQuarter {
  readonly #count: number
  #from: { readonly at: number; readonly done: number; readonly cpu: NodeJS.CpuUsage } | undefined
  #measured = { recordsPerSecond: 0, cpuMicrosPerRecord: 0 }

  constructor(count: number) {
    this.#count = count
  }

  /** So many are done. */
  add(done: number): void {
    this.#from ??= done * 4 < this.#count ? undefined : { at: performance.now(), done, cpu: process.cpuUsage() }
    if (this.#from === undefined || done === this.#from.done) return
    const records = done - this.#from.done
    const { system, user } = process.cpuUsage(this.#from.cpu)
    this.#measured = {
      recordsPerSecond: (records / (performance.now() - this.#from.at)) * 1000,
      cpuMicrosPerRecord: (user + system) / records
    }
  }

  get measured(): Measured {
    return this.#measured
  }
}

/** From when a quarter of what was parked is back in Kafka, behind the careful start, to the last record. */
const draining = (job: Job) =>
  Effect.gen(function* () {
    const { breaker, flow, kafka, queue } = yield* park(job, new Bill())
    const bill = new Bill()
    const replayed = yield* makeQueue(job, "parked", bill)
    const daemon = yield* RetryDaemon.make(
      {
        topic: job.topic,
        balancer: "default",
        idHeader: "spillway-id",
        batchBytes: 1_000_000,
        writeTimeoutMs: 5000,
        maxAttempts: 3,
        afterMs: 0,
        runnerCount: 10,
        maxNumberOfMessages: 10,
        waitTimeSeconds: 1,
        visibilityMs: 30_000,
        unmarshaller: "msg"
      },
      { queue: replayed, deadLetters: DeadLetterQueue.make(queue), kafka, breaker, pressed: () => false }
    )
    const rest = new AfterFirstQuarter(flow.acknowledged)
    breaker.force(undefined)
    yield* Effect.forkScoped(Effect.interruptible(daemon.run))
    let stalledSince = performance.now()
    let last = 0
    while (daemon.counters().redelivered < flow.acknowledged) {
      yield* Effect.sleep(5)
      const { redelivered } = daemon.counters()
      if (redelivered > last) {
        stalledSince = performance.now()
        rest.add(redelivered)
      }
      last = redelivered
      if (performance.now() - stalledSince > 40_000) {
        throw new Error(`draining stopped at ${JSON.stringify(daemon.counters())} of ${flow.acknowledged}`)
      }
    }
    return { ...rest.measured, billedPerMillion: bill.perMillion(flow.acknowledged) }
  })

/** `SendMessageBatch` with ten messages of one event each, eight calls at a time. */
const sqsSingles = (job: Job) =>
  Effect.gen(function* () {
    const bill = new Bill()
    const queue = yield* makeQueue(job, "singles", bill)
    yield* Effect.orDie(queue.limits)
    const values = events(job.size).map(value => value.toString("utf8"))
    const flow = new Flow()
    let next = 0
    const call = () =>
      queue
        .send(
          Array.from({ length: 10 }, () => ({
            body: values[next++ & (eventCount - 1)] ?? "",
            attributes: {},
            delaySeconds: 0
          }))
        )
        .pipe(
          Effect.match({
            onFailure: flow.fail,
            onSuccess: outcomes => {
              for (const outcome of outcomes) {
                if (outcome._tag === "Stored") flow.acknowledged++
                else flow.fail(outcome.error)
              }
            }
          })
        )
    const senders = () =>
      Effect.runPromise(
        Effect.forEach(
          Array.from({ length: 8 }),
          () => Effect.whileLoop({ while: () => flow.running, body: call, step: () => undefined }),
          { concurrency: "unbounded", discard: true }
        )
      )
    const measured = yield* Effect.promise(() => measure(job, flow, senders))
    return { ...measured, billedPerMillion: bill.perMillion(flow.acknowledged) }
  })

const rows = { parking, draining, "sqs-singles": sqsSingles } as const

export type PipelineRow = keyof typeof rows
export const pipelineRows: ReadonlyArray<PipelineRow> = ["parking", "draining", "sqs-singles"]

export const runPipelineRow = (row: PipelineRow, job: Job): Promise<Measured> =>
  Effect.runPromise(Effect.scoped(rows[row](job)))
