/**
 * Makes durable elsewhere what Kafka would not take in time: collects for a few milliseconds, packs many record batches
 * into few messages, stores them, and only then says so.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { Envelope } from "./Envelope.ts"
import type { Service as Queue } from "./FallbackQueue.ts"
import { makePark } from "./internal/park.ts"
import { makeSignal } from "./internal/signal.ts"
import { PublishError } from "./Receipt.ts"

/** One record batch to park. */
export interface Parcel {
  readonly envelope: Envelope
  /** For the message's readable attributes. */
  readonly firstId: string
  /** Told exactly once: undefined when it is durable, else why it is not. */
  readonly settle: (error: PublishError | undefined) => void
}

/** What it is doing, for health and metrics. */
export interface Status {
  /** `up`; `down` since the last send failed as a whole. */
  readonly state: "up" | "down"
  /** Empty while up. */
  readonly reason: string
  /** Record batches and bytes not yet durable. */
  readonly pending: number
  readonly pendingBytes: number
  /** Records that may be in the queue twice: SQS's answer was lost, and they were sent again. */
  readonly storedTwice: number
}

export interface Service {
  /** Takes the batch over. Never waits: the Producer's buffer bounds what can be here. */
  readonly divert: (parcel: Parcel) => void
  readonly status: () => Status
  /** The loop to be supervised. */
  readonly run: Effect.Effect<never>
}

export class FallbackWriter extends Context.Tag("spillway/FallbackWriter")<FallbackWriter, Service>() {}

export interface Options {
  /** How long a batch waits for others to share a message with, ms. */
  readonly collectMs: number
  /** Delay before the first replay, ms. */
  readonly afterMs: number
  /** How long to go on trying to store a batch before its callers are told, ms. */
  readonly budgetMs: number
}

/** Stores under way at the same time; what comes meanwhile is collected for the next. */
const concurrency = 4

export const make = (queue: Queue, options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const stores = yield* FiberSet.make()
    const start = yield* FiberSet.runtime(stores)<never>()
    let storedTwice = 0
    const onUnknown = (records: number) => {
      storedTwice += records
    }
    const park = makePark({ queue, budgetMs: options.budgetMs, onUnknown })
    const work = makeSignal()
    let pending: Array<Parcel> = []
    /** When the first of `pending` came. */
    let pendingSince = 0
    let count = 0
    let bytes = 0
    let running = 0
    let reason = ""

    const tell = (parcel: Parcel, error: PublishError | undefined) => {
      count--
      bytes -= parcel.envelope.batch.length
      parcel.settle(error)
    }
    const failure = (message: string, cause?: unknown) =>
      new PublishError({
        reason: "FallbackUnavailable",
        message: `Kafka did not take it in time and the fallback queue ${queue.name} refused: ${message}`,
        cause
      })

    const store = (parcels: ReadonlyArray<Parcel>, waitedMs: number) => {
      const untold = new Set(parcels)
      return park(parcels, options.afterMs, waitedMs).pipe(
        Effect.tap(errors =>
          Effect.sync(() => {
            // A record the queue cannot take is no fault of the queue.
            const first = errors.find(error => error !== undefined && error.reason !== "Invalid")
            reason = first === undefined ? "" : `${first.reason}: ${first.message}`
            parcels.forEach((parcel, index) => {
              untold.delete(parcel)
              const error = errors[index]
              tell(parcel, error === undefined ? undefined : failure(error.message, error))
            })
          })
        ),
        // Interrupted, or a defect: nobody else holds these records, so their callers must hear of it.
        Effect.ensuring(
          Effect.sync(() => {
            for (const parcel of untold) tell(parcel, failure("the store was interrupted"))
            running--
            work.notify()
          })
        )
      )
    }

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const parcel of pending.splice(0)) tell(parcel, failure("it was closed before it was asked"))
      })
    )

    const run = Effect.forever(
      Effect.gen(function* () {
        if (pending.length === 0 || running >= concurrency) yield* work.wait
        if (pending.length === 0 || running >= concurrency) return
        yield* Effect.sleep(options.collectMs)
        const parcels = pending
        pending = []
        running++
        // Behind stores that take their time, the wait counts: it is the caller's.
        start(store(parcels, clock.unsafeCurrentTimeMillis() - pendingSince))
      })
    )

    return {
      divert: parcel => {
        count++
        bytes += parcel.envelope.batch.length
        if (pending.length === 0) pendingSince = clock.unsafeCurrentTimeMillis()
        pending.push(parcel)
        work.notify()
      },
      status: () => ({
        state: reason === "" ? "up" : "down",
        reason,
        pending: count,
        pendingBytes: bytes,
        storedTwice
      }),
      run
    }
  })
