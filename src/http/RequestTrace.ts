/**
 * The trace a request belongs to, from its `traceparent` to the headers of its records. Where nothing is exported, or the
 * request is not sampled, records carry the request's own headers on.
 */
import * as TraceContext from "../internal/traceContext.ts"
import type { Headers, ProducerRecord } from "../Record.ts"
import type { Service as Tracing } from "../Tracing.ts"
import type { Respond } from "./Exchange.ts"
import type { RequestHead } from "./RequestHead.ts"

export interface RequestTrace {
  /** What a record without a trace of its own gets. */
  readonly headers: Headers
  readonly end: (status: number) => void
}

const nothing = () => undefined

/** Undefined: the request has no trace, and begins none. */
export const begin = (tracing: Tracing | undefined, topic: string, head: RequestHead): RequestTrace | undefined => {
  const text = head.header(TraceContext.parentHeader)
  if (text === null && tracing === undefined) return undefined
  const given = text === null ? undefined : TraceContext.parse(text)
  const state = given === undefined ? "" : (head.header(TraceContext.stateHeader) ?? "")
  const requesting = tracing?.request(topic, given, state)
  const context = requesting?.context ?? given
  if (context === undefined) return undefined
  return {
    headers: [
      [TraceContext.parentHeader, TraceContext.format(context)],
      ...(state === "" ? [] : [[TraceContext.stateHeader, state] as const])
    ],
    end: requesting?.end ?? nothing
  }
}

/** Tells the trace of the answer. */
export const ending =
  ({ end }: RequestTrace, respond: Respond): Respond =>
  answer => {
    respond(answer)
    end(answer.status)
  }

/** The record in the request's trace, unless it names its own. */
export const carry = (record: ProducerRecord, trace: RequestTrace | undefined): ProducerRecord => {
  if (trace === undefined || record.headers?.some(([name]) => name === TraceContext.parentHeader) === true)
    return record
  return { ...record, headers: [...(record.headers ?? []), ...trace.headers] }
}
