/**
 * One run of `publish`: from the source to the summary.
 */
import process from "node:process"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import type { AppConfig } from "../../AppConfig.ts"
import * as Drivers from "../../Drivers.ts"
import * as Signals from "../../runtime/signals.ts"
import * as Spillway from "../../Spillway.ts"
import * as Exit from "../exit.ts"
import { withoutReplay, withoutSpool } from "../parts.ts"
import { ask, type Service } from "../service.ts"
import * as InProcess from "./inProcess.ts"
import * as OverHttp from "./overHttp.ts"
import { ids } from "./Prepared.ts"
import * as Progress from "./progress.ts"
import { pump, type Totals } from "./pump.ts"
import { outcomes, type Result, type Send } from "./Result.ts"
import { nameOf, ofFile, ofSingle, type Single, unreadable } from "./source.ts"

/** A service that runs, or the configuration of one of this process. */
export type Way =
  | { readonly _tag: "Http"; readonly service: Service }
  | { readonly _tag: "InProcess"; readonly config: AppConfig }

export interface Options {
  readonly way: Way
  readonly topic: string
  readonly single: Single | undefined
  /** Of NDJSON; undefined: standard input. */
  readonly file: string | undefined
  readonly inFlight: number
  readonly retryForMs: number
  readonly json: boolean
}

/** How long requests may go on once the process is to end, ms. */
const lastMs = 10_000
/** Failures that the summary lists; standard error has all. */
const mostListed = 1000

interface Failure extends Result {
  readonly line?: number
}

const sentence = (line: number | undefined, { id, message, outcome, reason }: Result): string =>
  `${line === undefined ? "" : `line ${line}: `}${outcome}, ${reason}: ${message}${id === undefined ? "" : ` (id ${id})`}`

/** How records are sent, and what must be done once all are. `stop`: the process is to end. */
const sender = (
  { topic, way }: Options,
  stop: AbortSignal
): Effect.Effect<{ readonly send: Send; readonly finish: Effect.Effect<void> }, Exit.CommandError, Scope.Scope> =>
  Effect.gen(function* () {
    if (way._tag === "Http") {
      // An address where nothing is must not be tried for as long as a service that restarts.
      yield* ask(way.service, "/healthz")
      const last = new AbortController()
      stop.addEventListener("abort", () => setTimeout(() => last.abort(new Error("interrupted")), lastMs).unref())
      return { send: OverHttp.make(way.service, topic, last.signal), finish: Effect.void }
    }
    const { config } = way
    const spillway = yield* Spillway.make(withoutSpool(withoutReplay(config)), Drivers.live, Drivers.instanceName())
    const shutdown = Effect.asVoid(spillway.shutdown(config.shutdown.budgetMs))
    const runFork = Runtime.runFork(yield* Effect.runtime())
    stop.addEventListener("abort", () => runFork(shutdown))
    return { send: InProcess.make(spillway), finish: shutdown }
  })

const codeOf = ({ failed, rejected }: Totals, interrupted: boolean): number => {
  if (failed > 0) return Exit.codes.unavailable
  if (rejected > 0) return Exit.codes.data
  return interrupted ? Exit.codes.findings : Exit.codes.ok
}

export const run = (options: Options): Effect.Effect<void, Exit.CommandError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { file, json, single } = options
      const stop = new AbortController()
      yield* Signals.listen(notice => {
        if (notice._tag === "Uncaught") process.stderr.write(`uncaught: ${String(notice.error)}\n`)
        stop.abort()
      })
      const { finish, send } = yield* sender(options, stop.signal)
      const open = yield* Effect.tryPromise({
        try: () => (single === undefined ? ofFile(file, stop.signal) : ofSingle(single, stop.signal)),
        catch: cause =>
          stop.signal.aborted
            ? new Exit.CommandError({ code: Exit.codes.findings, message: "interrupted: nothing was published" })
            : unreadable(nameOf(single === undefined ? file : single.file), cause)
      })
      const totals: Totals = { records: 0, delivered: 0, diverted: 0, spooled: 0, rejected: 0, failed: 0 }
      const startedAt = yield* Clock.currentTimeMillis
      const clock = yield* Effect.clock
      const seconds = () => (clock.unsafeCurrentTimeMillis() - startedAt) / 1000
      const progress = Progress.start(process.stderr, () => Progress.line(totals, open.share(), seconds()))
      const failures: Array<Failure> = []
      let last: Result | undefined
      const onResult = (line: number | undefined, result: Result) => {
        if (line === undefined) last = result
        if (result.outcome !== "rejected" && result.outcome !== "failed") return
        progress.say(sentence(line, result))
        if (failures.length < mostListed) failures.push(line === undefined ? result : { line, ...result })
      }
      const refusal = yield* Effect.tryPromise({
        try: () =>
          pump({
            ...options,
            source: open.lines,
            numbered: single === undefined,
            send,
            nextId: ids(() => clock.unsafeCurrentTimeMillis()),
            stop: stop.signal,
            totals,
            onResult
          }),
        catch: cause => unreadable(nameOf(file), cause)
      }).pipe(Effect.ensuring(Effect.sync(progress.end)), Effect.ensuring(finish))
      const interrupted = stop.signal.aborted
      const took = seconds()
      const left = totals.rejected + totals.failed - failures.length
      const summary = {
        ...totals,
        seconds: took,
        interrupted,
        ...(last === undefined ? {} : { result: last }),
        failures,
        ...(left === 0 ? {} : { failuresLeftOut: left })
      }
      const receipt =
        last === undefined || last.partition === undefined
          ? ""
          : `, partition ${last.partition}${last.offset === undefined ? "" : ` offset ${last.offset}`}, id ${last.id}`
      const text =
        last === undefined
          ? `${totals.records} records in ${took.toFixed(1)} s: ${outcomes.map(name => `${totals[name]} ${name}`).join(", ")}${interrupted ? " (interrupted)" : ""}`
          : `${last.outcome}${receipt}`
      process.stdout.write(`${json ? JSON.stringify(summary) : text}\n`)
      if (refusal !== undefined) return yield* refusal
      return yield* Exit.end(codeOf(totals, interrupted))
    })
  )
