/**
 * Takes messages from the fallback queue while the circuit breaker lets it, holds them while they are worked on, and gives
 * back what is not settled, also when it is to stop.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Service as BreakerService } from "../CircuitBreaker.ts"
import type { Service as Queue, QueueMessage } from "../FallbackQueue.ts"
import { isPointerBody } from "./claimPointer.ts"
import { makeSignal } from "./signal.ts"
import { maximumBatchBytes } from "./sqsSize.ts"
import { handBack, hold, outageVisibilitySeconds } from "./visibility.ts"

export interface ReceiverOptions {
  readonly queue: Queue
  readonly breaker: BreakerService
  readonly runnerCount: number
  readonly maxNumberOfMessages: number
  readonly waitTimeSeconds: number
  readonly visibilitySeconds: number
  /** `ReceiveMessage` calls and what they brought: added to here. */
  readonly counters: { receives: number; messages: number }
  /** Settles messages together; `settled` is told of each one whose time is over. Interrupted, the others are handed back. */
  readonly settle: (
    messages: ReadonlyArray<QueueMessage>,
    settled: (message: QueueMessage) => void
  ) => Effect.Effect<void>
}

export interface Receiver {
  /** See `RetryDaemon`. */
  readonly stop: (graceMs: number) => Effect.Effect<void>
  readonly endPolls: Effect.Effect<void>
  /** Comes when `stop` waits no longer: what is held is handed back, whatever became of it so far. */
  readonly cut: Effect.Effect<void>
  readonly run: Effect.Effect<never>
}

/** Pause after a failed receive; doubles up to the second figure, ms. */
const receivePauseMs = { first: 200, most: 10_000 }
/** How long an open poll may take to bring what SQS has given it already, when it is to end, ms. */
const answerOnItsWayMs = 250

/**
 * Messages are replayed together up to so many bytes of their bodies, as many as one can have: what they hold is in memory at
 * the same time.
 */
const togetherBytes = maximumBatchBytes

/** Small messages with their neighbours, others alone: a runner's cost is that of a message, not of its records. */
export const together = (messages: ReadonlyArray<QueueMessage>): ReadonlyArray<ReadonlyArray<QueueMessage>> => {
  const groups: Array<Array<QueueMessage>> = []
  let room = 0
  for (const message of messages) {
    const size = isPointerBody(message.body) ? togetherBytes : message.body.length
    const last = groups[groups.length - 1]
    if (last !== undefined && size <= room) last.push(message)
    else {
      groups.push([message])
      room = togetherBytes
    }
    room -= size
  }
  return groups
}

export const makeReceiver = (options: ReceiverOptions): Receiver => {
  const { breaker, counters, queue, settle, visibilitySeconds } = options
  const idle = makeSignal()
  const cut = Effect.unsafeMakeLatch(false)
  /** Open: long polls end. */
  const ended = Effect.unsafeMakeLatch(false)
  let stopping = false
  let working = 0
  let polling = 0

  const giveUp = (messages: Iterable<QueueMessage>, seconds: number) =>
    Effect.forEach(messages, message => handBack(queue, message, seconds), { concurrency: "unbounded", discard: true })

  const handle = (messages: ReadonlyArray<QueueMessage>) =>
    Effect.suspend(() => {
      const held = new Set(messages)
      const giveBack = Effect.suspend(() => giveUp(held, 0))
      return settle(messages, message => held.delete(message)).pipe(
        Effect.as(false),
        Effect.raceFirst(Effect.as(cut.await, true)),
        Effect.flatMap(wasCut => (wasCut ? giveBack : Effect.void)),
        Effect.raceFirst(hold(queue, () => held, visibilitySeconds)),
        Effect.onInterrupt(() => giveBack)
      )
    })

  /** Handles what one receive brought, in order. What is not begun when it is interrupted goes back. */
  const handleAll = (messages: ReadonlyArray<QueueMessage>) => {
    const waiting = new Set(messages)
    return Effect.forEach(
      together(messages),
      group =>
        Effect.suspend(() => {
          for (const message of group) waiting.delete(message)
          if (!stopping && breaker.status().state !== "open") return handle(group)
          const seconds = stopping ? 0 : outageVisibilitySeconds
          return giveUp(group, seconds)
        }),
      { discard: true }
    ).pipe(
      // The current messages are held by `handle`; those behind must not become visible to another runner either.
      Effect.raceFirst(hold(queue, () => waiting, visibilitySeconds)),
      Effect.onInterrupt(() => giveUp(waiting, 0)),
      Effect.ensuring(
        Effect.sync(() => {
          working--
          idle.notify()
        })
      )
    )
  }

  /** One long poll. What it brings is held from that moment on, whoever else wanted it to end. */
  const receive = Effect.suspend(() => {
    counters.receives++
    polling++
    const probing = breaker.status().state !== "closed"
    let brought: ReadonlyArray<QueueMessage> = []
    const poll = queue.receive({
      max: probing ? 1 : options.maxNumberOfMessages,
      waitSeconds: options.waitTimeSeconds,
      visibilitySeconds
    })
    return poll.pipe(
      Effect.map(messages => {
        brought = messages
        if (messages.length > 0) working++
      }),
      Effect.ensuring(
        Effect.sync(() => {
          polling--
          idle.notify()
        })
      ),
      // An outage does not end it: SQS may give the next message to a poll that was given up, and hide it for the
      // whole visibility timeout. What an open one brings is handed back.
      Effect.raceFirst(ended.await),
      Effect.map(() => brought)
    )
  })

  const runner = Effect.gen(function* () {
    let pause = receivePauseMs.first
    let fault = ""
    while (true) {
      if (stopping) return yield* Effect.never
      yield* breaker.untilPassable
      if (stopping) continue
      const received = yield* Effect.either(receive)
      if (Either.isLeft(received)) {
        // What goes on failing the same way is said once.
        if (received.left.reason !== fault) {
          yield* Effect.logWarning(`retry daemon: receive from ${queue.name}: ${received.left.message}`)
        }
        fault = received.left.reason
        yield* Effect.sleep(pause)
        pause = Math.min(pause * 2, receivePauseMs.most)
        continue
      }
      if (fault !== "") yield* Effect.log(`retry daemon: receiving from ${queue.name} again`)
      fault = ""
      pause = receivePauseMs.first
      if (received.right.length === 0) {
        yield* Effect.sleep(20)
        continue
      }
      counters.messages += received.right.length
      yield* handleAll(received.right)
    }
  })

  const until = (quiet: () => boolean) =>
    Effect.unless(Effect.repeat(idle.wait, { until: quiet }), quiet).pipe(Effect.asVoid)
  const nothingHeld = until(() => working === 0)

  return {
    stop: graceMs =>
      Effect.suspend(() => {
        stopping = true
        return Effect.timeoutOption(nothingHeld, graceMs)
      }).pipe(Effect.zipRight(cut.open), Effect.zipRight(nothingHeld)),
    endPolls: Effect.suspend(() => {
      const quiet = until(() => polling === 0 && working === 0)
      return Effect.timeoutOption(quiet, answerOnItsWayMs).pipe(Effect.zipRight(ended.open), Effect.zipRight(quiet))
    }),
    cut: cut.await,
    run: Effect.zipRight(
      Effect.all(
        Array.from({ length: options.runnerCount }, () => runner),
        { concurrency: "unbounded" }
      ),
      Effect.never
    )
  }
}
