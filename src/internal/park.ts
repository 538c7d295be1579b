/**
 * Storing parcels in a fallback queue: packed, in as few calls as the size rules allow, with retries for exactly what
 * was refused, inside a budget.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import type { ClaimCheckError, Service as Claims } from "../ClaimCheck.ts"
import type { Envelope } from "../Envelope.ts"
import { FallbackQueueError, type Service as Queue, type QueueEntry } from "../FallbackQueue.ts"
import * as RecordBatch from "../RecordBatch.ts"
import { type Sent, store } from "./claims.ts"
import type { Deadline } from "./deadline.ts"
import { attributesOf, makePacker, type Packable, type Packed, type Packer, type TooLarge } from "./pack.ts"
import { groupBySize, maximumBatchBytes } from "./sqsSize.ts"

/** The longest delay SQS takes with a message, seconds. */
const longestDelaySeconds = 900
/** Pause before a refused entry or a failed call is tried again; doubles up to the second figure, ms. */
const pauseMs = { first: 50, most: 1000 }
/** Calls in flight per store. */
const concurrency = 4
/** Objects on their way into the claim check per store: each is held in memory. */
const claimConcurrency = 2
/** Tries of a pointer whose object is durable, ms. */
const pointerBudgetMs = 2000

export interface ParkOptions {
  readonly queue: Queue
  /** Takes the records no message can hold; without it they are not stored. */
  readonly claims?: Claims | undefined
  /** How long to go on trying, ms. */
  readonly budgetMs: number
  /**
   * Where somebody else has what the queue has not taken: how long a call under way may outlast the budget, ms. Without an
   * answer by then it is `Unknown`.
   */
  readonly graceMs?: number | undefined
  /** Once it is known it takes the budget's place: until then, and no longer, may the queue be tried. */
  readonly deadline?: Deadline | undefined
  /**
   * Store nothing of a call that holds a record no message can take. For parcels that came out of one message: it stays
   * where it is, and what was stored of it would be there twice.
   */
  readonly whole?: boolean | undefined
  /** Told the records of a message that is sent again although the first try may have been stored. */
  readonly onUnknown?: ((records: number) => void) | undefined
}

/** Records of a parcel that are not durable: `count` of them from the one with index `from` on. */
export interface Unstored {
  readonly from: number
  readonly count: number
  /** Exactly these records. */
  readonly envelope: Envelope
  readonly error: FallbackQueueError | ClaimCheckError
}

/**
 * Parks envelopes. For each parcel, in order: what of it is not durable, by ascending index; nothing when all is.
 * `waitedMs` of the budget are over already; one attempt is always made.
 */
export type Park = <A extends Packable>(
  parcels: ReadonlyArray<A>,
  delayMs: number,
  waitedMs?: number
) => Effect.Effect<ReadonlyArray<ReadonlyArray<Unstored>>>

/** A parcel, or what it is cut into when it fits into no message. */
interface Piece extends Packable {
  readonly parcel: number
  /** Index of its first record in the parcel. */
  readonly from: number
}

/** The piece in so many parts, none without a record; undefined for a single record. */
const cut = (piece: Piece, parts: number): ReadonlyArray<Piece> | undefined => {
  if (piece.envelope.recordCount < 2) return undefined
  const read = RecordBatch.records(piece.envelope.batch)
  if (Either.isLeft(read) || read.right.length < 2) return undefined
  const records = read.right
  const size = Math.max(1, Math.floor(records.length / parts))
  const pieces: Array<Piece> = []
  for (let at = 0; at < records.length; at += size) {
    const some = records.slice(at, at + size)
    pieces.push({
      ...piece,
      from: piece.from + at,
      envelope: { ...piece.envelope, recordCount: some.length, batch: RecordBatch.fromRecords(some) }
    })
  }
  return pieces
}

/** Sets when a parked record may be replayed: by SQS's own delay as far as that reaches, beyond it by `notBefore`. */
const delayed = (envelope: Envelope, delayMs: number, now: number): Envelope =>
  delayMs > longestDelaySeconds * 1000 ? { ...envelope, notBefore: now + delayMs } : envelope

export const makePark = (options: ParkOptions): Park => {
  const { budgetMs, claims, deadline, graceMs, onUnknown, queue, whole = false } = options
  let packer: { readonly limit: number; readonly packer: Packer } | undefined

  /** The call, unless its time is over before it begins; ended when that comes while it is under way. */
  const inTime = <A>(operation: string, call: Effect.Effect<A, FallbackQueueError>, endsAt: () => number) =>
    Effect.flatMap(Clock.currentTimeMillis, now => {
      const ends: Array<Effect.Effect<void>> = []
      if (deadline !== undefined) {
        if (now >= (deadline.at() ?? now + 1)) return Effect.fail(outOfTime(queue.name, operation, "Unavailable"))
        ends.push(deadline.reached)
      }
      if (graceMs !== undefined) ends.push(Effect.sleep(Math.max(0, endsAt() + graceMs - now)))
      if (ends.length === 0) return call
      return Effect.raceFirst(
        call,
        Effect.zipRight(Effect.raceAll(ends), Effect.fail(outOfTime(queue.name, operation, "Unknown")))
      )
    })

  /** For what consists of several calls: the pointer may have been stored when it is cut off. */
  const beforeDeadline = <A>(work: Effect.Effect<A>): Effect.Effect<A | FallbackQueueError> =>
    deadline === undefined
      ? work
      : // Disconnected: what is left of an upload is removed while those who wait for an answer already have it.
        Effect.raceFirst(
          Effect.disconnect(work),
          Effect.as(deadline.reached, outOfTime(queue.name, "SendMessageBatch", "Unknown"))
        )

  const storeCall = (entries: ReadonlyArray<QueueEntry & { readonly recordCount: number }>, endsAt: () => number) =>
    Effect.gen(function* () {
      let left = entries.map((entry, index) => ({ entry, index }))
      const sent: Array<Sent> = entries.map(() => ({ error: undefined, maybeStored: false }))
      let pause = pauseMs.first
      while (true) {
        const call = queue.send(left.map(({ entry }) => entry))
        const result = yield* Effect.either(inTime("SendMessageBatch", call, endsAt))
        left = left.filter(({ index }, position) => {
          const outcome = Either.isRight(result) ? result.right[position] : undefined
          const before = sent[index]?.maybeStored === true
          if (outcome?._tag === "Stored") {
            sent[index] = { error: undefined, maybeStored: false }
            return false
          }
          const error = Either.isLeft(result)
            ? result.left
            : outcome?._tag === "Refused"
              ? outcome.error
              : unanswered(queue.name)
          sent[index] = { error, maybeStored: before || error.reason === "Unknown" }
          return error.retryable
        })
        const now = yield* Clock.currentTimeMillis
        if (left.length === 0 || now + pause >= endsAt()) return sent
        for (const { entry, index } of left)
          if (sent[index]?.error?.reason === "Unknown") onUnknown?.(entry.recordCount)
        yield* Effect.sleep(pause)
        pause = Math.min(pause * 2, pauseMs.most)
      }
    })

  return (parcels, delayMs, waitedMs = 0) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const endsAt = () => deadline?.at() ?? now + budgetMs - waitedMs
      const unstored: ReadonlyArray<Array<Unstored>> = parcels.map(() => [])
      const refuse = ({ envelope, from, parcel }: Piece, error: FallbackQueueError | ClaimCheckError) =>
        unstored[parcel]?.push({ from, count: envelope.recordCount, envelope, error })
      const all: ReadonlyArray<Piece> = parcels.map(({ envelope, firstId }, parcel) => ({
        envelope: delayed(envelope, delayMs, now),
        firstId,
        parcel,
        from: 0
      }))
      const limits = yield* Effect.either(
        Effect.retry(inTime("GetQueueAttributes", queue.limits, endsAt), {
          while: error => Effect.map(Clock.currentTimeMillis, at => error.retryable && at + pauseMs.most < endsAt()),
          schedule: retryLimits
        })
      )
      if (Either.isLeft(limits)) {
        // Nothing was sent: whatever came of the question, nothing can be in the queue.
        for (const piece of all) refuse(piece, unsent(limits.left))
        return unstored
      }
      const limit = Math.min(limits.right.maximumMessageBytes, maximumBatchBytes)
      if (packer?.limit !== limit) packer = { limit, packer: makePacker(limit) }
      const delaySeconds = Math.min(longestDelaySeconds, Math.ceil(delayMs / 1000))
      const messages: Array<Packed<Piece>> = []
      const oversized: Array<TooLarge<Piece>> = []
      let pieces = all
      while (pieces.length > 0) {
        const { packed, tooLarge } = yield* packer.packer.pack(pieces)
        messages.push(...packed)
        // Cut as long as that helps: only what is too large by itself needs a second store to be there.
        pieces = tooLarge.flatMap(one => {
          const smaller = cut(one.item, Math.ceil(one.bytes / limit))
          if (smaller !== undefined) return smaller
          if (claims === undefined) refuse(one.item, tooLargeError(queue.name, one.bytes, limit))
          else oversized.push(one)
          return []
        })
      }
      const stuck = whole ? unstored.flat()[0] : undefined
      if (stuck !== undefined)
        return all.map(({ envelope }) => [{ from: 0, count: envelope.recordCount, envelope, error: stuck.error }])
      const storeMessages = Effect.forEach(
        groupBySize(messages, message => message.bytes, limit),
        group =>
          Effect.map(
            storeCall(
              group.map(({ attributes, body, recordCount }) => ({ attributes, body, delaySeconds, recordCount })),
              endsAt
            ),
            sent => {
              sent.forEach(({ error }, index) => {
                if (error === undefined) return
                for (const piece of group[index]?.items ?? []) refuse(piece, error)
              })
            }
          ),
        { concurrency, discard: true }
      )
      const sendPointer = (item: Piece) => (body: string) =>
        Effect.gen(function* () {
          const { recordCount } = item.envelope
          // The upload may have used up the budget; the pointer is worth a few tries all the same.
          const until = Math.max(endsAt(), (yield* Clock.currentTimeMillis) + pointerBudgetMs)
          const entry = { attributes: attributesOf([item]), body, delaySeconds, recordCount }
          const [sent] = yield* storeCall([entry], () => deadline?.at() ?? until)
          return sent ?? { error: unanswered(queue.name), maybeStored: true }
        })
      const storeClaims = Effect.forEach(
        claims === undefined ? [] : oversized.map(one => ({ ...one, claims })),
        ({ claims, item, pack }) =>
          Effect.map(beforeDeadline(store(claims, item.envelope, pack, budgetMs, sendPointer(item))), error => {
            if (error !== undefined) refuse(item, error)
          }),
        { concurrency: claimConcurrency, discard: true }
      )
      yield* Effect.all([storeMessages, storeClaims], { concurrency: "unbounded", discard: true })
      for (const some of unstored) some.sort((a, b) => a.from - b.from)
      return unstored
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

const outOfTime = (queue: string, operation: string, reason: "Unavailable" | "Unknown") =>
  new FallbackQueueError({ reason, queue, operation, message: "no answer in time", retryable: false })

const unsent = (error: FallbackQueueError) =>
  error.reason === "Unknown" ? outOfTime(error.queue, error.operation, "Unavailable") : error

const tooLargeError = (queue: string, bytes: number, limit: number) =>
  new FallbackQueueError({
    reason: "Invalid",
    queue,
    operation: "SendMessageBatch",
    message: `the record takes ${bytes} bytes as a message, the queue takes ${limit}`,
    retryable: false
  })
