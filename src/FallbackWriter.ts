/**
 * Makes durable elsewhere what Kafka would not take in time: collects for a few milliseconds, packs many record batches
 * into few messages, stores them, and only then says so.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { Service as Claims } from "./ClaimCheck.ts"
import type { Envelope } from "./Envelope.ts"
import type { Service as Queue } from "./FallbackQueue.ts"
import { makePark } from "./internal/park.ts"
import { makeSignal, type Signal } from "./internal/signal.ts"
import { maximumBatchBytes } from "./internal/sqsSize.ts"
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
  /** Why the claim check took no record when it was last needed; empty when it did. */
  readonly claimFault: string
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
  /** Takes the records no message can hold. */
  readonly claims?: Claims | undefined
}

/** Stores under way at the same time; what comes meanwhile is collected for the next. */
const concurrency = 4
/** The same for batches no message may hold: few, for their memory, and apart, so that no other waits for an upload. */
const largeConcurrency = 2

export const make = (queue: Queue, options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const stores = yield* FiberSet.make()
    const start = yield* FiberSet.runtime(stores)<never>()
    let storedTwice = 0
    const onUnknown = (records: number) => {
      storedTwice += records
    }
    const park = makePark({ queue, claims: options.claims, budgetMs: options.budgetMs, onUnknown })
    const small = makeTray(concurrency)
    const large = makeTray(largeConcurrency)
    let count = 0
    let bytes = 0
    let reason = ""
    let claimFault = ""

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

    const store = (parcels: ReadonlyArray<Parcel>, tray: Tray) => {
      const untold = new Set(parcels)
      return park(parcels, options.afterMs).pipe(
        Effect.tap(unstored =>
          Effect.sync(() => {
            // A record the queue cannot take is no fault of the queue.
            const errors = unstored.flatMap(some => some.map(({ error }) => error))
            const say = (tag: (typeof errors)[number]["_tag"]) => {
              const first = errors.find(({ _tag, reason }) => _tag === tag && reason !== "Invalid")
              return first === undefined ? "" : `${first.reason}: ${first.message}`
            }
            reason = say("FallbackQueueError")
            // Other parcels say nothing of it.
            if (tray === large) claimFault = say("ClaimCheckError")
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
            tray.running--
            tray.work.notify()
          })
        )
      )
    }

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const parcel of [...small.pending.splice(0), ...large.pending.splice(0)])
          tellAll(parcel, failure("it was closed before it was asked"))
      })
    )

    const run = (tray: Tray) =>
      Effect.forever(
        Effect.gen(function* () {
          if (!tray.ready) yield* tray.work.wait
          if (!tray.ready) return
          yield* Effect.sleep(options.collectMs)
          // Large ones one by one: each is told as soon as it is durable.
          const parcels = tray.pending.splice(0, tray === large ? 1 : tray.pending.length)
          tray.running++
          start(store(parcels, tray))
        })
      )

    return {
      divert: parcel => {
        count++
        bytes += parcel.envelope.batch.length
        const tray = parcel.envelope.batch.length > maximumBatchBytes ? large : small
        tray.pending.push(parcel)
        tray.work.notify()
      },
      status: () => ({
        state: reason === "" ? "up" : "down",
        reason,
        claimFault,
        pending: count,
        pendingBytes: bytes,
        storedTwice
      }),
      run: Effect.zipRight(Effect.all([run(small), run(large)], { concurrency: "unbounded" }), Effect.never)
    }
  })

/** What waits to be stored, and how much of it is under way. */
interface Tray {
  readonly pending: Array<Parcel>
  readonly work: Signal
  readonly ready: boolean
  running: number
}

const makeTray = (most: number): Tray => ({
  pending: [],
  work: makeSignal(),
  running: 0,
  get ready() {
    return this.pending.length > 0 && this.running < most
  }
})
