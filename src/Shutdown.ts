/**
 * The orderly end: refuse, hand back what was received for replay, flush to Kafka, park the rest, spool what is left,
 * account. One deadline for all of it, made at the first notice; each phase gets a share of what remains.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Service as BreakerService } from "./CircuitBreaker.ts"
import type { Deadline } from "./internal/deadline.ts"
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

/** Where the records of one topic are that have no outcome yet. */
export interface Held {
  readonly topic: string
  /** Kafka has not been asked to take them. */
  readonly buffered: number
  /** On their way to Kafka. */
  readonly inFlight: number
  /** Waiting for the fallback queue. */
  readonly parking: number
  /** Its name; undefined: the topic has none. */
  readonly queue: string | undefined
}

export interface Summary {
  readonly accounting: Accounting
  /** How long each phase took, ms. */
  readonly phases: Readonly<Record<"stopReplay" | "flush" | "park" | "spool" | "endPolls", number>>
  /** From the first notice to this summary, ms. */
  readonly tookMs: number
  /** Of the records in memory at the first notice: those that found no durable place, and whose callers were told so. */
  readonly notDurable: number
  /** What is left in memory, by topic; empty when nothing is. */
  readonly left: ReadonlyArray<Held>
  /** Every record in memory at the first notice is durable, or was refused for a fault of its own. */
  readonly complete: boolean
}

export interface Parts {
  readonly producer: ProducerService
  readonly breaker: BreakerService
  readonly daemons: ReadonlyArray<DaemonService>
}

export interface Options {
  readonly parts: ReadonlyArray<Parts>
  /** Whoever drains the spool; undefined when there is none. */
  readonly drainer: { readonly stop: Effect.Effect<void> } | undefined
  readonly accounting: () => Accounting
  readonly held: () => ReadonlyArray<Held>
  /** Set at the first notice: until when the fallback queues may be tried. */
  readonly parking: Deadline
}

/** Shares of the remaining budget. What a phase leaves over goes to the next. */
const shares = { stopReplay: 0.2, flush: 0.5 } as const
/** Share of the first phase that what is being replayed has to finish before it is handed back. */
const graceShare = 0.5
/** What the fallback queues leave for what comes after them: a share of the budget, and at most this, ms. */
const afterParking = { share: 0.1, most: 3000 } as const
/** The same where a spool takes what they have not. */
const beforeSpooling = { share: 0.3, most: 10_000 } as const
/** How long the open polls may take to end when no time is left, ms. */
const leastEndPollsMs = 200

const inParallel = { concurrency: "unbounded", discard: true } as const

const run = ({ accounting, drainer, held, parking, parts }: Options, budgetMs: number): Effect.Effect<Summary> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const endsAt = startedAt + budgetMs
    const rest = drainer === undefined ? afterParking : beforeSpooling
    const parkUntil = endsAt - Math.min(Math.ceil(budgetMs * rest.share), rest.most)
    parking.set(parkUntil)
    const left = Effect.map(Clock.currentTimeMillis, now => Math.max(1, endsAt - now))
    const timed = <A>(name: string, phase: Effect.Effect<A>, ms: number) =>
      Effect.gen(function* () {
        const from = yield* Clock.currentTimeMillis
        yield* Effect.logDebug(`shutdown: ${name} within ${Math.ceil(ms)} ms, ${accounting().inMemory} in memory`)
        // Disconnected: a phase that cannot be interrupted must not eat the budget of the next.
        yield* Effect.timeoutOption(Effect.disconnect(Effect.interruptible(phase)), Math.ceil(ms))
        return (yield* Clock.currentTimeMillis) - from
      })
    const daemons = parts.flatMap(part => part.daemons)
    yield* Effect.forEach(parts, ({ producer }) => producer.close, inParallel)
    const before = accounting()
    const stopMs = (yield* left) * shares.stopReplay
    const graceMs = Math.ceil(stopMs * graceShare)
    const stopReplay = yield* timed(
      "stop replay",
      Effect.all([drainer?.stop ?? Effect.void, ...daemons.map(daemon => daemon.stop(graceMs))], inParallel),
      stopMs
    )
    // With the breaker open this parks; `flush` ends when every record has its outcome, wherever that is.
    const flush = yield* timed(
      "flush",
      Effect.forEach(
        parts,
        ({ breaker, producer }) =>
          Effect.zipRight(breaker.status().state === "closed" ? Effect.void : producer.divertAll, producer.flush),
        inParallel
      ),
      (yield* left) * shares.flush
    )
    const park = yield* timed(
      "park",
      Effect.forEach(parts, ({ producer }) => Effect.zipRight(producer.expireAll, producer.flush), inParallel),
      Math.max(1, parkUntil - (yield* Clock.currentTimeMillis))
    )
    // From the queues' deadline on, what they have not taken goes to the spool, or its callers are told.
    const spool = yield* timed(
      "spool",
      Effect.forEach(parts, ({ producer }) => producer.flush, inParallel),
      yield* left
    )
    const endPolls = yield* timed(
      "end polls",
      Effect.forEach(daemons, daemon => daemon.endPolls, inParallel),
      Math.max(leastEndPollsMs, yield* left)
    )
    const final = accounting()
    // Nobody was let in since: what was in memory then is all that the counters moved by.
    const settled = (count: (from: Accounting) => number) => count(final) - count(before)
    const notDurable =
      before.inMemory -
      final.inMemory -
      settled(({ delivered, diverted, rejected, spooled }) => delivered + diverted + rejected + spooled)
    return {
      accounting: final,
      phases: { stopReplay, flush, park, spool, endPolls },
      tookMs: (yield* Clock.currentTimeMillis) - startedAt,
      notDurable,
      left: held(),
      complete: final.inMemory === 0 && notDurable === 0
    }
  })

/** Shuts down at the first call and logs the summary; every call gets that one's summary. */
export const once = (options: Options): Effect.Effect<(budgetMs: number) => Effect.Effect<Summary>> =>
  Effect.map(Deferred.make<Summary>(), done => {
    let started = false
    const log = (summary: Summary) => {
      const { accounting, complete, notDurable, phases, tookMs } = summary
      const phasesMs = Object.fromEntries(Object.entries(phases).map(([name, ms]) => [`${name}Ms`, ms]))
      const fields = { event: "shutdown", complete, tookMs, notDurable, ...accounting, ...phasesMs }
      return Effect.annotateLogs(complete ? Effect.logInfo(render(summary)) : Effect.logError(render(summary)), fields)
    }
    return budgetMs =>
      Effect.suspend(() => {
        if (started) return Deferred.await(done)
        started = true
        // A fiber of its own: whoever stops waiting for the end does not stop it.
        const end = Effect.forkDaemon(Deferred.complete(done, Effect.tap(run(options, budgetMs), log)))
        return Effect.zipRight(end, Deferred.await(done))
      })
  })

const counts = ({ accepted, delivered, diverted, failed, inMemory, rejected, spooled }: Accounting): string =>
  `accepted=${accepted} delivered=${delivered} diverted=${diverted} spooled=${spooled} rejected=${rejected} ` +
  `failed=${failed} in_memory=${inMemory}`

const places = (held: ReadonlyArray<Held>): string =>
  held.length === 0
    ? ""
    : `; left: ${held
        .map(({ buffered, inFlight, parking, queue, topic }) => {
          const waiting = queue === undefined ? "" : `, ${parking} waiting for queue ${queue}`
          return `${topic}: ${buffered} buffered, ${inFlight} in flight to Kafka${waiting}`
        })
        .join("; ")}`

/** The account of a shutdown, as one line. */
export const render = ({ accounting, complete, left, notDurable, phases, tookMs }: Summary): string =>
  `shutdown ${complete ? "complete" : "incomplete"} in ${Math.round(tookMs)} ms: ${counts(accounting)} ` +
  `(stop replay ${phases.stopReplay} ms, flush ${phases.flush} ms, park ${phases.park} ms, ` +
  `spool ${phases.spool} ms, end polls ${phases.endPolls} ms)` +
  `${notDurable === 0 ? "" : `; ${notDurable} found no durable place and their callers were told`}${places(left)}`

/** For an end that was forced before the shutdown was over. */
export const renderForced = (accounting: Accounting, held: ReadonlyArray<Held>, ms: number): string =>
  `shutdown forced after ${Math.round(ms)} ms: ${counts(accounting)}${places(held)}`
