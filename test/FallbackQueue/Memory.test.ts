import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Memory from "../../src/FallbackQueue/Memory.ts"
import type { FallbackQueueError, QueueEntry, QueueMessage } from "../../src/FallbackQueue.ts"

const entry = (body: string, delaySeconds = 0): QueueEntry => ({ body, attributes: { kind: "test" }, delaySeconds })
const run = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, TestContext.TestContext))
const receive = (queue: Memory.MemoryQueue, waitSeconds = 0, visibilitySeconds = 30) =>
  queue.receive({ max: 10, waitSeconds, visibilitySeconds })
const bodies = (messages: ReadonlyArray<QueueMessage>): ReadonlyArray<string> => messages.map(message => message.body)
const reason = <A>(effect: Effect.Effect<A, FallbackQueueError>) =>
  Effect.match(effect, { onSuccess: () => "none", onFailure: error => `${error.reason} ${error.retryable}` })
const only = (messages: ReadonlyArray<QueueMessage>): QueueMessage => {
  const [message] = messages
  assert.equal(messages.length, 1)
  assert.ok(message !== undefined)
  return message
}

describe("a long poll", () => {
  it("ends, though the clock stands a part of a nanosecond before its end", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        const polled = yield* Effect.fork(receive(queue, 1))
        yield* TestClock.setTime(999.999_999_9)
        // A change wakes the poll, which finds nothing visible and next to no time left.
        yield* queue.send([entry("later", 900)])
        yield* TestClock.adjust(1_000)
        assert.deepEqual(yield* Fiber.join(polled), [])
      })
    ))
})

describe("a message", () => {
  it("is received with what was sent, its age and its count, and is invisible then", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        yield* TestClock.adjust(5_000)
        const outcomes = yield* queue.send([entry("a"), entry("b")])
        assert.deepEqual(
          outcomes.map(outcome => outcome._tag),
          ["Stored", "Stored"]
        )
        const messages = yield* receive(queue)
        assert.deepEqual(bodies(messages), ["a", "b"])
        assert.deepEqual(messages[0]?.attributes, { kind: "test" })
        assert.deepEqual([messages[0]?.receiveCount, messages[0]?.sentAt], [1, 5_000])
        assert.deepEqual(yield* receive(queue), [])
        assert.deepEqual(yield* queue.depth, { visible: 0, inFlight: 2, delayed: 0 })
      })
    ))

  it("comes back when its visibility timeout ends, counted", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        yield* queue.send([entry("a")])
        yield* receive(queue)
        yield* TestClock.adjust(29_999)
        assert.deepEqual(yield* receive(queue), [])
        yield* TestClock.adjust(1)
        assert.equal(only(yield* receive(queue)).receiveCount, 2)
      })
    ))

  it("comes back at once when handed back, and later when extended", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        yield* queue.send([entry("a")])
        const first = only(yield* receive(queue))
        yield* queue.changeVisibility(first.receiptHandle, 0)
        const second = only(yield* receive(queue))
        yield* queue.changeVisibility(second.receiptHandle, 100)
        yield* TestClock.adjust(99_999)
        assert.deepEqual(yield* receive(queue), [])
        yield* TestClock.adjust(1)
        assert.equal(only(yield* receive(queue)).receiveCount, 3)
      })
    ))

  it("is delayed, then visible", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        yield* queue.send([entry("a", 900)])
        assert.deepEqual(yield* queue.depth, { visible: 0, inFlight: 0, delayed: 1 })
        yield* TestClock.adjust(899_999)
        assert.deepEqual(yield* receive(queue), [])
        yield* TestClock.adjust(1)
        assert.deepEqual(bodies(yield* receive(queue)), ["a"])
      })
    ))

  it("is gone once deleted; deleting again changes nothing", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        yield* queue.send([entry("a")])
        const { receiptHandle } = only(yield* receive(queue))
        yield* queue.delete(receiptHandle)
        yield* queue.delete(receiptHandle)
        assert.deepEqual(yield* queue.messages, [])
        assert.equal(yield* reason(queue.changeVisibility(receiptHandle, 5)), "Invalid false")
        assert.equal(yield* reason(queue.delete("no handle")), "Invalid false")
      })
    ))

  it("is not deleted, nor kept, by a handle from an earlier receive", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        yield* queue.send([entry("a")])
        const stale = only(yield* receive(queue)).receiptHandle
        yield* TestClock.adjust(30_000)
        const current = only(yield* receive(queue)).receiptHandle
        yield* queue.delete(stale)
        yield* queue.changeVisibility(stale, 3_000)
        yield* TestClock.adjust(30_000)
        assert.equal(only(yield* receive(queue)).receiveCount, 3)
        assert.notEqual(stale, current)
      })
    ))

  it("that is visible again can still be deleted, but not extended", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        yield* queue.send([entry("a")])
        const { receiptHandle } = only(yield* receive(queue))
        yield* TestClock.adjust(30_000)
        assert.equal(yield* reason(queue.changeVisibility(receiptHandle, 5)), "Invalid false")
        yield* queue.delete(receiptHandle)
        assert.deepEqual(yield* queue.messages, [])
      })
    ))

  it("is dropped when the retention ends", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make({ retentionSeconds: 60 })
        yield* queue.send([entry("a")])
        yield* TestClock.adjust(59_999)
        assert.equal((yield* queue.messages).length, 1)
        yield* TestClock.adjust(1)
        assert.deepEqual(yield* receive(queue), [])
      })
    ))

  it("moves to the redrive target instead of being received once too often, and keeps its age", () =>
    run(
      Effect.gen(function* () {
        const target = Memory.make({ name: "dead" })
        const queue = Memory.make({ redrive: { maxReceiveCount: 2, target } })
        yield* queue.send([entry("a")])
        for (const expected of [1, 2, 0]) {
          assert.equal((yield* receive(queue)).length, Math.min(expected, 1))
          yield* TestClock.adjust(30_000)
        }
        assert.deepEqual(yield* queue.messages, [])
        assert.equal(only(yield* receive(target)).sentAt, 0)
      })
    ))
})

describe("a long poll", () => {
  it("ends with the message that arrives meanwhile", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        const polling = yield* Effect.fork(receive(queue, 20))
        yield* TestClock.adjust(7_000)
        yield* queue.send([entry("late")])
        assert.deepEqual(bodies(yield* Fiber.join(polling)), ["late"])
      })
    ))

  it("ends with a message that becomes visible meanwhile", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        yield* queue.send([entry("delayed", 12)])
        const polling = yield* Effect.fork(receive(queue, 20))
        yield* TestClock.adjust(12_000)
        assert.deepEqual(bodies(yield* Fiber.join(polling)), ["delayed"])
      })
    ))

  it("ends empty when its time is over, not before", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        const polling = yield* Effect.fork(receive(queue, 20))
        yield* TestClock.adjust(19_999)
        assert.equal((yield* Fiber.poll(polling))._tag, "None")
        yield* TestClock.adjust(1)
        assert.deepEqual(yield* Fiber.join(polling), [])
      })
    ))

  it("takes nothing when interrupted", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        const polling = yield* Effect.fork(receive(queue, 20))
        yield* TestClock.adjust(1_000)
        yield* Fiber.interrupt(polling)
        yield* queue.send([entry("a")])
        assert.equal(only(yield* receive(queue)).receiveCount, 1)
      })
    ))
})

describe("limits", () => {
  it("refuse the entry at fault and store the others", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make({ maximumMessageBytes: 100 })
        const outcomes = yield* queue.send([
          entry("x".repeat(101)),
          entry(""),
          entry("bad\u0000"),
          entry("a", 901),
          { ...entry("a"), attributes: { empty: "" } },
          entry("good")
        ])
        assert.deepEqual(
          outcomes.map(outcome => (outcome._tag === "Refused" ? outcome.error.reason : outcome._tag)),
          ["Invalid", "Invalid", "Invalid", "Invalid", "Invalid", "Stored"]
        )
        assert.deepEqual(bodies(yield* receive(queue)), ["good"])
      })
    ))

  it("refuse a call with too many entries or too many bytes", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        const eleven = Array.from({ length: 11 }, () => entry("a"))
        assert.equal(yield* reason(queue.send(eleven)), "Invalid false")
        const half = entry("x".repeat(600_000))
        assert.equal(yield* reason(queue.send([half, half])), "Invalid false")
        assert.deepEqual(yield* queue.messages, [])
        assert.equal(yield* reason(queue.receive({ max: 11, waitSeconds: 0, visibilitySeconds: 0 })), "Invalid false")
        assert.equal(yield* reason(queue.receive({ max: 1, waitSeconds: 21, visibilitySeconds: 0 })), "Invalid false")
        assert.equal(yield* reason(queue.changeVisibility("message-1#1", 43_201)), "Invalid false")
      })
    ))
})

describe("faults", () => {
  it("are scripted call by call, and counted", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        queue.script("send", { _tag: "Fail", reason: "Throttled" }, { _tag: "Pass" })
        queue.script("send", { _tag: "Refuse", indexes: [1], reason: "Unavailable" })
        assert.equal(yield* reason(queue.send([entry("lost")])), "Throttled true")
        assert.equal(yield* reason(queue.send([entry("a")])), "none")
        const [first, second] = yield* queue.send([entry("b"), entry("c")])
        assert.deepEqual([first?._tag, second?._tag], ["Stored", "Refused"])
        assert.equal(queue.calls.send, 3)
        assert.deepEqual(bodies(yield* receive(queue)), ["a", "b"])
      })
    ))

  it("lose the answer after storing", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        queue.script("send", { _tag: "LoseReply" })
        queue.script("receive", { _tag: "LoseReply" })
        queue.script("delete", { _tag: "LoseReply" })
        assert.equal(yield* reason(queue.send([entry("a")])), "Unknown true")
        assert.equal(yield* reason(receive(queue)), "Unavailable true")
        yield* TestClock.adjust(30_000)
        const message = only(yield* receive(queue))
        assert.equal(message.receiveCount, 2)
        assert.equal(yield* reason(queue.delete(message.receiptHandle)), "Unavailable true")
        assert.deepEqual(yield* queue.messages, [])
      })
    ))

  it("hang until interrupted", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        queue.script("send", { _tag: "Hang" })
        const hanging = yield* Effect.fork(Effect.timeoutOption(queue.send([entry("a")]), 60_000))
        yield* TestClock.adjust(60_000)
        assert.equal((yield* Fiber.join(hanging))._tag, "None")
        assert.deepEqual(yield* queue.messages, [])
      })
    ))

  it("fail everything while down", () =>
    run(
      Effect.gen(function* () {
        const queue = Memory.make()
        queue.setDown("Unavailable")
        const all = [
          reason(queue.send([entry("a")])),
          reason(receive(queue)),
          reason(queue.delete("message-1#1")),
          reason(queue.changeVisibility("message-1#1", 0)),
          reason(queue.limits),
          reason(queue.depth)
        ]
        assert.deepEqual(new Set(yield* Effect.all(all)), new Set(["Unavailable true"]))
        queue.setDown(undefined)
        assert.equal((yield* queue.limits).retentionSeconds, 1_209_600)
      })
    ))
})
