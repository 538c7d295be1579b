/**
 * When it makes sense to ask again, from what is known: the circuit breakers' next probes, the backlogs, the shutdown.
 */
import type { Reason, RetryAfter } from "./Answer.ts"

/** For a reason that may be gone in a moment, such as a full buffer in front of a Kafka that takes records, ms. */
const shortlyMs = 1000
/** How often the depth of a fallback queue is read: a full one is not known to have room before, ms. */
const readingMs = 5000
/** Nobody is sent away for longer, seconds. */
const mostSeconds = 300
/** How long what was found out counts: failures come in thousands, ms. */
const keptMs = 500

/** What of the status is looked at. */
interface Evidence {
  readonly connections: ReadonlyArray<{
    readonly breaker: { readonly state: string; readonly nextProbeAt: number }
    readonly fallbacks: ReadonlyArray<{ readonly writer: { readonly backlog: { readonly state: string } | undefined } }>
  }>
}

/** ms */
const outageMs = ({ connections }: Evidence, now: number): number => {
  let wait = shortlyMs
  for (const { breaker, fallbacks } of connections) {
    if (breaker.state !== "closed") wait = Math.max(wait, breaker.nextProbeAt - now)
    const full = fallbacks.some(({ writer: { backlog } }) => backlog !== undefined && backlog.state !== "open")
    if (full) wait = Math.max(wait, readingMs)
  }
  return wait
}

/**
 * @param status asked at most twice a second
 * @param endsAt when a shutdown that has begun is over, ms since the epoch; undefined: none has
 */
export const make = (status: () => Evidence, endsAt: () => number | undefined, now: () => number): RetryAfter => {
  let lookedAt = Number.NEGATIVE_INFINITY
  let outage = shortlyMs
  const outageNow = (): number => {
    const at = now()
    if (at - lookedAt >= keptMs || at < lookedAt) {
      lookedAt = at
      outage = outageMs(status(), at)
    }
    return outage - (at - lookedAt)
  }
  const waitMs: Partial<Record<Reason, () => number>> = {
    Overloaded: outageNow,
    FallbackUnavailable: outageNow,
    Timeout: outageNow,
    // Whoever takes over is not here before this one is gone.
    Closed: () => (endsAt() ?? now()) - now()
  }
  return reason => {
    const wait = waitMs[reason]
    return wait === undefined ? undefined : `${Math.min(mostSeconds, Math.max(1, Math.ceil(wait() / 1000)))}`
  }
}
