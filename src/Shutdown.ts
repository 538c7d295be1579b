/**
 * The orderly end: refuse, stop replaying, flush to Kafka, park the rest, spool what is left, account. One budget for all of it, made at the
 * first notice; each phase gets a share of what is left.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Service as BreakerService } from "./CircuitBreaker.ts"
import type { Service as WriterService } from "./FallbackWriter.ts"
import type { Service as ProducerService } from "./Producer.ts"
import type { Service as DaemonService } from "./RetryDaemon.ts"

/**
 * Records by what became of them:
 * `accepted = delivered + diverted + spooled + rejected + failed + inMemory`, at every moment.
 */
export interface Accounting {
  readonly accepted: number
  readonly delivered: number
  readonly diverted: number
  /** Of the diverted and the spooled: may be in Kafka as well. */
  readonly divertedUnknown: number
  /** Acknowledged from this host's disk; where they went from there is the spool's account. */
  readonly spooled: number
  readonly rejected: number
  readonly failed: number
  readonly inMemory: number
  /** Parked or spooled records that this instance brought to Kafka, whoever stored them. */
  readonly redelivered: number
  readonly deadLettered: number
}

export interface Summary {
  readonly accounting: Accounting
  /** How long each phase took, ms. */
  readonly phases: Readonly<Record<"stopReplay" | "flush" | "park" | "spool", number>>
  /** Nothing was left in memory. */
  readonly complete: boolean
}

export interface Parts {
  readonly producer: ProducerService
  readonly breaker: BreakerService
  readonly daemons: ReadonlyArray<Pick<DaemonService, "stop">>
  readonly writers: ReadonlyArray<Pick<WriterService, "spoolAll">>
}

/** Shares of the remaining budget. What a phase leaves over goes to the next. */
const shares = { stopReplay: 0.2, flush: 0.5, park: 0.7 } as const

const inParallel = { concurrency: "unbounded", discard: true } as const

interface Options {
  readonly parts: ReadonlyArray<Parts>
  /** Whoever drains the spool; undefined when there is none. */
  readonly spool: Pick<DaemonService, "stop"> | undefined
  readonly accounting: () => Accounting
}

const run = ({ accounting, parts, spool }: Options, budgetMs: number): Effect.Effect<Summary> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const left = Effect.map(Clock.currentTimeMillis, now => Math.max(1, startedAt + budgetMs - now))
    const timed = <A>(phase: Effect.Effect<A>, share: number) =>
      Effect.gen(function* () {
        const from = yield* Clock.currentTimeMillis
        // Disconnected: a phase that cannot be interrupted must not eat the budget of the next.
        yield* Effect.timeoutOption(Effect.disconnect(Effect.interruptible(phase)), (yield* left) * share)
        return (yield* Clock.currentTimeMillis) - from
      })
    yield* Effect.forEach(parts, ({ producer }) => producer.close, inParallel)
    const stopReplay = yield* timed(
      Effect.forEach(
        [...parts.flatMap(({ daemons }) => daemons), ...(spool === undefined ? [] : [spool])],
        ({ stop }) => stop,
        inParallel
      ),
      shares.stopReplay
    )
    // With the breaker open this parks; `flush` ends when every record has its outcome, wherever that is.
    const flush = yield* timed(
      Effect.forEach(
        parts,
        ({ breaker, producer }) =>
          Effect.zipRight(breaker.status().state === "closed" ? Effect.void : producer.divertAll, producer.flush),
        inParallel
      ),
      shares.flush
    )
    const parkAll = Effect.forEach(
      parts,
      ({ producer }) => Effect.zipRight(producer.divertAll, producer.flush),
      inParallel
    )
    const park = yield* timed(parkAll, spool === undefined ? 1 : shares.park)
    const spoolAll = Effect.forEach(
      parts.flatMap(({ writers }) => writers),
      writer => writer.spoolAll,
      inParallel
    )
    const spooling = yield* timed(Effect.zipRight(spoolAll, parkAll), 1)
    const final = accounting()
    const phases = { stopReplay, flush, park, spool: spooling }
    return { accounting: final, phases, complete: final.inMemory === 0 }
  })

/** Shuts down at the first call; every call gets that one's summary. */
export const once = (options: Options): Effect.Effect<(budgetMs: number) => Effect.Effect<Summary>> =>
  Effect.map(Deferred.make<Summary>(), done => {
    let started = false
    return budgetMs =>
      Effect.suspend(() => {
        if (started) return Deferred.await(done)
        started = true
        return Effect.zipRight(Deferred.complete(done, run(options, budgetMs)), Deferred.await(done))
      })
  })
