/**
 * When a received message is seen again. That a change fails is no error: SQS's own timeout decides then.
 */
import * as Effect from "effect/Effect"
import type { Service as Queue, QueueMessage } from "../FallbackQueue.ts"

/** The largest visibility timeout SQS takes, seconds. */
export const longestVisibilitySeconds = 43_200
/** Changes under way at the same time: a queue that is looked through holds many messages. */
const concurrency = 64
/** How long a message stays away whose replay an outage cut short, seconds. */
export const outageVisibilitySeconds = 5

/** What of a message its visibility is changed by. */
export type Handle = Pick<QueueMessage, "receiptHandle">

/** Gives a message up: it is seen again in so many seconds. */
export const handBack = (queue: Queue, message: Handle, seconds: number): Effect.Effect<void> =>
  Effect.ignore(queue.changeVisibility(message.receiptHandle, seconds))

/** Keeps messages from being seen, by a new timeout of so many seconds at each half of it. */
export const hold = (queue: Queue, messages: () => Iterable<Handle>, seconds: number): Effect.Effect<never> =>
  Effect.forever(
    Effect.zipRight(
      Effect.sleep((seconds * 1000) / 2),
      Effect.suspend(() =>
        Effect.forEach(
          Array.from(messages()),
          ({ receiptHandle }) => Effect.ignore(queue.changeVisibility(receiptHandle, seconds)),
          { concurrency, discard: true }
        )
      )
    )
  )

/**
 * Gives messages up: they are seen again at once. Asked again where that may help: somebody waits for them. Where it does not,
 * the queue is away, and thousands of others would only keep whoever waits for the end of this.
 */
export const handAllBack = (queue: Queue, messages: Iterable<Handle>): Effect.Effect<void> =>
  Effect.suspend(() => {
    let away = false
    return Effect.forEach(
      Array.from(messages),
      ({ receiptHandle }) =>
        Effect.suspend(() => {
          if (away) return Effect.void
          const back = queue.changeVisibility(receiptHandle, 0)
          return Effect.catchAll(Effect.retry(back, { times: 3, while: error => !away && error.retryable }), error =>
            Effect.sync(() => {
              away ||= error.retryable
            })
          )
        }),
      { concurrency, discard: true }
    )
  })
