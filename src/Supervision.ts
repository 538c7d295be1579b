/**
 * Keeps loops running. A loop never returns: returning, failing and dying are all the same fault here. It is logged,
 * the loop starts again after a pause that grows, and when that happens too often the fault is passed on, so that the
 * process ends through its finalizers and not in silence.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** A loop failed more often than its budget allows. */
export class SupervisionError extends Data.TaggedError("SupervisionError")<{
  readonly loop: string
  readonly restarts: number
  readonly message: string
}> {}

export interface Policy {
  /** Pause before the first restart; doubles with each one in a row, ms. */
  readonly minBackoffMs: number
  readonly maxBackoffMs: number
  /** Restarts allowed within `windowMs`. */
  readonly maxRestarts: number
  readonly windowMs: number
}

export const defaults: Policy = { minBackoffMs: 50, maxBackoffMs: 5000, maxRestarts: 10, windowMs: 60_000 }

/** Runs `loop` for ever. Fails only once its restarts are used up. */
export const supervise = <E, R>(
  name: string,
  loop: Effect.Effect<unknown, E, R>,
  policy: Policy = defaults
): Effect.Effect<never, SupervisionError, R> =>
  Effect.gen(function* () {
    let restarts: Array<number> = []
    while (true) {
      const exit = yield* Effect.exit(loop)
      if (Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)) return yield* Effect.interrupt
      const why = Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "it returned"
      const now = yield* Clock.currentTimeMillis
      restarts = [...restarts.filter(at => at > now - policy.windowMs), now]
      yield* Effect.logError(`${name} stopped: ${why}`)
      if (restarts.length > policy.maxRestarts) {
        const message = `${name} stopped ${restarts.length} times within ${policy.windowMs} ms, last: ${why}`
        return yield* new SupervisionError({ loop: name, restarts: restarts.length, message })
      }
      yield* Effect.sleep(Math.min(policy.minBackoffMs * 2 ** (restarts.length - 1), policy.maxBackoffMs))
    }
  })
