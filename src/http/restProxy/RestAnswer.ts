/**
 * Answers of the REST Proxy calls: statuses and error codes as Confluent's REST Proxy has them (API reference, "Errors", and
 * its `Errors.java`), except that a failure is never answered 200.
 */
import type { PublishError } from "../../Receipt.ts"
import { type Reason, type Refuse, type RetryAfter, statusOf, type TextAnswer } from "../Answer.ts"

/** HTTP status, and the finer code in the body. */
export interface Code {
  readonly status: number
  readonly code: number
}

const codes = {
  InvalidRecord: { status: 422, code: 42206 },
  EncodingFailed: { status: 422, code: 42207 },
  Unauthorized: { status: 401, code: 40101 },
  NotAuthorized: { status: 403, code: 40301 },
  UnknownTopic: { status: 404, code: 40401 },
  Internal: { status: 500, code: 50002 },
  Closed: { status: 503, code: 50003 },
  FallbackUnavailable: { status: 503, code: 50003 },
  Timeout: { status: 503, code: 50003 }
} as const satisfies Partial<Record<Reason, Code>>

const codeOfReason = (reason: Reason): Code => {
  const found: Partial<Record<Reason, Code>> = codes
  // Where there is none finer, the code is the status, as in the REST Proxy.
  return found[reason] ?? { status: statusOf[reason], code: statusOf[reason] }
}

export const partitionNotFound: Code = { status: 404, code: 40402 }

/** A record whose bytes are no JSON, or not what was declared. */
export const malformed: Code = { status: 400, code: 400 }
export const invalidPayload = codes.InvalidRecord

export const codeOf = (error: Pick<PublishError, "field"> & { readonly reason: Reason }): Code =>
  error.reason === "InvalidRecord" && error.field === "partition" ? partitionNotFound : codeOfReason(error.reason)

export const errorText = (code: number, message: string): string =>
  `{"error_code":${code},"message":${JSON.stringify(message)}}`

/** One status for many records: their own where all have the same. */
export const combined = (statuses: ReadonlyArray<number>): number => {
  const [first = 200] = statuses
  if (statuses.every(status => status === first)) return first
  return statuses.some(status => status >= 400) ? 207 : 202
}

/** @param contentType of every answer */
export const refuser =
  (retryAfter: RetryAfter, contentType: string): Refuse =>
  (reason, message, headers) =>
    refusal({ contentType, ...codeOfReason(reason), message, after: retryAfter(reason), headers })

export const refusal = (no: {
  readonly contentType: string
  readonly status: number
  readonly code: number
  readonly message: string
  readonly after?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}): TextAnswer => ({
  status: no.status,
  headers: {
    "content-type": no.contentType,
    ...(no.after === undefined ? {} : { "retry-after": no.after }),
    ...no.headers
  },
  body: errorText(no.code, no.message)
})
