import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as MemoryClaims from "../src/ClaimCheck/Memory.ts"
import * as Envelope from "../src/Envelope.ts"
import * as MemoryQueue from "../src/FallbackQueue/Memory.ts"
import * as FallbackWriter from "../src/FallbackWriter.ts"
import * as ClaimPointer from "../src/internal/claimPointer.ts"
import type { Outcome } from "../src/Receipt.ts"
import * as RecordBatch from "../src/RecordBatch.ts"
import { envelopeOf, noise } from "./support/batches.ts"
import { advance, advanceUntil, type Harness, type HarnessOptions, harness, onTestClock } from "./support/doubles.ts"

const large = noise(400_000, 1)

const start = (options: HarnessOptions = {}) =>
  Effect.tap(
    harness({
      partitions: 1,
      claimCheck: true,
      output: "max_record_bytes: 4MiB, batch_bytes: 4MiB",
      queueOptions: { maximumMessageBytes: 262_144, ...options.queueOptions },
      deadLetterOptions: { maximumMessageBytes: 262_144 },
      ...(options.retry === undefined ? {} : { retry: options.retry })
    }),
    () => advance(40)
  )

const kafkaIs = ({ kafka }: Harness, up: boolean) =>
  Effect.sync(() => {
    kafka.always(up ? undefined : { _tag: "Refuse" })
    kafka.reachable(up)
  })

/** The outcome of each record, published together while Kafka is down. */
const publish = (h: Harness, values: ReadonlyArray<Uint8Array | string>) =>
  Effect.gen(function* () {
    yield* kafkaIs(h, false)
    const told = new Map<number, Outcome>()
    values.forEach((value, i) => {
      h.spillway.offer({ topic: "events", id: `id-${i}`, value }, outcome => told.set(i, outcome))
    })
    yield* advanceUntil("the outcomes", () => told.size === values.length)
    return values.map((_, i) => {
      const outcome = told.get(i)
      return outcome?._tag === "Receipt" ? `${outcome.outcome} ${outcome.id}` : outcome?.reason
    })
  })

const values = ({ kafka }: Harness) => kafka.stored().map(({ value }) => Buffer.from(value ?? []))

/** Where the pointers of a queue lead. */
const pointedAt = (messages: ReadonlyArray<{ readonly body: string }>) =>
  messages.flatMap(({ body }) => {
    const pointer = ClaimPointer.fromBody(body)
    return pointer._tag === "Right" ? [pointer.right.claim.key] : []
  })

describe("a record no message can hold", () => {
  it("is diverted through the claim check, beside its neighbours, and comes back whole", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start()
        assert.deepEqual(yield* publish(h, ["a", large, "b"]), ["diverted id-0", "diverted id-1", "diverted id-2"])
        const keys = pointedAt(h.parked())
        assert.deepEqual(keys, Array.from(h.claims.objects.keys()))
        assert.equal(keys.length, 1)
        assert.match(keys[0] ?? "", /^events\/[0-9a-f-]{36}$/)
        const pointer = h.parked().find(({ body }) => ClaimPointer.isPointerBody(body))
        assert.equal(pointer?.attributes["spillway-records"], "1")
        assert.equal(pointer?.attributes["spillway-topic"], "events")
        // The object explains itself, should its pointer be lost.
        const [object = new Uint8Array()] = h.claims.objects.values()
        const [envelope] = yield* Envelope.expand(object)
        const [record] = yield* RecordBatch.records(envelope?.batch ?? new Uint8Array())
        assert.deepEqual(Buffer.from(record?.value ?? []), Buffer.from(large))
        yield* kafkaIs(h, true)
        yield* advanceUntil("the replay", () => h.parked().length === 0 && h.claims.objects.size === 0)
        assert.equal(h.kafka.stored().length, 3)
        assert.ok(values(h).some(value => value.equals(large)))
        const { accounting } = h.spillway.status()
        assert.deepEqual([accounting.diverted, accounting.redelivered, accounting.inMemory], [3, 3, 0])
      })
    ))

  it("is settled after its object and then its pointer are durable; small ones do not wait for it", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 262_144 })
        const claims = MemoryClaims.make()
        const settings = { collectMs: 5, afterMs: 0, budgetMs: 60_000, openSchedule: Schedule.forever }
        const writer = yield* FallbackWriter.make(queue, { ...settings, claims })
        yield* Effect.forkScoped(Effect.interruptible(writer.run))
        const told: Array<string> = []
        const divert = (name: string, value: Uint8Array | string) =>
          writer.divert({
            envelope: envelopeOf([{ value }]),
            firstId: name,
            settle: refused => told.push(`${name} ${refused.length === 0 ? "diverted" : "refused"}`)
          })
        claims.script("put", { _tag: "Hang" }, { _tag: "Hang" })
        for (const name of ["one", "two", "three"]) divert(name, noise(1_200_000, 5))
        yield* advanceUntil("the uploads", () => claims.calls.put === 2)
        divert("small", "v")
        yield* advanceUntil("the small one", () => told.length === 1)
        assert.deepEqual(told, ["small diverted"])
        assert.deepEqual([claims.objects.size, claims.calls.put], [0, 2])

        const sends = queue.calls.send
        const order: Array<string> = []
        const others = MemoryClaims.make("others", what => order.push(`${what.slice(0, 3)} after ${queue.calls.send}`))
        const other = yield* FallbackWriter.make(queue, { ...settings, claims: others })
        yield* Effect.forkScoped(Effect.interruptible(other.run))
        queue.script("send", { _tag: "Fail", reason: "Unavailable" })
        other.divert({
          envelope: envelopeOf([{ value: noise(400_000, 6) }]),
          firstId: "pointed",
          settle: refused => order.push(`${refused.length === 0 ? "diverted" : "refused"} after ${queue.calls.send}`)
        })
        yield* advanceUntil("the outcome", () => order.length === 2)
        // The object before any send; told after the send that succeeded, the second.
        assert.deepEqual(order, [`put after ${sends}`, `diverted after ${sends + 2}`])
        assert.deepEqual(pointedAt(yield* queue.messages), Array.from(others.objects.keys()))
      })
    ))

  it("fails alone while the store is down; small records do not wait for it, and health says why", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start()
        h.claims.setDown("Unavailable")
        assert.deepEqual(yield* publish(h, ["a", large, "b"]), [
          "diverted id-0",
          "FallbackUnavailable",
          "diverted id-2"
        ])
        assert.equal(h.spillway.status().connections[0]?.fallbacks[0]?.writer.state, "up")
        const huge = noise(1_200_000, 2)
        assert.deepEqual(yield* publish(h, [huge]), ["FallbackUnavailable"])
        yield* advanceUntil("the breaker", () => h.spillway.status().connections[0]?.breaker.state === "open")
        const { readiness, reasons } = h.spillway.status().health
        assert.equal(readiness, "degraded")
        assert.ok(
          reasons.some(reason => reason.includes("too large for a queue message: Unavailable")),
          reasons.join()
        )
      })
    ))

  it("leaves no object behind when its pointer is refused, and keeps it when the pointer may be stored", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start()
        h.queue.script("send", { _tag: "Refuse", indexes: [0], reason: "Invalid" })
        assert.deepEqual(yield* publish(h, [large]), ["FallbackUnavailable"])
        assert.deepEqual([h.claims.calls.put, h.claims.objects.size, h.parked().length], [1, 0, 0])
        h.queue.script("send", ...Array.from({ length: 40 }, () => ({ _tag: "LoseReply" }) as const))
        assert.deepEqual(yield* publish(h, [large]), ["FallbackUnavailable"])
        assert.equal(h.claims.objects.size, 1)
        assert.deepEqual(new Set(pointedAt(h.parked())), new Set(h.claims.objects.keys()))
      })
    ))
})

describe("replay of a pointer", () => {
  it("keeps the object until the message is gone (delete after settle)", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start()
        yield* publish(h, [large])
        yield* kafkaIs(h, true)
        // Reachable, but no replay succeeds.
        h.kafka.always({ _tag: "Fail", code: 19 })
        yield* advance(20_000, 100)
        assert.ok(h.claims.calls.get > 0)
        assert.deepEqual([h.claims.calls.delete, h.claims.objects.size, h.parked().length], [0, 1, 1])
        // Delivered, but the message cannot be deleted: it comes back, and must find its object.
        h.queue.script("delete", ...Array.from({ length: 4 }, () => ({ _tag: "Fail", reason: "Unavailable" }) as const))
        h.kafka.always(undefined)
        yield* advanceUntil("the first replay", () => h.queue.calls.delete === 4, { withinMs: 120_000, stepMs: 100 })
        assert.equal(h.claims.objects.size, 1)
        yield* advanceUntil("the end", () => h.parked().length === 0 && h.claims.objects.size === 0, {
          withinMs: 300_000,
          stepMs: 100
        })
        assert.equal(h.dead().length, 0)
      })
    ))

  it("waits while the store is away, like in an outage, and dead-letters nothing", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start()
        yield* publish(h, [large])
        h.claims.setDown("Unavailable")
        yield* kafkaIs(h, true)
        yield* advanceUntil("some tries", () => h.claims.calls.get > 3, { withinMs: 120_000, stepMs: 100 })
        assert.deepEqual([h.parked().length, h.dead().length, h.kafka.stored().length], [1, 0, 0])
        h.claims.setDown("AccessDenied")
        yield* advance(200_000, 1000)
        assert.deepEqual([h.parked().length, h.dead().length], [1, 0])
        h.claims.setDown(undefined)
        yield* advanceUntil("the replay", () => h.parked().length === 0, { withinMs: 120_000, stepMs: 100 })
        assert.ok(values(h)[0]?.equals(large))
      })
    ))

  it("makes a dead letter of a pointer whose object is gone or damaged, with the reason, once", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start()
        yield* publish(h, [large, noise(500_000, 3)])
        const [gone = "", damaged = ""] = Array.from(h.claims.objects.keys())
        h.claims.objects.delete(gone)
        const bytes = h.claims.objects.get(damaged)
        if (bytes !== undefined) bytes[1000] = (bytes[1000] ?? 0) ^ 1
        yield* kafkaIs(h, true)
        yield* advanceUntil("the dead letters", () => h.parked().length === 0, { withinMs: 120_000, stepMs: 100 })
        const reasons = h.dead().map(({ attributes }) => attributes["spillway-reason"])
        assert.deepEqual(reasons.sort(), ["CLAIM_CORRUPT", "CLAIM_NOT_FOUND"])
        assert.deepEqual(pointedAt(h.dead()).sort(), [gone, damaged].sort())
        assert.ok(h.claims.objects.has(damaged))
        assert.equal(h.kafka.stored().length, 0)
        const { accounting } = h.spillway.status()
        assert.deepEqual([accounting.diverted, accounting.redelivered, accounting.deadLettered], [2, 0, 2])
      })
    ))

  it("re-parks a refused record under an object of its own, and dead-letters it at the end with one", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start()
        yield* publish(h, [large])
        const [first = ""] = Array.from(h.claims.objects.keys())
        yield* kafkaIs(h, true)
        h.kafka.deleteTopic("events")
        yield* advanceUntil("the second message", () => h.claims.calls.put === 2, { withinMs: 60_000 })
        yield* advanceUntil("the first object's end", () => !h.claims.objects.has(first), { withinMs: 60_000 })
        assert.deepEqual(pointedAt(h.parked()), Array.from(h.claims.objects.keys()))
        yield* advanceUntil("the dead letter", () => h.dead().length === 1, { withinMs: 120_000, stepMs: 100 })
        yield* advanceUntil("the end", () => h.parked().length === 0 && h.claims.objects.size === 1)
        const [dead] = h.dead()
        assert.equal(dead?.attributes["spillway-reason"], "MAX_ATTEMPTS")
        assert.equal(dead?.attributes["spillway-attempts"], "3")
        const [key = ""] = pointedAt(h.dead())
        const [envelope] = yield* Envelope.expand(h.claims.objects.get(key) ?? new Uint8Array())
        assert.equal(envelope?.attempts, 3)
        const [record] = yield* RecordBatch.records(envelope?.batch ?? new Uint8Array())
        assert.deepEqual(Buffer.from(record?.value ?? []), Buffer.from(large))
      })
    ))

  it("stores message and object anew before the queue's retention takes the message", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start({ queueOptions: { retentionSeconds: 300 } })
        yield* publish(h, [large])
        const [first = ""] = Array.from(h.claims.objects.keys())
        yield* kafkaIs(h, true)
        h.kafka.always({ _tag: "Fail", code: 19 })
        yield* advance(900_000, 15_000)
        const keys = Array.from(h.claims.objects.keys())
        assert.equal(keys.length, 1)
        assert.notEqual(keys[0], first)
        assert.deepEqual(pointedAt(h.parked()), keys)
        h.kafka.always(undefined)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 1, { withinMs: 300_000, stepMs: 200 })
      })
    ))

  it("is not fetched before it is due", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* start({ retry: "after: 20m" })
        yield* publish(h, [large])
        yield* kafkaIs(h, true)
        yield* advance(19 * 60_000, 20_000)
        assert.equal(h.claims.calls.get, 0)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 1, { withinMs: 300_000, stepMs: 1000 })
      })
    ))
})
