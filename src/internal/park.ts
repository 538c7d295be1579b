/**
 * Storing parcels in a fallback queue: packed, in as few calls as the size rules allow, with retries for exactly what
 * was refused, inside a budget.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import type { Envelope } from "../Envelope.ts"
import { FallbackQueueError, type Service as Queue, type QueueEntry } from "../FallbackQueue.ts"
import * as RecordBatch from "../RecordBatch.ts"
import { makePacker, type Packable, type Packed, type Packer } from "./pack.ts"
import { groupBySize, maximumBatchBytes } from "./sqsSize.ts"

/** The longest delay SQS takes with a message, seconds. */
const longestDelaySeconds = 900
/** Pause before a refused entry or a failed call is tried again; doubles up to the second figure, ms. */
const pauseMs = { first: 50, most: 1000 }
/** Calls in flight per store. */
const concurrency = 4

export interface ParkOptions {
  readonly queue: Queue
  /** How long to go on trying, ms. */
  readonly budgetMs: number
  /** Told the records of a message that is sent again although the first try may have been stored. */
  readonly onUnknown?: ((records: number) => void) | undefined
}

/**
 * Parks envelopes. `undefined` for each parcel that is durable, else why it is not; in order. `waitedMs` of the budget are
 * over already; one attempt is always made.
 */
export type Park = <A extends Packable>(
  parcels: ReadonlyArray<A>,
  delayMs: number,
  waitedMs?: number
) => Effect.Effect<ReadonlyArray<FallbackQueueError | undefined>>

/** What a parcel is cut into when it fits into no message. */
interface Piece extends Packable {
  readonly parcel: number
}

const halves = (piece: Piece): ReadonlyArray<Piece> | undefined => {
  const read = RecordBatch.records(piece.envelope.batch)
  if (Either.isLeft(read) || read.right.length < 2) return undefined
  const middle = read.right.length >> 1
  return [read.right.slice(0, middle), read.right.slice(middle)].map(records => ({
    ...piece,
    envelope: { ...piece.envelope, recordCount: records.length, batch: RecordBatch.fromRecords(records) }
  }))
}

/** Sets when a parked record may be replayed: by SQS's own delay as far as that reaches, beyond it by `notBefore`. */
const delayed = (envelope: Envelope, delayMs: number, now: number): Envelope =>
  delayMs > longestDelaySeconds * 1000 ? { ...envelope, notBefore: now + delayMs } : envelope

export const makePark = ({ budgetMs, onUnknown, queue }: ParkOptions): Park => {
  let packer: { readonly limit: number; readonly packer: Packer } | undefined

  const storeCall = (entries: ReadonlyArray<QueueEntry & { readonly recordCount: number }>, endsAt: number) =>
    Effect.gen(function* () {
      let left = entries.map((entry, index) => ({ entry, index }))
      const errors: Array<FallbackQueueError | undefined> = entries.map(() => undefined)
      let pause = pauseMs.first
      while (true) {
        const result = yield* Effect.either(queue.send(left.map(({ entry }) => entry)))
        left = left.filter(({ index }, position) => {
          const outcome = Either.isRight(result) ? result.right[position] : undefined
          if (outcome?._tag === "Stored") {
            errors[index] = undefined
            return false
          }
          const error = Either.isLeft(result)
            ? result.left
            : outcome?._tag === "Refused"
              ? outcome.error
              : unanswered(queue.name)
          errors[index] = error
          return error.retryable
        })
        const now = yield* Clock.currentTimeMillis
        if (left.length === 0 || now + pause >= endsAt) return errors
        for (const { entry, index } of left) if (errors[index]?.reason === "Unknown") onUnknown?.(entry.recordCount)
        yield* Effect.sleep(pause)
        pause = Math.min(pause * 2, pauseMs.most)
      }
    })

  return (parcels, delayMs, waitedMs = 0) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const endsAt = now + budgetMs - waitedMs
      const errors: Array<FallbackQueueError | undefined> = parcels.map(() => undefined)
      const limits = yield* Effect.either(
        Effect.retry(queue.limits, {
          while: error => Effect.map(Clock.currentTimeMillis, at => error.retryable && at + pauseMs.most < endsAt),
          schedule: retryLimits
        })
      )
      if (Either.isLeft(limits)) return parcels.map(() => limits.left)
      const limit = Math.min(limits.right.maximumMessageBytes, maximumBatchBytes)
      if (packer?.limit !== limit) packer = { limit, packer: makePacker(limit) }
      const delaySeconds = Math.min(longestDelaySeconds, Math.ceil(delayMs / 1000))
      const messages: Array<Packed<Piece>> = []
      let pieces: ReadonlyArray<Piece> = parcels.map(({ envelope, firstId }, parcel) => ({
        envelope: delayed(envelope, delayMs, now),
        firstId,
        parcel
      }))
      while (pieces.length > 0) {
        const { packed, tooLarge } = yield* packer.packer.pack(pieces)
        messages.push(...packed)
        pieces = tooLarge.flatMap(({ bytes, item }) => {
          const smaller = halves(item)
          if (smaller === undefined) errors[item.parcel] = tooLargeError(queue.name, bytes, limit)
          return smaller ?? []
        })
      }
      // A parcel that cannot be stored whole is not stored at all: its caller is told that it failed.
      const storable = messages.filter(message => message.items.some(({ parcel }) => errors[parcel] === undefined))
      yield* Effect.forEach(
        groupBySize(storable, message => message.bytes, limit),
        group =>
          Effect.map(
            storeCall(
              group.map(({ attributes, body, recordCount }) => ({ attributes, body, delaySeconds, recordCount })),
              endsAt
            ),
            results => {
              results.forEach((error, index) => {
                if (error === undefined) return
                for (const { parcel } of group[index]?.items ?? []) errors[parcel] = error
              })
            }
          ),
        { concurrency, discard: true }
      )
      return errors
    })
}

const retryLimits = Schedule.exponential(pauseMs.first).pipe(
  Schedule.modifyDelay((_, delay) => Duration.min(delay, Duration.millis(pauseMs.most)))
)

const unanswered = (queue: string) =>
  new FallbackQueueError({
    reason: "Unknown",
    queue,
    operation: "SendMessageBatch",
    message: "SQS's answer does not mention the entry",
    retryable: true
  })

const tooLargeError = (queue: string, bytes: number, limit: number) =>
  new FallbackQueueError({
    reason: "Invalid",
    queue,
    operation: "SendMessageBatch",
    message: `the record takes ${bytes} bytes as a message, the queue takes ${limit}`,
    retryable: false
  })
