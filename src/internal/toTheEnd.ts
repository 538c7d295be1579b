/**
 * Work that is not given up half-way: whoever is interrupted while it lasts waits for its end.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** In a fiber of its own, where the timeouts inside still work, as they would not in an uninterruptible region. */
export const toTheEnd = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.uninterruptible(Effect.flatMap(Effect.forkDaemon(Effect.interruptible(work)), Fiber.join))
