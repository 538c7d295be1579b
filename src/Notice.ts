/**
 * The one place where a process learns that it must end: a signal, EC2's spot notice, a loop that cannot be kept running,
 * an exception nobody caught. The first one sets the deadline; those after it change nothing.
 */
import process from "node:process"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { AppConfig, type ShutdownConfig } from "./AppConfig.ts"
import * as Signals from "./runtime/signals.ts"
import * as Shutdown from "./Shutdown.ts"
import * as Spillway from "./Spillway.ts"
import * as SpotNotice from "./SpotNotice.ts"
import { supervise } from "./Supervision.ts"

export interface Notice {
  /** In words, for the log. */
  readonly why: string
  /** This is how it should end. */
  readonly orderly: boolean
  /** The deadline, ms since the epoch. */
  readonly endsAt: number
}

export interface Notices {
  /** Ends with the first one. */
  readonly first: Effect.Effect<Notice>
  /** Hears of this runtime's failed loops, too, and lets it drain on a rebalance recommendation if so configured. */
  readonly attend: (spillway: Spillway.Service) => Effect.Effect<void, never, Scope.Scope>
}

/** How long past its deadline a shutdown may go on before the process ends regardless, ms. */
const forcedEndMs = 2000

const textOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

/** Listens until the scope ends; meanwhile no signal ends the process by itself. */
export const listen = (config: ShutdownConfig, spot: SpotNotice.Service): Effect.Effect<Notices, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runFork = Runtime.runFork(yield* Effect.runtime())
    const clock = yield* Effect.clock
    const first = yield* Deferred.make<Notice>()
    let noticed = false
    let lastUncaught = ""
    const notice = (why: string, orderly: boolean, budget: (now: number) => number = () => config.budgetMs) => {
      if (noticed) return void runFork(Effect.logInfo(`${why}: already shutting down`))
      noticed = true
      const now = clock.unsafeCurrentTimeMillis()
      Deferred.unsafeDone(first, Effect.succeed({ why, orderly, endsAt: now + budget(now) }))
    }
    const background = <A>(work: Effect.Effect<A>) => Effect.forkScoped(Effect.interruptible(work))
    yield* Signals.listen(said => {
      if (said._tag === "Signal") return notice(said.signal, true)
      const text = textOf(said.error)
      // Where the log has no reader any more, to say so throws the same again, and on Deno nothing else would have its turn.
      if (text === lastUncaught) return
      lastUncaught = text
      runFork(Effect.logError(`uncaught: ${text}`))
      if (!noticed) notice("uncaught exception", false)
    })
    yield* background(
      Effect.map(spot.interruption, interruption => {
        const { action, at } = interruption
        const when = at === undefined ? "" : ` at ${new Date(at).toISOString()}`
        notice(`spot interruption notice (${action}${when})`, true, now =>
          SpotNotice.budgetMs(interruption, now, config.spot.budgetMs)
        )
      })
    )
    yield* background(
      Effect.catchAll(supervise("spot notice", spot.run), ({ message }) => Effect.sync(() => notice(message, false)))
    )
    return {
      first: Deferred.await(first),
      attend: spillway =>
        Effect.gen(function* () {
          yield* background(
            Effect.catchAll(spillway.failed, ({ message }) => Effect.sync(() => notice(message, false)))
          )
          const drain = config.spot.onRebalance === "drain"
          const how = drain ? "sending without waiting for company from now on" : "ignored (shutdown.spot.on_rebalance)"
          yield* background(
            Effect.zipRight(
              spot.rebalance,
              Effect.zipRight(
                Effect.logInfo(`rebalance recommendation: ${how}`),
                Effect.suspend(() => (drain ? spillway.drain : Effect.void))
              )
            )
          )
        })
    }
  })

/**
 * Shuts down by the notice's deadline. Two seconds past it the process ends with exit code 1 and says what was left and
 * where, unless the scope has ended by then: not even code that never yields to the runtime's fibers outlasts that.
 */
export const shutDown = (
  { endsAt, why }: Notice,
  spillway: Spillway.Service
): Effect.Effect<Shutdown.Summary, never, Scope.Scope> =>
  Effect.gen(function* () {
    const budgetMs = Math.max(1, endsAt - (yield* Clock.currentTimeMillis))
    const forced = () => {
      const { accounting, held } = spillway.status()
      process.stderr.write(`${Shutdown.renderForced(accounting, held, budgetMs + forcedEndMs)}\n`)
      process.exit(1)
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => setTimeout(forced, budgetMs + forcedEndMs)),
      timer => Effect.sync(() => clearTimeout(timer))
    )
    yield* Effect.logInfo(`${why}: shutting down within ${Math.round(budgetMs)} ms`)
    return yield* spillway.shutdown(budgetMs)
  })

/** How a program under `runUntil` ended. */
export type End<A> =
  | { readonly _tag: "Finished"; readonly value: A }
  | { readonly _tag: "Noticed"; readonly notice: Notice; readonly summary: Shutdown.Summary }

/**
 * Runs an application's program until it ends or the process must. On a notice Spillway is shut down first, so that the
 * program still hears of its records (later ones are refused with `Closed`), and then the program is interrupted.
 */
export const runUntil = <A, E, R>(
  program: Effect.Effect<A, E, R>
): Effect.Effect<End<A>, E, R | AppConfig | Spillway.Spillway | SpotNotice.SpotNotice> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { shutdown } = yield* AppConfig
      const spillway = yield* Spillway.Spillway
      const notices = yield* listen(shutdown, yield* SpotNotice.SpotNotice)
      yield* notices.attend(spillway)
      const noticed = Effect.gen(function* () {
        const notice = yield* notices.first
        const summary = yield* shutDown(notice, spillway)
        return { _tag: "Noticed", notice, summary } as const
      })
      const finished = Effect.map(program, value => ({ _tag: "Finished", value }) as const)
      return yield* Effect.raceFirst(finished, noticed)
    })
  )
