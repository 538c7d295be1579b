/**
 * `serve --workers N`: the process above the workers. It takes no records itself: it starts them, starts anew whichever
 * dies, passes on what is meant for all, and ends when the last of them has ended.
 *
 * A worker that ends before it ever listened has a fault that no new start mends: all end, with its exit code.
 */
import { existsSync } from "node:fs"
import { createServer } from "node:net"
import process from "node:process"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as AppConfig from "../../AppConfig.ts"
import type { WorkerReport } from "../../internal/workerReports.ts"
import { cannotSharePort } from "../../runtime/serve.ts"
import * as Signals from "../../runtime/signals.ts"
import * as SpotNotice from "../../SpotNotice.ts"
import * as Exit from "../exit.ts"
import type { ServeOptions } from "../startService.ts"
import type { Forced, FromWorker } from "./messages.ts"
import { spoolPathOf } from "./spoolPath.ts"
import { start, type Worker } from "./Worker.ts"

/** Pause before a worker is started anew; doubles up to the second figure while it keeps dying, ms. */
const pauseMs = { first: 200, most: 10_000 }
/** A worker that ran so long begins with the first pause again, ms. */
const provenMs = 30_000
/** How long past their deadline workers may go on before they are killed, ms: their own forced end comes first. */
const forcedMs = 4000
/** How long a worker may take to tell of itself, ms: well within the second that a probe is usually given. */
const tellMs = 500

interface Place {
  worker: Worker | undefined
  restarts: number
  /** Whether one ever did here. */
  listened: boolean
  /** Whether the one that is there does. */
  listens: boolean
}

const fail = (code: number, message: string) => new Exit.CommandError({ code, message })

/** Sharing a port, several services could listen on it without one noticing the others. */
const portIsFree = (host: string, port: number): Effect.Effect<void, Exit.CommandError> =>
  Effect.async(resume => {
    const probe = createServer()
    probe.once("error", cause => {
      const message = `cannot listen on ${host}:${port} (http.host, http.port): ${cause.message}`
      resume(Effect.fail(fail(Exit.codes.unavailable, message)))
    })
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resume(Effect.void)))
  })

const check = (config: AppConfig.AppConfig): Effect.Effect<void, Exit.CommandError> => {
  const unable = cannotSharePort()
  if (unable !== undefined) return Effect.fail(fail(Exit.codes.usage, `--workers: ${unable}`))
  const { host, port } = config.http
  if (port === 0) {
    const message = "--workers: http.port is 0, any free one, and workers share one: give it a number"
    return Effect.fail(fail(Exit.codes.usage, message))
  }
  return portIsFree(host, port)
}

/** A spool that fewer workers leave behind has no owner: its records wait for one. */
const warnOfSpools = ({ spool }: AppConfig.AppConfig, workers: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (spool === undefined) return Effect.void
    const left: Array<string> = []
    for (let at = workers; existsSync(spoolPathOf(spool.path, at)); at++) left.push(spoolPathOf(spool.path, at))
    if (left.length === 0) return Effect.void
    const message = `${left.join(", ")}: left by more workers than these; what is in it stays there until as many run again`
    return Effect.logWarning(message)
  })

const supervise = (config: AppConfig.AppConfig, workers: number): Effect.Effect<number> =>
  Effect.scoped(
    Effect.gen(function* () {
      const runFork = Runtime.runFork(yield* Effect.runtime())
      const clock = yield* Effect.clock
      const ending = yield* Deferred.make<void>()
      const places = Array.from(
        { length: workers },
        (): Place => ({ worker: undefined, restarts: 0, listened: false, listens: false })
      )
      const forced = new Map<string, Forced>()
      let over = false
      let disorderly = false

      const others = (index: number) => places.flatMap(({ worker }, at) => (at === index ? [] : (worker ?? [])))

      /** From here on nobody is started anew. */
      const end = (budgetMs: number) => {
        if (over) return
        over = true
        Deferred.unsafeDone(ending, Effect.void)
        const kill = () => {
          disorderly = true
          for (const { worker } of places) worker?.signal("SIGKILL")
        }
        setTimeout(kill, budgetMs + forcedMs).unref()
      }

      const endAll = (signal: "SIGTERM" | "SIGINT") => {
        end(config.shutdown.budgetMs)
        for (const { worker } of places) worker?.signal(signal)
      }

      const gather = (): Promise<ReadonlyArray<WorkerReport>> =>
        Promise.all(
          places.map(async ({ restarts, worker }, index) => {
            const report = await worker?.report(tellMs)
            return { worker: index, restarts, report }
          })
        )

      const heard = (index: number, worker: Worker, message: FromWorker): void => {
        const place = places[index]
        if (place === undefined) return
        switch (message._tag) {
          case "Listening":
            place.listened = true
            place.listens = true
            // Those who were started before have heard it when it was said.
            for (const one of forced.values()) worker.tell({ _tag: "Force", forced: one })
            return
          case "Interrupted": {
            const { interruption } = message
            const now = clock.unsafeCurrentTimeMillis()
            end(SpotNotice.budgetMs(interruption, now, config.shutdown.spot.budgetMs))
            for (const one of others(index)) one.tell({ _tag: "Interrupted", interruption })
            return
          }
          case "Gather":
            void gather().then(reports => worker.tell({ _tag: "Gathered", call: message.call, workers: reports }))
            return
          case "Force":
            forced.set(message.forced.connection, message.forced)
            for (const one of others(index)) one.tell({ _tag: "Force", forced: message.forced })
            return
          case "Report":
            return
        }
      }

      yield* Signals.listen(said => {
        if (said._tag === "Signal") return endAll(said.signal)
        // Nor once more when the log itself is what throws.
        if (disorderly) return
        disorderly = true
        runFork(Effect.logError(`uncaught: ${String(said.error)}`))
        endAll("SIGTERM")
      })

      /** One worker after the other in one place; the last one's exit code. */
      const keep = (index: number, place: Place): Effect.Effect<number> =>
        Effect.gen(function* () {
          let pause = pauseMs.first
          while (!over) {
            const startedAt = yield* Clock.currentTimeMillis
            const worker = start(index, message => heard(index, worker, message))
            place.worker = worker
            place.listens = false
            const { code, signal, why } = yield* Effect.promise(() => worker.ended)
            place.worker = undefined
            // One that had not begun to listen for signals either, and had no records.
            if (over) return signal === "SIGTERM" || signal === "SIGINT" ? (place.listens ? code : Exit.codes.ok) : code
            if (!place.listened) {
              endAll("SIGTERM")
              return code === Exit.codes.ok ? Exit.codes.software : code
            }
            if ((yield* Clock.currentTimeMillis) - startedAt >= provenMs) pause = pauseMs.first
            place.restarts++
            yield* Effect.annotateLogs(
              Effect.logWarning(`worker ${index} ended (${why}): starting it anew in ${pause} ms`),
              { event: "worker", worker: index, code, restarts: place.restarts }
            )
            yield* Effect.raceFirst(Effect.sleep(pause), Deferred.await(ending))
            pause = Math.min(pause * 2, pauseMs.most)
          }
          return Exit.codes.ok
        })

      const codes = yield* Effect.forEach(places, (place, index) => keep(index, place), { concurrency: "unbounded" })
      const worst = Math.max(...codes)
      const code = disorderly ? Math.max(1, worst) : worst
      yield* Effect.annotateLogs(Effect.logInfo(`all ${workers} workers have ended: exit code ${code}`), {
        event: "workers",
        code
      })
      return code
    })
  )

/** Runs the workers; sets the exit code at their end: the worst of theirs. */
export const serveWorkers = ({
  config: files,
  workers
}: ServeOptions): Effect.Effect<void, AppConfig.ConfigError | Exit.CommandError> =>
  Effect.gen(function* () {
    const config = yield* AppConfig.load(files, process.env)
    yield* check(config)
    yield* warnOfSpools(config, workers)
    return yield* Exit.end(yield* supervise(config, workers))
  })
