import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Envelope from "../src/Envelope.ts"
import * as MemoryQueue from "../src/FallbackQueue/Memory.ts"
import * as FallbackWriter from "../src/FallbackWriter.ts"
import { makePark } from "../src/internal/park.ts"
import * as RecordBatch from "../src/RecordBatch.ts"
import { batchOf } from "./support/batches.ts"
import { advance, advanceUntil, harness, onTestClock } from "./support/doubles.ts"

const envelope = (batch: Uint8Array, recordCount: number): Envelope.Envelope => ({
  topic: "events",
  partition: 0,
  partitionCount: 1,
  partitionFixed: false,
  attempts: 0,
  firstFailureAt: 1,
  notBefore: 0,
  lastError: "Availability:TEST",
  origin: "test",
  traceParent: "",
  recordCount,
  batch
})

const noise = (bytes: number, seed: number): Uint8Array => {
  let state = seed
  return Uint8Array.from({ length: bytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

describe("park", () => {
  it("sends again exactly the entries SQS refused (Failed[] entries)", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 2048 })
        const park = makePark({ queue, budgetMs: 5000 })
        // Incompressible, so that each parcel is a message of its own.
        const parcels = Array.from({ length: 4 }, (_, i) => ({
          envelope: envelope(batchOf([{ value: noise(1000, i + 1) }]), 1),
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
        assert.deepEqual(errors, [undefined, undefined, undefined, undefined])
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
          envelope: envelope(batchOf([{ value: noise(700_000, i + 1) }]), 1),
          firstId: `id-${i}`
        }))
        queue.script("send", { _tag: "Refuse", indexes: [0], reason: "Invalid" })
        let errors: ReadonlyArray<{ reason: string } | undefined> | undefined
        yield* Effect.fork(
          Effect.map(park(parcels, 0), result => {
            errors = result
          })
        )
        yield* advanceUntil("the store", () => errors !== undefined)
        assert.equal(errors?.filter(error => error?.reason === "Invalid").length, 1)
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
          Effect.map(park([{ envelope: envelope(batchOf(records), 20), firstId: "first" }], 0), result => {
            errors = result
          })
        )
        yield* advanceUntil("the store", () => errors !== undefined)
        assert.deepEqual(errors, [undefined])
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

  it("names the record that fits into no message", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ maximumMessageBytes: 262_144 })
        const park = makePark({ queue, budgetMs: 5000 })
        let errors: ReadonlyArray<{ reason: string; retryable: boolean } | undefined> | undefined
        yield* Effect.fork(
          Effect.map(
            park([{ envelope: envelope(batchOf([{ value: noise(400_000, 7) }]), 1), firstId: "x" }], 0),
            result => {
              errors = result
            }
          )
        )
        yield* advanceUntil("the answer", () => errors !== undefined)
        assert.equal(errors?.[0]?.reason, "Invalid")
        assert.equal(errors?.[0]?.retryable, false)
        assert.equal((yield* queue.messages).length, 0)
      })
    ))
})

describe("FallbackWriter", () => {
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

  it("counts the wait behind slow stores into the budget: a caller never waits for two of them", () =>
    onTestClock(
      Effect.scoped(
        Effect.gen(function* () {
          const budgetMs = 2000
          const queue = MemoryQueue.make({})
          queue.setDown("Throttled")
          const writer = yield* FallbackWriter.make(queue, { collectMs: 5, afterMs: 0, budgetMs })
          yield* Effect.forkScoped(Effect.interruptible(writer.run))
          let told = 0
          const divert = () =>
            writer.divert({
              envelope: envelope(batchOf([{ value: "v" }]), 1),
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
