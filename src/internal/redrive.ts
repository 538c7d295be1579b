/**
 * Brings dead letters back to the fallback queue, from where the retry daemon replays them. They are stored there first and
 * deleted here after; all records of a key go in one message, in order; attempts and history go with them.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { ClaimCheckError, Service as Claims } from "../ClaimCheck.ts"
import type { FallbackQueueError, Service as Queue } from "../FallbackQueue.ts"
import { type Letter, open, read } from "./deadLetter.ts"
import type { Dismiss } from "./dismissal.ts"
import { type Filter, matchesWhole, matching, mayMatch, needsRecords } from "./letterFilter.ts"
import { makePark } from "./park.ts"
import type { Look } from "./queueLook.ts"
import { type Chunk, type Piece, piecesOf, plan } from "./redrivePlan.ts"
import { maximumBatchBytes } from "./sqsSize.ts"
import { toTheEnd } from "./toTheEnd.ts"

export interface RedriveOptions {
  readonly filter: Filter
  /** Records to be redriven at most; all by default. */
  readonly maxRecords?: number | undefined
  /** Records per second at most; as fast as the queues allow by default. The retry daemon has a pace of its own. */
  readonly rate?: number | undefined
  /** Only look: nothing is stored and nothing deleted. */
  readonly dryRun?: boolean | undefined
  /** Told now and then how far it is; always the same object. */
  readonly onProgress?: ((sofar: Readonly<Redriven>) => void) | undefined
}

/** What was done, in records unless named otherwise. */
export interface Redriven {
  /** Messages looked at. */
  seen: number
  /** Messages of the dead-letter queue that are gone, their records redriven. */
  messages: number
  /** Stored in the fallback queue. */
  records: number
  /** Not meant, but in a message with some that were: stored anew as dead letters. */
  kept: number
  /** Of `records` and beyond: may lie in two places now, because an answer was missing or a message could not be deleted. */
  twice: number
  /** Not stored: still dead letters. */
  failed: number
  /** Messages that were meant and cannot be read: still dead letters. */
  unreadable: number
  /** Messages whose records in the claim check cannot be had now: still dead letters. */
  withheld: number
  /** Keys with more records than a message holds: their order is not kept. */
  splitKeys: number
  /** The whole queue was looked at. */
  complete: boolean
  /** Why something failed; empty when nothing did. */
  fault: string
}

export interface RedriveDependencies {
  readonly target: Queue
  readonly claims?: Claims | undefined
  readonly dismiss: Dismiss
  readonly idHeader: string
}

/** A letter on its way. */
interface Owner {
  readonly letter: Letter
  /** Positions of the records that have arrived, by envelope. */
  readonly gone: ReadonlyArray<Set<number>>
  /** Records that have still to be tried. */
  waiting: number
}

/** Order is kept among the letters in memory at a time; so many bytes of records are. */
const windowBytes = 64 * 1024 * 1024
/** Records stored by one call at most: what a kill leaves in both queues. */
const chunkRecords = 500
/** A chunk at this share of a second: a pace in larger steps is none. */
const chunkSeconds = 0.25
/** Of the largest message: base64 makes four bytes of three, and attributes and heads need some. */
const chunkShare = 0.6
const parkBudgetMs = 10_000
/** Letters deleted at the same time. */
const concurrency = 32

const countOf = (sets: ReadonlyArray<ReadonlySet<number>>): number => sets.reduce((sum, { size }) => sum + size, 0)

export const redrive = (
  { claims, dismiss, idHeader, target }: RedriveDependencies,
  look: Look,
  { dryRun = false, filter, maxRecords = Number.POSITIVE_INFINITY, onProgress, rate }: RedriveOptions
): Effect.Effect<Redriven, FallbackQueueError> =>
  Effect.gen(function* () {
    const done: Redriven = {
      seen: 0,
      messages: 0,
      records: 0,
      kept: 0,
      twice: 0,
      failed: 0,
      unreadable: 0,
      withheld: 0,
      splitKeys: 0,
      complete: false,
      fault: ""
    }
    const limits = {
      bytes: chunkShare * Math.min((yield* target.limits).maximumMessageBytes, maximumBatchBytes),
      records: Math.max(1, Math.min(chunkRecords, Math.floor((rate ?? Number.POSITIVE_INFINITY) * chunkSeconds)))
    }
    const park = makePark({
      queue: target,
      claims,
      budgetMs: parkBudgetMs,
      onUnknown: records => {
        done.twice += records
      }
    })
    const underway = new Set<Owner>()
    let picked = 0
    let stopped = false
    let nextAt = 0

    const tell = () => {
      done.seen = look.seen()
      done.complete = look.complete()
      onProgress?.(done)
    }

    const failed = (error: FallbackQueueError | ClaimCheckError) => {
      if (done.fault === "") done.fault = error.message
    }

    /** The records of a letter that are meant, as far as more are wanted. */
    const pick = (letter: Letter): ReadonlyArray<Piece<Owner>> => {
      const envelopes = letter.content._tag === "Records" ? letter.content.envelopes : []
      const owner: Owner = { letter, gone: envelopes.map(() => new Set()), waiting: 0 }
      const pieces = envelopes.flatMap((opened, index) => {
        const positions = matching(filter, opened, idHeader).slice(0, maxRecords - picked)
        picked += positions.length
        return piecesOf(owner, letter, opened.envelope, index, opened.records, positions)
      })
      owner.waiting = pieces.length
      if (pieces.length > 0) underway.add(owner)
      return pieces
    }

    const end = (owner: Owner) =>
      Effect.suspend(() => {
        underway.delete(owner)
        const records = countOf(owner.gone)
        // None of it went: it is handed back with the others.
        if (records === 0) return Effect.void
        return Effect.match(dismiss(look, owner.letter, owner.gone), {
          onSuccess: kept => {
            done.messages++
            done.kept += kept
          },
          onFailure: error => {
            done.twice += records
            failed(error)
          }
        })
      })

    const store = (chunk: Chunk<Owner>) =>
      toTheEnd(
        Effect.gen(function* () {
          const unstored = yield* park(chunk.parcels, 0)
          const ended = new Set<Owner>()
          let stored = 0
          chunk.parcels.forEach(({ pieces }, index) => {
            const missing = unstored[index] ?? []
            pieces.forEach(({ owner, place: [envelope, position] }, at) => {
              if (--owner.waiting === 0) ended.add(owner)
              const lost = missing.find(({ count, from }) => at >= from && at < from + count)
              if (lost === undefined) {
                stored++
                owner.gone[envelope]?.add(position)
                return
              }
              done.failed++
              if (lost.error.reason === "Unknown") done.twice++
              failed(lost.error)
            })
          })
          done.records += stored
          if (stored === 0) stopped = true
          yield* Effect.forEach(ended, end, { concurrency, discard: true })
        })
      )

    const pace = (records: number) =>
      Effect.gen(function* () {
        if (rate === undefined) return
        const now = yield* Clock.currentTimeMillis
        const at = Math.max(now, nextAt)
        nextAt = at + (records * 1000) / rate
        if (at > now) yield* Effect.sleep(at - now)
      })

    const go = (pieces: ReadonlyArray<Piece<Owner>>, most = limits) =>
      Effect.gen(function* () {
        const { chunks, splitKeys } = plan(pieces, most, idHeader)
        done.splitKeys += splitKeys
        if (dryRun) {
          done.records += pieces.length
          done.messages += underway.size
          underway.clear()
          return tell()
        }
        for (const chunk of chunks) {
          if (stopped) return
          yield* pace(chunk.records)
          yield* store(chunk)
          tell()
        }
      })

    /** A record in the claim check has a message of its own; one at a time, for each is large. */
    const goClaimed = (letter: Letter) =>
      Effect.gen(function* () {
        if (stopped || picked >= maxRecords) return
        if (dryRun && !needsRecords(filter)) {
          picked += letter.records
          done.records += letter.records
          done.messages++
          return
        }
        const opened = yield* Effect.either(open(letter, claims))
        if (Either.isLeft(opened)) {
          done.withheld++
          return failed(opened.left)
        }
        if (opened.right.content._tag === "Unreadable") done.unreadable++
        else yield* go(pick(opened.right), { bytes: Number.POSITIVE_INFINITY, records: Number.POSITIVE_INFINITY })
      })

    const window = Effect.gen(function* () {
      const pieces: Array<Piece<Owner>> = []
      const claimed: Array<Letter> = []
      let bytes = 0
      while (bytes < windowBytes && picked < maxRecords) {
        const messages = yield* look.next
        tell()
        if (messages.length === 0) return { pieces, claimed, last: true }
        for (const message of messages) {
          const letter = yield* read(message)
          if (!mayMatch(filter, letter)) continue
          if (letter.content._tag === "Claimed") claimed.push(letter)
          else if (letter.content._tag === "Unreadable") done.unreadable += matchesWhole(filter, letter) ? 1 : 0
          else {
            const some = pick(letter)
            if (some.length > 0) bytes += message.body.length
            for (const piece of some) {
              pieces.push(piece)
              bytes += piece.record.tail.length
            }
          }
        }
      }
      return { pieces, claimed, last: picked >= maxRecords }
    })

    const all = Effect.gen(function* () {
      while (!stopped) {
        const { claimed, last, pieces } = yield* window
        yield* go(pieces)
        for (const letter of claimed) yield* goClaimed(letter)
        if (last) break
      }
    })
    // Interrupted in the middle of a letter: what has gone of it goes from here, too.
    const endAll = Effect.suspend(() => Effect.forEach(Array.from(underway), end, { concurrency, discard: true }))
    yield* Effect.ensuring(all, endAll)
    tell()
    return done
  })
