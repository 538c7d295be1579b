/**
 * A wake-up call between plain code and fibers. A call that comes while nobody waits is kept, once.
 */
import * as Effect from "effect/Effect"

export interface Signal {
  /** Wakes everyone who waits; when nobody does, the next one to wait returns at once. */
  readonly notify: () => void
  readonly wait: Effect.Effect<void>
}

export const makeSignal = (): Signal => {
  const waiting = new Set<() => void>()
  let pending = false
  return {
    notify: () => {
      if (waiting.size === 0) {
        pending = true
        return
      }
      const sleepers = Array.from(waiting)
      waiting.clear()
      for (const resume of sleepers) resume()
    },
    wait: Effect.async(resume => {
      if (pending) {
        pending = false
        return resume(Effect.void)
      }
      const wake = () => resume(Effect.void)
      waiting.add(wake)
      return Effect.sync(() => waiting.delete(wake))
    })
  }
}
