/**
 * Brings parked records back to Kafka: waits while the circuit breaker is open, receives packs, replays their batches
 * through the same client at a careful rate, and deletes a message only after every record in it is settled.
 *
 * An outage is nobody's fault: attempts are counted only when Kafka was there and refused the very record.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Service as BreakerService } from "./CircuitBreaker.ts"
import type { Service as Claims } from "./ClaimCheck.ts"
import type { Service as DeadLetters } from "./DeadLetterQueue.ts"
import type { Envelope } from "./Envelope.ts"
import type { Service as Queue, QueueMessage } from "./FallbackQueue.ts"
import { Copies } from "./internal/copies.ts"
import type { Unmarshaller } from "./internal/gosoline.ts"
import { type Content, readMessage } from "./internal/parkedMessage.ts"
import type { Balancer } from "./internal/partitioner.ts"
import { makeReceiver } from "./internal/receiver.ts"
import { makeReplay, type Tried } from "./internal/replay.ts"
import { attempted, type Buried, makeSettlement, type Settlement } from "./internal/settlement.ts"
import { handBack, outageVisibilitySeconds } from "./internal/visibility.ts"
import type { Service as KafkaService } from "./KafkaClient.ts"

export interface Options {
  /** Topic of messages that name none (gosoline's). */
  readonly topic: string
  readonly balancer: Balancer
  readonly idHeader: string
  readonly batchBytes: number
  /** Budget of one attempt, ms. */
  readonly writeTimeoutMs: number
  readonly maxAttempts: number
  /** Delay before the next attempt of a refused record, ms. */
  readonly afterMs: number
  readonly runnerCount: number
  readonly maxNumberOfMessages: number
  readonly waitTimeSeconds: number
  readonly visibilityMs: number
  readonly unmarshaller: Unmarshaller
  /** Replayed records per second at most. */
  readonly rate?: number | undefined
}

export interface Dependencies {
  readonly queue: Queue
  /** Where pointers lead; without it they are left to an instance that has one. */
  readonly claims?: Claims | undefined
  readonly deadLetters: DeadLetters
  readonly kafka: KafkaService
  readonly breaker: BreakerService
  /** True while live records need what Kafka can take. */
  readonly pressed: () => boolean
  /** Told the first failure of the oldest record among those just received, ms since the epoch. */
  readonly onReceived?: (firstFailureAt: number) => void
  readonly onTried?: (tried: Tried) => void
  readonly onBuried?: (buried: Buried) => void
}

/** What the daemon has done since it started, in records unless named otherwise. */
export interface Counters {
  /** `ReceiveMessage` calls. */
  receives: number
  messages: number
  redelivered: number
  deadLettered: number
  /** The same by reason; see `DeadLetterQueue.Cause`. */
  deadLetters: Record<string, number>
  /** Of attempts that may have reached Kafka all the same: each can be a duplicate. */
  unknown: number
  /** Put back under a new message with what was left of the old one. */
  reparked: number
  /** Messages that could not be read. */
  unreadable: number
}

/** What is left of an envelope, or of a part of one, after a replay. */
export interface Remainder {
  readonly envelope: Envelope
  readonly refused: boolean
}

export interface Service {
  readonly counters: () => Readonly<Counters>
  /** Records per second it would replay at now. */
  readonly rate: () => number
  /**
   * Sends envelopes that lie in no message, at the same careful rate. What Kafka did not take: `refused` when it was there
   * and refused it, which then counts as an attempt. Like a message's replay it is cut short by `stop`.
   */
  readonly replay: (envelopes: ReadonlyArray<Envelope>) => Effect.Effect<ReadonlyArray<Remainder>>
  /**
   * Begins nothing new: what the open long polls still bring is handed back. What is being replayed has `graceMs` to
   * finish and is handed back then. Ends when no message is held any more. Interruptible.
   */
  readonly stop: (graceMs: number) => Effect.Effect<void>
  /**
   * Ends the long polls and waits for what they bring, to hand it back. Comes last: SQS may give a message to a poll
   * nobody listens to any more, and those just handed back or parked are the likeliest. Interruptible.
   */
  readonly endPolls: Effect.Effect<void>
  /** The loops to be supervised. */
  readonly run: Effect.Effect<never>
}

/** A received message and its account. */
interface Received {
  readonly message: QueueMessage
  readonly copies: Copies
}

export class RetryDaemon extends Context.Tag("spillway/RetryDaemon")<RetryDaemon, Service>() {}

export const make = (options: Options, dependencies: Dependencies): Effect.Effect<Service> =>
  Effect.sync(() => {
    const { breaker, claims, deadLetters, kafka, onBuried, onReceived, onTried, pressed, queue } = dependencies
    const counters: Counters = {
      receives: 0,
      messages: 0,
      redelivered: 0,
      deadLettered: 0,
      deadLetters: {},
      unknown: 0,
      reparked: 0,
      unreadable: 0
    }
    const visibilitySeconds = Math.ceil(options.visibilityMs / 1000)
    const onUnknown = (records: number) => {
      counters.unknown += records
    }
    const { rate, replay } = makeReplay({ ...options, kafka, breaker, pressed, onUnknown, onTried })
    const settlement = makeSettlement({ ...options, queue, claims, deadLetters, counters, onBuried })

    /** A message that holds nothing to replay now. */
    const settleOther = (message: QueueMessage, content: Exclude<Content, { _tag: "Envelopes" }>, copies: Copies) =>
      Effect.gen(function* () {
        switch (content._tag) {
          case "Early":
            return yield* handBack(queue, message, content.seconds)
          case "ForOthers": {
            const { warning } = content
            if (warning !== undefined) yield* Effect.logWarning(`retry daemon: a message of ${queue.name} ${warning}`)
            return yield* handBack(queue, message, visibilitySeconds)
          }
          case "Unreadable": {
            counters.unreadable++
            return yield* settlement.bury(message, content.cause, content.records, copies)
          }
          case "Withheld": {
            const { error, records } = content
            yield* Effect.logWarning(`retry daemon: ${error.message}`)
            const seconds = error.retryable ? outageVisibilitySeconds : visibilitySeconds
            return yield* settlement.postpone(message, records, seconds, copies)
          }
        }
      })

    /** Replays messages together, and settles each by itself. What is not settled when this ends early comes back. */
    const settle = (messages: ReadonlyArray<QueueMessage>, settled: (message: QueueMessage) => void) =>
      Effect.suspend(() => {
        const open = new Set(messages.map(message => ({ message, copies: new Copies(counters) })))
        const end = (one: Received, work: ReturnType<Settlement["settle"]>) =>
          Effect.uninterruptibleMask(restore =>
            restore(work).pipe(
              // It becomes visible again by itself: nothing is lost, some records may be sent twice.
              Effect.catchAll(error =>
                Effect.zipRight(one.copies.comesBack, Effect.logWarning(`retry daemon: ${error.message}`))
              ),
              Effect.map(() => {
                open.delete(one)
                settled(one.message)
              })
            )
          )
        const work = Effect.gen(function* () {
          const read: Array<readonly [Received, Extract<Content, { _tag: "Envelopes" }>]> = []
          for (const one of Array.from(open)) {
            const content = yield* readMessage(one.message, { ...options, claims })
            if (content._tag === "Envelopes") read.push([one, content])
            else yield* end(one, settleOther(one.message, content, one.copies))
          }
          if (read.length === 0) return
          const envelopes = read.flatMap(([, { envelopes }]) => envelopes)
          onReceived?.(
            envelopes.reduce((oldest, one) => Math.min(oldest, one.firstFailureAt), Number.POSITIVE_INFINITY)
          )
          const replayed = yield* replay(
            read.flatMap(([{ copies }, { envelopes }]) => envelopes.map(envelope => ({ ...envelope, copies })))
          )
          yield* Effect.forEach(
            read,
            ([one, { claim }]) => {
              const own = replayed.filter(([{ copies }]) => copies === one.copies)
              return end(one, settlement.settle(one.message, own, one.copies, claim))
            },
            { concurrency: "unbounded", discard: true }
          )
        })
        return Effect.onError(work, () => Effect.forEach(open, ({ copies }) => copies.comesBack, { discard: true }))
      })

    const receiver = makeReceiver({
      ...options,
      queue,
      breaker,
      visibilitySeconds,
      counters,
      settle
    })

    return {
      counters: () => counters,
      rate,
      // Nothing is handed back here, so whoever asked hears at the cut what Kafka has. Interrupted, they do not.
      replay: envelopes =>
        Effect.suspend(() => {
          const copies = new Copies(counters)
          const owned = envelopes.map(envelope => ({ ...envelope, copies }))
          return Effect.onError(replay(owned, receiver.cut), () => copies.comesBack)
        }).pipe(
          Effect.map(replayed =>
            replayed.flatMap(([envelope, fate]): ReadonlyArray<Remainder> => {
              if (fate._tag === "Delivered") {
                counters.redelivered += envelope.recordCount
                return []
              }
              const refused = fate._tag === "Refused"
              return [{ envelope: refused ? attempted(envelope, fate.error) : envelope, refused }]
            })
          )
        ),
      stop: receiver.stop,
      endPolls: receiver.endPolls,
      run: receiver.run
    }
  })
