import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as AppConfig from "../src/AppConfig.ts"
import * as CircuitBreaker from "../src/CircuitBreaker.ts"
import * as Envelope from "../src/Envelope.ts"
import type { Service as FallbackWriter, Parcel } from "../src/FallbackWriter.ts"
import { openScheduleOf } from "../src/internal/fallback.ts"
import { type Memory, make as makeKafka } from "../src/KafkaClient/Memory.ts"
import type { Service as KafkaService, ProduceBatch, ProduceOutcome } from "../src/KafkaClient.ts"
import * as Producer from "../src/Producer.ts"
import type { Outcome } from "../src/Receipt.ts"
import * as RecordBatch from "../src/RecordBatch.ts"
import { supervise } from "../src/Supervision.ts"
import { advance, advanceUntil, configuration, harness, onTestClock, turn } from "./support/doubles.ts"
import { headerText } from "./support/StoredRecord.ts"

const outcomeOf = (outcome: Outcome): string => (outcome._tag === "Receipt" ? outcome.outcome : outcome.reason)

/** The accounting law. */
const assertBalanced = (a: {
  accepted: number
  delivered: number
  diverted: number
  spooled: number
  rejected: number
  failed: number
  inMemory: number
}) => assert.equal(a.accepted, a.delivered + a.diverted + a.spooled + a.rejected + a.failed + a.inMemory)

/** A client's plain way: the first call does `first`, the others deliver at once. */
const plain = (
  kafka: Memory,
  first: (done: (outcomes: ReadonlyArray<ProduceOutcome>) => void) => void
): NonNullable<KafkaService["send"]> => {
  let calls = 0
  return (batches, timeoutMs, done) => {
    if (calls++ === 0) first(done)
    else done(Effect.runSync(kafka.produce(batches, timeoutMs)))
  }
}

/** A Producer of two partitions without a fallback, in front of a breaker with parts replaced, run as the service runs it. */
const supervised = (parts: (breaker: CircuitBreaker.Service) => Partial<CircuitBreaker.Service>) =>
  Effect.gen(function* () {
    const parsed = AppConfig.parse([{ file: "test.yaml", text: configuration({}) }], {})
    const config = Either.getOrThrow(parsed)
    const breaker = yield* CircuitBreaker.make(config.breaker, openScheduleOf(config.breaker))
    const topics = Object.values(config.outputs).map(output => ({ ...output, encoding: "raw" as const }))
    const producer = yield* Producer.make(
      { topics, buffer: config.buffer, metadataMaxAgeMs: 60_000, origin: "test" },
      { kafka: makeKafka({ events: 2 }), breaker: { ...breaker, ...parts(breaker) }, fallback: () => undefined }
    )
    yield* Effect.forkScoped(supervise("producer", producer.run).pipe(Logger.withMinimumLogLevel(LogLevel.None)))
    yield* advance(40)
    return producer
  })

/** A Producer, what it asked its client to send and in how much memory that lay, and what it gave to the fallback. */
const divertingLarge = (kafka: Memory) =>
  Effect.gen(function* () {
    const text = configuration({ output: "max_record_bytes: 16MiB", writeTimeout: "500ms" })
    const config = Either.getOrThrow(AppConfig.parse([{ file: "test.yaml", text }], {}))
    const breaker = yield* CircuitBreaker.make(config.breaker, openScheduleOf(config.breaker))
    const topics = Object.values(config.outputs).map(output => ({ ...output, encoding: "raw" as const }))
    const sent: Array<ProduceBatch> = []
    const memory: Array<number> = []
    const parcels: Array<Parcel> = []
    const client: KafkaService = {
      ...kafka,
      produce: (batches, timeoutMs) => {
        sent.push(...batches)
        memory.push(...batches.map(({ bytes }) => bytes.buffer.byteLength))
        return kafka.produce(batches, timeoutMs)
      }
    }
    const fallback = { divert: (parcel: Parcel) => void parcels.push(parcel) }
    const producer = yield* Producer.make(
      { topics, buffer: config.buffer, metadataMaxAgeMs: 60_000, origin: "test" },
      { kafka: client, breaker, fallback: () => ({ ...idleWriter, ...fallback }) }
    )
    yield* Effect.forkScoped(producer.run)
    yield* advance(40)
    return { breaker, memory, parcels, producer, sent }
  })

const idleWriter: Omit<FallbackWriter, "divert"> = {
  move: () => Effect.succeed([]),
  status: () => assert.fail(),
  run: Effect.never
}

describe("Producer", () => {
  it("delivers with partition, offset and a record id that is in the record", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness()
        yield* advance(40)
        const outcomes: Array<Outcome> = []
        for (let i = 0; i < 50; i++) {
          spillway.offer({ topic: "events", key: `k${i}`, value: `v${i}` }, outcome => outcomes.push(outcome))
        }
        yield* advanceUntil("delivery", () => outcomes.length === 50)
        const stored = kafka.stored()
        assert.equal(stored.length, 50)
        const ids = new Set<string>()
        for (const outcome of outcomes) {
          assert.equal(outcome._tag, "Receipt")
          if (outcome._tag !== "Receipt") continue
          ids.add(outcome.id)
          const found = stored.find(
            record => record.partition === outcome.partition && BigInt(record.offset) === outcome.offset
          )
          assert.ok(found !== undefined)
          assert.equal(headerText({ ...found, offset: 0n }, "spillway-id"), outcome.id)
          assert.match(outcome.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        }
        assert.equal(ids.size, 50)
        assertBalanced(spillway.status().accounting)
      })
    ))

  it("tells nobody before Kafka has answered (ack after durable)", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness()
        yield* advance(40)
        let answer: (() => void) | undefined
        const answered = new Promise<void>(resolve => {
          answer = resolve
        })
        kafka.script({ _tag: "Await", until: Effect.promise(() => answered) })
        let outcome: Outcome | undefined
        spillway.offer({ topic: "events", value: "v" }, told => {
          outcome = told
        })
        yield* advance(200)
        assert.equal(kafka.calls.produce, 1)
        assert.equal(outcome, undefined)
        assert.equal(spillway.status().accounting.inMemory, 1)
        answer?.()
        yield* advanceUntil("the answer", () => outcome !== undefined)
        assert.equal(outcome === undefined ? "" : outcomeOf(outcome), "delivered")
      })
    ))

  it("sends what is worth a request before the callers have ended, while Kafka has nothing to do", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ partitions: 1, idleTimeout: "50ms" })
        yield* advance(40)
        let answer: (() => void) | undefined
        const first = new Promise<void>(resolve => {
          answer = resolve
        })
        kafka.script({ _tag: "Await", until: Effect.promise(() => first) })
        let told = 0
        const offer = (count: number) => {
          for (let i = 0; i < count; i++) {
            spillway.offer({ topic: "events", value: Buffer.alloc(1024) }, outcome => {
              if (outcomeOf(outcome) === "delivered") told++
            })
          }
        }
        offer(50)
        assert.equal(kafka.calls.produce, 0)
        // From 64 KiB on, in the same turn; what follows waits for company and for the answer.
        offer(50)
        assert.equal(kafka.calls.produce, 1)
        offer(100)
        yield* turn
        assert.equal(kafka.calls.produce, 1)
        answer?.()
        yield* advanceUntil("delivery", () => told === 200)
        assert.equal(kafka.calls.produce, 2)
        assert.deepEqual(
          kafka.stored().map(({ offset }) => offset),
          Array.from({ length: 200 }, (_, index) => index)
        )
        assertBalanced(spillway.status().accounting)
      })
    ))

  it("diverts in whole turns of its callers, over all partitions, while the breaker is open", () =>
    onTestClock(
      Effect.gen(function* () {
        const { parked, spillway } = yield* harness({ partitions: 3, retry: "after: 15m" })
        yield* advance(40)
        assert.ok(spillway.forceBreaker("default", "open"))
        let told = 0
        for (let burst = 1; burst <= 40; burst++) {
          // 100 KiB: worth a request, were there anybody to work on it.
          for (let i = 0; i < 100; i++) {
            spillway.offer({ topic: "events", value: Buffer.alloc(1024) }, outcome => {
              if (outcomeOf(outcome) === "diverted") told++
            })
          }
          yield* advanceUntil("the diversion", () => told === burst * 100)
        }
        const packs = yield* Effect.forEach(parked(), ({ body }) => Envelope.fromBody(body))
        const envelopes = packs.flat()
        assert.deepEqual(
          envelopes.map(({ recordCount }) => recordCount),
          envelopes.map(() => 100)
        )
        assert.deepEqual(Array.from(new Set(envelopes.map(({ partition }) => partition))).sort(), [0, 1, 2])
      })
    ))

  it("tells nobody before SQS has the record (ack after durable)", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, parked, queue, spillway } = yield* harness()
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        queue.script("send", { _tag: "Fail", reason: "Throttled" }, { _tag: "Fail", reason: "Unavailable" })
        let storedWhenTold = -1
        let outcome: Outcome | undefined
        spillway.offer({ topic: "events", value: "v" }, told => {
          outcome = told
          storedWhenTold = parked().length
        })
        yield* advanceUntil("the outcome", () => outcome !== undefined)
        assert.equal(outcome === undefined ? "" : outcomeOf(outcome), "diverted")
        assert.equal(storedWhenTold, 1)
        assert.equal(queue.calls.send, 3)
      })
    ))

  it("diverts within the write timeout when Kafka hangs, as unknown, and once", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ partitions: 1 })
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        const told: Array<string> = []
        spillway.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        yield* advance(960)
        assert.deepEqual(told, [])
        yield* advance(200)
        assert.deepEqual(told, ["diverted"])
        const { accounting } = spillway.status()
        assert.equal(accounting.divertedUnknown, 1)
        assertBalanced(accounting)
      })
    ))

  /** Clients whose first attempt is broken in itself, and that deliver from then on. */
  const broken: Readonly<Record<string, (kafka: Memory) => Pick<KafkaService, "send" | "produce">>> = {
    "dies in its effect": kafka => ({
      produce: (...call) =>
        kafka.calls.produce === 0
          ? Effect.zipRight(kafka.produce([], 0), Effect.dieMessage("broken"))
          : kafka.produce(...call)
    }),
    "throws when it is called": kafka => ({
      produce: kafka.produce,
      send: plain(kafka, () => {
        throw new Error("broken")
      })
    }),
    "says nothing of the batch": kafka => ({ produce: kafka.produce, send: plain(kafka, done => done([])) })
  }
  for (const [how, client] of Object.entries(broken)) {
    it(`diverts what a client had that ${how}, as unknown, and goes on with the next`, () =>
      onTestClock(
        Effect.gen(function* () {
          const { spillway } = yield* harness({
            partitions: 2,
            output: "max_in_flight: 1",
            client: kafka => ({ ...kafka, ...client(kafka) })
          })
          yield* advance(40)
          const told = new Map<number, string>()
          const offer = (partition: number) =>
            spillway.offer({ topic: "events", value: "v", partition }, outcome =>
              told.set(partition, outcomeOf(outcome))
            )
          offer(0)
          yield* advance(40)
          assert.deepEqual([...told], [])
          // The broker's only place is free again.
          offer(1)
          yield* advance(40)
          assert.deepEqual([...told], [[1, "delivered"]])
          yield* advanceUntil("the other", () => told.size === 2)
          assert.equal(told.get(0), "diverted")
          const { accounting } = spillway.status()
          assert.equal(accounting.divertedUnknown, 1)
          assertBalanced(accounting)
        })
      ))
  }

  it("sends through a client whose plain way is a method", () =>
    onTestClock(
      Effect.gen(function* () {
        const { spillway } = yield* harness({
          client: kafka => ({
            ...kafka,
            send(batches, timeoutMs, done) {
              done(Effect.runSync(this.produce(batches, timeoutMs)))
            }
          })
        })
        yield* advance(40)
        const told: Array<string> = []
        spillway.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        yield* advance(40)
        assert.deepEqual(told, ["delivered"])
      })
    ))

  it("begins its turns again soon after a fault in one", () =>
    onTestClock(
      Effect.gen(function* () {
        let faults = 0
        const producer = yield* supervised(breaker => ({
          acquire: (topic, partition) => {
            if (faults-- > 0) throw new Error("broken")
            return breaker.acquire(topic, partition)
          }
        }))
        const told: Array<string> = []
        faults = 1
        producer.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        yield* advance(200)
        assert.deepEqual(told, ["delivered"])
      })
    ))

  it("tells the callers of a batch that has landed although one behind it in the answer meets a fault", () =>
    onTestClock(
      Effect.gen(function* () {
        let settled = 0
        const producer = yield* supervised(breaker => ({
          settle: (...call) => {
            if (++settled === 2) throw new Error("broken")
            breaker.settle(...call)
          }
        }))
        const told = new Map<number, string>()
        for (const partition of [0, 1]) {
          producer.offer({ topic: "events", value: "v", partition }, outcome => told.set(partition, outcomeOf(outcome)))
        }
        yield* advance(200)
        assert.deepEqual([...told], [[0, "delivered"]])
        // The other is not forgotten: its deadline comes, and here it has no fallback.
        yield* advanceUntil("the other", () => told.size === 2)
        assert.equal(told.get(1), "FallbackUnavailable")
      })
    ))

  it("does not call a partition delivered that the answer leaves out (metadata coverage)", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ partitions: 2 })
        yield* advance(40)
        kafka.script({ _tag: "Omit", partitions: [1] })
        const told = new Map<number, string>()
        for (const partition of [0, 1]) {
          spillway.offer({ topic: "events", value: "v", partition }, outcome => told.set(partition, outcomeOf(outcome)))
        }
        yield* advanceUntil("both outcomes", () => told.size === 2)
        assert.deepEqual(Object.fromEntries(told), { 0: "delivered", 1: "diverted" })
        assert.equal(spillway.status().accounting.divertedUnknown, 1)
      })
    ))

  it("rides out a leader election without diverting", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness()
        yield* advance(40)
        kafka.script({ _tag: "Fail", code: 6 }, { _tag: "Fail", code: 5 }, { _tag: "Fail", code: 19 })
        let outcome: Outcome | undefined
        spillway.offer({ topic: "events", value: "v" }, told => {
          outcome = told
        })
        yield* advanceUntil("delivery", () => outcome !== undefined)
        assert.equal(outcome === undefined ? "" : outcomeOf(outcome), "delivered")
        assert.equal(spillway.status().accounting.diverted, 0)
      })
    ))

  it("rejects only the record the broker names, and delivers its neighbours in order", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ partitions: 1 })
        yield* advance(40)
        kafka.script({ _tag: "Fail", code: 87, culprits: [1] })
        const told: Array<string> = []
        for (let i = 0; i < 4; i++) {
          spillway.offer({ topic: "events", value: `v${i}` }, outcome => {
            told[i] = outcomeOf(outcome)
          })
        }
        yield* advanceUntil("all outcomes", () => told.filter(Boolean).length === 4)
        assert.deepEqual(told, ["delivered", "InvalidRecord", "delivered", "delivered"])
        const values = kafka.stored().map(({ value }) => Buffer.from(value ?? []).toString())
        assert.deepEqual(values, ["v0", "v2", "v3"])
        assertBalanced(spillway.status().accounting)
        assert.equal(spillway.status().accounting.inMemory, 0)
        assert.equal(spillway.status().connections[0]?.producer.inMemory.bytes, 0)
      })
    ))

  it("halves a batch that is too large until it fits", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ partitions: 1 })
        yield* advance(40)
        kafka.script({ _tag: "Fail", code: 10 }, { _tag: "Fail", code: 10 })
        const told: Array<string> = []
        for (let i = 0; i < 8; i++) {
          spillway.offer({ topic: "events", value: `v${i}` }, outcome => told.push(outcomeOf(outcome)))
        }
        yield* advanceUntil("all outcomes", () => told.length === 8)
        assert.deepEqual(new Set(told), new Set(["delivered"]))
        const values = kafka.stored().map(({ value }) => Buffer.from(value ?? []).toString())
        assert.deepEqual(values, ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"])
      })
    ))

  it("rejects a record that is too large alone, without diverting it", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness({ partitions: 1 })
        yield* advance(40)
        kafka.script({ _tag: "Fail", code: 10 })
        const told: Array<string> = []
        spillway.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        yield* advanceUntil("the outcome", () => told.length === 1)
        assert.deepEqual(told, ["RecordTooLarge"])
        assert.equal(queue.calls.send, 0)
      })
    ))

  it("accepts records before Kafka was ever seen, and gives them a partition when it is", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ unreachable: true })
        const told: Array<string> = []
        for (let i = 0; i < 5; i++) {
          spillway.offer({ topic: "events", key: `k${i}`, value: "v" }, outcome => told.push(outcomeOf(outcome)))
        }
        yield* turn
        kafka.reachable(true)
        yield* advanceUntil("delivery", () => told.length === 5)
        assert.deepEqual(new Set(told), new Set(["delivered"]))
        assert.equal(kafka.stored().length, 5)
      })
    ))

  it("refuses bad records at once, naming the member", () =>
    onTestClock(
      Effect.gen(function* () {
        const { spillway } = yield* harness({ output: "max_record_bytes: 1KiB" })
        yield* advance(40)
        const fault = (record: unknown) =>
          Effect.map(Effect.flip(spillway.publish(record as never)), error => [error.reason, error.field])
        assert.deepEqual(yield* fault({ topic: "events", value: 5 }), ["InvalidRecord", "value"])
        assert.deepEqual(yield* fault({ topic: "events", value: "v", key: {} }), ["InvalidRecord", "key"])
        assert.deepEqual(yield* fault({ topic: "events", value: "v", headers: [["a", 1]] }), [
          "InvalidRecord",
          "headers[0]"
        ])
        assert.deepEqual(yield* fault({ topic: "events", value: "v", timestamp: 1.5 }), ["InvalidRecord", "timestamp"])
        assert.deepEqual(yield* fault({ topic: "events", value: "v", partition: 9 }), ["InvalidRecord", "partition"])
        assert.deepEqual(yield* fault({ topic: "events", value: "v", id: "" }), ["InvalidRecord", "id"])
        assert.deepEqual(yield* fault({ topic: "other", value: "v" }), ["UnknownTopic", "topic"])
        assert.deepEqual(yield* fault({ topic: "events", value: "x".repeat(2000) }), ["RecordTooLarge", "value"])
        assert.deepEqual(yield* fault(null), ["InvalidRecord", undefined].slice(0, 1).concat(["record"]))
        const { accounting } = spillway.status()
        assert.equal(accounting.rejected, 9)
        assertBalanced(accounting)
      })
    ))

  it("rejects records of a topic Kafka does not have, and accepts them once it has", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness()
        kafka.deleteTopic("events")
        const told: Array<string> = []
        const offer = () => spillway.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        offer()
        yield* advanceUntil("the rejection", () => told.length === 1)
        assert.deepEqual(told, ["UnknownTopic"])
        assert.equal(queue.calls.send, 0)
        kafka.setPartitions("events", 2)
        yield* advance(12_000, 200)
        offer()
        yield* advanceUntil("delivery", () => told.length === 2)
        assert.equal(told[1], "delivered")
      })
    ))

  it("waits for room up to its bound, then says Overloaded", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness({ more: "buffer: { max_records: 10, max_wait: 300ms }" })
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        queue.setDown("Unavailable")
        const told: Array<string> = []
        for (let i = 0; i < 15; i++) {
          spillway.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        }
        yield* advance(200)
        assert.deepEqual(told, [])
        assert.equal(spillway.status().health.readiness, "refusing")
        yield* advance(200)
        assert.deepEqual(
          told,
          Array.from({ length: 5 }, () => "Overloaded")
        )
        assert.equal(spillway.status().accounting.inMemory, 10)
      })
    ))

  it("leaves a record's bytes to its caller, also while the record waits for room", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ more: "buffer: { max_records: 2, max_wait: 10s }" })
        yield* advance(40)
        const told: Array<string> = []
        for (const name of ["a", "b", "c", "d"]) {
          const [key, value, header] = ["key", "value", "header"].map(part => Buffer.from(`${part} ${name}`))
          if (value === undefined || header === undefined) return assert.fail()
          spillway.offer({ topic: "events", key, value, headers: [["h", header]] }, outcome =>
            told.push(outcomeOf(outcome))
          )
          for (const bytes of [key, value, header]) bytes?.fill(0)
        }
        assert.equal(spillway.status().connections[0]?.producer.waiting, 2)
        yield* advanceUntil("all delivered", () => told.length === 4)
        assert.ok(told.every(outcome => outcome === "delivered"))
        const stored = kafka.stored().map(({ headers, key, value }) => {
          const [, header] = headers.find(([name]) => name === "h") ?? []
          return [key, value, header].map(bytes => Buffer.from(bytes ?? []).toString()).join()
        })
        assert.deepEqual(
          stored.sort(),
          ["a", "b", "c", "d"].map(name => `key ${name},value ${name},header ${name}`)
        )
      })
    ))

  it("says FallbackUnavailable when Kafka and SQS both refuse, and holds nothing back", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness()
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        kafka.reachable(false)
        queue.setDown("AccessDenied")
        const told: Array<string> = []
        spillway.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        yield* advanceUntil("the outcome", () => told.length === 1)
        assert.deepEqual(told, ["FallbackUnavailable"])
        yield* advance(6000, 100)
        const { accounting, health } = spillway.status()
        assert.equal(health.readiness, "refusing")
        assert.ok(health.reasons.some(reason => reason.includes("AccessDenied")))
        assertBalanced(accounting)
      })
    ))

  it("keeps the order of a partition through retries", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ partitions: 1 })
        yield* advance(40)
        let answered = 0
        for (let i = 0; i < 60; i++) {
          if (i % 7 === 0) kafka.script({ _tag: "Fail", code: 6 }, { _tag: "Delay", ms: 15 })
          spillway.offer({ topic: "events", value: String(i) }, () => answered++)
          if (i % 5 === 0) yield* advance(20)
        }
        yield* advanceUntil("all outcomes", () => answered === 60)
        const values = kafka.stored().map(({ value }) => Number(Buffer.from(value ?? []).toString()))
        assert.deepEqual(
          values,
          Array.from({ length: 60 }, (_, index) => index)
        )
      })
    ))

  it("diverts a large batch in the memory it is in, with a valid checksum, tried or not", () =>
    onTestClock(
      Effect.gen(function* () {
        const kafka = makeKafka({ events: 1 })
        const { breaker, parcels, producer, sent } = yield* divertingLarge(kafka)
        const value = randomBytes(9 * 1024 * 1024)
        const told: Array<string> = []
        const offer = () => producer.offer({ topic: "events", value }, outcome => told.push(outcomeOf(outcome)))
        kafka.always({ _tag: "Hang" })
        offer()
        yield* advanceUntil("the end of its time", () => parcels.length === 1)
        assert.equal(parcels[0]?.envelope.batch.buffer, sent[0]?.bytes.buffer)
        breaker.force("open")
        offer()
        yield* advanceUntil("the second", () => parcels.length === 2)
        assert.equal(sent.length, 1)
        for (const { envelope } of parcels) {
          const [record, ...others] = Either.getOrThrow(RecordBatch.records(envelope.batch))
          assert.deepEqual(others, [])
          assert.ok(value.equals(record?.value ?? new Uint8Array()))
          assert.equal(Either.getOrThrow(RecordBatch.info(envelope.batch)).producerId, -1n)
        }
        assert.deepEqual(told, [])
        assert.equal(producer.status().inMemory.records, 2)
        for (const parcel of parcels) parcel.settle([])
        assert.deepEqual(told, ["diverted", "diverted"])
        // Of what was never sent the memory is free at once; the first may still be on its way.
        assert.deepEqual(
          parcels.map(({ envelope }) => envelope.batch.length > 0),
          [true, false]
        )
      })
    ))

  it("diverts what was never sent in the memory it is in, and uses that again once it is durable, not before", () =>
    onTestClock(
      Effect.gen(function* () {
        const kafka = makeKafka({ events: 1 })
        const { breaker, parcels, producer, sent } = yield* divertingLarge(kafka)
        const told: Array<string> = []
        const offer = (text: string, size: number) =>
          Effect.suspend(() => {
            const before = parcels.length
            const value = Buffer.alloc(size, text)
            producer.offer({ topic: "events", value }, outcome => told.push(outcomeOf(outcome)))
            return Effect.as(
              advanceUntil("the diversion", () => parcels.length > before),
              value
            )
          })
        const batchOf = (at: number) => parcels[at]?.envelope.batch ?? new Uint8Array()
        breaker.force("open")
        const first = yield* offer("a", 100_000)
        const second = yield* offer("b", 100_000)
        const memory = [batchOf(0).buffer, batchOf(1).buffer]
        assert.notEqual(memory[0], memory[1])
        for (const [at, value] of [first, second].entries()) {
          const [record] = Either.getOrThrow(RecordBatch.records(batchOf(at)))
          assert.ok(value.equals(record?.value ?? new Uint8Array()))
          assert.ok(Either.isRight(RecordBatch.info(batchOf(at))))
        }
        parcels[1]?.settle([{ from: 0, count: 1, outcome: "spooled" }])
        parcels[0]?.settle([])
        assert.deepEqual(told, ["spooled", "diverted"])
        yield* offer("c", 100_000)
        yield* offer("d", 100_000)
        // Of what went wrong somebody may still read the memory.
        assert.equal(batchOf(2).buffer, memory[0])
        assert.ok(!memory.includes(batchOf(3).buffer))
        // In much more memory than it fills, or tried before: a copy.
        yield* offer("e", 10)
        assert.equal(batchOf(4).buffer.byteLength, batchOf(4).length)
        breaker.force(undefined)
        kafka.always({ _tag: "Fail", code: 6 })
        const tried = yield* Effect.fork(offer("f", 100_000))
        yield* advanceUntil("the first attempt", () => sent.length > 0)
        breaker.force("open")
        yield* Fiber.join(tried)
        assert.notEqual(batchOf(5).buffer, sent[0]?.bytes.buffer)
      })
    ))

  it("takes no more memory for the batch behind a large record than for any", () =>
    onTestClock(
      Effect.gen(function* () {
        const { memory, producer } = yield* divertingLarge(makeKafka({ events: 1 }))
        let told = 0
        for (const value of [randomBytes(9 * 1024 * 1024), "small", "again"]) {
          producer.offer({ topic: "events", value }, () => told++)
          const before = told
          yield* advanceUntil("delivery", () => told > before)
        }
        assert.equal(memory.length, 3)
        assert.ok(
          memory.slice(1).every(bytes => bytes < 2 * 1024 * 1024),
          memory.join()
        )
      })
    ))
})
