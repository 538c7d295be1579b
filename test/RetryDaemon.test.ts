import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Envelope from "../src/Envelope.ts"
import { envelopeOf } from "./support/batches.ts"
import { advance, advanceUntil, type Harness, harness, onTestClock } from "./support/doubles.ts"

/** Publishes while Kafka refuses connections, so that everything ends in the queue. */
const park = ({ kafka, spillway }: Harness, count: number, partition?: number) =>
  Effect.gen(function* () {
    kafka.always({ _tag: "Refuse" })
    kafka.reachable(false)
    let told = 0
    for (let i = 0; i < count; i++) {
      const record = {
        topic: "events",
        key: `k${i}`,
        value: `v${i}`,
        ...(partition === undefined ? {} : { partition })
      }
      spillway.offer(record, outcome => {
        assert.equal(outcome._tag === "Receipt" ? outcome.outcome : outcome.reason, "diverted")
        told++
      })
    }
    yield* advanceUntil("the diversion", () => told === count)
  })

const heal = ({ kafka }: Harness) =>
  Effect.sync(() => {
    kafka.always(undefined)
    kafka.reachable(true)
  })

const parked = (h: Harness) => h.parked()
const values = ({ kafka }: Harness) => kafka.stored().map(({ value }) => Buffer.from(value ?? []).toString())

describe("RetryDaemon", () => {
  it("brings everything back once, deletes it, and balances the account", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness()
        yield* advance(40)
        yield* park(h, 40)
        assert.ok(parked(h).length > 0)
        yield* heal(h)
        yield* advanceUntil("the replay", () => parked(h).length === 0 && h.kafka.stored().length >= 40)
        assert.deepEqual(values(h).sort(), Array.from({ length: 40 }, (_, i) => `v${i}`).sort())
        const { accounting } = h.spillway.status()
        assert.equal(accounting.redelivered, 40)
        assert.equal(accounting.diverted, 40)
      })
    ))

  it("receives nothing while the breaker is open (breaker gating the poller)", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness()
        yield* advance(40)
        yield* park(h, 5)
        yield* advanceUntil("the breaker", () => h.spillway.status().connections[0]?.breaker.state === "open")
        yield* advance(1000)
        const before = h.queue.calls.receive
        yield* advance(60_000, 3000)
        assert.equal(h.queue.calls.receive, before)
        assert.equal(h.spillway.status().connections[0]?.breaker.state, "open")
        yield* heal(h)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 5)
      })
    ))

  it("dead-letters nothing because of an outage of ten minutes", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness()
        yield* advance(40)
        yield* park(h, 20)
        for (let minute = 0; minute < 10; minute++) {
          yield* advance(60_000, 5000)
          h.spillway.offer({ topic: "events", value: `minute ${minute}` }, () => undefined)
        }
        yield* heal(h)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 30, { withinMs: 120_000, stepMs: 100 })
        const { accounting } = h.spillway.status()
        assert.equal(accounting.deadLettered, 0)
        assert.equal(h.dead().length, 0)
        assert.equal(accounting.redelivered, accounting.diverted)
      })
    ))

  it("does not delete a message whose records are not settled (delete after settle)", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ partitions: 2 })
        yield* advance(40)
        yield* park(h, 6, 0)
        yield* heal(h)
        // Kafka is reachable, but every replay fails: nothing may leave the queue.
        h.kafka.always({ _tag: "Fail", code: 19 })
        yield* advance(20_000, 100)
        assert.equal(h.queue.calls.delete, 0)
        assert.ok(parked(h).length > 0)
        h.kafka.always(undefined)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 6, { withinMs: 120_000, stepMs: 100 })
      })
    ))

  it("keeps the old message when what is left of it cannot be stored anew", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ partitions: 2 })
        yield* advance(40)
        // One message with a batch for each of two partitions.
        yield* park(h, 40)
        yield* heal(h)
        const ids = new Set(parked(h).map(({ messageId }) => messageId))
        h.queue.setDown(undefined)
        for (let i = 0; i < 50; i++) h.queue.script("send", { _tag: "Fail", reason: "Unavailable" })
        h.kafka.script(...Array.from({ length: 25 }, () => ({ _tag: "Partial", code: 19, partitions: [1] }) as const))
        yield* advance(5000, 100)
        assert.ok(parked(h).some(({ messageId }) => ids.has(messageId)))
        yield* advanceUntil("the replay", () => new Set(values(h)).size === 40 && parked(h).length === 0, {
          withinMs: 300_000,
          stepMs: 100
        })
      })
    ))

  it("dead-letters a permanent refusal at once, with its history, and only that record", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ partitions: 1 })
        yield* advance(40)
        yield* park(h, 4)
        yield* heal(h)
        h.kafka.script({ _tag: "Fail", code: 87, culprits: [2] }, { _tag: "Fail", code: 87 })
        yield* advanceUntil(
          "the replay",
          () => parked(h).length === 0 && h.spillway.status().accounting.deadLettered > 0
        )
        const [dead] = h.dead()
        assert.ok(dead !== undefined)
        assert.equal(dead.attributes["spillway-reason"], "INVALID_RECORD")
        assert.equal(dead.attributes["spillway-topic"], "events")
        const { accounting } = h.spillway.status()
        assert.equal(accounting.redelivered + accounting.deadLettered, 4)
        const [envelope] = yield* Envelope.fromBody(dead.body)
        assert.equal(envelope?.recordCount, accounting.deadLettered)
        assert.equal(h.kafka.stored().length, accounting.redelivered)
      })
    ))

  it("gives a record up after max_attempts refusals by a working Kafka", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ partitions: 1 })
        yield* advance(40)
        yield* park(h, 2)
        yield* heal(h)
        h.kafka.deleteTopic("events")
        yield* advanceUntil("the dead letters", () => h.spillway.status().accounting.deadLettered === 2, {
          withinMs: 120_000,
          stepMs: 100
        })
        const [dead] = h.dead()
        assert.equal(dead?.attributes["spillway-reason"], "MAX_ATTEMPTS")
        assert.equal(dead?.attributes["spillway-attempts"], "3")
        assert.equal(parked(h).length, 0)
      })
    ))

  it("sends corrupt and foreign messages to the dead-letter queue, untouched, with the reason", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness()
        yield* advance(40)
        const bodies = ["not json at all", "U1BXAQAAAAAA////", '{"attributes":{},"body":"%%%"}']
        const entries = bodies.map(body => ({ body, attributes: {}, delaySeconds: 0 }))
        yield* h.queue.send(entries)
        yield* advanceUntil("the dead letters", () => h.dead().length === 3)
        const dead = h.dead()
        assert.deepEqual(dead.map(({ body }) => body).sort(), [...bodies].sort())
        const reasons = dead.map(({ attributes }) => attributes["spillway-reason"])
        assert.deepEqual(reasons.sort(), ["CORRUPT_MESSAGE_BODY", "FOREIGN_MESSAGE_BODY", "FOREIGN_MESSAGE_BODY"])
        assert.equal(parked(h).length, 0)
      })
    ))

  it("dead-letters a batch that was damaged before it was packed, at once, and delivers its neighbours", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ partitions: 1 })
        yield* advance(40)
        const damaged = envelopeOf([{ key: "k", value: "damaged" }])
        damaged.batch[damaged.batch.length - 1] = 0x7f
        const pack = Envelope.encode([envelopeOf([{ key: "k", value: "whole" }]), damaged])
        // Not merged with its neighbour, and not told apart by the pack's checksum: that is right.
        const body = yield* Envelope.toBody(pack)
        yield* h.queue.send([{ body, attributes: {}, delaySeconds: 0 }])
        yield* advanceUntil("the dead letter", () => h.dead().length === 1 && parked(h).length === 0)
        assert.deepEqual(values(h), ["whole"])
        const [dead] = h.dead()
        assert.equal(dead?.attributes["spillway-reason"], "CORRUPT_MESSAGE_BODY")
        const [envelope] = yield* Envelope.fromBody(dead?.body ?? "")
        assert.deepEqual(Buffer.from(envelope?.batch ?? []), Buffer.from(damaged.batch))
        // Once for each batch: what is broken is not tried again.
        assert.equal(h.kafka.calls.produce, 2)
      })
    ))

  it("replays gosoline's messages", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness()
        yield* advance(40)
        const body = JSON.stringify({
          attributes: { KafkaKey: "k", source: "go", "goso.retry": "true" },
          body: Buffer.from("value").toString("base64")
        })
        yield* h.queue.send([{ body, attributes: {}, delaySeconds: 0 }])
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 1 && parked(h).length === 0)
        const [record] = h.kafka.stored()
        assert.equal(Buffer.from(record?.key ?? []).toString(), "k")
        assert.equal(Buffer.from(record?.value ?? []).toString(), "value")
        assert.ok(record?.headers.some(([name]) => name === "source"))
      })
    ))

  it("gives records accepted without a partition theirs by key, and follows added partitions", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ partitions: 2, unreachable: true })
        yield* park(h, 30)
        h.kafka.setPartitions("events", 5)
        yield* heal(h)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 30, { withinMs: 120_000 })
        const replayed = new Map(
          h.kafka.stored().map(record => [Buffer.from(record.key ?? []).toString(), record.partition])
        )
        let told = 0
        for (let i = 0; i < 30; i++) h.spillway.offer({ topic: "events", key: `k${i}`, value: "again" }, () => told++)
        yield* advanceUntil("delivery", () => told === 30)
        for (const record of h.kafka.stored().slice(30)) {
          assert.equal(record.partition, replayed.get(Buffer.from(record.key ?? []).toString()))
        }
      })
    ))

  it("honours an `after` beyond SQS's longest delay", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ retry: "after: 20m", waitTime: 20 })
        yield* advance(40)
        yield* park(h, 3)
        yield* heal(h)
        yield* advance(19 * 60_000, 20_000)
        assert.equal(h.kafka.stored().length, 0)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 3, { withinMs: 300_000, stepMs: 1000 })
      })
    ))

  it("stores a record anew before the queue's retention takes it", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ queueOptions: { retentionSeconds: 300 } })
        yield* advance(40)
        yield* park(h, 3)
        yield* heal(h)
        h.kafka.always({ _tag: "Fail", code: 19 })
        yield* advance(900_000, 15_000)
        assert.ok(parked(h).length > 0)
        h.kafka.always(undefined)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 3, { withinMs: 300_000, stepMs: 200 })
      })
    ))

  it("counts the copies that SQS made of what was stored anew, also when its last answer is lost", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ partitions: 2, retry: "after: 1s, visibility_timeout: 60s" })
        yield* advance(40)
        h.kafka.always({ _tag: "Refuse" })
        h.kafka.reachable(false)
        let told = 0
        for (let i = 0; i < 20; i++)
          h.spillway.offer({ topic: "events", partition: i % 2, value: "v" }, () => {
            told++
          })
        yield* advanceUntil("the diversion", () => told === 20)
        // Partition 0 is delivered, and partition 1 is stored anew, for as long as one message is worth it.
        h.kafka.always({ _tag: "Partial", code: 19, partitions: [1] })
        h.queue.script("send", ...Array.from({ length: 14 }, () => ({ _tag: "LoseReply" }) as const))
        h.kafka.reachable(true)
        const { send } = h.queue.calls
        yield* advanceUntil("the stores", () => h.queue.calls.send >= send + 15, { stepMs: 100 })
        yield* heal(h)
        yield* advanceUntil("the replay", () => parked(h).length === 0, { stepMs: 200, withinMs: 600_000 })
        const copies = h.kafka.stored().length - 20
        assert.ok(copies > 100, String(copies))
        assert.equal(h.spillway.status().connections[0]?.fallbacks[0]?.replay.unknown, copies)
      })
    ))

  it("counts a dead letter as a possible copy when the answer to it is lost", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ partitions: 1, retry: "after: 1s, visibility_timeout: 5s" })
        yield* advance(40)
        yield* park(h, 3)
        h.kafka.always({ _tag: "Fail", code: 44 })
        h.kafka.reachable(true)
        h.deadLetters.script("send", { _tag: "LoseReply" })
        yield* advanceUntil("the dead letters", () => parked(h).length === 0, { stepMs: 100 })
        const dead = h.dead().reduce((sum, { attributes }) => sum + Number(attributes["spillway-records"]), 0)
        assert.ok(dead > 3, String(dead))
        const { accounting, connections } = h.spillway.status()
        assert.equal(accounting.deadLettered, 3)
        assert.equal(connections[0]?.fallbacks[0]?.replay.unknown, dead - 3)
      })
    ))
})
