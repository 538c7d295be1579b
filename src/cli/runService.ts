/**
 * `serve`: the service from its configuration to its last record.
 */
import process from "node:process"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Redacted from "effect/Redacted"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import manifest from "../../package.json" with { type: "json" }
import * as AppConfig from "../AppConfig.ts"
import * as DeadLetters from "../DeadLetters.ts"
import * as Drivers from "../Drivers.ts"
import * as HttpHandler from "../http/HttpHandler.ts"
import * as StatusHistory from "../http/StatusHistory.ts"
import { defaultLimits } from "../http/server/HttpServer.ts"
import * as Metrics from "../Metrics.ts"
import * as Notice from "../Notice.ts"
import { serve as listen, type Server } from "../runtime/serve.ts"
import * as Spillway from "../Spillway.ts"
import * as SpotNotice from "../SpotNotice.ts"
import * as Exit from "./exit.ts"
import { ofWorker, withoutReplay } from "./parts.ts"
import type { ServeOptions } from "./startService.ts"
import { type Entry, StatusLog } from "./statusLog.ts"
import * as Link from "./workers/link.ts"

/** How long open connections may take to close once every record has its outcome, ms. */
const closeMs = 1000
/** How often the status is looked at for the log and the dashboard's history, ms. */
const lookMs = 1000

const open = (config: AppConfig.AppConfig, handler: HttpHandler.HttpHandler, sharesPort: boolean) => {
  const { headerTimeoutMs, host: hostname, idleTimeoutMs, maxConnections, maxHeaderBytes, port, tls: pem } = config.http
  const limits = { ...defaultLimits, headerTimeoutMs, idleTimeoutMs, maxConnections, maxHeaderBytes }
  const tls = pem === undefined ? undefined : { ...pem, key: Redacted.value(pem.key) }
  return Effect.acquireRelease(
    Effect.tryPromise({
      try: () => listen({ hostname, port, handler, limits, tls, sharesPort }),
      catch: cause => {
        const why = cause instanceof Error ? cause.message : String(cause)
        const message = `cannot listen on ${hostname}:${port} (http.host, http.port): ${why}`
        return new Exit.CommandError({ code: Exit.codes.unavailable, message })
      }
    }),
    server => Effect.ignore(Effect.tryPromise(() => server.kill()))
  )
}

const announcement = ({ config, intake }: Role, port: number): string => {
  const { host } = config.http
  const producers = Object.values(config.producers)
  const queues = producers.flatMap(({ retry }) => (retry.enabled ? [retry.queueId] : []))
  const brokers = Object.values(config.kafkaConnections).flatMap(connection => connection.brokers)
  const list = (names: ReadonlyArray<string>) => (names.length === 0 ? "none" : [...new Set(names)].join(", "))
  const topics = producers.map(({ name, output }) => `${name} to ${config.outputs[output]?.topic ?? output}`)
  const address = `${config.http.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`
  const what = intake ? `producers: ${list(topics)}` : "replay only"
  return `spillway ${manifest.version} listening on ${address} (${what}; kafka: ${list(brokers)}; queues: ${list(queues)})`
}

const levels = { info: Effect.logInfo, warning: Effect.logWarning, error: Effect.logError } as const

const write = ({ fields, level, message }: Entry): Effect.Effect<void> =>
  Effect.annotateLogs(levels[level](message), fields)

/** Logs what changes: circuit breakers as it happens, the rest when it is looked at. Keeps the history. */
const watch = (
  spillway: Spillway.Service,
  history: StatusHistory.StatusHistory,
  log: (entry: Entry) => void
): Effect.Effect<never> => {
  spillway.onBreakerChange((connection, scope, state, reason) => {
    log({
      level: state === "open" ? "warning" : "info",
      message: `circuit breaker of ${connection} (${scope}): ${state}${reason === "" ? "" : `: ${reason}`}`,
      fields: { event: "breaker", connection, scope, state, reason }
    })
  })
  const statusLog = new StatusLog()
  const look = Effect.flatMap(Clock.currentTimeMillis, now => {
    const status = spillway.status()
    history.add(status, now)
    return Effect.forEach(statusLog.look(status, now), write, { discard: true })
  })
  return Effect.forever(Effect.zipRight(look, Effect.sleep(lookMs)))
}

/** The dead letters of each producer that has any, by its name. */
const deadLettersOf = (config: AppConfig.AppConfig) =>
  Effect.gen(function* () {
    const services = new Map<string, DeadLetters.Service>()
    for (const producer of Object.values(config.producers)) {
      const { retry } = producer
      if (!retry.enabled) continue
      services.set(producer.name, yield* DeadLetters.forProducer(Drivers.live, config, { ...producer, retry }))
    }
    return { services, run: yield* FiberSet.makeRuntime<never>() }
  })

/** Answers what is open, lets nobody in, and accounts. The exit code. */
const shutDown = (
  notice: Notice.Notice,
  spillway: Spillway.Service,
  handler: HttpHandler.HttpHandler,
  server: Server
): Effect.Effect<number> =>
  Effect.scoped(
    Effect.gen(function* () {
      handler.refuse(notice.endsAt)
      const summary = yield* Notice.shutDown(notice, spillway)
      handler.endStreams()
      yield* Effect.tryPromise(() => server.stop()).pipe(
        Effect.timeout(closeMs),
        Effect.catchAll(() => Effect.tryPromise(() => server.kill())),
        Effect.timeout(closeMs),
        Effect.ignore
      )
      return notice.orderly && summary.complete ? 0 : 1
    })
  )

/** What one worker hears of the host's end is for all of them. */
const heardByAll = (spot: SpotNotice.Service, link: Link.Link): SpotNotice.Service => ({
  ...spot,
  interruption: Effect.raceFirst(
    Effect.tap(spot.interruption, interruption => Effect.sync(() => link.interrupted(interruption))),
    link.interruption
  )
})

/** So is an operator's word. */
const forcedForAll = (spillway: Spillway.Service, link: Link.Link): Spillway.Service => ({
  ...spillway,
  forceBreaker: (connection, state) => {
    const found = spillway.forceBreaker(connection, state)
    if (found) link.force({ connection, state })
    return found
  }
})

/** What one process does of all that Spillway can. */
export interface Role {
  readonly config: AppConfig.AppConfig
  /** Takes records over HTTP; without it health, metrics and status are still there. */
  readonly intake: boolean
}

/** Runs until the first notice; the exit code. */
export const run = (role: Role, link?: Link.Link): Effect.Effect<number, Exit.CommandError, Scope.Scope> =>
  Effect.gen(function* () {
    const { config, intake } = role
    const runFork = Runtime.runFork(yield* Effect.runtime())
    const log = (entry: Entry) => void runFork(write(entry))
    const spot = yield* SpotNotice.make(config.shutdown.spot)
    const notices = yield* Notice.listen(config.shutdown, link === undefined ? spot : heardByAll(spot, link))
    const spillway = yield* Spillway.make(config, Drivers.live, Drivers.instanceName())
    const history = StatusHistory.make()
    const deadLetters = yield* deadLettersOf(config)
    const workers = link?.gather
    const handler = HttpHandler.make({
      spillway: link === undefined ? spillway : forcedForAll(spillway, link),
      http: config.http,
      intake,
      history,
      deadLetters,
      workers
    })
    link?.attend(
      () => ({ health: handler.health(), families: Metrics.families(spillway.status()) }),
      ({ connection, state }) => void spillway.forceBreaker(connection, state)
    )
    const server = yield* open(config, handler, link !== undefined)
    link?.listening()
    yield* Effect.log(announcement(role, server.port))
    yield* Effect.forkScoped(Effect.interruptible(watch(spillway, history, log)))
    yield* notices.attend(spillway)
    return yield* shutDown(yield* notices.first, spillway, handler, server)
  })

/** Takes records and replays; sets the exit code at its end. */
export const serve = ({
  config: files,
  withoutRetry
}: ServeOptions): Effect.Effect<void, AppConfig.ConfigError | Exit.CommandError> =>
  Effect.gen(function* () {
    const link = Link.open()
    const loaded = yield* AppConfig.load(files, process.env)
    const config = link === undefined ? loaded : ofWorker(loaded, link.worker)
    const running = run({ config: withoutRetry ? withoutReplay(config) : config, intake: true }, link)
    const ended = link === undefined ? running : Effect.annotateLogs(running, "worker", link.worker)
    return yield* Exit.end(yield* ended)
  }).pipe(Effect.scoped)
