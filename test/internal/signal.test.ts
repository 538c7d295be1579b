import assert from "node:assert/strict"
import { test } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { makeSignal } from "../../src/internal/signal.ts"

/** Whether one wait returns now. */
const passes = (wait: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(wait)
    yield* Effect.yieldNow()
    const done = Option.isSome(yield* Fiber.poll(fiber))
    yield* Fiber.interrupt(fiber)
    return done
  })

test("a call nobody waits for is kept, once however often it came", () =>
  Effect.runPromise(
    Effect.gen(function* () {
      const signal = makeSignal()
      assert.equal(yield* passes(signal.wait), false)
      signal.notify()
      signal.notify()
      assert.equal(yield* passes(signal.wait), true)
      assert.equal(yield* passes(signal.wait), false)
    })
  ))

test("a call wakes everyone who waits and is then used up", () =>
  Effect.runPromise(
    Effect.gen(function* () {
      const signal = makeSignal()
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.fork(signal.wait))
      yield* Effect.yieldNow()
      signal.notify()
      yield* Effect.forEach(fibers, Fiber.join)
      assert.equal(yield* passes(signal.wait), false)
    })
  ))

test("a waiter that was interrupted does not use a call up", () =>
  Effect.runPromise(
    Effect.gen(function* () {
      const signal = makeSignal()
      const fiber = yield* Effect.fork(signal.wait)
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      signal.notify()
      assert.equal(yield* passes(signal.wait), true)
    })
  ))
