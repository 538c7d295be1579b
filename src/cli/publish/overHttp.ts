/**
 * Publishing to a running service.
 */
import { refusal, type Service, send as sendTo, unreachable } from "../service.ts"
import type { Prepared } from "./Prepared.ts"
import { outcomes, type Result, type Send, type Sent } from "./Result.ts"

/** The service answers in time by itself; this is for one that is gone, ms. */
const answerMs = 60_000

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const resultOf = (value: unknown): Result | undefined => {
  if (!isObject(value)) return undefined
  const outcome = outcomes.find(known => known === value.outcome)
  if (outcome === undefined) return undefined
  const { id, message, offset, partition, reason } = value
  return {
    outcome,
    ...(typeof id === "string" ? { id } : {}),
    ...(typeof partition === "number" ? { partition } : {}),
    ...(typeof offset === "string" ? { offset } : {}),
    ...(typeof reason === "string" ? { reason } : {}),
    ...(typeof message === "string" ? { message } : {})
  }
}

const all = (records: ReadonlyArray<Prepared>, outcome: "rejected" | "failed", reason: string, message: string) =>
  records.map(({ record }): Result => ({ outcome, id: record.id, reason, message }))

const retryAfterOf = (response: Response): number | undefined => {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN)
  return Number.isFinite(seconds) ? seconds * 1000 : undefined
}

/** `stop` ends what is still open. */
export const make = (service: Service, topic: string, stop: AbortSignal): Send => {
  const path = `/v1/topics/${encodeURIComponent(topic)}/records`
  const send: Send = async records => {
    try {
      const response = await sendTo(service, path, {
        method: "POST",
        headers: { "content-type": "application/x-ndjson" },
        body: records.map(({ text }) => text).join("\n"),
        signal: AbortSignal.any([stop, AbortSignal.timeout(answerMs)])
      })
      return await read(records, response)
    } catch (cause) {
      const { message } = unreachable(service, cause)
      return { results: all(records, "failed", "Unreachable", message) }
    }
  }
  const read = async (records: ReadonlyArray<Prepared>, response: Response): Promise<Sent> => {
    const { status } = response
    const retryAfterMs = retryAfterOf(response)
    if (status === 413 && records.length > 1) {
      await response.body?.cancel()
      const half = Math.ceil(records.length / 2)
      const first = await send(records.slice(0, half))
      const second = await send(records.slice(half))
      const refused = first.refusal ?? second.refusal
      return {
        results: [...first.results, ...second.results],
        retryAfterMs: Math.max(first.retryAfterMs ?? 0, second.retryAfterMs ?? 0),
        ...(refused === undefined ? {} : { refusal: refused })
      }
    }
    if (status === 201 || status === 202 || status === 207) {
      const body: unknown = await response.json()
      const listed: ReadonlyArray<unknown> = isObject(body) && Array.isArray(body.results) ? body.results : []
      const results = listed.flatMap(value => resultOf(value) ?? [])
      if (results.length === records.length) return { results, retryAfterMs }
      return { results: all(records, "failed", "Unreadable", "the answer does not name each record's outcome") }
    }
    const error = await refusal(service, response)
    if (status === 413) return { results: all(records, "rejected", "BodyTooLarge", error.message) }
    if (status === 429 || status >= 500)
      return { results: all(records, "failed", "Refused", error.message), retryAfterMs }
    return { results: all(records, "failed", "Refused", error.message), refusal: error }
  }
  return send
}
