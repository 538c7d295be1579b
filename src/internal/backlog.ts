/**
 * How much lies in a fallback queue, held against a limit. The level is the queue's last reading and what this instance has
 * stored and deleted since: a burst between two readings is seen, and so is what a replay has made room for.
 *
 * Readings are approximate, and lag behind by up to a minute (Amazon SQS API Reference, `GetQueueAttributes`); what others
 * store in the same queue shows with the next one, and what is stored while a reading is under way may count twice until
 * then. So the limit is approximate, too.
 */
import * as Effect from "effect/Effect"
import type { Service as Queue } from "../FallbackQueue.ts"
import type { Deadline } from "./deadline.ts"
import { makeSignal } from "./signal.ts"

export interface Limit {
  /** The configuration key that sets it, for the errors it causes. */
  readonly key: string
  /** Messages in the queue from which on nothing is diverted. */
  readonly maxMessages: number
  /** How long records may wait to be diverted, ms; 0 refuses them at once. */
  readonly maxWaitMs: number
}

export interface BacklogStatus {
  readonly maxMessages: number
  /** About so many messages are in the queue. */
  readonly messages: number
  /** `open`: below the limit. `holding`: at it, and diverted records wait. `refusing`: they have waited long enough. */
  readonly state: "open" | "holding" | "refusing"
  /** Records refused for the limit's sake since the start. */
  readonly refusedRecords: number
}

/** What waits to be stored, oldest first. */
interface Waiting {
  /** Since when, ms since the epoch. */
  readonly since: number
  readonly parcel: { readonly envelope: { readonly recordCount: number } }
}

export interface Backlog {
  /** The queue, watched. Whoever stores, deletes or asks for the depth must do it here. */
  readonly queue: Queue
  /**
   * Ends when what is pending may be stored, or nothing is. What has waited too long by then is taken out and handed to
   * `refuse`. True: it had to wait. From a shutdown's beginning on everything passes.
   */
  readonly pass: <A extends Waiting>(
    pending: Array<A>,
    refuse: (waiting: A, why: string) => void
  ) => Effect.Effect<boolean>
  readonly status: () => BacklogStatus
}

export const makeBacklog = (queue: Queue, limit: Limit, now: () => number, deadline?: Deadline): Backlog => {
  const { key, maxMessages, maxWaitMs } = limit
  const below = makeSignal()
  /** Messages stored less those deleted, since the start; and the same when the last reading was asked for. */
  let change = 0
  let changeAtReading = 0
  let reading = 0
  let reachedAt: number | undefined
  let refusedRecords = 0

  const level = () => Math.max(0, reading + change - changeAtReading)
  const look = () => {
    if (level() >= maxMessages) {
      reachedAt ??= now()
      return
    }
    if (reachedAt === undefined) return
    reachedAt = undefined
    below.notify()
  }
  const moved = (messages: number) =>
    Effect.sync(() => {
      change += messages
      look()
    })

  const ending = () => deadline?.at() !== undefined

  return {
    queue: {
      ...queue,
      send: entries =>
        queue.send(entries).pipe(
          // What may be there counts until a reading knows better.
          Effect.tap(outcomes =>
            moved(outcomes.filter(one => one._tag === "Stored" || one.error.reason === "Unknown").length)
          ),
          Effect.tapError(({ reason }) => (reason === "Unknown" ? moved(entries.length) : Effect.void))
        ),
      delete: receiptHandle => Effect.zipLeft(queue.delete(receiptHandle), moved(-1)),
      depth: Effect.suspend(() => {
        const before = change
        return Effect.tap(queue.depth, ({ delayed, inFlight, visible }) =>
          Effect.sync(() => {
            reading = delayed + inFlight + visible
            changeAtReading = before
            look()
          })
        )
      })
    },
    pass: (pending, refuse) =>
      Effect.gen(function* () {
        let held = false
        while (reachedAt !== undefined && !ending()) {
          const at = now()
          const why =
            `fallback queue ${queue.name} is at its limit: it holds about ${level()} messages, and ${key} is ` +
            `${maxMessages}. Publish it again later; should that not do, Kafka must come back or the limit be raised`
          while (pending[0] !== undefined && pending[0].since + maxWaitMs <= at) {
            const late = pending.shift()
            if (late === undefined) break
            refusedRecords += late.parcel.envelope.recordCount
            refuse(late, why)
          }
          const [first] = pending
          if (first === undefined) break
          held = true
          yield* Effect.raceAll([
            below.wait,
            Effect.sleep(first.since + maxWaitMs - at),
            deadline === undefined ? Effect.never : deadline.known
          ])
        }
        return held
      }),
    status: () => ({
      maxMessages,
      messages: level(),
      state: reachedAt === undefined ? "open" : now() - reachedAt < maxWaitMs ? "holding" : "refusing",
      refusedRecords
    })
  }
}
