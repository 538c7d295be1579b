/**
 * The account a service gives of itself at its end, as one line.
 */
import type { Accounting, Summary } from "../Shutdown.ts"

const counts = ({ accepted, delivered, diverted, failed, inMemory, rejected, spooled }: Accounting): string =>
  `accepted=${accepted} delivered=${delivered} diverted=${diverted} spooled=${spooled} rejected=${rejected} ` +
  `failed=${failed} in_memory=${inMemory}`

export const render = ({ accounting, complete, phases }: Summary, ms: number): string =>
  `shutdown ${complete ? "complete" : "incomplete"} in ${Math.round(ms)} ms: ${counts(accounting)} ` +
  `(stop replay ${phases.stopReplay} ms, flush ${phases.flush} ms, park ${phases.park} ms, spool ${phases.spool} ms)`

/** For an end that was forced before the shutdown was over. */
export const renderForced = (accounting: Accounting, ms: number): string =>
  `shutdown forced after ${Math.round(ms)} ms: ${counts(accounting)}`
