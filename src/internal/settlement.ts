/**
 * The end of a received message: every record in it delivered, stored anew or dead-lettered, then the message deleted and
 * what it points to; or the message left for later, whole.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Claim, ClaimCheckError, Service as Claims } from "../ClaimCheck.ts"
import type { Cause, Service as DeadLetters } from "../DeadLetterQueue.ts"
import type { Envelope } from "../Envelope.ts"
import type { FallbackQueueError, Service as Queue, QueueMessage } from "../FallbackQueue.ts"
import type { KafkaError } from "../KafkaClient.ts"
import * as RecordBatch from "../RecordBatch.ts"
import { discard } from "./claims.ts"
import type { Copies } from "./copies.ts"
import { makePark, type Unstored } from "./park.ts"
import type { Replayed } from "./replay.ts"
import { handBack, outageVisibilitySeconds } from "./visibility.ts"

export interface SettlementOptions {
  readonly queue: Queue
  readonly claims?: Claims | undefined
  readonly deadLetters: DeadLetters
  readonly idHeader: string
  readonly maxAttempts: number
  /** Delay before the next attempt of a refused record, ms. */
  readonly afterMs: number
  /** The daemon's, in records: added to here. */
  readonly counters: {
    deadLettered: number
    readonly deadLetters: Record<string, number>
    unknown: number
    reparked: number
  }
  readonly onBuried?: ((buried: Buried) => void) | undefined
}

/** One batch, given up. Times in ms since the epoch. */
export interface Buried {
  readonly envelope: Envelope
  readonly queue: string
  readonly reason: string
  readonly from: number
  readonly to: number
}

/** Settling fails when the message must stay because the queue or the claim check failed. */
type Settled = Effect.Effect<void, FallbackQueueError | ClaimCheckError>

export interface Settlement {
  /** By what the replay of its envelopes came to. */
  readonly settle: (message: QueueMessage, replayed: Replayed, copies: Copies, claim?: Claim) => Settled
  /** Puts a message that cannot be read into the dead-letter queue as it is. What it points to stays. */
  readonly bury: (message: QueueMessage, cause: Cause, records: number, copies: Copies) => Settled
  /** Leaves a message that cannot be replayed now for so many seconds. */
  readonly postpone: (message: QueueMessage, records: number, seconds: number, copies: Copies) => Settled
}

/** A message this close to the end of its retention is stored anew, as a share of the retention. */
const retentionShare = 0.8
/** Budget for storing again what is left of a message, ms. */
const parkBudgetMs = 10_000

const recordsOf = (envelopes: ReadonlyArray<Envelope>): number =>
  envelopes.reduce((sum, { recordCount }) => sum + recordCount, 0)

const countOf = (unstored: ReadonlyArray<Unstored>): number => unstored.reduce((sum, { count }) => sum + count, 0)

/** The envelope after an attempt that counts. */
export const attempted = (envelope: Envelope, error: KafkaError): Envelope => ({
  ...envelope,
  attempts: envelope.attempts + 1,
  lastError: `${error.class}:${error.reason}`
})

export const makeSettlement = (options: SettlementOptions): Settlement => {
  const { afterMs, claims, counters, deadLetters, idHeader, maxAttempts, queue } = options
  const park = makePark({
    queue,
    claims,
    budgetMs: parkBudgetMs,
    whole: true,
    onUnknown: records => {
      counters.unknown += records
    }
  })
  const buried = (reason: string, records: number) => {
    counters.deadLettered += records
    counters.deadLetters[reason] = (counters.deadLetters[reason] ?? 0) + records
  }
  const firstIdOf = ({ batch }: Envelope): string => RecordBatch.firstId(batch, idHeader)

  /** Stores envelopes as a new message; false when that failed, so that the old message must stay. */
  const repark = (envelopes: ReadonlyArray<Envelope>, delayMs: number) =>
    Effect.map(
      park(
        envelopes.map(envelope => ({ envelope, firstId: firstIdOf(envelope) })),
        delayMs
      ),
      parcels => {
        const unstored = parcels.flat()
        const records = recordsOf(envelopes)
        if (unstored.length === 0) {
          counters.reparked += records
          return true
        }
        // What was stored is in the queue twice now, and what got no answer may be.
        counters.unknown += records - countOf(unstored.filter(({ error }) => error.reason !== "Unknown"))
        return false
      }
    )

  const buryRecords = (envelope: Envelope, error: KafkaError, reason: string, copies: Copies) => {
    const cause = { reason, errorClass: error.class, message: error.message }
    const put = Effect.gen(function* () {
      const from = yield* Clock.currentTimeMillis
      yield* deadLetters.put(envelope, firstIdOf(envelope), cause)
      buried(reason, envelope.recordCount)
      const to = yield* Clock.currentTimeMillis
      options.onBuried?.({ envelope, queue: deadLetters.name, reason, from, to })
    })
    return copies.place(envelope.recordCount, put, () => true)
  }

  /** The message first: as long as it is there, what it points to must be. */
  const remove = (message: QueueMessage, claim?: Claim) =>
    Effect.zipRight(
      Effect.retry(queue.delete(message.receiptHandle), { times: 3, while: error => error.retryable }),
      claim === undefined || claims === undefined ? Effect.void : discard(claims, claim)
    )

  /** A message keeps its age through every receive: stored anew, it outlives an outage of any length. */
  const isOld = (message: QueueMessage) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const { retentionSeconds } = yield* queue.limits
      return now - message.sentAt > retentionSeconds * 1000 * retentionShare
    })

  /** Leaves a message for so many seconds, or removes it if it was old and is stored anew. */
  const later = <E>(message: QueueMessage, seconds: number, renew: Effect.Effect<boolean, E>, claim?: Claim) =>
    Effect.gen(function* () {
      const renewed = (yield* isOld(message)) && (yield* renew)
      yield* renewed ? remove(message, claim) : handBack(queue, message, seconds)
    })

  return {
    settle: (message, replayed, copies, claim) => {
      const placeAgain = (envelopes: ReadonlyArray<Envelope>, delayMs: number) =>
        copies.place(recordsOf(envelopes), repark(envelopes, delayMs), stored => stored)
      const leave = Effect.zipRight(copies.comesBack, handBack(queue, message, outageVisibilitySeconds))
      return Effect.gen(function* () {
        const delivered = recordsOf(
          replayed.flatMap(([envelope, { _tag }]) => (_tag === "Delivered" ? [envelope] : []))
        )
        copies.redelivered(delivered)
        const left: Array<Envelope> = []
        const again: Array<Envelope> = []
        let settled = delivered > 0
        for (const [envelope, fate] of replayed) {
          if (fate._tag === "Delivered") continue
          if (fate._tag === "Outage") left.push(envelope)
          else if (!fate.error.retryable && fate.error.class === "Permanent") {
            yield* buryRecords(envelope, fate.error, fate.error.reason, copies)
            settled = true
          } else {
            const tried = attempted(envelope, fate.error)
            if (tried.attempts >= maxAttempts) {
              yield* buryRecords(tried, fate.error, "MAX_ATTEMPTS", copies)
              settled = true
            } else again.push(tried)
          }
        }
        // A pack without records, such as `doctor` sends, is settled by that.
        if (!settled && again.length === 0 && left.length > 0) {
          return yield* later(message, outageVisibilitySeconds, placeAgain(left, 0), claim)
        }
        if (left.length > 0 && !(yield* placeAgain(left, 0))) return yield* leave
        if (again.length > 0 && !(yield* placeAgain(again, afterMs))) return yield* leave
        yield* remove(message, claim)
      })
    },
    bury: (message, cause, records, copies) =>
      Effect.gen(function* () {
        yield* copies.place(records, deadLetters.putMessage(message, cause), () => true)
        buried(cause.reason, records)
        yield* remove(message)
      }),
    postpone: (message, records, seconds, copies) => {
      const { attributes, body } = message
      const renew = Effect.map(
        queue.send([{ body, attributes, delaySeconds: 0 }]),
        ([outcome]) => outcome?._tag === "Stored"
      )
      return later(
        message,
        seconds,
        copies.place(records, renew, stored => stored)
      )
    }
  }
}
