/**
 * The end of a dead letter, or of some of its records: what is left of it is stored anew, then it is deleted, then what it
 * points to. Killed in between, something is there twice, and nothing is lost.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { ClaimCheckError, Service as Claims } from "../ClaimCheck.ts"
import type { Service as DeadLetterQueue } from "../DeadLetterQueue.ts"
import type { FallbackQueueError } from "../FallbackQueue.ts"
import * as RecordBatch from "../RecordBatch.ts"
import { discard } from "./claims.ts"
import type { Letter } from "./deadLetter.ts"
import type { Look } from "./queueLook.ts"
import { toTheEnd } from "./toTheEnd.ts"

export interface DismissalOptions {
  /** Where what is left goes: the queue the letter came from. */
  readonly deadLetters: DeadLetterQueue
  readonly claims?: Claims | undefined
  readonly idHeader: string
}

/**
 * @param gone positions, by envelope, of the records that have another place or shall have none; undefined: all of it
 * @returns how many records were left and are stored anew
 */
export type Dismiss = (
  look: Look,
  letter: Letter,
  gone?: ReadonlyArray<ReadonlySet<number>>
) => Effect.Effect<number, FallbackQueueError | ClaimCheckError>

const again = {
  times: 3,
  while: (error: FallbackQueueError | ClaimCheckError) => error.retryable,
  schedule: Schedule.exponential(200)
}

export const makeDismiss =
  ({ claims, deadLetters, idHeader }: DismissalOptions): Dismiss =>
  (look, { content, message }, gone) =>
    toTheEnd(
      Effect.gen(function* () {
        let kept = 0
        const envelopes = content._tag === "Records" && gone !== undefined ? content.envelopes : []
        for (const [index, { envelope, records }] of envelopes.entries()) {
          const rest = records.filter((_, position) => gone?.[index]?.has(position) !== true)
          const [first] = rest
          if (first === undefined) continue
          const batch = rest.length === records.length ? envelope.batch : RecordBatch.fromRecords(rest)
          const left = { ...envelope, recordCount: rest.length, batch }
          const firstId = RecordBatch.idOf(first, idHeader) ?? ""
          yield* Effect.retry(deadLetters.keep(left, firstId, message.attributes), again)
          kept += rest.length
        }
        yield* look.remove(message)
        if (content.claim !== undefined && claims !== undefined) yield* discard(claims, content.claim)
        return kept
      })
    )
