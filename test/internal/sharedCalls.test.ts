import assert from "node:assert/strict"
import { it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { makeSharedCalls } from "../../src/internal/sharedCalls.ts"

const turn = Effect.promise(() => new Promise<void>(resolve => setImmediate(() => setImmediate(resolve))))

it("requests of one turn share calls of at most so many; those of the next turn have their own", () =>
  Effect.gen(function* () {
    const calls: Array<ReadonlyArray<number>> = []
    const ask = yield* makeSharedCalls<number, string>(3, requests =>
      Effect.sync(() => {
        calls.push(requests)
        return requests.map(n => (n % 2 === 0 ? Either.right(undefined) : Either.left(`${n} is odd`)))
      })
    )
    const both = yield* Effect.forEach([1, 2, 3, 4], n => Effect.either(ask(n)), { concurrency: "unbounded" })
    yield* ask(6)
    assert.deepEqual(calls, [[1, 2, 3], [4], [6]])
    assert.deepEqual(
      both.map(one => (Either.isLeft(one) ? one.left : "done")),
      ["1 is odd", "done", "3 is odd", "done"]
    )
  }).pipe(Effect.scoped, Effect.runPromise))

it("an interrupted request ends its own wait only; a call that dies tells everyone", () =>
  Effect.gen(function* () {
    let resume: ((effect: Effect.Effect<ReadonlyArray<Either.Either<void>>>) => void) | undefined
    const ask = yield* makeSharedCalls<number, never>(10, () =>
      Effect.async(go => {
        resume = go
      })
    )
    const first = yield* Effect.fork(ask(1))
    const second = yield* Effect.fork(ask(2))
    yield* turn
    assert.ok(Exit.isInterrupted(yield* Fiber.interrupt(first)))
    resume?.(Effect.succeed([Either.right(undefined), Either.right(undefined)]))
    yield* Fiber.join(second)
    const others = yield* Effect.fork(Effect.all([ask(3), ask(4)], { concurrency: "unbounded" }))
    yield* turn
    resume?.(Effect.die("broken"))
    assert.ok(Exit.isFailure(yield* Fiber.await(others)))
    const unanswered = yield* Effect.fork(ask(5))
    yield* turn
    // An answer that is too short is a fault of ours, and nobody waits for it for ever.
    resume?.(Effect.succeed([]))
    assert.ok(Exit.isFailure(yield* Fiber.await(unanswered)))
  }).pipe(Effect.scoped, Effect.runPromise))
