import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { asyncPrimitive } from "../../src/internal/asyncPrimitive.ts"

describe("asyncPrimitive", () => {
  it("succeeds and fails, at once and later, like Effect.async", async () => {
    const now = asyncPrimitive<number, never>(resume => resume(Effect.succeed(1)))
    const later = asyncPrimitive<number, string>(resume => {
      setImmediate(() => {
        resume(Effect.fail("no"))
        resume(Effect.succeed(2))
      })
    })
    const program = Effect.gen(function* () {
      const one = yield* now
      const two = yield* Effect.flip(later)
      const mapped = yield* Effect.map(now, value => value + 1).pipe(Effect.timeout(1000))
      return [one, two, mapped]
    })
    assert.deepEqual(await Effect.runPromise(program), [1, "no", 2])
  })

  it("is interrupted while it waits, and a late answer changes nothing", async () => {
    let resumeLate: ((effect: Effect.Effect<number>) => void) | undefined
    const waiting = asyncPrimitive<number, never>(resume => {
      resumeLate = resume
    })
    const program = Effect.gen(function* () {
      const fiber = yield* Effect.fork(waiting)
      yield* Effect.yieldNow()
      const exit = yield* Fiber.interrupt(fiber)
      resumeLate?.(Effect.succeed(1))
      return exit
    })
    const exit = await Effect.runPromise(program)
    assert.ok(Exit.isInterrupted(exit))
    assert.ok(resumeLate !== undefined)
  })
})
