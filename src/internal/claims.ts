/**
 * A pack no message can hold goes into the claim check and a pointer to it into the queue, in this order: whoever finds
 * the pointer finds the object. An object without a pointer is removed, unless the pointer may have been stored.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Claim, ClaimCheckError, Service as Claims } from "../ClaimCheck.ts"
import type { Envelope } from "../Envelope.ts"
import type { FallbackQueueError } from "../FallbackQueue.ts"
import * as ClaimPointer from "./claimPointer.ts"
import { lengthOf, type Pieces } from "./slices.ts"

/** The slowest upload that is waited for, bytes per ms (4 MiB a second). */
const slowestRate = 4195
/** How long removing an object that nothing points to may take, ms. What is left then is for the lifecycle rule. */
const removeMs = 2000

/** What became of a pointer that was sent. */
export interface Sent {
  /** Undefined: it is in the queue. */
  readonly error: FallbackQueueError | undefined
  /** It may be in the queue although there is an error. */
  readonly maybeStored: boolean
}

/** Removes an object nothing points to, as far as that succeeds in a short time. */
export const discard = (claims: Claims, claim: Claim): Effect.Effect<void> =>
  Effect.ignore(Effect.timeout(Effect.interruptible(claims.delete(claim)), removeMs))

/**
 * Undefined once both the object and the pointer are durable.
 *
 * @param pack the pack of `envelope`
 * @param budgetMs how long to go on trying; a large pack gets more, by its size
 * @param send stores the pointer's body in the queue
 */
export const store = (
  claims: Claims,
  envelope: Envelope,
  pack: Pieces,
  budgetMs: number,
  send: (body: string, claim: Claim) => Effect.Effect<Sent>
): Effect.Effect<ClaimCheckError | FallbackQueueError | undefined> =>
  Effect.uninterruptibleMask(restore =>
    Effect.gen(function* () {
      // By topic for people who list the bucket, and unique: an object has one message.
      const key = `${envelope.topic}/${crypto.randomUUID()}`
      const put = yield* Effect.either(restore(claims.put(key, pack, budgetMs + lengthOf(pack) / slowestRate)))
      if (Either.isLeft(put)) return put.left
      const claim = put.right
      const { notBefore, recordCount } = envelope
      // Interrupted here, the pointer may be in the queue: the object stays.
      const { error, maybeStored } = yield* restore(send(ClaimPointer.toBody({ claim, notBefore, recordCount }), claim))
      if (error !== undefined && !maybeStored) yield* discard(claims, claim)
      return error
    })
  )
