/**
 * What parking and draining cost at least: the same calls to the same servers, by the same clients, with nothing of ours
 * between them.
 */
import * as Effect from "effect/Effect"
import * as Envelope from "../src/Envelope.ts"
import type { Service as Queue, QueueEntry, QueueMessage } from "../src/FallbackQueue.ts"
import type { KafkaError, ProduceBatch } from "../src/KafkaClient.ts"
import { AfterFirstQuarter, Bill, makeQueue, park } from "./pipeline.ts"
import { Flow, type Job, type Measured, measure } from "./window.ts"

/** Calls kept for the parking floor: each holds up to a MiB. */
const sampledCalls = 64
/** What the draining row's daemon has, too. */
const runners = 10

/** What is parked in a short time, as calls, and how many of them were under way at once. */
class Sample {
  readonly calls: Array<ReadonlyArray<QueueEntry>> = []
  mostAtOnce = 0
  #underWay = 0

  readonly seen = (queue: Queue): Queue => ({
    ...queue,
    send: entries =>
      Effect.suspend(() => {
        this.#underWay++
        this.mostAtOnce = Math.max(this.mostAtOnce, this.#underWay)
        this.calls.push(entries)
        // The first ones are from before the packer knows how far the records shrink.
        if (this.calls.length > sampledCalls) this.calls.shift()
        return queue.send(entries)
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            this.#underWay--
          })
        )
      )
  })
}

const recordsIn = (entries: ReadonlyArray<Pick<QueueEntry, "attributes">>): number =>
  entries.reduce((sum, { attributes }) => sum + Number(attributes["spillway-records"]), 0)

/** `SendMessageBatch` with the bodies that parking sends, made in advance, as many calls at once as parking has. */
const parking = (job: Job) =>
  Effect.gen(function* () {
    const sample = new Sample()
    const { queue } = yield* park({ ...job, warmUpMs: 500, measureMs: 500 }, new Bill(), sample.seen)
    const bill = new Bill()
    const floor = yield* makeQueue(job, queue.name, bill)
    yield* Effect.orDie(floor.limits)
    const flow = new Flow()
    let next = 0
    const call = Effect.suspend(() => {
      const entries = sample.calls[next++ % sample.calls.length] ?? []
      return Effect.match(floor.send(entries), {
        onFailure: flow.fail,
        onSuccess: outcomes => {
          const refused = outcomes.find(({ _tag }) => _tag === "Refused")
          if (refused === undefined) flow.acknowledged += recordsIn(entries)
          else flow.fail(refused)
        }
      })
    })
    const senders = () =>
      Effect.runPromise(
        Effect.forEach(
          Array.from({ length: sample.mostAtOnce }),
          () => Effect.whileLoop({ while: () => flow.running, body: () => call, step: () => undefined }),
          { concurrency: "unbounded", discard: true }
        )
      )
    const measured = yield* Effect.promise(() => measure(job, flow, senders))
    return { ...measured, billedPerMillion: bill.perMillion(flow.acknowledged) }
  })

/** One batch for each partition in a request: Kafka takes no more. */
const requestsOf = (envelopes: ReadonlyArray<Envelope.Envelope>): ReadonlyArray<ReadonlyArray<ProduceBatch>> => {
  const requests: Array<Array<ProduceBatch>> = []
  const used = new Map<number, number>()
  for (const { batch, partition, recordCount, topic } of envelopes) {
    const at = used.get(partition) ?? 0
    used.set(partition, at + 1)
    const produced = { topic, partition, recordCount, bytes: Buffer.from(batch.buffer, batch.byteOffset, batch.length) }
    const request = requests[at]
    if (request === undefined) requests.push([{ ...produced, idempotent: false }])
    else request.push({ ...produced, idempotent: false })
  }
  return requests
}

/**
 * As many receivers as draining has, each of which unpacks a message, sends its batches as they are, and deletes it: at
 * once at full speed, without a look at what is in them, without retries, and without anybody who keeps it invisible.
 */
const draining = (job: Job) =>
  Effect.gen(function* () {
    const { flow, kafka, queue } = yield* park(job, new Bill())
    const bill = new Bill()
    const stored = yield* makeQueue(job, queue.name, bill)
    const startedAt = performance.now()
    // To the last message: the open long polls, which bring nothing, are not part of it.
    const rest = new AfterFirstQuarter(flow.acknowledged)
    let drained = 0
    let failure: KafkaError | undefined
    const resend = (message: QueueMessage) =>
      Effect.gen(function* () {
        const envelopes = yield* Envelope.fromBody(message.body)
        for (const request of requestsOf(envelopes)) {
          for (const outcome of yield* kafka.produce(request, 20_000)) {
            if (outcome._tag === "Failed") failure ??= outcome.error
          }
        }
        yield* stored.delete(message.receiptHandle)
        drained += recordsIn([message])
        rest.add(drained)
      })
    const receive = Effect.flatMap(
      stored.receive({ max: 10, waitSeconds: 1, visibilitySeconds: 30 }),
      Effect.forEach(resend, { discard: true })
    )
    const going = () => drained < flow.acknowledged && failure === undefined && performance.now() - startedAt < 60_000
    yield* Effect.orDie(
      Effect.forEach(
        Array.from({ length: runners }),
        () => Effect.whileLoop({ while: going, body: () => receive, step: () => undefined }),
        { concurrency: "unbounded", discard: true }
      )
    )
    if (failure !== undefined || drained < flow.acknowledged) {
      throw new Error(`draining-floor stopped at ${drained} of ${flow.acknowledged}: ${failure?.message}`)
    }
    return { ...rest.measured, billedPerMillion: bill.perMillion(drained) }
  })

const rows = { "parking-floor": parking, "draining-floor": draining } as const

export type FloorRow = keyof typeof rows
export const floorRows: ReadonlyArray<FloorRow> = ["parking-floor", "draining-floor"]

export const runFloorRow = (row: FloorRow, job: Job): Promise<Measured> =>
  Effect.runPromise(Effect.scoped(rows[row](job)))
