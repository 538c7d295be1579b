/**
 * Decides whether a batch may try Kafka or is diverted at once. One breaker for the cluster and one for each partition
 * that fails while the others work. An open cluster breaker lets nothing through until `watch` has reached Kafka again;
 * then exactly so many probe batches pass, and everyone else still diverts without waiting.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import {
  BreakerState,
  type OpenSchedule,
  type State,
  type Permit as StatePermit,
  type Thresholds
} from "./internal/breakerState.ts"

export type { OpenSchedule, State, Thresholds }

/** Leave for one batch to try Kafka. Must be handed back by `settle`, whatever happens. */
export interface Permit {
  readonly topic: string
  readonly partition: number
  readonly cluster: StatePermit
  readonly own: StatePermit | undefined
}

/** What a breaker says of itself. */
export interface Status {
  readonly state: State
  /** Empty while closed. */
  readonly reason: string
  /** ms since the epoch */
  readonly since: number
  /** ms since the epoch; 0 while closed */
  readonly nextProbeAt: number
  readonly forced: "open" | "closed" | undefined
  /** Partitions whose own breaker is not closed, as `topic-partition`. */
  readonly partitions: ReadonlyArray<string>
}

/** Says what changed: `cluster` or `topic-partition`. */
export type Listener = (scope: string, state: State, reason: string) => void

export interface Service {
  /** Undefined: divert at once. Never waits. */
  readonly acquire: (topic: string, partition: number) => Permit | undefined
  /** Everything flows: neither the cluster's breaker nor the partition's own is open or probing. */
  readonly closed: (topic: string, partition: number) => boolean
  /** Whether a keyless record had better choose another partition. */
  readonly avoids: (topic: string, partition: number) => boolean
  readonly settle: (permit: Permit, result: "success" | "failure" | "ignored", durationMs: number, why?: string) => void
  /** No broker could be reached at all: counts like a failed batch. */
  readonly unreachable: (why: string) => void
  readonly status: () => Status
  /** The operator's word: `undefined` gives control back to the breaker. */
  readonly force: (state: "open" | "closed" | undefined) => void
  readonly onChange: (listener: Listener) => void
  /** Waits until the cluster breaker is not open. Does not wait when it is not. */
  readonly untilPassable: Effect.Effect<void>
  /**
   * A loop to be supervised: while the cluster breaker is open, waits out its interval and runs `reach`; half-opens on
   * success, stays open for the next interval on failure.
   */
  readonly watch: (reach: Effect.Effect<unknown, { readonly message: string }>) => Effect.Effect<never>
}

export class CircuitBreaker extends Context.Tag("spillway/CircuitBreaker")<CircuitBreaker, Service>() {}

/** Open intervals: exponential from `minMs`, capped at `maxMs`, spread by `jitter` (0.2: 80 % to 120 %). */
export const openSchedule = (options: {
  readonly minMs: number
  readonly maxMs: number
  readonly factor: number
  readonly jitter: number
}): OpenSchedule =>
  Schedule.exponential(Duration.millis(options.minMs), options.factor).pipe(
    Schedule.modifyDelay((_, delay) => Duration.min(delay, Duration.millis(options.maxMs))),
    Schedule.jitteredWith({ min: 1 - options.jitter, max: 1 + options.jitter })
  )

export const make = (thresholds: Thresholds, schedule: OpenSchedule): Effect.Effect<Service> =>
  Effect.map(Effect.clock, clock => build(thresholds, schedule, () => clock.unsafeCurrentTimeMillis()))

const build = (thresholds: Thresholds, schedule: OpenSchedule, now: () => number): Service => {
  const listeners: Array<Listener> = []
  const waiting = new Set<() => void>()
  const opened = new Set<() => void>()
  const partitions = new Map<string, BreakerState>()
  let forced: "open" | "closed" | undefined

  const announce = (scope: string, state: State, reason: string) => {
    for (const listener of listeners) {
      try {
        listener(scope, state, reason)
      } catch (cause) {
        // Whoever caused the change holds a batch whose callers must be told; the fault is shown where uncaught ones go.
        queueMicrotask(() => {
          throw cause
        })
      }
    }
  }
  const wake = (sleepers: Set<() => void>) => {
    for (const resume of Array.from(sleepers)) resume()
  }
  const cluster = new BreakerState(thresholds, schedule, now(), (state, reason) => {
    // One outage is one breaker's business: partitions must not each be probed after the cluster has recovered.
    partitions.clear()
    announce("cluster", state, reason)
    wake(state === "open" ? opened : waiting)
  })
  const keyOf = (topic: string, partition: number) => `${topic}-${partition}`
  /** Hardly ever is there one: then no key is made, for this is asked for each batch. */
  const ownOf = (topic: string, partition: number) =>
    partitions.size === 0 ? undefined : partitions.get(keyOf(topic, partition))

  /** Waits until `holds`, woken by `sleepers`. */
  const until = (holds: () => boolean, sleepers: Set<() => void>): Effect.Effect<void> =>
    Effect.async<void>(resume => {
      const wakeUp = () => {
        if (!holds()) return
        sleepers.delete(wakeUp)
        resume(Effect.void)
      }
      sleepers.add(wakeUp)
      wakeUp()
      return Effect.sync(() => sleepers.delete(wakeUp))
    })

  const passable = () => forced === "closed" || (forced === undefined && cluster.state !== "open")

  const acquire = (topic: string, partition: number): Permit | undefined => {
    if (forced === "open") return undefined
    const at = now()
    const own = ownOf(topic, partition)
    if (forced === undefined && own !== undefined) {
      if (own.state === "open" && cluster.state === "closed" && at >= own.openUntil) own.halfOpen(at)
      if (own.state === "open") return undefined
    }
    const clusterPermit = forced === "closed" ? { probe: false, generation: -1 } : cluster.acquire(at)
    if (clusterPermit === undefined) return undefined
    const ownPermit = forced === "closed" ? undefined : own?.acquire(at)
    if (own !== undefined && ownPermit === undefined && forced === undefined) {
      cluster.settle(clusterPermit, "ignored", 0, at, "")
      return undefined
    }
    return { topic, partition, cluster: clusterPermit, own: ownPermit }
  }

  const settle: Service["settle"] = (permit, result, durationMs, why = "") => {
    const at = now()
    cluster.settle(permit.cluster, result, durationMs, at, why)
    let own = ownOf(permit.topic, permit.partition)
    if (own === undefined && result !== "failure") return
    const key = keyOf(permit.topic, permit.partition)
    if (own === undefined && result === "failure" && cluster.state === "closed" && !permit.cluster.probe) {
      own = new BreakerState(thresholds, schedule, at, (state, reason) => announce(key, state, reason))
      partitions.set(key, own)
      own.count(true, durationMs, at, why)
    } else if (own !== undefined) {
      own.settle(permit.own ?? { probe: false, generation: 0 }, result, durationMs, at, why)
      if (own.idle) partitions.delete(key)
    }
  }

  const ownClosed = (topic: string, partition: number) => (ownOf(topic, partition)?.state ?? "closed") === "closed"

  return {
    acquire,
    closed: (topic, partition) =>
      forced === "closed" || (forced === undefined && cluster.state === "closed" && ownClosed(topic, partition)),
    avoids: (topic, partition) => !ownClosed(topic, partition),
    settle,
    unreachable: why => cluster.count(true, 0, now(), why),
    status: () => ({
      state: forced ?? cluster.state,
      reason: forced === undefined ? cluster.reason : `forced ${forced} by an operator`,
      since: cluster.since,
      nextProbeAt: cluster.state === "open" ? cluster.openUntil : 0,
      forced,
      partitions: Array.from(partitions)
        .filter(([, own]) => own.state !== "closed")
        .map(([key]) => key)
    }),
    force: state => {
      forced = state
      announce(
        "cluster",
        state ?? cluster.state,
        state === undefined ? cluster.reason : `forced ${state} by an operator`
      )
      wake(passable() ? waiting : opened)
    },
    onChange: listener => void listeners.push(listener),
    untilPassable: Effect.suspend(() => (passable() ? Effect.void : until(passable, waiting))),
    watch: reach =>
      Effect.forever(
        Effect.gen(function* () {
          yield* until(() => cluster.state === "open", opened)
          const at = yield* Clock.currentTimeMillis
          if (cluster.openUntil > at) yield* Effect.sleep(cluster.openUntil - at)
          if (cluster.state !== "open") return
          const failure = yield* Effect.match(reach, { onSuccess: () => undefined, onFailure: error => error.message })
          if (failure === undefined) cluster.halfOpen(now())
          else cluster.reopen(now(), failure)
        })
      )
  }
}
