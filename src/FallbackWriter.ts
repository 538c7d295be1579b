/**
 * Makes durable elsewhere what Kafka would not take in time: collects for a few milliseconds, packs many record batches
 * into few messages, stores them, and only then says so. What the queue does not take within its budget goes to the spool,
 * if there is one; while the queue's circuit breaker is open, at once.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type { Service as Claims } from "./ClaimCheck.ts"
import type { Envelope } from "./Envelope.ts"
import { FallbackQueueError, type Service as Queue } from "./FallbackQueue.ts"
import type { Backlog, BacklogStatus } from "./internal/backlog.ts"
import { BreakerState, type OpenSchedule, type State } from "./internal/breakerState.ts"
import type { Deadline } from "./internal/deadline.ts"
import { makePark, type Park, type Unstored } from "./internal/park.ts"
import { makeSignal, type Signal } from "./internal/signal.ts"
import { maximumBatchBytes } from "./internal/sqsSize.ts"
import { PublishError } from "./Receipt.ts"
import type { Service as Spool } from "./Spool.ts"

/** Records of a batch that are not in the queue: `count` of them from the one with index `from` on. */
export interface Exception {
  readonly from: number
  readonly count: number
  readonly outcome: "spooled" | PublishError
}

/** One record batch to park. */
export interface Parcel {
  readonly envelope: Envelope
  /** For the message's readable attributes. */
  readonly firstId: string
  /** Kafka may have it all the same: said in the error, should it find no place. */
  readonly maybeInKafka?: boolean
  /** Told exactly once: every record is in the queue but for these, in order. */
  readonly settle: (exceptions: ReadonlyArray<Exception>) => void
}

/** What it is doing, for health and metrics. */
export interface Status {
  /** `up`; `down` since the last send failed as a whole, until the queue is due to be tried again. */
  readonly state: "up" | "down"
  /** Empty while up. */
  readonly reason: string
  /** Of the queue's circuit breaker. */
  readonly breaker: State
  /** Why the claim check took no record when it was last needed; empty when it did. */
  readonly claimFault: string
  /** Record batches, bytes and records not yet durable. */
  readonly pending: number
  readonly pendingBytes: number
  readonly pendingRecords: number
  /** Records that may be there twice: the queue's answer was lost, and they were sent again or spooled as well. */
  readonly storedTwice: number
  /** Undefined when nothing limits it. */
  readonly backlog: BacklogStatus | undefined
}

export interface Service {
  /** Takes the batch over. Never waits: the Producer's buffer bounds what can be here. */
  readonly divert: (parcel: Parcel) => void
  /**
   * Stores in the queue what lies in the spool, without delay. For each batch what of it is not durable there, and why.
   * Asks nobody while the queue's breaker is open.
   */
  readonly move: (
    parcels: ReadonlyArray<Pick<Parcel, "envelope" | "firstId">>
  ) => Effect.Effect<ReadonlyArray<ReadonlyArray<Unstored>>>
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
  /** Until when the queue may be tried once the end has begun; it takes the budget's place. */
  readonly deadline?: Deadline | undefined
  /** Takes the records no message can hold. */
  readonly claims?: Claims | undefined
  readonly spool?: Spool | undefined
  /** Limits what is diverted to the queue, which must be the one it watches. What is moved there does not pass it. */
  readonly backlog?: Backlog | undefined
}

/** Stores under way at the same time; what comes meanwhile is collected for the next. */
const concurrency = 4
/** The same for batches no message may hold: few, for their memory, and apart, so that no other waits for an upload. */
const largeConcurrency = 2
/** How long a call of a move may outlast the budget, ms: longer than the client waits for an answer, by its defaults. */
const moveGraceMs = 10_000
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

/** How the error of a record begins that has no durable place. */
const kafkaFailed = ({ maybeInKafka }: Parcel): string =>
  maybeInKafka === true
    ? "Kafka did not answer in time (the record may be there all the same)"
    : "Kafka did not take it in time"

/** Of a parcel: not in the queue. */
interface Refused extends Unstored {
  readonly parcel: Parcel
}

export const make = (queue: Queue, options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { backlog, budgetMs, claims, deadline, spool } = options
    const clock = yield* Effect.clock
    const now = () => clock.unsafeCurrentTimeMillis()
    const stores = yield* FiberSet.make()
    const start = yield* FiberSet.runtime(stores)<never>()
    const breaker = new BreakerState(thresholds(budgetMs), options.openSchedule, now(), () => undefined)
    let storedTwice = 0
    const parking = {
      queue,
      claims,
      budgetMs,
      deadline,
      onUnknown: (records: number) => {
        storedTwice += records
      }
    }
    const park = makePark({ ...parking, graceMs: spool === undefined ? undefined : 0 })
    // Nobody waits for a move. A slow call cut off would be made again, and each one stores the records once more.
    const parkMoved = makePark({ ...parking, graceMs: moveGraceMs })
    const small = makeTray(concurrency)
    const large = makeTray(largeConcurrency)
    /** Those nobody has been told about, pending or being stored. */
    const untold = new Set<Parcel>()
    let bytes = 0
    let records = 0
    let claimFault = ""

    const tell = (parcel: Parcel, exceptions: ReadonlyArray<Exception>) => {
      untold.delete(parcel)
      bytes -= parcel.envelope.batch.length
      records -= parcel.envelope.recordCount
      parcel.settle(exceptions)
    }
    const failure = ({ error, parcel }: Refused, also = "", cause: unknown = error) =>
      new PublishError({
        reason: "FallbackUnavailable",
        message: `${kafkaFailed(parcel)}, and the fallback queue ${queue.name} refused: ${error.message}${also}`,
        cause
      })
    const wholly = (
      { envelope }: Pick<Parcel, "envelope">,
      reason: "Unknown" | "Unavailable",
      message: string
    ): Unstored => ({
      from: 0,
      count: envelope.recordCount,
      envelope,
      error: new FallbackQueueError({
        reason,
        queue: queue.name,
        operation: "SendMessageBatch",
        message,
        retryable: true
      })
    })

    /** Tries the queue, if its breaker lets it; what of each parcel is not durable there. */
    const toQueue = (
      store: Park,
      parcels: ReadonlyArray<Pick<Parcel, "envelope" | "firstId">>,
      delayMs: number,
      waitedMs = 0
    ) =>
      Effect.suspend(() => {
        const startedAt = now()
        if (startedAt >= breaker.openUntil) breaker.halfOpen(startedAt)
        const permit = breaker.acquire(startedAt)
        // At the end, without a spool, there is nobody else and no later.
        const last = spool === undefined && deadline?.at() !== undefined
        if (permit === undefined && !last) {
          const message = `circuit breaker ${breaker.state}: ${breaker.reason}`
          return Effect.succeed(parcels.map(parcel => [wholly(parcel, "Unavailable", message)]))
        }
        const settle = (result: "success" | "failure" | "ignored", why: string) =>
          permit === undefined ? undefined : breaker.settle(permit, result, now() - startedAt, now(), why)
        return store(parcels, delayMs, waitedMs).pipe(
          Effect.tap(unstored =>
            Effect.sync(() => {
              // A record the queue cannot take is no fault of the queue, and what it took of the others is to its credit.
              const errors = unstored.flatMap(some => some.map(({ error }) => error))
              const fault = errors.find(({ _tag, reason }) => _tag === "FallbackQueueError" && reason !== "Invalid")
              const missing = unstored.flat().reduce((sum, { count }) => sum + count, 0)
              const stored = parcels.reduce((sum, { envelope }) => sum + envelope.recordCount, 0) > missing
              if (fault === undefined || stored) settle(stored ? "success" : "ignored", "")
              // Cut short for the shutdown's sake: that says nothing of the queue.
              else if (now() >= (deadline?.at() ?? Number.POSITIVE_INFINITY)) settle("ignored", "")
              else settle("failure", `${fault.reason}: ${fault.message}`)
            })
          ),
          Effect.onInterrupt(() => Effect.sync(() => settle("ignored", "")))
        )
      })

    /** Tells a parcel's callers, once the fate of each of its records is known. */
    const conclude = (
      parcel: Parcel,
      refused: ReadonlyArray<Refused>,
      outcomeOf: (one: Refused) => Exception["outcome"]
    ) =>
      tell(
        parcel,
        refused.map(one => ({ from: one.from, count: one.count, outcome: outcomeOf(one) }))
      )

    /** Stores in the spool what the queue did not take. Everybody has been told when this ends. */
    const toSpool = (refused: ReadonlyArray<Refused>): Effect.Effect<void> => {
      const outcomes = new Map<Refused, Exception["outcome"]>()
      const groups: Array<Array<Refused>> = []
      let size = Number.POSITIVE_INFINITY
      for (const one of refused) {
        const { length } = one.envelope.batch
        if (size + length > spoolBytes) {
          groups.push([])
          size = 0
        }
        groups[groups.length - 1]?.push(one)
        size += length
      }
      const byParcel = new Map<Parcel, Array<Refused>>()
      for (const one of refused) {
        const parts = byParcel.get(one.parcel)
        if (parts === undefined) byParcel.set(one.parcel, [one])
        else parts.push(one)
      }
      /** Tells those whose last part has its outcome now. */
      const concludeAll = (group: ReadonlyArray<Refused>) => {
        for (const { parcel } of group) {
          const parts = byParcel.get(parcel) ?? []
          if (!untold.has(parcel) || parts.some(part => !outcomes.has(part))) continue
          conclude(parcel, parts, part => outcomes.get(part) ?? failure(part))
        }
      }
      const storeGroup = (group: ReadonlyArray<Refused>) =>
        spool === undefined
          ? Effect.sync(() => {
              for (const one of group) outcomes.set(one, failure(one))
              concludeAll(group)
            })
          : Effect.match(spool.put(group.map(({ envelope }) => envelope)), {
              onSuccess: () => {
                for (const one of group) {
                  // It may be in the queue all the same.
                  if (one.error.reason === "Unknown") storedTwice += one.count
                  outcomes.set(one, "spooled")
                }
                concludeAll(group)
              },
              onFailure: cause => {
                for (const one of group) outcomes.set(one, failure(one, `; and ${cause.message}`, cause))
                concludeAll(group)
              }
            })
      // Between two commits the event loop has its turn.
      return Effect.forEach(groups, group => Effect.zipRight(storeGroup(group), Effect.yieldNow()), { discard: true })
    }

    const refusedFor = (parcels: ReadonlyArray<Parcel>, message: string, reason: "Unknown" | "Unavailable") =>
      parcels.map(parcel => ({ parcel, ...wholly(parcel, reason, message) }))

    const store = (parcels: ReadonlyArray<Parcel>, tray: Tray, waitedMs: number) =>
      toQueue(park, parcels, options.afterMs, waitedMs).pipe(
        Effect.flatMap(unstored => {
          if (tray === large) {
            // Other parcels say nothing of it.
            const fault = unstored.flat().find(({ error }) => error._tag === "ClaimCheckError")?.error
            claimFault = fault === undefined ? "" : `${fault.reason}: ${fault.message}`
          }
          const refused = parcels.flatMap((parcel, index) => (unstored[index] ?? []).map(one => ({ ...one, parcel })))
          parcels.forEach((parcel, index) => {
            if (unstored[index]?.length === 0) tell(parcel, [])
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
            tray.running--
            tray.work.notify()
          })
        )
      )

    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const left = [...small.pending.splice(0), ...large.pending.splice(0)].map(({ parcel }) => parcel)
        return toSpool(refusedFor(left, "it was closed before it was asked", "Unavailable"))
      })
    )

    const refuse = ({ parcel }: Tray["pending"][number], why: string) => {
      const error = new PublishError({ reason: "Overloaded", message: `${kafkaFailed(parcel)}, and ${why}` })
      tell(parcel, [{ from: 0, count: parcel.envelope.recordCount, outcome: error }])
    }

    const run = (tray: Tray) =>
      Effect.forever(
        Effect.gen(function* () {
          if (tray.pending.length === 0) yield* tray.work.wait
          yield* Effect.sleep(options.collectMs)
          if (backlog !== undefined && (yield* backlog.pass(tray.pending, refuse))) tray.heldUntil = now()
          if (!tray.ready) return yield* tray.work.wait
          // Large ones one by one: each is told as soon as it is durable.
          const taken = tray.pending.splice(0, tray === large ? 1 : tray.pending.length)
          // Behind stores that take their time, the wait counts: it is the caller's. The backlog's limit has its own.
          const waitedMs = now() - Math.max(tray.heldUntil, taken[0]?.since ?? 0)
          const parcels = taken.map(({ parcel }) => parcel)
          tray.running++
          start(store(parcels, tray, tray === large ? 0 : waitedMs))
        })
      )

    return {
      divert: parcel => {
        untold.add(parcel)
        bytes += parcel.envelope.batch.length
        records += parcel.envelope.recordCount
        const tray = parcel.envelope.batch.length > maximumBatchBytes ? large : small
        tray.pending.push({ parcel, since: now() })
        tray.work.notify()
      },
      move: parcels =>
        Effect.tap(toQueue(parkMoved, parcels, 0), unstored =>
          Effect.sync(() => {
            for (const { count, error } of unstored.flat()) if (error.reason === "Unknown") storedTwice += count
          })
        ),
      status: () => {
        const up = breaker.state === "closed" || now() >= breaker.openUntil
        return {
          state: up ? "up" : "down",
          reason: up ? "" : breaker.reason,
          breaker: breaker.state,
          claimFault,
          pending: untold.size,
          pendingBytes: bytes,
          pendingRecords: records,
          storedTwice,
          backlog: backlog?.status()
        }
      },
      run: Effect.zipRight(Effect.all([run(small), run(large)], { concurrency: "unbounded" }), Effect.never)
    }
  })

/** What waits to be stored, and how much of it is under way. */
interface Tray {
  /** Oldest first; since when, ms since the epoch. */
  readonly pending: Array<{ readonly parcel: Parcel; readonly since: number }>
  readonly work: Signal
  readonly ready: boolean
  /** Until when the backlog's limit has last kept them waiting, ms since the epoch. */
  heldUntil: number
  running: number
}

const makeTray = (most: number): Tray => ({
  pending: [],
  work: makeSignal(),
  heldUntil: 0,
  running: 0,
  get ready() {
    return this.pending.length > 0 && this.running < most
  }
})
