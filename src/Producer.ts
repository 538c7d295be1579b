/**
 * Takes records in and sees each to its outcome: batches them per partition, sends them to Kafka within their deadline,
 * and hands what Kafka did not take to the fallback writer. Per record plain code (`internal/accumulator`), per batch
 * plain code around the driver's call, and Effect for what waits (here).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type * as CircuitBreaker from "./CircuitBreaker.ts"
import type { Envelope } from "./Envelope.ts"
import type * as FallbackWriter from "./FallbackWriter.ts"
import {
  Accumulator,
  type BufferOptions,
  type Counters,
  type Request,
  rejection,
  type TopicOptions
} from "./internal/accumulator.ts"
import { asyncPrimitive, successPrimitive } from "./internal/asyncPrimitive.ts"
import { bodyChecksum, largeBatchBytes } from "./internal/bodyChecksum.ts"
import { compress } from "./internal/compression.ts"
import type { Batch } from "./internal/lane.ts"
import { makeSignal } from "./internal/signal.ts"
import { split } from "./internal/split.ts"
import * as TraceContext from "./internal/traceContext.ts"
import type { KafkaError, Service as KafkaService, ProduceOutcome } from "./KafkaClient.ts"
import { type Durability, type Outcome, PublishError, type Receipt } from "./Receipt.ts"
import type { ProducerRecord } from "./Record.ts"
import * as RecordBatch from "./RecordBatch.ts"

type Send = NonNullable<KafkaService["send"]>

export type { BufferOptions, Counters, TopicOptions }

/** Told once what became of a record. Runs on the hot path: it must be quick and must not throw. */
export type Callback = (outcome: Outcome) => void

export interface Options {
  readonly topics: ReadonlyArray<TopicOptions & { readonly compression: RecordBatch.Compression }>
  readonly buffer: BufferOptions
  /** How old metadata may grow before it is asked for again, ms. */
  readonly metadataMaxAgeMs: number
  /** This instance's name, kept in the envelopes it parks. */
  readonly origin: string
}

export interface Dependencies {
  readonly kafka: KafkaService
  readonly breaker: CircuitBreaker.Service
  /** Where a topic's diverted batches go; undefined: the topic has no fallback. */
  readonly fallback: (topic: string) => FallbackWriter.Service | undefined
  /** Told when a batch is acknowledged: ms since its first record was accepted. */
  readonly onDelivered?: (records: number, bytes: number, ms: number) => void
  /** Told when the fallback has a batch: ms since its first record was accepted. */
  readonly onParked?: (outcome: "diverted" | "spooled", records: number, ms: number) => void
  /** Told when a batch with traced records has come to its end in the fallback, where it has been since `from`. */
  readonly onTracedDivert?: (
    facts: Pick<Envelope, "topic" | "lastError"> & {
      readonly traces: NonNullable<Batch["traces"]>
      readonly from: number
      readonly exceptions: ReadonlyArray<FallbackWriter.Exception>
    }
  ) => void
}

/** What the Producer is doing. */
export interface Status {
  readonly counters: Readonly<Counters>
  /** Records and bytes accepted and not settled. */
  readonly inMemory: { readonly records: number; readonly bytes: number }
  readonly waiting: number
  readonly closed: boolean
  readonly topics: ReadonlyArray<{
    readonly topic: string
    readonly partitions: number
    /** Records Kafka has not been asked to take yet. */
    readonly buffered: number
    /** Records on their way to Kafka. */
    readonly inFlight: number
  }>
}

export interface Service {
  /** Takes one record; the callback is told once what became of it, possibly before this returns. */
  readonly offer: (record: ProducerRecord, callback: Callback) => void
  /** Succeeds once the record is durable. */
  readonly publish: (record: ProducerRecord) => Effect.Effect<Receipt, PublishError>
  /** The outcome of each record, in order. Never fails as a whole. */
  readonly publishAll: (records: ReadonlyArray<ProducerRecord>) => Effect.Effect<ReadonlyArray<Outcome>>
  /** `publish` for callers without Effect: rejects with the `PublishError`. */
  readonly publishPromise: (record: ProducerRecord) => Promise<Receipt>
  readonly status: () => Status
  /** Asks the cluster afresh; the circuit breaker's way to find out whether Kafka is back. */
  readonly reach: Effect.Effect<void, KafkaError>
  /** From now on records are sent without waiting for company. */
  readonly hurry: Effect.Effect<void>
  /** From now on offers are refused with `Closed`, and what is buffered is sent without waiting for company. */
  readonly close: Effect.Effect<void>
  /** Ends when nothing is left in memory, hurrying. */
  readonly flush: Effect.Effect<void>
  /** Hands everything that is not in flight to the fallback. */
  readonly divertAll: Effect.Effect<void>
  /** What is in flight, too: its deadline has come. It may be in Kafka all the same, and is counted as such. */
  readonly expireAll: Effect.Effect<void>
  /** The loops to be supervised. */
  readonly run: Effect.Effect<never>
}

export class Producer extends Context.Tag("spillway/Producer")<Producer, Service>() {}

/** How often deadlines are looked at while records are in memory, ms. */
const sweepMs = 10
/** Pause before a batch is tried again; doubles up to the second figure, ms. */
const retryPauseMs = { first: 20, most: 200 }
/** Pause between metadata attempts while topics are unknown; doubles up to the second figure, ms. */
const metadataPauseMs = { first: 100, most: 1000 }
/** Longest a metadata request may take, ms. */
const metadataTimeoutMs = 1000

/** What became of a request's batches. */
interface Answered {
  /** Their callers are told when everything else is done. */
  readonly delivered: Array<{ readonly batch: Batch; readonly baseOffset: bigint }>
  readonly again: Array<Batch>
}

const durableOrFailed = (outcome: Outcome): Effect.Effect<Receipt, PublishError> =>
  outcome._tag === "Receipt" ? successPrimitive(outcome) : Effect.fail(outcome)

export const make = (options: Options, dependencies: Dependencies): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { breaker, fallback, kafka } = dependencies
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const requests = yield* FiberSet.make()
    const start = yield* FiberSet.runtime(requests)<never>()

    const accepted = makeSignal()
    let woken = false
    let turn: (() => void) | undefined
    const wake = () => {
      // Also while a turn is pending: the sweeper may have looked, and gone back to sleep, before this record came.
      accepted.notify()
      if (woken) return
      woken = true
      // One turn of the event loop: everything offered meanwhile goes in the same batch.
      setImmediate(() => {
        woken = false
        turn?.()
      })
    }
    const enough = () => turn?.()
    const accumulator = new Accumulator(options.topics, options.buffer, breaker, now, wake, enough, kafka.occupied)
    const compressions = new Map(options.topics.map(topic => [topic.topic, topic.compression]))
    const metadataWanted = makeSignal()
    const metadataDone = makeSignal()
    const settled = makeSignal()

    const finished = (batch: Batch, how: Durability | "rejected" | "failed", records?: number) => {
      accumulator.finished(batch, how, records)
      if (accumulator.records === 0) settled.notify()
    }

    const reject = (batch: Batch, error: PublishError) => {
      batch.settled = true
      finished(batch, error.rejected ? "rejected" : "failed")
      batch.fail(error)
    }

    /** The fallback's answer to a batch: everything in it is in the queue but for the exceptions. */
    const parked = (batch: Batch, exceptions: ReadonlyArray<FallbackWriter.Exception>) => {
      const durable = (outcome: "diverted" | "spooled", from: number, to: number) => {
        if (to <= from) return
        dependencies.onParked?.(outcome, to - from, now() - batch.openedAt)
        finished(batch, outcome, to - from)
        batch.succeed(outcome, -1n, from, to)
      }
      let at = 0
      for (const { count, from, outcome } of exceptions) {
        durable("diverted", at, from)
        at = from + count
        if (outcome === "spooled") {
          durable("spooled", from, at)
          continue
        }
        finished(batch, outcome.rejected ? "rejected" : "failed", count)
        batch.fail(outcome, from, at)
      }
      durable("diverted", at, batch.recordCount)
    }

    /** Hands a batch, already out of Kafka's way, to the fallback. It stays counted as in memory until that answers. */
    const divert = (batch: Batch) => {
      const writer = fallback(batch.topic)
      const why = batch.lastError
      if (writer === undefined) {
        const message = `Kafka did not take it in time (${why?.message ?? "breaker open"}) and the topic has no fallback queue`
        return reject(batch, new PublishError({ reason: "FallbackUnavailable", message, cause: why }))
      }
      const { bodyChecksum: known, buffer, bytes, permit } = batch
      // Never on its way to Kafka, and nearly as large as the memory it is in: nothing is gained by a copy.
      const inPlace = permit === undefined && buffer !== undefined && bytes.length * 2 >= buffer.length
      const large = bytes.length >= largeBatchBytes
      if (!large && !inPlace) return handOver(batch, writer, RecordBatch.parkable(bytes, known))
      if (!large || known !== undefined) return handOver(batch, writer, RecordBatch.disown(bytes, known))
      // Until it is handed over nobody else has it.
      const summed = Effect.map(bodyChecksum(bytes), sum => handOver(batch, writer, RecordBatch.disown(bytes, sum)))
      start(Effect.uninterruptible(summed))
    }

    /** @param parkable its bytes, without a producer's id */
    const handOver = (batch: Batch, writer: FallbackWriter.Service, parkable: Uint8Array) => {
      const why = batch.lastError
      const [traced] = batch.traces ?? []
      const envelope: Envelope = {
        topic: batch.topic,
        partition: batch.partition,
        partitionCount: accumulator.partitionCount(batch.topic),
        partitionFixed: batch.partitionFixed,
        attempts: 0,
        firstFailureAt: now(),
        notBefore: 0,
        lastError: why === undefined ? "Availability:BREAKER_OPEN" : `${why.class}:${why.reason}`,
        origin: options.origin,
        traceParent: traced === undefined ? "" : TraceContext.format(traced.context),
        recordCount: batch.recordCount,
        batch: parkable
      }
      const inPlace = parkable === batch.bytes
      if (!inPlace) accumulator.forget(batch)
      writer.divert({
        envelope,
        firstId: batch.idAt(0),
        maybeInKafka: batch.maybeWritten,
        settle: exceptions => {
          // Where something went wrong an upload may still be under way.
          if (inPlace && exceptions.length > 0) batch.buffer = undefined
          parked(batch, exceptions)
          if (batch.traces === undefined) return
          const { firstFailureAt: from, lastError, topic } = envelope
          dependencies.onTracedDivert?.({ topic, lastError, traces: batch.traces, from, exceptions })
        }
      })
    }

    /** A batch whose time is over. */
    const expire = (batch: Batch) => {
      const { lastError, permit } = batch
      const why = lastError?.reason ?? "ATTEMPT_TIMEOUT"
      // Kafka was there and refused: that says nothing against Kafka.
      const refused = lastError?.class === "Permanent"
      if (permit !== undefined) breaker.settle(permit, refused ? "ignored" : "failure", now() - batch.sentAt, why)
      else if (batch.lane.stalled && !refused) breaker.unreachable(`${why} behind a failed batch`)
      batch.lane.stalled = true
      if (lastError?.class === "Permanent" && !batch.maybeWritten) reject(batch, rejection(lastError, batch.topic))
      else divert(batch)
    }

    /** Everything about a delivered batch but telling its callers. */
    const land = (batch: Batch, at: number) => {
      batch.settled = true
      batch.lane.stalled = false
      if (batch.permit !== undefined) breaker.settle(batch.permit, "success", at - batch.sentAt)
      dependencies.onDelivered?.(batch.recordCount, batch.bytes.length, at - batch.openedAt)
      accumulator.land(batch)
      finished(batch, "delivered")
    }

    /** Acts on one batch's answer of this moment: whose is `delivered` is to be told, what is tried `again` stays in flight. */
    const settle = (batch: Batch, outcome: ProduceOutcome, at: number, { delivered, again }: Answered): void => {
      if (batch.settled) return
      if (outcome._tag === "Delivered") {
        land(batch, at)
        delivered.push({ batch, baseOffset: outcome.baseOffset })
        return
      }
      const { error } = outcome
      batch.lastError = error
      if (error.retryable) {
        again.push(batch)
        return
      }
      if (error.class !== "Permanent" || batch.maybeWritten) {
        accumulator.land(batch)
        batch.settled = true
        expire(batch)
        return
      }
      if (batch.permit !== undefined) breaker.settle(batch.permit, "ignored", now() - batch.sentAt)
      const pieces = split(batch, error)
      if (pieces === undefined) {
        accumulator.land(batch)
        reject(batch, rejection(error, batch.topic))
        return
      }
      batch.settled = true
      const { parts, rejected } = pieces
      accumulator.requeue(batch, rejected === undefined ? parts : [...parts, rejected])
      if (rejected !== undefined) {
        accumulator.withdraw(rejected)
        reject(rejected, rejection(error, batch.topic))
      }
    }

    const refreshMetadata = Effect.suspend(() => {
      metadataWanted.notify()
      return Effect.timeoutOption(metadataDone.wait, metadataTimeoutMs)
    })

    /** One attempt by a driver that has no plain way. A driver that dies has answered, too: its place is free again. */
    const sendByFiber: Send = (batches, timeoutMs, done) => {
      start(
        Effect.matchCauseEffect(kafka.produce(batches, timeoutMs), {
          onSuccess: outcomes => Effect.sync(() => done(outcomes)),
          onFailure: cause => {
            done([])
            return Effect.failCause(cause)
          }
        })
      )
    }
    const send = kafka.send?.bind(kafka) ?? sendByFiber

    /** Tries until every batch is settled or its time is over. */
    const attempt = (batches: ReadonlyArray<Batch>, release: () => void, pauseMs: number): void => {
      let latest = 0
      for (const batch of batches) latest = Math.max(latest, batch.deadline)
      const left = latest - now()
      if (left <= 0 || batches.length === 0) return release()
      // What comes of it is unknown to everyone else until it has an answer.
      for (const batch of batches) batch.attempting = true
      const guarded = (act: () => void) => {
        try {
          act()
        } catch (cause) {
          // A fault of ours ends a fiber, not the process: the broker's place is free again.
          release()
          start(Effect.die(cause))
        }
      }
      guarded(() =>
        send(batches, left, outcomes =>
          guarded(() => {
            release()
            answered(batches, outcomes, again => start(retry(again, release, pauseMs)))
          })
        )
      )
    }

    /** Acts on an attempt's answer. A batch it leaves out may be in Kafka, and is diverted at its deadline. */
    const answered = (
      batches: ReadonlyArray<Batch>,
      outcomes: ReadonlyArray<ProduceOutcome>,
      retryAll: (batches: ReadonlyArray<Batch>) => void
    ): void => {
      const made: Answered = { delivered: [], again: [] }
      const { delivered, again } = made
      const at = now()
      try {
        batches.forEach((batch, index) => {
          const outcome = outcomes[index]
          if (outcome === undefined) return
          batch.attempting = false
          settle(batch, outcome, at, made)
        })
        // The broker works on the next request while the callers of this one are told.
        if (delivered.length > 0) pump()
      } finally {
        for (const { baseOffset, batch } of delivered) batch.succeed("delivered", baseOffset)
      }
      if (again.length > 0) retryAll(again)
    }

    const retry = (batches: ReadonlyArray<Batch>, release: () => void, pauseMs: number): Effect.Effect<void> =>
      refreshMetadata.pipe(
        Effect.zipRight(Effect.sleep(pauseMs)),
        Effect.map(() => {
          const open = breaker.status().state === "open"
          const pending = batches.filter(batch => !batch.settled && (!open || giveUp(batch)))
          attempt(pending, release, Math.min(pauseMs * 2, retryPauseMs.most))
        })
      )

    /** What takes too long for the sender's turn. */
    const prepare = (batch: Batch) =>
      Effect.zipRight(
        compress(batch, compressions.get(batch.topic) ?? "none", accumulator.pool),
        Effect.suspend(() =>
          batch.bytes.length < largeBatchBytes
            ? Effect.void
            : Effect.map(bodyChecksum(batch.bytes), sum => {
                batch.bodyChecksum = sum
              })
        )
      )

    /** One Produce request and its retries. */
    const request = (made: Request): void => {
      const { batches } = made
      let answered = false
      const release = () => {
        if (answered) return
        answered = true
        accumulator.answered(made)
        wake()
      }
      const slow = batches.filter(
        ({ bytes, topic }) => bytes.length >= largeBatchBytes || (compressions.get(topic) ?? "none") !== "none"
      )
      if (slow.length === 0) return attempt(batches, release, retryPauseMs.first)
      // A single one needs no fiber of its own.
      const prepared = Effect.forEach(slow, prepare, {
        concurrency: slow.length === 1 ? 1 : "unbounded",
        discard: true
      })
      // It takes time; what ran out of it meanwhile is diverted already.
      const unsettled = () => batches.filter(batch => !batch.settled)
      start(
        Effect.onError(prepared, () => Effect.sync(release)).pipe(
          Effect.map(() => attempt(unsettled(), release, retryPauseMs.first))
        )
      )
    }

    /** The breaker opened while the batch waited for its next attempt: it need not wait out its deadline. */
    const giveUp = (batch: Batch): boolean => {
      if (batch.settled || batch.permit?.cluster.probe === true) return !batch.settled
      batch.settled = true
      if (batch.permit !== undefined) breaker.settle(batch.permit, "ignored", 0)
      accumulator.land(batch)
      divert(batch)
      return false
    }

    const pump = () => {
      const { diverted, requests: ready } = accumulator.take()
      for (const batch of diverted) divert(batch)
      for (const one of ready) request(one)
    }

    /** Has the turns while it runs: plain code, but a fault in one ends a fiber, which supervision begins again. */
    const sender = Effect.async<never>(resume => {
      turn = () => {
        try {
          for (const batch of accumulator.expire()) expire(batch)
          pump()
        } catch (cause) {
          turn = undefined
          resume(Effect.die(cause))
        }
      }
      wake()
      return Effect.sync(() => {
        turn = undefined
      })
    })

    /** Wakes the sender for the sake of deadlines while there is something that has one. */
    const sweeper = Effect.forever(
      Effect.suspend(() => {
        if (accumulator.records === 0 && accumulator.waiting === 0) return accepted.wait
        return Effect.map(Effect.sleep(sweepMs), wake)
      })
    )

    /** Records accepted before their topic was known get a partition. */
    const place = () => {
      for (const batch of accumulator.unplaced()) {
        const read = RecordBatch.records(batch.bytes, true)
        if (Either.isLeft(read)) throw read.left
        read.right.forEach((record, index) => {
          accumulator.place(batch, index, { topic: batch.topic, ...record })
        })
        accumulator.placed(batch)
      }
    }

    const fetchMetadata = Effect.suspend(() => kafka.metadata(accumulator.topics, metadataTimeoutMs)).pipe(
      Effect.tap(topics =>
        Effect.sync(() => {
          for (const topic of topics) accumulator.learn(topic)
          place()
        })
      ),
      Effect.asVoid
    )

    const metadataKeeper = Effect.gen(function* () {
      let pause = metadataPauseMs.first
      while (true) {
        const failure = yield* Effect.match(fetchMetadata, { onSuccess: () => undefined, onFailure: error => error })
        metadataDone.notify()
        accumulator.trim()
        if (failure !== undefined) breaker.unreachable(failure.reason)
        const calm = failure === undefined && accumulator.resolved
        // While the breaker has yet to notice an outage, asking again soon is what lets it.
        const brisk = calm || (failure !== undefined && breaker.status().state === "closed")
        pause = brisk ? metadataPauseMs.first : Math.min(pause * 2, metadataPauseMs.most)
        yield* Effect.timeoutOption(metadataWanted.wait, calm ? options.metadataMaxAgeMs : pause)
        // However many ask, the cluster is asked at most this often.
        yield* Effect.sleep(retryPauseMs.first)
      }
    })

    // Whoever closed the scope without a complete shutdown: nobody waits for ever.
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        accumulator.close()
        const message = "Spillway ended before the record had an outcome"
        const error = new PublishError({ reason: "Closed", message })
        for (const batch of accumulator.abandon()) reject(batch, error)
      })
    )

    const offer = (record: ProducerRecord, callback: (outcome: Outcome) => void): void =>
      accumulator.offer(record, callback)

    const publish = (record: ProducerRecord): Effect.Effect<Receipt, PublishError> =>
      asyncPrimitive(record, offer, durableOrFailed)

    return {
      offer,
      publish,
      publishAll: records =>
        Effect.async(resume => {
          const outcomes = new Array<Outcome>(records.length)
          let left = records.length
          if (left === 0) return resume(Effect.succeed(outcomes))
          const settle = (outcome: Outcome, index: number) => {
            outcomes[index] = outcome
            if (--left === 0) resume(Effect.succeed(outcomes))
          }
          let index = 0
          for (const record of records) accumulator.offer(record, settle, index++)
        }),
      publishPromise: record =>
        new Promise((resolve, reject) => {
          accumulator.offer(record, outcome => (outcome._tag === "Receipt" ? resolve(outcome) : reject(outcome)))
        }),
      status: () => ({
        counters: accumulator.counters,
        inMemory: { records: accumulator.records, bytes: accumulator.bytes },
        waiting: accumulator.waiting,
        closed: accumulator.closed,
        topics: accumulator.topics.map(topic => ({
          topic,
          partitions: accumulator.partitionCount(topic),
          ...accumulator.held(topic)
        }))
      }),
      reach: fetchMetadata,
      hurry: Effect.sync(() => accumulator.flush()),
      close: Effect.sync(() => accumulator.close()),
      flush: Effect.suspend(() => {
        accumulator.flush()
        return Effect.repeat(settled.wait, { until: () => accumulator.records === 0 })
      }).pipe(
        Effect.unless(() => accumulator.records === 0),
        Effect.asVoid
      ),
      divertAll: Effect.sync(() => {
        for (const batch of accumulator.drain()) divert(batch)
      }),
      expireAll: Effect.sync(() => {
        for (const batch of accumulator.expire(true)) expire(batch)
        for (const batch of accumulator.drain()) divert(batch)
      }),
      // None of them returns. Not by `Effect.all`: it would not end before the keeper's present pause does.
      run: Effect.raceFirst(Effect.raceFirst(sender, sweeper), metadataKeeper)
    }
  })
