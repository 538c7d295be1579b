/**
 * Spans and metrics as OTLP requests in JSON: the protobuf JSON mapping with ids as hexadecimal text, 64-bit integers as
 * decimal text and enumerations as numbers.
 *
 * @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 */
import type { Family, Labels } from "../Metrics.ts"
import type { AttributeValue, Span } from "../Tracing.ts"
import type { LatencyStatus } from "./histogram.ts"

export type Attributes = Readonly<Record<string, AttributeValue>>

/** Who tells: the resource's attributes, and name and version of what made the telemetry. */
export interface Source {
  readonly resource: Attributes
  readonly scope: { readonly name: string; readonly version: string }
}

const kinds = { internal: 1, server: 2, producer: 4 } as const
const statusError = 2
const cumulative = 2
const traceFlagsSampled = 1

const nanos = (ms: number): string => `${BigInt(Math.round(ms * 1000))}000`

const valueOf = (value: AttributeValue) => {
  if (typeof value === "string") return { stringValue: value }
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return { intValue: String(value) }
  return { doubleValue: doubleOf(value) }
}

const attributesOf = (attributes: Attributes) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value: valueOf(value) }))

const spanOf = (span: Span) => ({
  traceId: span.traceId,
  spanId: span.spanId,
  ...(span.parentSpanId === undefined ? {} : { parentSpanId: span.parentSpanId }),
  ...(span.state === "" ? {} : { traceState: span.state }),
  flags: traceFlagsSampled,
  name: span.name,
  kind: kinds[span.kind],
  startTimeUnixNano: nanos(span.startMs),
  endTimeUnixNano: nanos(Math.max(span.startMs, span.endMs)),
  attributes: attributesOf(span.attributes),
  status: span.error === undefined ? {} : { code: statusError, message: span.error }
})

/** The body of a request to `/v1/traces`. */
export const traces = ({ resource, scope }: Source, spans: ReadonlyArray<Span>) => ({
  resourceSpans: [
    { resource: { attributes: attributesOf(resource) }, scopeSpans: [{ scope, spans: spans.map(spanOf) }] }
  ]
})

/** The mapping writes what JSON has no number for as text. */
const doubleOf = (value: number): number | string => (Number.isFinite(value) ? value : String(value))

const unitOf = (name: string): string =>
  /_seconds(_total)?$/.test(name) ? "s" : /_bytes(_total)?$/.test(name) ? "By" : ""

/** `buckets` are cumulative, as Prometheus has them; here each bucket counts by itself. */
const histogramPoint = ({ buckets, count, sum }: LatencyStatus) => {
  let below = 0
  const counts = buckets.map(([, values]) => {
    const own = values - below
    below = values
    return String(own)
  })
  return {
    count: String(count),
    sum: sum / 1000,
    bucketCounts: [...counts, String(count - below)],
    explicitBounds: buckets.map(([bound]) => bound / 1000)
  }
}

/** The body of a request to `/v1/metrics`. Times in ms since the epoch. */
export const metrics = (
  { resource, scope }: Source,
  families: ReadonlyArray<Family>,
  startedAt: number,
  now: number
) => {
  const at = (labels: Labels) => ({
    attributes: attributesOf(labels),
    startTimeUnixNano: nanos(startedAt),
    timeUnixNano: nanos(now)
  })
  const dataOf = (family: Family) => {
    if (family.type === "histogram") {
      const dataPoints = family.samples.map(([labels, status]) => ({ ...at(labels), ...histogramPoint(status) }))
      return { histogram: { dataPoints, aggregationTemporality: cumulative } }
    }
    const dataPoints = family.samples.map(([labels, value]) => ({ ...at(labels), asDouble: doubleOf(value) }))
    return family.type === "counter"
      ? { sum: { dataPoints, aggregationTemporality: cumulative, isMonotonic: true } }
      : { gauge: { dataPoints } }
  }
  return {
    resourceMetrics: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeMetrics: [
          {
            scope,
            metrics: families.map(family => ({
              name: family.name,
              description: family.help,
              unit: unitOf(family.name),
              ...dataOf(family)
            }))
          }
        ]
      }
    ]
  }
}
