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

/** Records of a batch that are not durable: `count` of them from the one with index `from` on. */
export interface Refused {
  readonly from: number
  readonly count: number
  readonly error: PublishError
}

/** One record batch to park. */
export interface Parcel {
  readonly envelope: Envelope
  /** For the message's readable attributes. */
  readonly firstId: string
  /** Told exactly once: every record is durable but for these, in order. */
  readonly settle: (refused: ReadonlyArray<Refused>) => void
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
    const stores = yield* FiberSet.make()
    const start = yield* FiberSet.runtime(stores)<never>()
    let storedTwice = 0
    const onUnknown = (records: number) => {
      storedTwice += records
    }
    const park = makePark({ queue, budgetMs: options.budgetMs, onUnknown })
    const work = makeSignal()
    let pending: Array<Parcel> = []
    let count = 0
    let bytes = 0
    let running = 0
    let reason = ""

    const tell = (parcel: Parcel, refused: ReadonlyArray<Refused>) => {
      count--
      bytes -= parcel.envelope.batch.length
      parcel.settle(refused)
    }
    const tellAll = (parcel: Parcel, error: PublishError) =>
      tell(parcel, [{ from: 0, count: parcel.envelope.recordCount, error }])
    const failure = (message: string, cause?: unknown) =>
      new PublishError({
        reason: "FallbackUnavailable",
        message: `Kafka did not take it in time and the fallback queue ${queue.name} refused: ${message}`,
        cause
      })

    const store = (parcels: ReadonlyArray<Parcel>) => {
      const untold = new Set(parcels)
      return park(parcels, options.afterMs).pipe(
        Effect.tap(unstored =>
          Effect.sync(() => {
            // A record the queue cannot take is no fault of the queue.
            const first = unstored.flat().find(({ error }) => error.reason !== "Invalid")?.error
            reason = first === undefined ? "" : `${first.reason}: ${first.message}`
            parcels.forEach((parcel, index) => {
              untold.delete(parcel)
              const refused = unstored[index] ?? []
              tell(
                parcel,
                refused.map(one => ({ ...one, error: failure(one.error.message, one.error) }))
              )
            })
          })
        ),
        // Interrupted, or a defect: nobody else holds these records, so their callers must hear of it.
        Effect.ensuring(
          Effect.sync(() => {
            for (const parcel of untold) tellAll(parcel, failure("the store was interrupted"))
            running--
            work.notify()
          })
        )
      )
    }

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const parcel of pending.splice(0)) tellAll(parcel, failure("it was closed before it was asked"))
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
        start(store(parcels))
      })
    )

    return {
      divert: parcel => {
        count++
        bytes += parcel.envelope.batch.length
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
