import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as MemoryClaims from "../src/ClaimCheck/Memory.ts"
import * as Envelope from "../src/Envelope.ts"
import * as MemoryQueue from "../src/FallbackQueue/Memory.ts"
import * as FallbackWriter from "../src/FallbackWriter.ts"
import { makeDeadline } from "../src/internal/deadline.ts"
import { makePark, type Unstored } from "../src/internal/park.ts"
import type { Outcome } from "../src/Receipt.ts"
import * as RecordBatch from "../src/RecordBatch.ts"
import * as Sqlite from "../src/Spool/Sqlite.ts"
import { envelopeOf, noise } from "./support/batches.ts"
import { advance, advanceUntil, harness, onTestClock } from "./support/doubles.ts"
import { deleteDirectory, temporaryDirectory } from "./support/Guard.ts"

describe("park", () => {
  it("sends again exactly the entries SQS refused (Failed[] entries)", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 2048 })
        const park = makePark({ queue, budgetMs: 5000 })
        // Incompressible, so that each parcel is a message of its own.
        const parcels = Array.from({ length: 4 }, (_, i) => ({
          envelope: envelopeOf([{ value: noise(1000, i + 1) }]),
          firstId: `id-${i}`
        }))
        queue.script("limits", { _tag: "Pass" })
        queue.script("send", { _tag: "Refuse", indexes: [0], reason: "Throttled" })
        let errors: ReadonlyArray<unknown> | undefined
        yield* Effect.fork(
          Effect.map(park(parcels, 0), result => {
            errors = result
          })
        )
        yield* advanceUntil("the store", () => errors !== undefined)
        assert.deepEqual(errors, [[], [], [], []])
        const stored = yield* queue.messages
        const ids = stored.map(({ attributes }) => attributes["spillway-first-id"])
        assert.deepEqual(ids.sort(), ["id-0", "id-1", "id-2", "id-3"])
      })
    ))

  it("says of exactly the refused parcels that they are not durable", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 1_048_576 })
        const park = makePark({ queue, budgetMs: 5000 })
        const parcels = Array.from({ length: 3 }, (_, i) => ({
          envelope: envelopeOf([{ value: noise(700_000, i + 1) }]),
          firstId: `id-${i}`
        }))
        queue.script("send", { _tag: "Refuse", indexes: [0], reason: "Invalid" })
        let errors: ReadonlyArray<ReadonlyArray<Unstored>> | undefined
        yield* Effect.fork(
          Effect.map(park(parcels, 0), result => {
            errors = result
          })
        )
        yield* advanceUntil("the store", () => errors !== undefined)
        assert.deepEqual(
          errors?.flat().map(({ count, error, from }) => [from, count, error.reason]),
          [[0, 1, "Invalid"]]
        )
        assert.equal((yield* queue.messages).length, 2)
      })
    ))

  it("cuts a batch that is too large for one message, and loses none of it", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 262_144 })
        const park = makePark({ queue, budgetMs: 5000 })
        const records = Array.from({ length: 20 }, (_, i) => ({ value: noise(50_000, i + 1) }))
        let errors: ReadonlyArray<unknown> | undefined
        yield* Effect.fork(
          Effect.map(park([{ envelope: envelopeOf(records), firstId: "first" }], 0), result => {
            errors = result
          })
        )
        yield* advanceUntil("the store", () => errors !== undefined)
        assert.deepEqual(errors, [[]])
        let count = 0
        for (const { body } of yield* queue.messages) {
          for (const { batch } of yield* Envelope.fromBody(body)) {
            const read = RecordBatch.records(batch)
            if (read._tag === "Right") count += read.right.length
          }
        }
        assert.equal(count, 20)
      })
    ))

  /** Values of every record in the queue. */
  const storedValues = (queue: MemoryQueue.MemoryQueue) =>
    Effect.gen(function* () {
      const values: Array<Uint8Array> = []
      for (const { body } of yield* queue.messages) {
        for (const { batch } of yield* Envelope.fromBody(body)) {
          for (const { value } of yield* RecordBatch.records(batch)) if (value !== null) values.push(value)
        }
      }
      return values
    })

  const oversized = [noise(9000, 1), noise(400_000, 2), noise(9000, 3), noise(9000, 4), noise(500_000, 5)]
  const mixed = () => ({ envelope: envelopeOf(oversized.map(value => ({ value }))), firstId: "first" })

  it("names the records that fit into no message, and stores the others of their batch", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 262_144 })
        const park = makePark({ queue, budgetMs: 5000 })
        const other = { envelope: envelopeOf([{ value: "small" }]), firstId: "other" }
        let unstored: ReadonlyArray<ReadonlyArray<Unstored>> | undefined
        yield* Effect.fork(
          Effect.map(park([mixed(), other], 0), result => {
            unstored = result
          })
        )
        yield* advanceUntil("the answer", () => unstored !== undefined)
        const [first = [], second] = unstored ?? []
        assert.deepEqual(
          first.map(({ count, error, from }) => [from, count, error.reason, error.retryable]),
          [
            [1, 1, "Invalid", false],
            [4, 1, "Invalid", false]
          ]
        )
        assert.deepEqual(second, [])
        const lengths = (yield* storedValues(queue)).map(value => value.length)
        assert.deepEqual(lengths.sort(), [5, 9000, 9000, 9000])
      })
    ))

  it("stores nothing of what must stay whole when part of it fits into no message", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 262_144 })
        const park = makePark({ queue, budgetMs: 5000, whole: true })
        let unstored: ReadonlyArray<ReadonlyArray<Unstored>> | undefined
        yield* Effect.fork(
          Effect.map(park([mixed()], 0), result => {
            unstored = result
          })
        )
        yield* advanceUntil("the answer", () => unstored !== undefined)
        assert.deepEqual(
          unstored?.flat().map(({ count, from }) => [from, count]),
          [[0, 5]]
        )
        assert.deepEqual(yield* queue.messages, [])
      })
    ))
})

describe("park with a deadline", () => {
  it("answers at its deadline in the middle of an upload, whatever the upload has yet to clean up", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 262_144 })
        const deadline = makeDeadline()
        const slowly = Effect.onInterrupt(Effect.never, () => Effect.sleep(4000))
        const claims = { ...MemoryClaims.make(), put: () => slowly }
        const park = makePark({ queue, claims, budgetMs: 20_000, deadline })
        const parcels = [{ envelope: envelopeOf([{ value: noise(400_000, 1) }]), firstId: "id" }]
        let unstored: ReadonlyArray<ReadonlyArray<Unstored>> | undefined
        yield* Effect.fork(
          Effect.map(park(parcels, 0), result => {
            unstored = result
          })
        )
        yield* advance(1000)
        deadline.set((yield* Clock.currentTimeMillis) + 500)
        yield* advanceUntil("the answer", () => unstored !== undefined, { withinMs: 600 })
        assert.equal(unstored?.[0]?.[0]?.count, 1)
      })
    ))
})

describe("FallbackWriter", () => {
  it("spools what it holds when its scope ends in the middle of a call to SQS, or before one", () =>
    onTestClock(
      Effect.gen(function* () {
        const directory = temporaryDirectory("writer")
        yield* Effect.addFinalizer(() => Effect.sync(() => deleteDirectory(directory)))
        const spool = yield* Sqlite.make({ path: `${directory}/spool.db`, maxBytes: 1024 * 1024 })
        const queue = MemoryQueue.make()
        queue.script("send", { _tag: "Hang" })
        const scope = yield* Scope.make()
        const options = { collectMs: 5, afterMs: 0, budgetMs: 60_000, openSchedule: Schedule.forever, spool }
        const writer = yield* Scope.extend(FallbackWriter.make(queue, options), scope)
        const loop = yield* Effect.fork(writer.run)
        const told: Array<string> = []
        const divert = (records: number) => {
          const envelope = envelopeOf(Array.from({ length: records }, () => ({ value: new Uint8Array(5) })))
          writer.divert({ envelope, firstId: "", settle: exceptions => told.push(JSON.stringify(exceptions)) })
        }
        divert(2)
        yield* advanceUntil("the call", () => queue.calls.send === 1)
        yield* Fiber.interrupt(loop)
        divert(3)
        assert.deepEqual(told, [])
        yield* Scope.close(scope, Exit.void)
        assert.deepEqual(
          told.sort(),
          [2, 3].map(count => JSON.stringify([{ from: 0, count, outcome: "spooled" }]))
        )
        assert.equal(spool.status().records, 5)
        // Of those whose call was under way nobody knows.
        assert.equal(writer.status().storedTwice, 2)
        assert.equal(writer.status().pending, 0)
      })
    ))

  it("waits for a slow queue's answer to what it moves out of the spool: cut off and moved again, it is there twice", () =>
    onTestClock(
      Effect.gen(function* () {
        const directory = temporaryDirectory("writer")
        yield* Effect.addFinalizer(() => Effect.sync(() => deleteDirectory(directory)))
        const spool = yield* Sqlite.make({ path: `${directory}/spool.db`, maxBytes: 1024 * 1024 })
        const queue = MemoryQueue.make()
        const budgetMs = 1000
        // It stores at once, and says so after the budget.
        const slow = {
          ...queue,
          send: (entries: Parameters<typeof queue.send>[0]) =>
            Effect.flatMap(queue.send(entries), answer => Effect.delay(Effect.succeed(answer), budgetMs * 2))
        }
        const options = { collectMs: 5, afterMs: 0, budgetMs, openSchedule: Schedule.forever, spool }
        const writer = yield* FallbackWriter.make(slow, options)
        let unstored: ReadonlyArray<ReadonlyArray<Unstored>> | undefined
        const move = Effect.map(
          writer.move([{ envelope: envelopeOf([{ value: new Uint8Array(5) }]), firstId: "a" }]),
          left => {
            unstored = left
          }
        )
        yield* Effect.fork(move)
        yield* advanceUntil("the move", () => unstored !== undefined)
        assert.deepEqual(unstored, [[]])
        assert.equal(writer.status().storedTwice, 0)
        assert.equal((yield* queue.messages).length, 1)
      })
    ))

  it("packs what comes together into few messages", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness({ partitions: 6 })
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        kafka.reachable(false)
        let told = 0
        for (let i = 0; i < 1000; i++) spillway.offer({ topic: "events", key: `k${i}`, value: "v" }, () => told++)
        yield* advanceUntil("the diversion", () => told === 1000)
        const messages = yield* queue.messages
        assert.ok(messages.length <= 6, `${messages.length} messages`)
        const total = messages.reduce((sum, { attributes }) => sum + Number(attributes["spillway-records"]), 0)
        assert.equal(total, 1000)
      })
    ))

  it("survives a queue that is down for a while within its budget", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness()
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        queue.setDown("Unavailable")
        const told: Array<string> = []
        spillway.offer({ topic: "events", value: "v" }, outcome =>
          told.push(outcome._tag === "Receipt" ? outcome.outcome : outcome.reason)
        )
        yield* advance(3000, 50)
        assert.deepEqual(told, [])
        queue.setDown(undefined)
        yield* advanceUntil("the diversion", () => told.length === 1)
        assert.deepEqual(told, ["diverted"])
      })
    ))

  it("fails only the record too large for the queue; its neighbours in the batch are diverted", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, parked, spillway } = yield* harness({
          partitions: 1,
          output: "batch_bytes: 4MiB, max_record_bytes: 4MiB",
          queueOptions: { maximumMessageBytes: 262_144 }
        })
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        kafka.reachable(false)
        const told = new Map<number, Outcome>()
        for (let i = 0; i < 7; i++) {
          const value = i === 3 ? noise(400_000, 9) : `v${i}`
          spillway.offer({ topic: "events", id: `id-${i}`, value }, outcome => told.set(i, outcome))
        }
        yield* advanceUntil("the outcomes", () => told.size === 7)
        for (const [index, outcome] of told) {
          if (index === 3) {
            assert.equal(outcome._tag === "PublishError" && outcome.reason, "FallbackUnavailable")
            assert.match(outcome._tag === "PublishError" ? outcome.message : "", /the queue takes 262144/)
          } else {
            assert.equal(outcome._tag === "Receipt" && outcome.outcome, "diverted")
            assert.equal(outcome._tag === "Receipt" && outcome.id, `id-${index}`)
          }
        }
        const { accounting, health } = spillway.status()
        assert.deepEqual([accounting.accepted, accounting.diverted, accounting.failed], [7, 6, 1])
        assert.equal(accounting.inMemory, 0)
        assert.equal(spillway.status().connections[0]?.producer.inMemory.bytes, 0)
        assert.ok(!health.reasons.some(reason => reason.includes("fallback queue")))
        const records = parked().reduce((sum, { attributes }) => sum + Number(attributes["spillway-records"]), 0)
        assert.equal(records, 6)
        kafka.always(undefined)
        kafka.reachable(true)
        yield* advanceUntil("the replay", () => parked().length === 0 && kafka.stored().length === 6)
      })
    ))

  it("counts the wait behind slow stores into the budget: a caller never waits for two of them", () =>
    onTestClock(
      Effect.scoped(
        Effect.gen(function* () {
          const budgetMs = 2000
          const queue = MemoryQueue.make({})
          queue.setDown("Throttled")
          const writer = yield* FallbackWriter.make(queue, {
            collectMs: 5,
            afterMs: 0,
            budgetMs,
            openSchedule: Schedule.forever
          })
          yield* Effect.forkScoped(Effect.interruptible(writer.run))
          let told = 0
          const divert = () =>
            writer.divert({
              envelope: envelopeOf([{ value: "v" }]),
              firstId: "id",
              settle: () => {
                told++
              }
            })
          // One store each, as many as there can be at once; then two that have to wait.
          for (let i = 0; i < 6; i++) {
            divert()
            yield* advance(40)
          }
          assert.equal(writer.status().pending, 6)
          yield* advance(budgetMs)
          assert.equal(told, 6)
        })
      )
    ))
})
