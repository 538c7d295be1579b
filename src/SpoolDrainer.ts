/**
 * Brings spooled records on: to Kafka while its circuit breaker lets it, else to the fallback queue while that one's does;
 * also those an earlier process left. A record leaves the spool only after it is durable elsewhere.
 *
 * What Kafka refuses goes to the queue, whose retry daemon counts attempts and buries. What neither takes stays, and is
 * passed over for a while, so that the records behind it have their turn.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { Service as Breaker } from "./CircuitBreaker.ts"
import type { Service as Writer } from "./FallbackWriter.ts"
import { makeSignal } from "./internal/signal.ts"
import * as RecordBatch from "./RecordBatch.ts"
import type { Service as Daemon, Remainder } from "./RetryDaemon.ts"
import type { Entry, Service as Spool, SpoolError } from "./Spool.ts"

/** How the records of one topic leave the spool. */
export interface Way {
  readonly breaker: Pick<Breaker, "status" | "onChange">
  readonly daemon: Pick<Daemon, "replay">
  readonly writer: Pick<Writer, "move">
  /** Kafka header that carries the record id. */
  readonly idHeader: string
}

/** Records taken out of the spool since the start, by where they went. */
export interface Counters {
  kafka: number
  queue: number
}

export interface Service {
  readonly counters: () => Readonly<Counters>
  /** Takes nothing up any more, and lets what is on its way finish. Interruptible. */
  readonly stop: Effect.Effect<void>
  /** The loop to be supervised. */
  readonly run: Effect.Effect<never>
}

/** Batches and bytes on their way at once. */
const most = { batches: 500, bytes: 8 * 1024 * 1024 }
/** Pause while there is nothing to do or nobody to take it, ms. */
const pauseMs = 1000
/** How long a batch is passed over that neither Kafka nor the queue takes, ms. */
const passOverMs = 60_000

const recordsOf = (parts: ReadonlyArray<{ readonly envelope: { readonly recordCount: number } }>): number =>
  parts.reduce((sum, { envelope }) => sum + envelope.recordCount, 0)

export const make = (spool: Spool, ways: ReadonlyMap<string, Way>): Service => {
  const counters: Counters = { kafka: 0, queue: 0 }
  const passedOver = new Map<number, number>()
  const idle = makeSignal()
  let stopping = false
  let working = false
  for (const { breaker } of ways.values()) {
    breaker.onChange((scope, state) => {
      // What was too large for the queue is what Kafka has been missed for.
      if (scope === "cluster" && state !== "open") passedOver.clear()
    })
  }

  /** They are elsewhere already: until the spool knows, nothing more may happen here, or they would be sent twice. */
  const settle = (ids: ReadonlyArray<number>, left: ReadonlyArray<Pick<Remainder, "envelope">>) =>
    Effect.retry(
      Effect.tapError(
        spool.settle(
          ids,
          left.map(({ envelope }) => envelope)
        ),
        ({ message }) => Effect.logWarning(`spool drainer: ${message}`)
      ),
      Schedule.spaced(pauseMs)
    )

  /** What Kafka did not take of `entries`, under the ids it now has in the spool. */
  const toKafka = (entries: ReadonlyArray<Entry>, daemon: Way["daemon"]) =>
    Effect.gen(function* () {
      const left = yield* daemon.replay(entries.map(({ envelope }) => envelope))
      const delivered = recordsOf(entries) - recordsOf(left)
      // In an outage the entries are as they were, whatever the replay has cut them into.
      if (delivered === 0 && !left.some(({ refused }) => refused)) return entries
      const ids = yield* settle(
        entries.map(({ id }) => id),
        left
      )
      counters.kafka += delivered
      return left.flatMap(({ envelope, refused }, index) => {
        const id = ids[index]
        return id === undefined ? [] : [{ id, envelope, refused }]
      })
    })

  /** One load of a topic's oldest batches. False: nothing moved. */
  const drain = (topic: string, { breaker, daemon, idHeader, writer }: Way): Effect.Effect<boolean, SpoolError> =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      for (const [id, until] of passedOver) if (until <= now) passedOver.delete(id)
      const before = counters.kafka + counters.queue
      const { state } = breaker.status()
      // A probe is one batch.
      const batches = state === "half-open" ? 1 : most.batches
      const entries = yield* spool.oldest(topic, { batches, bytes: most.bytes, skip: new Set(passedOver.keys()) })
      if (entries.length === 0) return false
      const rest: ReadonlyArray<Pick<Entry, "id" | "envelope"> & { readonly refused?: boolean }> =
        state === "open" ? entries : yield* toKafka(entries, daemon)
      if (rest.length > 0) {
        const unstored = yield* writer.move(
          rest.map(({ envelope }) => ({ envelope, firstId: RecordBatch.firstId(envelope.batch, idHeader) }))
        )
        const whole = rest.filter((_, index) => unstored[index]?.length === 0)
        if (whole.length > 0) {
          yield* settle(
            whole.map(({ id }) => id),
            []
          )
          counters.queue += recordsOf(whole)
        }
        for (const [index, one] of rest.entries()) {
          const left = unstored[index] ?? []
          if (left.length === 0) continue
          let ids: ReadonlyArray<number> = [one.id]
          const moved = one.envelope.recordCount - recordsOf(left)
          if (moved > 0) {
            // What is left of it is all that may be sent again.
            ids = yield* settle([one.id], left)
            counters.queue += moved
          }
          if (one.refused === true || left.some(({ error }) => error.reason === "Invalid")) {
            for (const id of ids) passedOver.set(id, now + passOverMs)
          }
        }
      }
      return counters.kafka + counters.queue > before
    })

  const pass = Effect.gen(function* () {
    yield* spool.probe
    let moved = false
    for (const { topic } of spool.status().topics) {
      const way = ways.get(topic)
      if (way === undefined || stopping) continue
      if (yield* drain(topic, way)) moved = true
    }
    return moved
  })

  const run = Effect.gen(function* () {
    while (true) {
      if (stopping) return yield* Effect.never
      working = true
      // A spool without its file says so in its status; here it only means that there is nothing to drain.
      const moved = yield* Effect.ensuring(
        Effect.catchAll(pass, () => Effect.succeed(false)),
        Effect.sync(() => {
          working = false
          idle.notify()
        })
      )
      if (!moved) yield* Effect.sleep(pauseMs)
    }
  })

  return {
    counters: () => counters,
    stop: Effect.suspend(() => {
      stopping = true
      return Effect.unless(Effect.repeat(idle.wait, { until: () => !working }), () => !working)
    }).pipe(Effect.asVoid),
    run
  }
}
