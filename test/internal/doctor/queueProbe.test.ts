import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as MemoryQueue from "../../../src/FallbackQueue/Memory.ts"
import { probe, tryDeadLetters, tryFallback } from "../../../src/internal/doctor/queueProbe.ts"
import { advance, advanceUntil, harness, onTestClock } from "../../support/doubles.ts"

const tagsOf = (tried: Readonly<Record<string, { readonly _tag: string }>>) =>
  Object.fromEntries(Object.entries(tried).map(([operation, { _tag }]) => [operation, _tag]))

const allSeen = { SendMessage: "Seen", ReceiveMessage: "Seen", ChangeMessageVisibility: "Seen", DeleteMessage: "Seen" }

/** Lets the long poll run out where nothing comes. */
const running = <A>(work: Effect.Effect<A>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(work)
    yield* advance(5000)
    return yield* Fiber.join(fiber)
  })

describe("trying the fallback queue", () => {
  it("sends, receives, hides and deletes its own message", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ name: "parked" })
        assert.deepEqual(tagsOf(yield* running(tryFallback(queue, true))), allSeen)
        assert.equal((yield* queue.messages).length, 0)
        assert.equal(queue.calls.changeVisibility, 1)
        assert.equal(queue.calls.delete, 1)
      })
    ))

  it("hands what is not its own back at once, whole", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ name: "parked" })
        yield* queue.send([
          { body: "one", attributes: {}, delaySeconds: 0 },
          { body: "two", attributes: {}, delaySeconds: 0 }
        ])
        assert.deepEqual(tagsOf(yield* tryFallback(queue, true)), allSeen)
        const again = yield* queue.receive({ max: 10, waitSeconds: 0, visibilitySeconds: 30 })
        assert.deepEqual(again.map(({ body }) => body).sort(), ["one", "two"])
      })
    ))

  it("receives nothing where receives count, and says so", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ name: "parked" })
        const tried = yield* tryFallback(queue, false)
        assert.equal(tried.ReceiveMessage?._tag, "Unseen")
        assert.equal(queue.calls.receive, 0)
      })
    ))

  it("tells each denied call from the others", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ name: "parked" })
        queue.script("send", { _tag: "Fail", reason: "AccessDenied" })
        queue.script("delete", { _tag: "Fail", reason: "AccessDenied" })
        const tried = tagsOf(yield* running(tryFallback(queue, true)))
        assert.equal(tried.SendMessage, "Denied")
        assert.equal(tried.ReceiveMessage, "Seen")
        assert.equal(tried.DeleteMessage, "Denied")
        assert.equal((yield* queue.messages).length, 0)
      })
    ))

  it("leaves a running service nothing to do: the message goes, and is in no account", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness()
        yield* advance(40)
        yield* h.queue.send([probe()])
        yield* advanceUntil("the message's end", () => h.parked().length === 0)
        assert.equal(h.dead().length, 0)
        assert.equal(h.kafka.stored().length, 0)
        const { deadLettered, redelivered } = h.spillway.status().accounting
        assert.deepEqual([deadLettered, redelivered], [0, 0])
      })
    ))
})

describe("trying the dead-letter queue", () => {
  it("is content with a refusal of what it sends, and knows a denial", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ name: "dead" })
        queue.script(
          "send",
          { _tag: "Refuse", indexes: [0], reason: "Invalid" },
          { _tag: "Fail", reason: "AccessDenied" }
        )
        assert.deepEqual(tagsOf(yield* tryDeadLetters(queue)), { SendMessage: "Seen" })
        assert.deepEqual(tagsOf(yield* tryDeadLetters(queue)), { SendMessage: "Denied" })
        assert.equal((yield* queue.messages).length, 0)
      })
    ))
})
