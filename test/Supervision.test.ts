import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/TestClock"
import { supervise } from "../src/Supervision.ts"
import { onTestClock } from "./support/doubles.ts"

const policy = { minBackoffMs: 10, maxBackoffMs: 40, maxRestarts: 3, windowMs: 1000 }
const quiet = Effect.provide(Logger.remove(Logger.defaultLogger))

describe("supervise", () => {
  for (const [what, loop] of [
    ["returns", Effect.void],
    ["fails", Effect.fail("broken")],
    ["dies", Effect.die(new Error("defect"))]
  ] as const) {
    it(`starts a loop again that ${what}, and gives up after its restarts`, () =>
      onTestClock(
        Effect.gen(function* () {
          let runs = 0
          const fiber = yield* Effect.fork(
            quiet(
              supervise(
                "loop",
                Effect.zipRight(
                  Effect.sync(() => runs++),
                  loop
                ),
                policy
              )
            )
          )
          yield* TestClock.adjust(5)
          assert.equal(runs, 1)
          yield* TestClock.adjust(200)
          assert.equal(runs, 4)
          const exit = yield* Fiber.await(fiber)
          assert.ok(Exit.isFailure(exit))
          const error = yield* Effect.flip(Fiber.join(fiber))
          assert.equal(error._tag, "SupervisionError")
          assert.equal(error.loop, "loop")
        })
      ))
  }

  it("forgets restarts that are long past", () =>
    onTestClock(
      Effect.gen(function* () {
        let runs = 0
        const loop = Effect.zipRight(
          Effect.sync(() => runs++),
          Effect.sleep(600)
        )
        const fiber = yield* Effect.fork(quiet(supervise("loop", loop, policy)))
        for (let i = 0; i < 20; i++) yield* TestClock.adjust(700)
        assert.ok(runs > 10, `${runs} runs`)
        yield* Fiber.interrupt(fiber)
      })
    ))

  it("ends when it is interrupted", () =>
    onTestClock(
      Effect.gen(function* () {
        const fiber = yield* Effect.fork(supervise("loop", Effect.never, policy))
        yield* TestClock.adjust(10)
        const exit = yield* Fiber.interrupt(fiber)
        assert.ok(Exit.isInterrupted(exit))
      })
    ))
})
