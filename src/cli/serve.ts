/**
 * `serve`: the service from its configuration to its last record.
 */
import process from "node:process"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import * as AppConfig from "../AppConfig.ts"
import * as Drivers from "../Drivers.ts"
import * as HttpHandler from "../http/HttpHandler.ts"
import { serve as listen, type Server } from "../runtime/serve.ts"
import * as Signals from "../runtime/signals.ts"
import * as Spillway from "../Spillway.ts"
import * as Summary from "./summary.ts"

/** The service cannot listen where it is told to. */
export class ListenError extends Data.TaggedError("ListenError")<{
  readonly message: string
  readonly cause: unknown
}> {}

/** How long past its budget a shutdown may take before the process ends regardless, ms. */
const forcedEndMs = 2000
/** How long open connections may take to close once every record has its outcome, ms. */
const closeMs = 1000
/** How often readiness is looked at for the log, ms. */
const readinessLookMs = 1000
/** What a connection may stay idle beyond the slowest answer, ms. */
const idleMarginMs = 5000

/** Why the service ends, in words, and whether that is how it should. */
interface End {
  readonly why: string
  readonly orderly: boolean
}

const textOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))

const open = (config: AppConfig.AppConfig, fetch: HttpHandler.HttpHandler["fetch"]) => {
  const { host: hostname, maxBodyBytes, port, requestTimeoutMs } = config.http
  return Effect.acquireRelease(
    Effect.tryPromise({
      try: () => listen({ hostname, port, fetch, maxBodyBytes, idleTimeoutMs: requestTimeoutMs + idleMarginMs }),
      catch: cause => {
        const why = cause instanceof Error ? cause.message : String(cause)
        return new ListenError({
          message: `cannot listen on ${hostname}:${port} (http.host, http.port): ${why}`,
          cause
        })
      }
    }),
    server => Effect.ignore(Effect.tryPromise(() => server.kill()))
  )
}

const announcement = (config: AppConfig.AppConfig, port: number, version: string): string => {
  const { host } = config.http
  const producers = Object.values(config.producers)
  const queues = producers.flatMap(({ retry }) => (retry.enabled ? [retry.queueId] : []))
  const brokers = Object.values(config.kafkaConnections).flatMap(connection => connection.brokers)
  const list = (names: ReadonlyArray<string>) => (names.length === 0 ? "none" : [...new Set(names)].join(", "))
  const topics = producers.map(({ name, output }) => `${name} to ${config.outputs[output]?.topic ?? output}`)
  const address = `http://${host.includes(":") ? `[${host}]` : host}:${port}`
  return `spillway ${version} listening on ${address} (producers: ${list(topics)}; kafka: ${list(brokers)}; queues: ${list(queues)})`
}

/** Logs what changes: circuit breakers as it happens, readiness when it is looked at. */
const watch = (spillway: Spillway.Service, log: (text: string) => void): Effect.Effect<never> => {
  spillway.onBreakerChange((connection, scope, state, reason) => {
    log(`circuit breaker of ${connection} (${scope}): ${state}${reason === "" ? "" : `: ${reason}`}`)
  })
  let last = ""
  const look = Effect.sync(() => {
    const { readiness, reasons } = spillway.status().health
    if (readiness !== last) log(`readiness: ${readiness}${reasons.length === 0 ? "" : `: ${reasons.join("; ")}`}`)
    last = readiness
  })
  return Effect.forever(Effect.zipRight(look, Effect.sleep(readinessLookMs)))
}

/** Answers what is open, lets nobody in, and accounts. The exit code. */
const shutDown = (
  { orderly, why }: End,
  config: AppConfig.AppConfig,
  spillway: Spillway.Service,
  handler: HttpHandler.HttpHandler,
  server: Server
): Effect.Effect<number> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const { budgetMs } = config.shutdown
    handler.refuse()
    // Nothing may outlast this, not even code that never yields to the runtime's fibers again.
    const forced = setTimeout(() => {
      process.stderr.write(`${Summary.renderForced(spillway.status().accounting, budgetMs + forcedEndMs)}\n`)
      process.exit(1)
    }, budgetMs + forcedEndMs)
    yield* Effect.log(`${why}: shutting down within ${budgetMs} ms`)
    const summary = yield* spillway.shutdown(budgetMs)
    yield* Effect.tryPromise(() => server.stop()).pipe(
      Effect.timeout(closeMs),
      Effect.catchAll(() => Effect.tryPromise(() => server.kill())),
      Effect.timeout(closeMs),
      Effect.ignore
    )
    const line = Summary.render(summary, (yield* Clock.currentTimeMillis) - startedAt)
    yield* summary.complete ? Effect.log(line) : Effect.logError(line)
    clearTimeout(forced)
    return orderly && summary.complete ? 0 : 1
  })

/** Runs until a signal, a failed loop or an uncaught exception; the exit code. */
export const run = (
  files: ReadonlyArray<string>,
  env: AppConfig.Environment,
  version: string
): Effect.Effect<number, AppConfig.ConfigError | ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* AppConfig.load(files, env)
    const runFork = Runtime.runFork(yield* Effect.runtime())
    const log = (text: string) => void runFork(Effect.log(text))
    const end = yield* Deferred.make<End>()
    const finish = (why: string, orderly: boolean) => Deferred.unsafeDone(end, Effect.succeed({ why, orderly }))
    let noticed = false
    yield* Signals.listen(notice => {
      if (notice._tag === "Uncaught") runFork(Effect.logError(`uncaught: ${textOf(notice.error)}`))
      else if (noticed) log(`${notice.signal}: already shutting down`)
      if (noticed) return
      noticed = true
      if (notice._tag === "Signal") finish(notice.signal, true)
      else finish("uncaught exception", false)
    })
    const spillway = yield* Spillway.make(config, Drivers.live, Drivers.instanceName())
    const handler = HttpHandler.make({ spillway, http: config.http })
    const server = yield* open(config, handler.fetch)
    yield* Effect.log(announcement(config, server.port, version))
    yield* Effect.forkScoped(Effect.interruptible(watch(spillway, log)))
    const broken = Effect.catchAll(spillway.failed, ({ message }) => Effect.succeed({ why: message, orderly: false }))
    const reason = yield* Effect.raceFirst(Deferred.await(end), broken)
    noticed = true
    return yield* shutDown(reason, config, spillway, handler, server)
  })
