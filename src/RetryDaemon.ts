/**
 * Brings parked records back to Kafka: waits while the circuit breaker is open, receives packs, replays their batches
 * through the same client at a careful rate, and deletes a message only after every record in it is settled.
 *
 * An outage is nobody's fault: attempts are counted only when Kafka was there and refused the very record.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Service as BreakerService } from "./CircuitBreaker.ts"
import type { Claim, ClaimCheckError, Service as Claims } from "./ClaimCheck.ts"
import type { Service as DeadLetters } from "./DeadLetterQueue.ts"
import * as Envelope from "./Envelope.ts"
import type { FallbackQueueError, Service as Queue, QueueMessage } from "./FallbackQueue.ts"
import { BatchBuilder, idHeaderPrefix } from "./internal/batchBuilder.ts"
import { BufferPool } from "./internal/bufferPool.ts"
import * as ClaimPointer from "./internal/claimPointer.ts"
import { discard } from "./internal/claims.ts"
import { type Unmarshaller, unmarshal } from "./internal/gosoline.ts"
import { isDivisible } from "./internal/kafkaErrors.ts"
import { Pacer } from "./internal/pacer.ts"
import { makePark, type Unstored } from "./internal/park.ts"
import { type Balancer, Partitioner } from "./internal/partitioner.ts"
import { divide, rounds, type Unit } from "./internal/replayUnits.ts"
import { makeSignal } from "./internal/signal.ts"
import type { KafkaError, Service as KafkaService, ProduceOutcome } from "./KafkaClient.ts"
import * as RecordBatch from "./RecordBatch.ts"

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
}

/** What the daemon has done since it started, in records unless named otherwise. */
export interface Counters {
  /** `ReceiveMessage` calls. */
  receives: number
  messages: number
  redelivered: number
  deadLettered: number
  /** Of attempts that may have reached Kafka all the same: each can be a duplicate. */
  unknown: number
  /** Put back under a new message with what was left of the old one. */
  reparked: number
  /** Messages that could not be read. */
  unreadable: number
}

/** What is left of an envelope, or of a part of one, after a replay. */
export interface Remainder {
  readonly envelope: Envelope.Envelope
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
  readonly replay: (envelopes: ReadonlyArray<Envelope.Envelope>) => Effect.Effect<ReadonlyArray<Remainder>>
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

export class RetryDaemon extends Context.Tag("spillway/RetryDaemon")<RetryDaemon, Service>() {}

/** The largest visibility timeout SQS takes, seconds. */
const longestVisibilitySeconds = 43_200
/** An answer within this time is healthy, ms. */
const healthyMs = 250
/** Pause after a failed receive; doubles up to the second figure, ms. */
const receivePauseMs = { first: 200, most: 10_000 }
/** A message this close to the end of its retention is stored anew, as a share of the retention. */
const retentionShare = 0.8
/** How long an open poll may take to bring what SQS has given it already, when it is to end, ms. */
const answerOnItsWayMs = 250
/** Budget for storing again what is left of a message, ms. */
const parkBudgetMs = 10_000
/** How long a message stays away whose replay an outage cut short, seconds. */
const outageVisibilitySeconds = 5

/** Refusals of a present and working Kafka that are not final: these are what `max_attempts` counts. */
const countedReasons: ReadonlySet<string> = new Set([
  "UNKNOWN_TOPIC_OR_PARTITION",
  "UNKNOWN_TOPIC_ID",
  "CORRUPT_MESSAGE",
  "INVALID_REQUEST",
  "UNSUPPORTED_VERSION",
  "UNKNOWN_SERVER_ERROR"
])

/** Records of one message that have, or may have, a place elsewhere: should it come back, each is there twice. */
interface Copies {
  elsewhere: number
  /** Of them: counted as redelivered. */
  redelivered: number
}

/** How an envelope fared. */
type Fate =
  | { readonly _tag: "Delivered" }
  /** Kafka was not there, or it is unknown whether it took the records. */
  | { readonly _tag: "Outage" }
  | { readonly _tag: "Refused"; readonly error: KafkaError }

export const make = (options: Options, dependencies: Dependencies): Effect.Effect<Service> =>
  Effect.sync(() => {
    const { breaker, claims, deadLetters, kafka, pressed, queue } = dependencies
    const counters: Counters = {
      receives: 0,
      messages: 0,
      redelivered: 0,
      deadLettered: 0,
      unknown: 0,
      reparked: 0,
      unreadable: 0
    }
    const pacer = new Pacer(options.rate)
    const park = makePark({
      queue,
      claims,
      budgetMs: parkBudgetMs,
      whole: true,
      onUnknown: records => {
        counters.unknown += records
      }
    })
    const partitioner = new Partitioner(options.balancer)
    const partitionCounts = new Map<string, number>()
    const visibilitySeconds = Math.ceil(options.visibilityMs / 1000)
    const idle = makeSignal()
    /** Open: what is held is handed back, whatever became of it so far. */
    const cut = Effect.unsafeMakeLatch(false)
    /** Open: long polls end. */
    const ended = Effect.unsafeMakeLatch(false)
    let stopping = false
    let working = 0
    let polling = 0
    breaker.onChange((scope, state) => {
      if (scope === "cluster" && state === "open") pacer.restart()
    })

    const handBack = (message: QueueMessage, seconds: number) =>
      Effect.ignore(queue.changeVisibility(message.receiptHandle, seconds))

    const firstIdOf = ({ batch }: Envelope.Envelope): string => RecordBatch.firstId(batch, options.idHeader)

    /** Learns partition counts of topics not seen yet, or whose records were parked under another count. */
    const learn = (topics: ReadonlyArray<string>) =>
      Effect.map(kafka.metadata(topics, options.writeTimeoutMs), found => {
        for (const topic of found) {
          if (topic._tag === "Topic") partitionCounts.set(topic.topic, topic.partitions.length)
          else partitionCounts.delete(topic.topic)
        }
        return new Map(found.map(topic => [topic.topic, topic]))
      })

    /** Gives every record its partition again, where there was none or the topic has more partitions now. */
    const replaced = (envelope: Envelope.Envelope, count: number): ReadonlyArray<Envelope.Envelope> => {
      const read = RecordBatch.records(envelope.batch)
      if (Either.isLeft(read))
        return [{ ...envelope, partition: Math.max(0, envelope.partition), partitionCount: count }]
      const byPartition = new Map<number, Array<RecordBatch.ReadRecord>>()
      const view = { count, usable: () => true, bytes: () => 0 }
      for (const record of read.right) {
        const partition = partitioner.choose(record.key, view)
        const same = byPartition.get(partition)
        if (same === undefined) byPartition.set(partition, [record])
        else same.push(record)
      }
      return Array.from(byPartition, ([partition, records]) => ({
        ...envelope,
        partition,
        partitionCount: count,
        recordCount: records.length,
        batch: RecordBatch.fromRecords(records)
      }))
    }

    /** Sends units, one per partition, until each has its fate or the attempt's time is over. */
    const send = (units: ReadonlyArray<Unit>, fates: Map<Unit, Fate>, copies: Copies) =>
      Effect.gen(function* () {
        const startedAt = yield* Clock.currentTimeMillis
        const endsAt = startedAt + options.writeTimeoutMs
        let pending = units.map(unit => ({
          unit,
          permit: breaker.acquire(unit.topic, unit.partition),
          batch: { ...unit, idempotent: false as const, maybeWritten: false }
        }))
        for (const { permit, unit } of pending) if (permit === undefined) fates.set(unit, { _tag: "Outage" })
        pending = pending.filter(({ permit }) => permit !== undefined)
        const settle = (one: (typeof pending)[number], outcome: ProduceOutcome, now: number): boolean => {
          if (outcome._tag === "Delivered") {
            fates.set(one.unit, { _tag: "Delivered" })
            copies.elsewhere += one.unit.recordCount
            if (one.permit !== undefined) breaker.settle(one.permit, "success", now - startedAt)
            return false
          }
          const { error } = outcome
          if (error.retryable && now + retryPauseMs < endsAt) return true
          if (error.class === "Unknown") counters.unknown += one.unit.recordCount
          const refused = error.class === "Permanent" || countedReasons.has(error.reason)
          fates.set(one.unit, refused ? { _tag: "Refused", error } : { _tag: "Outage" })
          if (one.permit !== undefined) {
            breaker.settle(one.permit, refused ? "ignored" : "failure", now - startedAt, error.reason)
          }
          return false
        }
        const abandoned = Effect.sync(() => {
          for (const { permit, unit } of pending) {
            if (permit !== undefined && !fates.has(unit)) breaker.settle(permit, "ignored", 0)
          }
        })
        /** Nobody waits for the answer any more. */
        const unheard = Effect.sync(() => {
          for (const { unit } of pending) counters.unknown += unit.recordCount
        })
        const attempts = Effect.gen(function* () {
          while (pending.length > 0) {
            const at = yield* Clock.currentTimeMillis
            const attempt = kafka.produce(
              pending.map(({ batch }) => batch),
              Math.max(1, endsAt - at)
            )
            const outcomes = yield* Effect.onInterrupt(attempt, () => unheard)
            const now = yield* Clock.currentTimeMillis
            pending = pending.filter((one, index) => {
              const outcome = outcomes[index]
              return outcome !== undefined && settle(one, outcome, now)
            })
            if (now - at > healthyMs || pressed()) pacer.slowDown()
            else if (pending.length === 0) pacer.speedUp()
            if (pending.length === 0) return
            yield* Effect.ignore(kafka.metadata(Array.from(new Set(pending.map(({ unit }) => unit.topic))), 500))
            yield* Effect.sleep(retryPauseMs)
          }
        })
        yield* Effect.ensuring(attempts, abandoned)
      })

    /**
     * Everything one message held, each envelope with its fate. Divided ones appear as their parts. What has no fate yet
     * when `ends` does stays where it was.
     */
    const replay = (
      envelopes: ReadonlyArray<Envelope.Envelope>,
      copies: Copies,
      ends: Effect.Effect<void> = Effect.never
    ) =>
      Effect.gen(function* () {
        const results: Array<readonly [Envelope.Envelope, Fate]> = []
        const unseen = new Set(envelopes.map(({ topic }) => topic).filter(topic => !partitionCounts.has(topic)))
        if (unseen.size > 0) {
          const found = yield* Effect.either(learn(Array.from(unseen)))
          if (Either.isLeft(found)) return envelopes.map(envelope => [envelope, { _tag: "Outage" }] as const)
          for (const envelope of envelopes) {
            const topic = found.right.get(envelope.topic)
            if (topic?._tag !== "TopicFailed") continue
            const refused = topic.error.class === "Permanent"
            results.push([envelope, refused ? { _tag: "Refused", error: topic.error } : { _tag: "Outage" }])
          }
        }
        const placed = envelopes.flatMap(envelope => {
          const count = partitionCounts.get(envelope.topic)
          if (count === undefined) return []
          const keeps = envelope.partition >= 0 && (envelope.partitionFixed || envelope.partitionCount === count)
          return keeps ? [envelope] : replaced(envelope, count)
        })
        let queued = rounds(placed, options.batchBytes)
        for (let index = 0; index < queued.length; index++) {
          const units = queued[index] ?? []
          const now = yield* Clock.currentTimeMillis
          const wait = pacer.take(
            units.reduce((sum, unit) => sum + unit.recordCount, 0),
            now
          )
          const fates = new Map<Unit, Fate>()
          yield* Effect.raceFirst(
            Effect.zipRight(wait >= 1 ? Effect.sleep(wait) : Effect.void, send(units, fates, copies)),
            ends
          )
          for (const unit of units) {
            const fate = fates.get(unit) ?? { _tag: "Outage" }
            // Recreated, or changed in its partitions: look again before the next attempt.
            if (fate._tag === "Refused" && fate.error.retryable) partitionCounts.delete(unit.topic)
            const [only] = unit.envelopes
            if (fate._tag !== "Refused" || fate.error.retryable || only === undefined) {
              for (const envelope of unit.envelopes) results.push([envelope, fate])
            } else if (unit.envelopes.length > 1) {
              // Merged by us: find out whose record it is.
              queued = [...queued, ...unit.envelopes.flatMap(envelope => rounds([envelope], 0))]
            } else {
              const parts = isDivisible(fate.error.reason) ? divide(only, fate.error.culprits) : undefined
              if (parts === undefined) results.push([only, fate])
              else queued = [...queued, ...parts.flatMap(part => rounds([part], 0))]
            }
          }
          // Without Kafka the rest is not worth trying.
          if (results.some(([, fate]) => fate._tag === "Outage")) {
            for (const unit of queued.slice(index + 1).flat()) {
              for (const envelope of unit.envelopes) results.push([envelope, { _tag: "Outage" }])
            }
            break
          }
        }
        return results
      })

    /**
     * The same for envelopes that lie in no message: nothing is handed back, so whoever asked hears at the cut what Kafka
     * has. Interrupted, they do not.
     */
    const replayLoose = (envelopes: ReadonlyArray<Envelope.Envelope>) =>
      Effect.suspend(() => {
        const copies: Copies = { elsewhere: 0, redelivered: 0 }
        return Effect.onError(replay(envelopes, copies, cut.await), () => comesBack(copies))
      })

    const bury = (envelope: Envelope.Envelope, error: KafkaError, reason: string) =>
      Effect.tap(
        deadLetters.put(envelope, firstIdOf(envelope), { reason, errorClass: error.class, message: error.message }),
        () =>
          Effect.sync(() => {
            counters.deadLettered += envelope.recordCount
          })
      )

    /** Stores envelopes as a new message; false when that failed, so that the old message must stay. */
    const repark = (envelopes: ReadonlyArray<Envelope.Envelope>, delayMs: number) =>
      Effect.map(
        park(
          envelopes.map(envelope => ({ envelope, firstId: firstIdOf(envelope) })),
          delayMs
        ),
        unstored => {
          const missing = unstored.flat().reduce((sum, { count }) => sum + count, 0)
          const stored = recordsOf(envelopes) - missing
          if (missing === 0) counters.reparked += stored
          // Those are in the queue twice now, and those without an answer may be.
          else counters.unknown += stored + unheardOf(unstored.flat())
          return missing === 0
        }
      )

    /** A message keeps its age through every receive: stored anew, it outlives an outage of any length. */
    const isOld = (message: QueueMessage) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const { retentionSeconds } = yield* queue.limits
        return now - message.sentAt > retentionSeconds * 1000 * retentionShare
      })

    /** The message comes back although some of it has a place elsewhere. */
    const comesBack = (copies: Copies) =>
      Effect.sync(() => {
        counters.unknown += copies.elsewhere
        counters.redelivered -= copies.redelivered
        Object.assign(copies, { elsewhere: 0, redelivered: 0 })
      })

    /** Gives records another place. From its begin on they may be there; `placed` says whether they are. */
    const place = <A, E extends { readonly reason: string }>(
      copies: Copies,
      records: number,
      work: Effect.Effect<A, E>,
      placed: (answer: A) => boolean
    ): Effect.Effect<A, E> => {
      const add = (count: number) =>
        Effect.sync(() => {
          copies.elsewhere += count
        })
      return Effect.zipRight(add(records), work).pipe(
        Effect.tap(answer => (placed(answer) ? Effect.void : add(-records))),
        Effect.tapError(({ reason }) => (reason === "Unknown" ? Effect.void : add(-records)))
      )
    }

    /** Settles every record of a message, then deletes it, and what it points to; or leaves it for later, whole. */
    const settleAll = (
      message: QueueMessage,
      results: ReadonlyArray<readonly [Envelope.Envelope, Fate]>,
      copies: Copies,
      claim?: Claim
    ) => {
      const delivered = recordsOf(results.filter(([, fate]) => fate._tag === "Delivered").map(([envelope]) => envelope))
      const leave = Effect.zipRight(comesBack(copies), handBack(message, outageVisibilitySeconds))
      const placeAgain = (envelopes: ReadonlyArray<Envelope.Envelope>, delayMs: number) =>
        place(copies, recordsOf(envelopes), repark(envelopes, delayMs), stored => stored)
      const placeDead = (envelope: Envelope.Envelope, error: KafkaError, reason: string) =>
        place(copies, envelope.recordCount, bury(envelope, error, reason), () => true)
      return Effect.gen(function* () {
        counters.redelivered += delivered
        copies.redelivered = delivered
        const left: Array<Envelope.Envelope> = []
        const again: Array<Envelope.Envelope> = []
        let settled = delivered > 0
        for (const [envelope, fate] of results) {
          if (fate._tag === "Delivered") continue
          if (fate._tag === "Outage") left.push(envelope)
          else if (!fate.error.retryable && fate.error.class === "Permanent") {
            yield* placeDead(envelope, fate.error, fate.error.reason)
            settled = true
          } else {
            const tried = attempted(envelope, fate.error)
            if (tried.attempts >= options.maxAttempts) {
              yield* placeDead(tried, fate.error, "MAX_ATTEMPTS")
              settled = true
            } else again.push(tried)
          }
        }
        if (!settled && again.length === 0) {
          const renewed = (yield* isOld(message)) && (yield* placeAgain(left, 0))
          return yield* renewed ? remove(message, claim) : handBack(message, outageVisibilitySeconds)
        }
        if (left.length > 0 && !(yield* placeAgain(left, 0))) return yield* leave
        if (again.length > 0 && !(yield* placeAgain(again, options.afterMs))) return yield* leave
        yield* remove(message, claim)
      })
    }

    /** The message first: as long as it is there, what it points to must be. */
    const remove = (message: QueueMessage, claim?: Claim) =>
      Effect.zipRight(
        Effect.retry(queue.delete(message.receiptHandle), { times: 3, while: error => error.retryable }),
        claim === undefined || claims === undefined ? Effect.void : discard(claims, claim)
      )

    /** A message that is no pack of ours: gosoline's, or unreadable. */
    const foreign = (message: QueueMessage, error: Envelope.PackError, copies: Copies) =>
      Effect.gen(function* () {
        if (error.reason === "Foreign") {
          const read = unmarshal(options.unmarshaller, message.body, { topic: options.topic })
          if (read._tag === "Record") {
            const idHeader = { name: options.idHeader, prefix: idHeaderPrefix(options.idHeader) }
            const builder = new BatchBuilder(new BufferPool(0), idHeader, 0, message.sentAt)
            // Its message id identifies it on every further receive, as a random one would not.
            const record = { key: read.key, value: read.value, headers: read.headers, id: message.messageId }
            builder.append(record, message.sentAt, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
            const envelope: Envelope.Envelope = {
              topic: read.topic,
              partition: -1,
              partitionCount: 0,
              partitionFixed: false,
              attempts: 0,
              firstFailureAt: message.sentAt,
              notBefore: 0,
              lastError: "",
              origin: "",
              traceParent: "",
              recordCount: 1,
              batch: RecordBatch.parkable(builder.finish().bytes)
            }
            return yield* settleAll(message, yield* replay([envelope], copies), copies)
          }
          counters.unreadable++
          const cause = { reason: "FOREIGN_MESSAGE_BODY", errorClass: "Permanent", message: read.reason }
          yield* deadLetters.putMessage(message, cause)
          return yield* remove(message)
        }
        // A newer Spillway of the fleet will read it.
        if (error.reason === "UnsupportedVersion") return yield* handBack(message, visibilitySeconds)
        counters.unreadable++
        const cause = { reason: "CORRUPT_MESSAGE_BODY", errorClass: "Permanent", message: error.message }
        yield* deadLetters.putMessage(message, cause)
        yield* remove(message)
      })

    /** A pointer whose object cannot be had: for good, or for now. */
    const unclaimed = (
      message: QueueMessage,
      { recordCount }: ClaimPointer.ClaimPointer,
      error: ClaimCheckError,
      copies: Copies
    ) =>
      Effect.gen(function* () {
        if (error.reason === "NotFound" || error.reason === "Corrupt") {
          const reason = error.reason === "NotFound" ? "CLAIM_NOT_FOUND" : "CLAIM_CORRUPT"
          const cause = { reason, errorClass: "Permanent", message: error.message }
          yield* place(copies, recordCount, deadLetters.putMessage(message, cause), () => true)
          counters.unreadable++
          counters.deadLettered += recordCount
          // A damaged object stays: the dead letter points to it.
          return yield* remove(message)
        }
        yield* Effect.logWarning(`retry daemon: ${error.message}`)
        const { attributes, body } = message
        const renew = Effect.map(
          queue.send([{ body, attributes, delaySeconds: 0 }]),
          ([outcome]) => outcome?._tag === "Stored"
        )
        const renewed = (yield* isOld(message)) && (yield* place(copies, recordCount, renew, stored => stored))
        if (renewed) return yield* remove(message)
        yield* handBack(message, error.retryable ? outageVisibilitySeconds : visibilitySeconds)
      })

    /** Fetches what a pointer stands for, once it is due, and replays it. */
    const claimed = (message: QueueMessage, copies: Copies) =>
      Effect.gen(function* () {
        const read = ClaimPointer.fromBody(message.body)
        if (Either.isLeft(read)) return yield* foreign(message, read.left, copies)
        const pointer = read.right
        if (claims === undefined) {
          yield* Effect.logWarning(
            `retry daemon: a message of ${queue.name} points to ${pointer.claim.key} in bucket ${pointer.claim.bucket}, and no claim check is configured`
          )
          return yield* handBack(message, visibilitySeconds)
        }
        if (yield* early(message, pointer.notBefore)) return
        const pack = yield* Effect.either(claims.get(pointer.claim))
        if (Either.isLeft(pack)) return yield* unclaimed(message, pointer, pack.left, copies)
        yield* replayPack(message, Envelope.expand(pack.right), copies, pointer.claim)
      })

    /** Hands a message back that is not due yet; then true. */
    const early = (message: QueueMessage, due: number) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        if (due <= now) return false
        yield* handBack(message, Math.min(Math.ceil((due - now) / 1000), longestVisibilitySeconds))
        return true
      })

    const replayPack = (
      message: QueueMessage,
      pack: Effect.Effect<ReadonlyArray<Envelope.Envelope>, Envelope.PackError>,
      copies: Copies,
      claim?: Claim
    ) =>
      Effect.gen(function* () {
        const read = yield* Effect.either(pack)
        if (Either.isLeft(read)) return yield* foreign(message, read.left, copies)
        const broken = read.right.find(({ batch }) => Either.isLeft(RecordBatch.info(batch)))
        if (broken !== undefined) {
          return yield* foreign(
            message,
            new Envelope.PackError({ reason: "Corrupt", message: "a record batch in it is broken" }),
            copies
          )
        }
        if (yield* early(message, Math.max(...read.right.map(({ notBefore }) => notBefore)))) return
        yield* settleAll(message, yield* replay(read.right, copies), copies, claim)
      })

    const settleMessage = (message: QueueMessage, copies: Copies) =>
      Effect.suspend(() =>
        ClaimPointer.isPointerBody(message.body)
          ? claimed(message, copies)
          : replayPack(message, Envelope.fromBody(message.body), copies)
      ).pipe(Effect.onError(() => comesBack(copies)))

    const handle = (message: QueueMessage) =>
      Effect.suspend(() => settleMessage(message, { elsewhere: 0, redelivered: 0 })).pipe(
        Effect.as(false),
        Effect.raceFirst(Effect.as(cut.await, true)),
        Effect.flatMap(wasCut => (wasCut ? handBack(message, 0) : Effect.void)),
        Effect.catchAll((error: FallbackQueueError | ClaimCheckError) =>
          // It becomes visible again by itself: nothing is lost, some records may be sent twice.
          Effect.logWarning(`retry daemon: ${error.message}`)
        ),
        Effect.raceFirst(
          Effect.forever(
            Effect.zipRight(
              Effect.sleep((visibilitySeconds * 1000) / 2),
              Effect.ignore(queue.changeVisibility(message.receiptHandle, visibilitySeconds))
            )
          )
        ),
        Effect.onInterrupt(() => handBack(message, 0))
      )

    /** Handles what one receive brought, in order. What is not begun when it is interrupted goes back. */
    const handleAll = (messages: ReadonlyArray<QueueMessage>) => {
      const waiting = new Set(messages)
      // The current message is held by `handle`; those behind it must not become visible to another runner either.
      const hold = Effect.forever(
        Effect.zipRight(
          Effect.sleep((visibilitySeconds * 1000) / 2),
          Effect.suspend(() =>
            Effect.forEach(
              Array.from(waiting),
              message => Effect.ignore(queue.changeVisibility(message.receiptHandle, visibilitySeconds)),
              { concurrency: "unbounded", discard: true }
            )
          )
        )
      )
      return Effect.forEach(
        messages,
        message =>
          Effect.suspend(() => {
            waiting.delete(message)
            const blocked = stopping || breaker.status().state === "open"
            return blocked ? handBack(message, stopping ? 0 : outageVisibilitySeconds) : handle(message)
          }),
        { discard: true }
      ).pipe(
        Effect.raceFirst(hold),
        Effect.onInterrupt(() => Effect.forEach(waiting, message => handBack(message, 0), { discard: true })),
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
    const until = (quiet: () => boolean) =>
      Effect.unless(Effect.repeat(idle.wait, { until: quiet }), quiet).pipe(Effect.asVoid)

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

    return {
      counters: () => counters,
      rate: () => pacer.rate,
      replay: envelopes =>
        Effect.map(replayLoose(envelopes), results =>
          results.flatMap(([envelope, fate]): ReadonlyArray<Remainder> => {
            if (fate._tag === "Delivered") {
              counters.redelivered += envelope.recordCount
              return []
            }
            const refused = fate._tag === "Refused"
            const left = refused ? attempted(envelope, fate.error) : envelope
            return [{ envelope: left, refused }]
          })
        ),
      stop: graceMs =>
        Effect.suspend(() => {
          stopping = true
          return Effect.timeoutOption(
            until(() => working === 0),
            graceMs
          )
        }).pipe(Effect.zipRight(cut.open), Effect.zipRight(until(() => working === 0))),
      endPolls: Effect.suspend(() => {
        const quiet = until(() => polling === 0 && working === 0)
        return Effect.timeoutOption(quiet, answerOnItsWayMs).pipe(Effect.zipRight(ended.open), Effect.zipRight(quiet))
      }),
      run: Effect.zipRight(
        Effect.all(
          Array.from({ length: options.runnerCount }, () => runner),
          { concurrency: "unbounded" }
        ),
        Effect.never
      )
    }
  })

const attempted = (envelope: Envelope.Envelope, error: KafkaError): Envelope.Envelope => ({
  ...envelope,
  attempts: envelope.attempts + 1,
  lastError: `${error.class}:${error.reason}`
})

const recordsOf = (envelopes: ReadonlyArray<Envelope.Envelope>): number =>
  envelopes.reduce((sum, { recordCount }) => sum + recordCount, 0)

/** Records that may be in the queue although they are not known to be. */
const unheardOf = (unstored: ReadonlyArray<Unstored>): number =>
  unstored.reduce((sum, { count, error }) => sum + (error.reason === "Unknown" ? count : 0), 0)

/** Pause before a batch is tried again within one attempt's budget, ms. */
const retryPauseMs = 50
