/**
 * Sends parked batches to Kafka at a careful rate, in rounds of one batch per partition, until each record's fate is known.
 * A batch that is refused is taken apart, so that one record's fault is not that of its company.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Service as BreakerService } from "../CircuitBreaker.ts"
import type { Envelope } from "../Envelope.ts"
import { KafkaError, type Service as KafkaService, type ProduceOutcome } from "../KafkaClient.ts"
import * as RecordBatch from "../RecordBatch.ts"
import type { Copies } from "./copies.ts"
import { isDivisible } from "./kafkaErrors.ts"
import { Pacer } from "./pacer.ts"
import type { Balancer } from "./partitioner.ts"
import { Placement } from "./placement.ts"
import { divide, rounds, type Unit } from "./replayUnits.ts"
import { makeSignal } from "./signal.ts"

/** How an envelope, or a part of one, fared. */
export type Fate =
  | { readonly _tag: "Delivered" }
  /** Kafka was not there, or it is unknown whether it took the records. */
  | { readonly _tag: "Outage" }
  | { readonly _tag: "Refused"; readonly error: KafkaError }

/** An envelope with the account of the message it came in; its parts have the same. */
export interface Owned extends Envelope {
  readonly copies: Copies
}

export type Replayed = ReadonlyArray<readonly [Owned, Fate]>

export interface ReplayOptions {
  readonly balancer: Balancer
  /** Most bytes of a batch merged of small ones. */
  readonly batchBytes: number
  /** Budget of one attempt, ms. */
  readonly writeTimeoutMs: number
  /** Records per second at most. */
  readonly rate?: number | undefined
  readonly kafka: KafkaService
  readonly breaker: BreakerService
  /** True while live records need what Kafka can take. */
  readonly pressed: () => boolean
  /** Told the records of attempts that may have reached Kafka all the same. */
  readonly onUnknown: (records: number) => void
  /** Told what came of a batch that Kafka was tried with; times in ms since the epoch. */
  readonly onTried?: ((tried: Tried) => void) | undefined
}

/** One batch, tried. */
export interface Tried {
  readonly unit: Unit<Envelope>
  readonly outcome: ProduceOutcome
  readonly from: number
  readonly to: number
}

export interface Replay {
  /** Records per second it would send at now. */
  readonly rate: () => number
  /**
   * Every envelope with its fate; divided ones appear as their parts. What has no fate yet when `ends` does is an outage's.
   */
  readonly replay: (envelopes: ReadonlyArray<Owned>, ends?: Effect.Effect<void>) => Effect.Effect<Replayed>
}

/** An answer within this time is healthy, ms. */
const healthyMs = 250
/** Pause before a batch is tried again within one attempt's budget, ms. */
const retryPauseMs = 50

/** Refusals of a present and working Kafka that are not final: these are what `max_attempts` counts. */
const countedReasons: ReadonlySet<string> = new Set([
  "UNKNOWN_TOPIC_OR_PARTITION",
  "UNKNOWN_TOPIC_ID",
  "CORRUPT_MESSAGE",
  "INVALID_REQUEST",
  "UNSUPPORTED_VERSION",
  "UNKNOWN_SERVER_ERROR"
])

const outage: Fate = { _tag: "Outage" }

const recordsOf = (units: ReadonlyArray<Unit<Envelope>>): number =>
  units.reduce((sum, { recordCount }) => sum + recordCount, 0)

/** What is wrong with a batch whose checksum Kafka found wrong: it was so before, and trying again would not help. */
const broken = ({ bytes }: Unit<Envelope>, { reason }: KafkaError): KafkaError | undefined => {
  if (reason !== "CORRUPT_MESSAGE") return undefined
  const read = RecordBatch.info(bytes)
  if (Either.isRight(read)) return undefined
  const { message } = read.left
  return new KafkaError({
    class: "Permanent",
    reason: "CORRUPT_MESSAGE_BODY",
    retryable: false,
    message,
    cause: read.left
  })
}

export const makeReplay = (options: ReplayOptions): Replay => {
  const { balancer, batchBytes, breaker, kafka, onTried, onUnknown, pressed, rate, writeTimeoutMs } = options
  const pacer = new Pacer(rate)
  const faster = makeSignal()
  const placement = new Placement(kafka, balancer, writeTimeoutMs)
  breaker.onChange((scope, state) => {
    if (scope === "cluster" && state === "open") pacer.restart()
  })

  /** Waits for the pace. What others' answers show of Kafka in the meantime shortens it. */
  const leave = (records: number) =>
    Effect.gen(function* () {
      while (true) {
        const wait = pacer.take(records, yield* Clock.currentTimeMillis)
        if (wait === 0) return
        yield* Effect.timeoutOption(faster.wait, wait)
      }
    })

  /** Sends units, one per partition, until each has its fate or the attempt's time is over. */
  const send = (units: ReadonlyArray<Unit<Owned>>, fates: Map<Unit<Owned>, Fate>) =>
    Effect.gen(function* () {
      const startedAt = yield* Clock.currentTimeMillis
      const endsAt = startedAt + writeTimeoutMs
      let pending = units.flatMap(unit => {
        const permit = breaker.acquire(unit.topic, unit.partition)
        if (permit === undefined) {
          fates.set(unit, outage)
          return []
        }
        return [{ unit, permit, batch: { ...unit, idempotent: false as const, maybeWritten: false } }]
      })
      /** True: to be tried again. */
      const settle = ({ permit, unit }: (typeof pending)[number], outcome: ProduceOutcome, now: number): boolean => {
        if (outcome._tag === "Delivered") {
          fates.set(unit, { _tag: "Delivered" })
          for (const { copies, recordCount } of unit.envelopes) copies.delivered(recordCount)
          breaker.settle(permit, "success", now - startedAt)
          onTried?.({ unit, outcome, from: startedAt, to: now })
          return false
        }
        const error = broken(unit, outcome.error) ?? outcome.error
        if (error.retryable && now + retryPauseMs < endsAt) return true
        if (error.class === "Unknown") onUnknown(unit.recordCount)
        const refused = error.class === "Permanent" || countedReasons.has(error.reason)
        fates.set(unit, refused ? { _tag: "Refused", error } : outage)
        breaker.settle(permit, refused ? "ignored" : "failure", now - startedAt, error.reason)
        onTried?.({ unit, outcome, from: startedAt, to: now })
        return false
      }
      const abandoned = Effect.sync(() => {
        for (const { permit, unit } of pending) if (!fates.has(unit)) breaker.settle(permit, "ignored", 0)
      })
      /** Nobody waits for the answer any more. */
      const unheard = Effect.sync(() => {
        for (const { unit } of pending) onUnknown(unit.recordCount)
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
          const asked = recordsOf(pending.map(({ unit }) => unit))
          pending = pending.filter((one, index) => {
            const outcome = outcomes[index]
            return outcome !== undefined && settle(one, outcome, now)
          })
          if (now - at > healthyMs || pressed()) pacer.slowDown()
          else if (pending.length === 0) {
            pacer.speedUp(asked, now - at)
            faster.notify()
          }
          if (pending.length === 0) return
          yield* Effect.ignore(kafka.metadata(Array.from(new Set(pending.map(({ unit }) => unit.topic))), 500))
          yield* Effect.sleep(retryPauseMs)
        }
      })
      yield* Effect.ensuring(attempts, abandoned)
    })

  /** What a refused unit is taken apart into; undefined when the fault is that of the one envelope in it. */
  const apart = ({ envelopes }: Unit<Owned>, error: KafkaError): ReadonlyArray<Owned> | undefined => {
    const [only] = envelopes
    if (only === undefined || error.retryable) return undefined
    // Merged by us: find out whose record it is.
    if (envelopes.length > 1) return envelopes
    return isDivisible(error.reason) ? divide(only, error.culprits) : undefined
  }

  const replay = (envelopes: ReadonlyArray<Owned>, ends: Effect.Effect<void> = Effect.never) =>
    Effect.gen(function* () {
      const results: Array<readonly [Owned, Fate]> = []
      const found = yield* Effect.either(placement.place(envelopes))
      if (Either.isLeft(found)) return envelopes.map(envelope => [envelope, outage] as const)
      for (const [envelope, error] of found.right.homeless) {
        results.push([envelope, error?.class === "Permanent" ? { _tag: "Refused", error } : outage])
      }
      let queued = rounds(found.right.placed, batchBytes)
      for (let index = 0; index < queued.length; index++) {
        const units = queued[index] ?? []
        const fates = new Map<Unit<Owned>, Fate>()
        yield* Effect.raceFirst(Effect.zipRight(leave(recordsOf(units)), send(units, fates)), ends)
        for (const unit of units) {
          const fate = fates.get(unit) ?? outage
          // Recreated, or changed in its partitions: look again before the next attempt.
          if (fate._tag === "Refused" && fate.error.retryable) placement.forget(unit.topic)
          const parts = fate._tag === "Refused" ? apart(unit, fate.error) : undefined
          if (parts === undefined) for (const envelope of unit.envelopes) results.push([envelope, fate])
          else queued = [...queued, ...parts.flatMap(part => rounds([part], 0))]
        }
        // Without Kafka the rest is not worth trying.
        if (results.some(([, fate]) => fate._tag === "Outage")) {
          for (const unit of queued.slice(index + 1).flat()) {
            for (const envelope of unit.envelopes) results.push([envelope, outage])
          }
          break
        }
      }
      return results
    })

  return { rate: () => pacer.rate, replay }
}
