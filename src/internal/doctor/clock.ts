/** Reading another clock over the network. */
import type { ClockReading } from "./evidence.ts"

/**
 * From an HTTP `Date` header, which leaves the fraction of the second out (RFC 9110), and our time right before and after
 * the call; undefined when it is no date.
 */
export const readDate = (header: string, from: number, to: number): ClockReading | undefined => {
  const theirs = Date.parse(header)
  return Number.isNaN(theirs) ? undefined : { skewMs: theirs + 500 - (from + to) / 2, withinMs: 500 + (to - from) / 2 }
}
