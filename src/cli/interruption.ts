/**
 * A command that SIGINT and SIGTERM end in order: what it holds is given back first.
 */
import process from "node:process"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Exit from "./exit.ts"

/** Exit codes of a process that a signal ended, as shells report them. */
const codes = { SIGINT: 130, SIGTERM: 143 } as const
const signals = ["SIGINT", "SIGTERM"] as const

const signal: Effect.Effect<(typeof signals)[number]> = Effect.async(resume => {
  const handlers = signals.map(name => [name, () => resume(Effect.succeed(name))] as const)
  for (const [name, handler] of handlers) process.on(name, handler)
  return Effect.sync(() => {
    for (const [name, handler] of handlers) process.off(name, handler)
  })
})

/** Runs to the end, or until a signal; then what is begun is ended, and `interrupted` says how far it was. */
export const interruptible = <E, R>(
  work: Effect.Effect<void, E, R>,
  interrupted: () => string
): Effect.Effect<void, E | Exit.CommandError, R> =>
  Effect.gen(function* () {
    const working = yield* Effect.fork(work)
    const waiting = yield* Effect.fork(signal)
    const ended = yield* Effect.raceFirst(Effect.as(Fiber.await(working), undefined), Fiber.join(waiting))
    if (ended === undefined) {
      yield* Fiber.interrupt(waiting)
      return yield* Fiber.join(working)
    }
    yield* Fiber.interrupt(working)
    yield* Fiber.interrupt(waiting)
    return yield* new Exit.CommandError({ code: codes[ended], message: interrupted() })
  })
