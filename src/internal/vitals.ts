/**
 * How the process itself is: memory, processor time, and how late the event loop comes to its timers.
 */
import process from "node:process"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Histogram, type LatencyStatus, latencyStatus } from "./histogram.ts"

export interface Vitals {
  readonly residentBytes: number
  /** Since the process began, user and system together. */
  readonly cpuSeconds: number
  /** How late timers came, ms; one value every `lookMs`. */
  readonly eventLoopDelay: LatencyStatus
}

/** How often the event loop is looked at, ms. */
const lookMs = 100

/** Looks until the scope ends. On the system's clock, whatever clock the program runs by. */
export const watchVitals: Effect.Effect<() => Vitals, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const delays = new Histogram()
      let due = performance.now() + lookMs
      const timer = setInterval(() => {
        const now = performance.now()
        delays.add(Math.max(0, now - due), 1)
        due = now + lookMs
      }, lookMs)
      timer.unref()
      return { delays, timer }
    }),
    ({ timer }) => Effect.sync(() => clearInterval(timer))
  ),
  ({ delays }) =>
    () => {
      const { system, user } = process.cpuUsage()
      return {
        residentBytes: process.memoryUsage().rss,
        cpuSeconds: (user + system) / 1e6,
        eventLoopDelay: latencyStatus(delays)
      }
    }
)
