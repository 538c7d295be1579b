/**
 * What became of a record, and whoever can tell.
 */
import type { CommandError } from "../exit.ts"
import type { Prepared } from "./Prepared.ts"

export const outcomes = ["delivered", "diverted", "spooled", "rejected", "failed"] as const

export interface Result {
  readonly outcome: (typeof outcomes)[number]
  readonly id?: string
  readonly partition?: number
  readonly offset?: string
  readonly reason?: string
  readonly message?: string
}

/** `refusal`: there is no use in sending anything more. */
export interface Sent {
  readonly results: ReadonlyArray<Result>
  /** What the receiver wants to be left alone for, ms. */
  readonly retryAfterMs?: number | undefined
  readonly refusal?: CommandError
}

/** Sends records, once. One result each, in order. Never rejects. */
export type Send = (records: ReadonlyArray<Prepared>) => Promise<Sent>
