/**
 * One moment by which everything must be over, for parts that were made before anybody knew it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface Deadline {
  /** ms since the epoch; undefined until it is known. */
  readonly at: () => number | undefined
  /** The first call counts: nothing moves a deadline. */
  readonly set: (at: number) => void
  /** Ends once the moment is known. */
  readonly known: Effect.Effect<void>
  /** Ends when the moment has come. */
  readonly reached: Effect.Effect<void>
}

export const makeDeadline = (): Deadline => {
  const known = Effect.unsafeMakeLatch(false)
  let at: number | undefined
  const wait = Effect.flatMap(Clock.currentTimeMillis, now => Effect.sleep(Math.max(0, (at ?? now) - now)))
  return {
    at: () => at,
    set: moment => {
      at ??= moment
      known.unsafeOpen()
    },
    known: known.await,
    reached: Effect.zipRight(known.await, wait)
  }
}
