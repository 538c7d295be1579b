/**
 * What EC2 says about the end of this instance: the spot interruption notice, about two minutes ahead, and the rebalance
 * recommendation, earlier and without a promise (Amazon EC2 User Guide, "Spot Instance interruption notices" and "EC2
 * instance rebalance recommendations").
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AppConfig, type SpotConfig } from "./AppConfig.ts"
import * as MetadataService from "./internal/metadataService.ts"

/** What will happen to the instance, and when, ms since the epoch; undefined when EC2 does not say when. */
export interface Interruption {
  readonly action: string
  readonly at: number | undefined
}

/** `starting` until the first answer; `off`: by configuration, or because there is no metadata service. */
export type State = "starting" | "watching" | "off"

export interface Service {
  readonly state: () => State
  /** Ends with the interruption notice. */
  readonly interruption: Effect.Effect<Interruption>
  /** Ends with the first rebalance recommendation. */
  readonly rebalance: Effect.Effect<void>
  /** The loop to be supervised. */
  readonly run: Effect.Effect<never>
}

export class SpotNotice extends Context.Tag("spillway/SpotNotice")<SpotNotice, Service>() {}

/** With `auto`: so many failures at the start, and there is no metadata service. */
const startTries = 3
const startPauseMs = 500
/** Kept between the end of the shutdown and the end of the instance, ms. */
const marginMs = 5000
/** A notice that comes too late still gets this much, ms. */
const leastBudgetMs = 1000

/** How long the shutdown may take. */
export const budgetMs = ({ at }: Interruption, now: number, mostMs: number): number =>
  at === undefined ? mostMs : Math.max(leastBudgetMs, Math.min(mostMs, at - marginMs - now))

/** Reads `{"action":"terminate","time":"2026-01-01T12:00:00Z"}`; undefined when it is something else. */
export const readInterruption = (text: string): Interruption | undefined => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== "object" || value === null || !("action" in value)) return undefined
  const { action } = value
  if (typeof action !== "string" || !/^(terminate|stop|hibernate)$/.test(action)) return undefined
  const at = "time" in value && typeof value.time === "string" ? Date.parse(value.time) : Number.NaN
  return { action, at: Number.isFinite(at) ? at : undefined }
}

export const make = (config: SpotConfig): Effect.Effect<Service> =>
  Effect.gen(function* () {
    const { enabled, endpoint, intervalMs } = config
    const interrupted = yield* Deferred.make<Interruption>()
    const recommended = yield* Deferred.make<void>()
    const service = MetadataService.make(endpoint)
    let state: State = enabled === false ? "off" : "starting"
    /** What was last complained about, so that each fault is logged once. */
    let fault = ""

    const complain = (what: string) =>
      Effect.suspend(() => {
        if (fault === what) return Effect.void
        fault = what
        return Effect.logWarning(`spot notice: ${what}`)
      })

    const look = Effect.gen(function* () {
      const action = yield* service.get("meta-data/spot/instance-action")
      const interruption = action === undefined ? undefined : readInterruption(action)
      if (action !== undefined && interruption === undefined) {
        yield* complain(`instance-action is not what EC2 writes: ${JSON.stringify(action.slice(0, 200))}`)
      } else fault = ""
      if (interruption !== undefined) yield* Deferred.succeed(interrupted, interruption)
      const recommendation = yield* service.get("meta-data/events/recommendations/rebalance")
      if (recommendation !== undefined) yield* Deferred.succeed(recommended, undefined)
    })

    const begin = Effect.gen(function* () {
      for (let tries = 1; state === "starting"; tries++) {
        const failure = yield* Effect.match(look, { onSuccess: () => undefined, onFailure: error => error })
        if (failure === undefined) {
          state = "watching"
          yield* Effect.logInfo(`spot notice: watching ${endpoint}`)
        } else if (enabled === "auto" && tries >= startTries) {
          state = "off"
          yield* Effect.logInfo(`spot notice: off, there is no instance metadata service (${failure.message})`)
        } else {
          if (enabled === true) yield* complain(failure.message)
          yield* Effect.sleep(enabled === true ? intervalMs : startPauseMs)
        }
      }
    })

    const watch = Effect.forever(
      Effect.zipRight(
        Effect.sleep(intervalMs),
        Effect.catchAll(look, ({ message }) => complain(message))
      )
    )

    return {
      state: () => state,
      interruption: Deferred.await(interrupted),
      rebalance: Deferred.await(recommended),
      run: Effect.zipRight(
        begin,
        Effect.suspend(() => (state === "off" ? Effect.never : watch))
      )
    }
  })

/** Configured by `shutdown.spot`. `Notice.listen` runs its loop. */
export const layer: Layer.Layer<SpotNotice, never, AppConfig> = Layer.effect(
  SpotNotice,
  Effect.flatMap(AppConfig, ({ shutdown }) => make(shutdown.spot))
)
