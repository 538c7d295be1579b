/**
 * Sends spans and metrics to an OTLP endpoint over HTTP, as JSON. Spans wait in a bounded list; what has no room in it, or
 * is refused, is dropped and counted. Whoever hands in a span never waits, and an endpoint that is slow or away costs
 * nothing but telemetry.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import manifest from "../package.json" with { type: "json" }
import type { OtlpConfig } from "./AppConfig.ts"
import * as Otlp from "./internal/otlp.ts"
import type { Family } from "./Metrics.ts"
import type { Span } from "./Tracing.ts"

/** What became of the telemetry so far. */
export interface Status {
  readonly exportedSpans: number
  /** No room was left, the endpoint refused them, or the end came first. */
  readonly droppedSpans: number
  /** Spans waiting to be sent. */
  readonly waitingSpans: number
  /** Requests without a good answer. */
  readonly failedExports: Readonly<Record<Signal, number>>
  /** Why the last request failed; empty when it did not. */
  readonly fault: string
}

export interface Service {
  /** Takes a finished span. Never waits. */
  readonly record: (span: Span) => void
  readonly status: () => Status
  /** Sends the last numbers and what spans there are, within this time. Runs once; what comes later is dropped. */
  readonly flush: (budgetMs: number) => Effect.Effect<void>
  /** The loop to be supervised. */
  readonly run: Effect.Effect<never>
}

type Signal = "traces" | "metrics"

/** Spans waiting at most: beyond, the newest is dropped. As many as OpenTelemetry's batch processor keeps, twice. */
export const maximumWaiting = 4096
/** Spans in one request at most. */
const spansPerRequest = 512
/** Answers after which the same request may be sent again (OTLP specification, "Retryable Response Codes"). */
const retryable: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** What an endpoint made of a request: `again` it may be sent, or it never will do. */
type Answer =
  | { readonly _tag: "Taken"; readonly rejectedSpans: number }
  | { readonly _tag: "Refused"; readonly why: string; readonly again: boolean }

const rejectedIn = (body: string): number => {
  try {
    const rejected = Number(JSON.parse(body)?.partialSuccess?.rejectedSpans ?? 0)
    return Number.isFinite(rejected) && rejected > 0 ? rejected : 0
  } catch {
    return 0
  }
}

export const make = (
  config: OtlpConfig,
  instance: string,
  startedAt: number,
  families: () => ReadonlyArray<Family>
): Service => {
  const source: Otlp.Source = {
    resource: {
      "service.name": config.serviceName,
      "service.version": manifest.version,
      "service.instance.id": instance,
      ...config.resourceAttributes
    },
    scope: { name: manifest.name, version: manifest.version }
  }
  const base = config.endpoint.replace(/\/+$/, "")
  const failedExports = { traces: 0, metrics: 0 }
  /** The loop and the last flush must not send the same spans. */
  const alone = Effect.unsafeMakeSemaphore(1).withPermits(1)
  let waiting: Array<Span> = []
  let exportedSpans = 0
  let droppedSpans = 0
  let fault = ""
  let ended = false

  const post = (signal: Signal, body: unknown): Effect.Effect<Answer> =>
    Effect.tryPromise(async abort => {
      const headers = new Headers({ "content-type": "application/json" })
      for (const [name, value] of Object.entries(config.headers)) headers.set(name, Redacted.value(value))
      const init = { method: "POST", headers, body: JSON.stringify(body), signal: abort, redirect: "manual" as const }
      const response = await fetch(`${base}/v1/${signal}`, init)
      const text = await response.text()
      return response.ok
        ? { _tag: "Taken" as const, rejectedSpans: rejectedIn(text) }
        : { _tag: "Refused" as const, why: `HTTP ${response.status}`, again: retryable.has(response.status) }
    }).pipe(
      Effect.timeoutFail({ duration: config.timeoutMs, onTimeout: () => new Error("no answer in time") }),
      Effect.catchAll(error => {
        // Never the error's own text: it may name the headers.
        const why = error instanceof Error && error.message === "no answer in time" ? error.message : "unreachable"
        return Effect.succeed<Answer>({ _tag: "Refused", why, again: true })
      }),
      Effect.tap(answer =>
        Effect.sync(() => {
          fault = answer._tag === "Taken" ? "" : `${signal}: ${answer.why}`
          if (answer._tag === "Refused") failedExports[signal]++
        })
      )
    )

  /** Sends what spans wait now, oldest first. One that may be sent again stays where it was. */
  const spansOut = Effect.gen(function* () {
    for (let left = waiting.length; left > 0; left -= spansPerRequest) {
      const spans = waiting.slice(0, Math.min(left, spansPerRequest))
      const answer = yield* post("traces", Otlp.traces(source, spans))
      if (answer._tag === "Refused" && answer.again) return
      waiting = waiting.slice(spans.length)
      const rejected = answer._tag === "Refused" ? spans.length : Math.min(answer.rejectedSpans, spans.length)
      droppedSpans += rejected
      exportedSpans += spans.length - rejected
    }
  })

  const metricsOut = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    yield* post("metrics", Otlp.metrics(source, families(), startedAt, now))
  })

  /** Records must not come to an end for a fault in here. */
  const send = Effect.all([alone(spansOut), metricsOut], { concurrency: "unbounded", discard: true }).pipe(
    Effect.catchAllDefect(defect => Effect.logWarning(`telemetry: ${String(defect)}`))
  )

  return {
    record: span => {
      if (waiting.length < maximumWaiting && !ended) waiting.push(span)
      else droppedSpans++
    },
    status: () => ({ exportedSpans, droppedSpans, waitingSpans: waiting.length, failedExports, fault }),
    flush: budgetMs =>
      Effect.suspend(() => {
        if (ended) return Effect.void
        return Effect.timeoutOption(send, budgetMs).pipe(
          Effect.map(() => {
            ended = true
            droppedSpans += waiting.length
            waiting = []
          })
        )
      }),
    run: Effect.forever(Effect.zipRight(Effect.sleep(config.intervalMs), send))
  }
}
