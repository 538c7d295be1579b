/**
 * Answers of the HTTP API: which outcome is which status, and how results are written. Plain values, so that each server
 * writes them in its own way.
 */
import type { Outcome, PublishError, PublishErrorReason } from "../Receipt.ts"
import { ResultBytes } from "./resultBytes.ts"

export interface Answer {
  readonly status: number
  /** By lower-case name; neither length nor date, which are the server's. Values hold no line breaks. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array<ArrayBuffer> | AnswerStream
}

export interface TextAnswer extends Answer {
  readonly body: string
}

/** Whether it is whole: a text, or bytes of UTF-8. */
export const isWhole = (body: Answer["body"]): body is string | Uint8Array<ArrayBuffer> =>
  typeof body === "string" || body instanceof Uint8Array

/** A body that goes on until one of the two sides ends it. */
export interface AnswerStream {
  /**
   * A server calls this once, when the head is on its way; `sink` may be written to from then on, also before this returns.
   * The server calls the function it returns once, when nobody is written for any more: after `end`, when the client is
   * gone, or when it has been dropped for not reading.
   */
  readonly start: (sink: Sink) => () => void
}

export interface Sink {
  /**
   * Sends text, as UTF-8. False: it was not taken, and nothing will be: the stream was ended, the client is gone, or it had
   * left more than `mostUnread` bytes unread, and is dropped. Never throws, never waits.
   */
  readonly write: (text: string) => boolean
  /** The body ends behind what was written. */
  readonly end: () => void
}

/** What a server holds of a stream for a client that does not read, bytes. One text beyond it is still taken. */
export const mostUnread = 1_048_576

/** Reasons an answer names: those of a `PublishError`, and those of the request itself. */
export type Reason =
  | PublishErrorReason
  | "Unauthorized"
  | "NotFound"
  | "MethodNotAllowed"
  | "UnsupportedMediaType"
  | "BodyTooLarge"
  | "BodyIncomplete"
  | "BadRequest"
  | "ExpectationFailed"
  | "HeadTimeout"
  | "HeadTooLarge"
  | "NotImplemented"
  | "VersionNotSupported"
  | "Timeout"
  | "Internal"

export const statusOf: Readonly<Record<Reason, number>> = {
  InvalidRecord: 400,
  EncodingFailed: 400,
  BodyIncomplete: 400,
  BadRequest: 400,
  Unauthorized: 401,
  NotAuthorized: 403,
  UnknownTopic: 404,
  NotFound: 404,
  MethodNotAllowed: 405,
  HeadTimeout: 408,
  RecordTooLarge: 413,
  BodyTooLarge: 413,
  UnsupportedMediaType: 415,
  ExpectationFailed: 417,
  Overloaded: 429,
  HeadTooLarge: 431,
  Internal: 500,
  NotImplemented: 501,
  Closed: 503,
  FallbackUnavailable: 503,
  Timeout: 503,
  VersionNotSupported: 505
}

/** Reasons that lie in the moment, not in the request. */
const passing = new Set<Reason>(["Overloaded", "Internal", "Closed", "FallbackUnavailable", "Timeout", "HeadTimeout"])

/** Seconds after which asking again makes sense; undefined: it never does. */
export type RetryAfter = (reason: Reason) => string | undefined

/** Where nothing is known. */
const shortly: RetryAfter = reason => (statusOf[reason] === 429 || statusOf[reason] === 503 ? "1" : undefined)

const contentType = "application/json"
const jsonHeaders = { "content-type": contentType }

export const json = (status: number, body: string, headers?: Readonly<Record<string, string>>): TextAnswer => ({
  status,
  headers: headers === undefined ? jsonHeaders : { "content-type": contentType, ...headers },
  body
})

/** A header for it, where there is one. */
export const retryHeader = (after: string | undefined): Readonly<Record<string, string>> | undefined =>
  after === undefined ? undefined : { "retry-after": after }

/** How a family of calls answers a request that did not come to any record. */
export type Refuse = (reason: Reason, message: string, headers?: Readonly<Record<string, string>>) => TextAnswer

/** In the words of the native API. */
export const refuser =
  (retryAfter: RetryAfter): Refuse =>
  (reason, message, headers) => {
    const outcome = passing.has(reason) ? "failed" : "rejected"
    return json(statusOf[reason], JSON.stringify({ outcome, reason, message }), {
      ...retryHeader(retryAfter(reason)),
      ...headers
    })
  }

export const refuse: Refuse = refuser(shortly)

export const wrongMethod = (method: string, allow: string): TextAnswer =>
  refuse("MethodNotAllowed", `${method} is not possible here, ${allow} is`, { allow })

/** Characters a JSON string may hold as they are, among those an id usually has. */
const plain = /^[\w.:/+=@ -]*$/
const quote = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))

const failure = (error: PublishError, id: string | undefined): string => {
  const { message, reason, rejected } = error
  const outcome = rejected ? "rejected" : "failed"
  return `{${id === undefined ? "" : `"id":${quote(id)},`}"outcome":"${outcome}","reason":"${reason}","message":${JSON.stringify(message)}}`
}

/** One record's result. `id`: the one the caller gave, for records that did not get far enough to have one. */
export const result = (outcome: Outcome, id: string | undefined): string => {
  if (outcome._tag !== "Receipt") return failure(outcome, id)
  const { offset, partition } = outcome
  let text = `{"id":${quote(outcome.id)},"outcome":"${outcome.outcome}"`
  if (partition !== undefined) text += `,"partition":${partition}`
  if (offset !== undefined) text += `,"offset":"${offset}"`
  return `${text}}`
}

/** The answer for a single record. */
export const single = (outcome: Outcome, id: string | undefined, retryAfter: RetryAfter): Answer => {
  const body = result(outcome, id)
  if (outcome._tag === "Receipt") return json(outcome.outcome === "delivered" ? 201 : 202, body)
  return json(statusOf[outcome.reason], body, retryHeader(retryAfter(outcome.reason)))
}

/** The answer for many records, once each has its outcome. */
export class Results {
  readonly #outcomes: Array<Outcome | undefined>
  /** The ids callers gave, for records that did not get far enough to have one. */
  readonly #ids: Array<string | undefined> = []
  #diverted = false
  #failed = false
  readonly #after: RetryAfter
  #retryAfter: string | undefined

  constructor(count: number, retryAfter: RetryAfter) {
    this.#after = retryAfter
    this.#outcomes = new Array<Outcome | undefined>(count)
  }

  set(index: number, outcome: Outcome, id: string | undefined): void {
    this.#outcomes[index] = outcome
    if (outcome._tag !== "Receipt") {
      this.#failed = true
      this.#ids[index] = id
      this.#retryAfter ??= this.#after(outcome.reason)
    } else if (outcome.outcome !== "delivered") {
      this.#diverted = true
    }
  }

  answer(): Answer {
    const bytes = new ResultBytes(this.#outcomes.length)
    this.#outcomes.forEach((outcome, index) => {
      if (outcome?._tag === "Receipt") bytes.receipt(outcome)
      else if (outcome !== undefined) bytes.text(failure(outcome, this.#ids[index]))
    })
    const body = bytes.end()
    if (!this.#failed) return { status: this.#diverted ? 202 : 201, headers: jsonHeaders, body }
    return { status: 207, headers: { ...jsonHeaders, ...retryHeader(this.#retryAfter) }, body }
  }
}
