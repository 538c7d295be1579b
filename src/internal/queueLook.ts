/**
 * Looking through a queue that others may use, too: what was seen is held, so that it is not received again, and handed
 * back at once when the look is over, however it ends. A process that is killed leaves it hidden for the visibility timeout.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { FallbackQueueError, Service as Queue, QueueMessage } from "../FallbackQueue.ts"
import { maximumBatchEntries } from "./sqsSize.ts"
import { toTheEnd } from "./toTheEnd.ts"
import { type Handle, handAllBack, hold } from "./visibility.ts"

export interface LookOptions {
  /** How long SQS hides a message if this process does not say otherwise; renewed while the look lasts. */
  readonly visibilitySeconds: number
  /** Messages to be seen at most. */
  readonly maxMessages: number
}

export interface Look {
  /** Messages not seen before, held from now on. None: the end of the queue, or of what may be seen. */
  readonly next: Effect.Effect<ReadonlyArray<QueueMessage>, FallbackQueueError>
  /** Deletes a message that was seen. */
  readonly remove: (message: QueueMessage) => Effect.Effect<void, FallbackQueueError>
  readonly seen: () => number
  /** The queue came to its end before `maxMessages` did. */
  readonly complete: () => boolean
  /** How often the message that was received most often was. */
  readonly receives: () => number
}

/** Long enough that SQS asks all of its servers, s ("Amazon SQS short and long polling"). */
const waitSeconds = 1
/** Receives under way at the same time while they bring about as many as they can. */
const widest = 8
/** Receives that bring nothing new before a queue counts as empty that says it is not. */
const emptyReceives = 3

const again = {
  times: 3,
  while: (error: FallbackQueueError) => error.retryable,
  schedule: Schedule.exponential(200)
}

export const look = <A, E>(
  queue: Queue,
  { maxMessages, visibilitySeconds }: LookOptions,
  use: (look: Look) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    const seen = new Set<string>()
    /** Without their bodies: there may be a hundred thousand. */
    const held = new Map<string, Handle>()
    let receives = 0
    let width = 1
    let complete = false

    // One waits; the others bring what there is at once, and finding nothing says nothing.
    const receive = (max: number, index: number) =>
      Effect.either(
        Effect.retry(queue.receive({ max, waitSeconds: index === 0 ? waitSeconds : 0, visibilitySeconds }), again)
      )

    const take = (messages: ReadonlyArray<QueueMessage>) =>
      messages.filter(message => {
        // Also one seen before, whose visibility could not be renewed: only its newest handle is good.
        held.set(message.messageId, { receiptHandle: message.receiptHandle })
        receives = Math.max(receives, message.receiveCount)
        if (seen.has(message.messageId)) return false
        seen.add(message.messageId)
        return true
      })

    const round = Effect.gen(function* () {
      const room = maxMessages - seen.size
      const asked: Array<number> = []
      for (let left = room; left > 0 && asked.length < width; left -= maximumBatchEntries) {
        asked.push(Math.min(left, maximumBatchEntries))
      }
      const answers = yield* Effect.forEach(asked, receive, { concurrency: "unbounded" })
      const messages = answers.flatMap(answer => take(Either.getOrElse(answer, () => [])))
      const many = messages.length * 2 >= asked.reduce((sum, max) => sum + max, 0)
      width = many ? Math.min(width * 2, widest) : Math.max(1, width >> 1)
      const failed = answers.find(Either.isLeft)
      if (failed !== undefined && messages.length === 0) return yield* failed.left
      return messages
    })

    const next = Effect.gen(function* () {
      for (let empty = 1; !complete && seen.size < maxMessages; empty++) {
        // An answer nobody waits for any more would be hidden from everybody.
        const messages = yield* toTheEnd(round)
        if (messages.length > 0) return messages
        complete = empty >= emptyReceives || (yield* Effect.retry(queue.depth, again)).visible === 0
      }
      return []
    })

    const remove = (message: QueueMessage) =>
      Effect.suspend(() => queue.delete((held.get(message.messageId) ?? message).receiptHandle)).pipe(
        Effect.retry(again),
        Effect.map(() => {
          held.delete(message.messageId)
        })
      )

    // Not raced: who is interrupted in a race does not wait for a receive under way, and what that brings would be held.
    return Effect.acquireUseRelease(
      Effect.forkDaemon(Effect.interruptible(hold(queue, () => held.values(), visibilitySeconds))),
      () => use({ next, remove, seen: () => seen.size, complete: () => complete, receives: () => receives }),
      holding =>
        Effect.zipRight(
          Fiber.interrupt(holding),
          Effect.suspend(() => handAllBack(queue, held.values()))
        )
    )
  })
