/**
 * Makes durable elsewhere what Kafka would not take in time: collects for a few milliseconds, packs many record batches
 * into few messages, stores them, and only then says so. What the queue does not take within its budget goes to the spool,
 * if there is one; while the queue's circuit breaker is open, at once.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { Envelope } from "./Envelope.ts"
import { FallbackQueueError, type Service as Queue } from "./FallbackQueue.ts"
import { BreakerState, type OpenSchedule, type State } from "./internal/breakerState.ts"
import { makePark } from "./internal/park.ts"
import { makeSignal } from "./internal/signal.ts"
import { PublishError } from "./Receipt.ts"
import type { Service as Spool } from "./Spool.ts"

/** One record batch to park. */
export interface Parcel {
  readonly envelope: Envelope
  /** For the message's readable attributes. */
  readonly firstId: string
  /** Told exactly once: where it is durable, or why it is not. */
  readonly settle: (outcome: "diverted" | "spooled" | PublishError) => void
}

/** What it is doing, for health and metrics. */
export interface Status {
  /** `up`; `down` since the last send failed as a whole, until the queue is due to be tried again. */
  readonly state: "up" | "down"
  /** Empty while up. */
  readonly reason: string
  /** Of the queue's circuit breaker. */
  readonly breaker: State
  /** Record batches and bytes not yet durable. */
  readonly pending: number
  readonly pendingBytes: number
  /** Records that may be there twice: the queue's answer was lost, and they were sent again or spooled as well. */
  readonly storedTwice: number
}

export interface Service {
  /** Takes the batch over. Never waits: the Producer's buffer bounds what can be here. */
  readonly divert: (parcel: Parcel) => void
  /**
   * Stores in the queue what lies in the spool, without delay. `undefined` for each batch that is durable there, else why
   * it is not; in order. Asks nobody while the queue's breaker is open.
   */
  readonly move: (
    parcels: ReadonlyArray<Pick<Parcel, "envelope" | "firstId">>
  ) => Effect.Effect<ReadonlyArray<FallbackQueueError | undefined>>
  /** From now on the queue is not waited for: what is here and what comes goes to the spool. Without one, nothing. */
  readonly spoolAll: Effect.Effect<void>
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
  /** How long to go on trying to store a batch before it is spooled, or its callers are told, ms. */
  readonly budgetMs: number
  /** How long the queue's breaker stays open before the queue is tried again. */
  readonly openSchedule: OpenSchedule
  readonly spool?: Spool | undefined
}

/** Stores under way at the same time; what comes meanwhile is collected for the next. */
const concurrency = 4
/** Bytes that go to the spool in one transaction: what has no room must not take the rest with it. */
const spoolBytes = 4 * 1024 * 1024

/** One store that failed as a whole has used up its budget already: that is enough to open it. */
const thresholds = (budgetMs: number) => ({
  consecutiveFailures: 1,
  windowMs: 10_000,
  minimumVolume: Number.POSITIVE_INFINITY,
  failureRate: 1,
  slowCallMs: undefined,
  slowCallRate: 1,
  probes: 1,
  // Twice: without a spool the last call of a store may outlast the budget.
  probeTimeoutMs: budgetMs * 2
})

export const make = (queue: Queue, options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { budgetMs, spool } = options
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const stores = yield* FiberSet.make()
    const start = yield* FiberSet.runtime(stores)<never>()
    const breaker = new BreakerState(thresholds(budgetMs), options.openSchedule, now(), () => undefined)
    /** The shutdown's word that the queue has had its time. */
    const abandoned = yield* Deferred.make<void>()
    let abandonedYet = false
    let storedTwice = 0
    const park = makePark({
      queue,
      budgetMs,
      onUnknown: records => {
        storedTwice += records
      },
      giveUp: spool === undefined ? undefined : Deferred.await(abandoned)
    })
    const work = makeSignal()
    let pending: Array<Parcel> = []
    /** Those nobody has been told about, pending or being stored. */
    const untold = new Set<Parcel>()
    let bytes = 0
    let running = 0

    const tell = (parcel: Parcel, outcome: "diverted" | "spooled" | PublishError) => {
      untold.delete(parcel)
      bytes -= parcel.envelope.batch.length
      parcel.settle(outcome)
    }
    const failure = (message: string, cause?: unknown) =>
      new PublishError({
        reason: "FallbackUnavailable",
        message: `Kafka did not take it in time and the fallback queue ${queue.name} refused: ${message}`,
        cause
      })

    const errorOf = (reason: "Unknown" | "Unavailable", message: string) =>
      new FallbackQueueError({
        reason,
        queue: queue.name,
        operation: "SendMessageBatch",
        message,
        retryable: true
      })

    /** Tries the queue, if its breaker lets it; why each parcel is not durable there. */
    const toQueue = (parcels: ReadonlyArray<Pick<Parcel, "envelope" | "firstId">>, delayMs: number) =>
      Effect.suspend(() => {
        const startedAt = now()
        if (startedAt >= breaker.openUntil) breaker.halfOpen(startedAt)
        const permit = abandonedYet ? undefined : breaker.acquire(startedAt)
        if (permit === undefined) {
          const message = abandonedYet ? "not asked any more" : `circuit breaker ${breaker.state}: ${breaker.reason}`
          const error = errorOf("Unavailable", message)
          return Effect.succeed(parcels.map(() => error))
        }
        const settle = (result: "success" | "failure" | "ignored", why: string) =>
          breaker.settle(permit, result, now() - startedAt, now(), why)
        return park(parcels, delayMs).pipe(
          Effect.tap(errors =>
            Effect.sync(() => {
              // A record the queue cannot take is no fault of the queue, and what it took of the others is to its credit.
              const fault = errors.find(error => error !== undefined && error.reason !== "Invalid")
              const stored = errors.some(error => error === undefined)
              if (abandonedYet) settle("ignored", "")
              else if (fault === undefined || stored) settle(stored ? "success" : "ignored", "")
              else settle("failure", `${fault.reason}: ${fault.message}`)
            })
          ),
          Effect.onInterrupt(() => Effect.sync(() => settle("ignored", "")))
        )
      })

    interface Refused {
      readonly parcel: Parcel
      readonly error: FallbackQueueError
    }

    /** Stores in the spool what the queue did not take. Everybody has been told when this ends. */
    const toSpool = (refused: ReadonlyArray<Refused>): Effect.Effect<void> => {
      if (spool === undefined) {
        return Effect.sync(() => {
          for (const { error, parcel } of refused) tell(parcel, failure(error.message, error))
        })
      }
      const groups: Array<Array<Refused>> = []
      let size = Number.POSITIVE_INFINITY
      for (const one of refused) {
        const { length } = one.parcel.envelope.batch
        if (size + length > spoolBytes) {
          groups.push([])
          size = 0
        }
        groups[groups.length - 1]?.push(one)
        size += length
      }
      const storeGroup = (group: ReadonlyArray<Refused>) =>
        Effect.match(spool.put(group.map(({ parcel }) => parcel.envelope)), {
          onSuccess: () => {
            for (const { error, parcel } of group) {
              // It may be in the queue all the same.
              if (error.reason === "Unknown") storedTwice += parcel.envelope.recordCount
              tell(parcel, "spooled")
            }
          },
          onFailure: cause => {
            for (const { error, parcel } of group)
              tell(parcel, failure(`${error.message}; and ${cause.message}`, cause))
          }
        })
      // Between two commits the event loop has its turn.
      return Effect.forEach(groups, group => Effect.zipRight(storeGroup(group), Effect.yieldNow()), { discard: true })
    }

    const refusedFor = (parcels: ReadonlyArray<Parcel>, message: string, reason: "Unknown" | "Unavailable") =>
      parcels.map(parcel => ({ parcel, error: errorOf(reason, message) }))

    const store = (parcels: ReadonlyArray<Parcel>) =>
      toQueue(parcels, options.afterMs).pipe(
        Effect.flatMap(errors => {
          const refused: Array<Refused> = []
          parcels.forEach((parcel, index) => {
            const error = errors[index]
            if (error === undefined) tell(parcel, "diverted")
            else refused.push({ parcel, error })
          })
          return Effect.uninterruptible(toSpool(refused))
        }),
        // Interrupted, or a defect: nobody else holds these records, so they must be stored, or their callers hear of it.
        Effect.ensuring(
          Effect.suspend(() => {
            const left = parcels.filter(parcel => untold.has(parcel))
            return toSpool(refusedFor(left, "the store was interrupted", "Unknown"))
          })
        ),
        Effect.ensuring(
          Effect.sync(() => {
            running--
            work.notify()
          })
        )
      )

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => toSpool(refusedFor(pending.splice(0), "it was closed before it was asked", "Unavailable")))
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
        untold.add(parcel)
        bytes += parcel.envelope.batch.length
        pending.push(parcel)
        work.notify()
      },
      move: parcels =>
        Effect.tap(toQueue(parcels, 0), errors =>
          Effect.sync(() => {
            parcels.forEach(({ envelope }, index) => {
              if (errors[index]?.reason === "Unknown") storedTwice += envelope.recordCount
            })
          })
        ),
      spoolAll: Effect.suspend(() => {
        if (spool === undefined) return Effect.void
        abandonedYet = true
        return Effect.asVoid(Deferred.succeed(abandoned, undefined))
      }),
      status: () => {
        const up = breaker.state === "closed" || now() >= breaker.openUntil
        return {
          state: up ? "up" : "down",
          reason: up ? "" : breaker.reason,
          breaker: breaker.state,
          pending: untold.size,
          pendingBytes: bytes,
          storedTwice
        }
      },
      run
    }
  })
