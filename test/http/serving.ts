/**
 * The HTTP handler over a Spillway whose every outside is a double, asked like a server would ask it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { HttpConfig } from "../../src/AppConfig.ts"
import * as HttpHandler from "../../src/http/HttpHandler.ts"
import { Histogram, latencyStatus } from "../../src/internal/histogram.ts"
import type { Status } from "../../src/Spillway.ts"
import { type Harness, type HarnessOptions, harness } from "../support/doubles.ts"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON; undefined when it is none, or several. */
  readonly body: unknown
}

export interface Serving extends Harness {
  readonly handler: HttpHandler.HttpHandler
  readonly ask: (path: string, init?: RequestInit) => Promise<Answer>
  /** `POST` to the topic `events`. */
  readonly post: (body: RequestInit["body"], headers?: Readonly<Record<string, string>>) => Promise<Answer>
}

export interface Options extends HarnessOptions {
  readonly token?: string
  /** More of `http`. */
  readonly http?: Partial<HttpConfig>
  readonly maxBodyBytes?: number
  readonly requestTimeoutMs?: number
}

/** The status of a service without anything, for handlers over no Spillway at all. */
const quiet: Status = {
  instance: "test",
  startedAt: 0,
  health: { readiness: "accepting", reasons: [] },
  accounting: {
    accepted: 0,
    delivered: 0,
    diverted: 0,
    divertedUnknown: 0,
    spooled: 0,
    rejected: 0,
    failed: 0,
    inMemory: 0,
    redelivered: 0,
    deadLettered: 0
  },
  held: [],
  connections: [],
  spool: undefined,
  publishLatency: {
    delivered: latencyStatus(new Histogram()),
    diverted: latencyStatus(new Histogram()),
    spooled: latencyStatus(new Histogram())
  },
  process: { residentBytes: 0, cpuSeconds: 0, eventLoopDelay: latencyStatus(new Histogram()) },
  telemetry: undefined
}

/** No Spillway at all, for handlers that are only asked to publish. */
export const idle: Omit<HttpHandler.Options["spillway"], "offer"> = {
  status: () => quiet,
  forceBreaker: () => false,
  onBreakerChange: () => {}
}

export const records = "/v1/topics/events/records"

export const answerOf = async (response: Response): Promise<Answer> => {
  const text = await response.text()
  const isJson = /^application\/(?:vnd\.kafka\.v2\+)?json/.test(response.headers.get("content-type") ?? "")
  const body: unknown = isJson && text !== "" && !text.trim().includes("\n") ? JSON.parse(text) : undefined
  return { status: response.status, headers: response.headers, text, body }
}

/** Starts it for the length of `use`. */
export const serving = async (options: Options, use: (serving: Serving) => Promise<void>): Promise<void> => {
  const scope = await Effect.runPromise(Scope.make())
  try {
    const doubles = await Effect.runPromise(Scope.extend(harness(options), scope))
    const { maxBodyBytes = 1_048_576, requestTimeoutMs = 10_000, token } = options
    const secret = token === undefined ? undefined : Redacted.make(token)
    const http = { maxBodyBytes, requestTimeoutMs, token: secret, ...options.http }
    const handler = HttpHandler.make({ spillway: doubles.spillway, http })
    const ask = async (path: string, init?: RequestInit) =>
      answerOf(await handler.fetch(new Request(`http://localhost${path}`, init)))
    const post: Serving["post"] = (body, headers) =>
      ask(records, {
        method: "POST",
        ...(body === undefined ? {} : { body }),
        ...(headers === undefined ? {} : { headers })
      })
    await use({ ...doubles, handler, ask, post })
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
