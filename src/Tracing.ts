/**
 * A record's way as OpenTelemetry spans: the request that brought it, its publish, its divert, each replay and its dead
 * letter, all in the trace of its `traceparent` header. A publish that is traced writes its own span there, once, so that
 * whoever consumes the record continues the trace; from then on the header in the record's bytes is the only carrier.
 *
 * What is not sampled costs one look at the record's headers.
 */
import * as Either from "effect/Either"
import type { Trace } from "./internal/batchBuilder.ts"
import { check as checkRecord } from "./internal/recordCheck.ts"
import * as TraceContext from "./internal/traceContext.ts"
import type { Outcome } from "./Receipt.ts"
import type { Headers, HeaderValue, ProducerRecord } from "./Record.ts"
import * as RecordBatch from "./RecordBatch.ts"

export type AttributeValue = string | number | bigint

/** A span that is over. Times in ms since the epoch. */
export interface Span {
  readonly traceId: string
  readonly spanId: string
  /** Undefined for the first of a trace. */
  readonly parentSpanId: string | undefined
  /** The `tracestate` it came with, empty when there was none. */
  readonly state: string
  readonly name: string
  readonly kind: "internal" | "server" | "producer"
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, AttributeValue>>
  /** What went wrong; undefined when nothing did. */
  readonly error: string | undefined
}

/** A publish under way. */
export interface Publishing {
  /** What to publish: the record with the publish's own place in the trace. */
  readonly record: ProducerRecord
  readonly end: (outcome: Outcome) => void
}

/** A request under way. */
export interface Requesting {
  /** What the records of the request carry. */
  readonly context: TraceContext.TraceContext
  readonly end: (status: number) => void
}

/** When something happened, ms since the epoch. */
interface Period {
  readonly from: number
  readonly to: number
}

/** What came of a divert or a replay; `error` says why not what it should have. */
interface Result {
  readonly outcome: string
  readonly error?: string | undefined
}

export interface Service {
  /** Whether publishing the record can make a span. */
  readonly concerns: (record: ProducerRecord) => boolean
  /** Undefined: it is not sampled, and is published as it is. */
  readonly publish: (record: ProducerRecord) => Publishing | undefined
  /** A request to publish, with its `traceparent` and `tracestate`. Undefined: it is not sampled. */
  readonly request: (
    topic: string,
    given: TraceContext.TraceContext | undefined,
    state: string
  ) => Requesting | undefined
  /** A batch came to its end in the fallback: `why` Kafka did not take it, and what became of each record. */
  readonly diverted: (
    facts: Period & {
      readonly traces: ReadonlyArray<Trace>
      readonly queue: string
      readonly why: string
      readonly resultOf: (index: number) => Result
    }
  ) => void
  /** Kafka was tried with parked records. `baseOffset`: of the first one, once delivered. */
  readonly replayed: (
    facts: Period &
      Result & {
        readonly topic: string
        readonly partition: number
        readonly batch: Uint8Array
        readonly baseOffset: bigint | undefined
      }
  ) => void
  /** Records were given up. */
  readonly deadLettered: (
    facts: Period & { readonly batch: Uint8Array; readonly queue: string; readonly reason: string }
  ) => void
}

export interface Options {
  /** Part of what comes without a trace that begins one, 0 to 1. */
  readonly sampleRatio: number
  /** This instance's name. */
  readonly instance: string
  /** ms since the epoch */
  readonly now: () => number
  /** Takes a finished span. Must not wait. */
  readonly record: (span: Span) => void
}

const route = "/v1/topics/{topic}/records"

/** Longest `tracestate` a span keeps: what everybody has to pass on (Trace Context, section 3.3.1.5). */
const longestState = 512

/** Left out where it is longer, as the recommendation allows: thousands of spans wait, and a record's header may be huge. */
const stateOf = (value: HeaderValue | undefined): string => {
  if (value === undefined || value === null || value.length > longestState) return ""
  return typeof value === "string" ? value : new TextDecoder().decode(value)
}

const stateIn = (headers: Headers | undefined): string =>
  stateOf(headers?.find(([name]) => name === TraceContext.stateHeader)?.[1])

/** Attributes by OpenTelemetry's semantic conventions for messaging. */
const sending = (system: "kafka" | "aws_sqs", operation: string, destination: string) => ({
  "messaging.system": system,
  "messaging.operation.name": operation,
  "messaging.operation.type": "send",
  "messaging.destination.name": destination
})

const ofOutcome = (outcome: Outcome): Readonly<Record<string, AttributeValue>> => {
  if (outcome._tag !== "Receipt") {
    return { "error.type": outcome.reason, "spillway.outcome": outcome.rejected ? "rejected" : "failed" }
  }
  const { offset, partition } = outcome
  return {
    "spillway.outcome": outcome.outcome,
    "messaging.message.id": outcome.id,
    ...(partition === undefined ? {} : { "messaging.destination.partition.id": String(partition) }),
    ...(offset === undefined ? {} : { "messaging.kafka.offset": offset })
  }
}

export const make = ({ instance, now, record: keep, sampleRatio }: Options): Service => {
  /** Where a span goes that continues `parent`, or begins a trace; undefined: it is not sampled. */
  const place = (parent: TraceContext.TraceContext | undefined): TraceContext.TraceContext | undefined => {
    if (parent !== undefined) {
      return parent.sampled ? { traceId: parent.traceId, spanId: TraceContext.newSpanId(), sampled: true } : undefined
    }
    if (sampleRatio === 0) return undefined
    const traceId = TraceContext.newTraceId()
    return TraceContext.isAmong(traceId, sampleRatio)
      ? { traceId, spanId: TraceContext.newSpanId(), sampled: true }
      : undefined
  }

  const concerns: Service["concerns"] = record => {
    const headers = record?.headers
    const found = Array.isArray(headers) ? TraceContext.find(headers) : undefined
    return found === undefined ? sampleRatio > 0 : found.sampled
  }

  /** One span for each sampled record of a batch, below its publish. */
  const perRecord = (
    batch: Uint8Array,
    spanOf: (index: number) => Omit<Span, "traceId" | "spanId" | "parentSpanId" | "state">
  ) => {
    const read = RecordBatch.records(batch)
    if (Either.isLeft(read)) return
    read.right.forEach(({ headers }, index) => {
      const parent = TraceContext.find(headers)
      if (parent?.sampled !== true) return
      const { spanId: parentSpanId, traceId } = parent
      keep({ traceId, spanId: TraceContext.newSpanId(), parentSpanId, state: stateIn(headers), ...spanOf(index) })
    })
  }

  return {
    concerns,
    publish: record => {
      // What is malformed is refused where records are checked, and has no headers to speak of.
      if (!concerns(record) || checkRecord(record) !== undefined) return undefined
      const { headers, topic } = record
      const parent = TraceContext.find(headers)
      const context = place(parent)
      if (context === undefined) return undefined
      const startMs = now()
      return {
        record: { ...record, headers: TraceContext.carrying(headers, context) },
        end: outcome =>
          keep({
            ...context,
            parentSpanId: parent?.spanId,
            state: stateIn(headers),
            name: `send ${topic}`,
            kind: "producer",
            startMs,
            endMs: now(),
            attributes: { ...sending("kafka", "send", topic), "messaging.client.id": instance, ...ofOutcome(outcome) },
            error: outcome._tag === "Receipt" ? undefined : outcome.message
          })
      }
    },
    request: (topic, given, state) => {
      const context = place(given)
      if (context === undefined) return undefined
      const startMs = now()
      return {
        context,
        end: status =>
          keep({
            ...context,
            parentSpanId: given?.spanId,
            state: stateOf(state),
            name: `POST ${route}`,
            kind: "server",
            startMs,
            endMs: now(),
            attributes: {
              "http.request.method": "POST",
              "http.route": route,
              "url.path": `/v1/topics/${encodeURIComponent(topic)}/records`,
              "http.response.status_code": status,
              ...(status < 500 ? {} : { "error.type": String(status) })
            },
            error: status < 500 ? undefined : `answered ${status}`
          })
      }
    },
    diverted: ({ from, queue, resultOf, to, traces, why }) => {
      for (const { context, index } of traces) {
        const { error, outcome } = resultOf(index)
        keep({
          traceId: context.traceId,
          spanId: TraceContext.newSpanId(),
          parentSpanId: context.spanId,
          state: "",
          name: `divert ${queue}`,
          kind: "producer",
          startMs: from,
          endMs: to,
          attributes: {
            ...sending("aws_sqs", "divert", queue),
            "spillway.outcome": outcome,
            "spillway.divert.reason": why
          },
          error
        })
      }
    },
    replayed: ({ baseOffset, batch, error, from, outcome, partition, to, topic }) =>
      perRecord(batch, index => ({
        name: `replay ${topic}`,
        kind: "producer",
        startMs: from,
        endMs: to,
        attributes: {
          ...sending("kafka", "replay", topic),
          "messaging.destination.partition.id": String(partition),
          "spillway.outcome": outcome,
          ...(baseOffset === undefined || baseOffset < 0n
            ? {}
            : { "messaging.kafka.offset": baseOffset + BigInt(index) }),
          ...(error === undefined ? {} : { "error.type": error })
        },
        error
      })),
    deadLettered: ({ batch, from, queue, reason, to }) =>
      perRecord(batch, () => ({
        name: `dead-letter ${queue}`,
        kind: "producer",
        startMs: from,
        endMs: to,
        attributes: {
          ...sending("aws_sqs", "dead-letter", queue),
          "spillway.outcome": "dead-lettered",
          "error.type": reason
        },
        error: reason
      }))
  }
}
