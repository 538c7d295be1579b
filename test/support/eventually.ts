/**
 * Wait for a condition that no event announces: ask until it holds, or fail with the last answer when the deadline passes.
 */
const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

export class DeadlineExceeded extends Error {
  override readonly name = "DeadlineExceeded"
}

/**
 * Calls `attempt` every `everyMs` (50 by default) until it returns something other than `undefined`. What it throws is
 * kept as the reason; `giveUp` may end the wait at once by returning a reason.
 */
export const eventually = async <A>(
  what: string,
  deadlineMs: number,
  attempt: () => Promise<A | undefined> | A | undefined,
  options: { readonly everyMs?: number; readonly giveUp?: () => string | undefined } = {}
): Promise<A> => {
  const end = Date.now() + deadlineMs
  let reason: unknown
  for (;;) {
    try {
      const found = await attempt()
      if (found !== undefined) return found
    } catch (error) {
      reason = error
    }
    const hopeless = options.giveUp?.()
    if (hopeless !== undefined) throw new DeadlineExceeded(`${what}: ${hopeless}`, { cause: reason })
    if (Date.now() >= end) {
      const last = reason instanceof Error ? `; last error: ${reason.message}` : ""
      throw new DeadlineExceeded(`${what}: not within ${deadlineMs} ms${last}`, { cause: reason })
    }
    await pause(options.everyMs ?? 50)
  }
}
