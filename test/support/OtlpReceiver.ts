/**
 * An OTLP/HTTP receiver that takes JSON and nothing but what the specification allows: ids as hexadecimal text, 64-bit integers
 * as decimal text, enumerations as numbers, no unknown member. What is wrong is kept, and answered with 400.
 *
 * @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
 * @see https://github.com/open-telemetry/opentelemetry-proto
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { eventually } from "./eventually.ts"

type Json = Readonly<Record<string, unknown>>
export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly traceState: string
  readonly name: string
  readonly kind: number
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly attributes: Attributes
  readonly error: string | undefined
  readonly resource: Attributes
}

export interface ReceivedPoint {
  readonly name: string
  readonly attributes: Attributes
  /** Of a histogram: its count. */
  readonly value: number
  readonly kind: "sum" | "gauge" | "histogram"
}

export interface OtlpReceiver {
  readonly endpoint: string
  /** In the order they came. */
  readonly spans: ReadonlyArray<ReceivedSpan>
  /** Points of the newest metrics request. */
  readonly points: () => ReadonlyArray<ReceivedPoint>
  /** What was wrong with requests. */
  readonly faults: ReadonlyArray<string>
  /** Headers of the last request. */
  readonly headers: () => Readonly<Record<string, unknown>>
  readonly requests: () => number
  /** Takes the answers over from here on; undefined answers as it should. */
  readonly answer: (by: ((response: ServerResponse) => void) | undefined) => void
  /** Each request from here on waits until it is released; undefined: none does. */
  readonly hold: (by: ((release: () => void) => void) | undefined) => void
  readonly span: (name: string, deadlineMs?: number) => Promise<ReceivedSpan>
  readonly stop: () => Promise<void>
}

class Fault extends Error {}

const fail = (where: string, what: string): never => {
  throw new Fault(`${where}: ${what}`)
}

/** An object with no members but these. */
const object = (where: string, value: unknown, members: ReadonlyArray<string>): Json => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(where, "not an object")
  for (const key of Object.keys(value)) if (!members.includes(key)) fail(where, `unknown member ${key}`)
  return { ...value }
}
const list = (where: string, value: unknown): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : fail(where, "not a list")
const text = (where: string, value: unknown): string => (typeof value === "string" ? value : fail(where, "not a text"))
const matching = (where: string, value: unknown, form: RegExp): string => {
  const found = text(where, value)
  return form.test(found) ? found : fail(where, `${found} does not match ${form}`)
}
const whole64 = (where: string, value: unknown): bigint => BigInt(matching(where, value, /^-?\d+$/))
const double = (where: string, value: unknown): number =>
  typeof value === "number" || value === "Infinity" || value === "-Infinity" || value === "NaN"
    ? Number(value)
    : fail(where, "not a number")
const choice = (where: string, value: unknown, from: number, to: number): number =>
  Number.isInteger(value) && double(where, value) >= from && double(where, value) <= to
    ? double(where, value)
    : fail(where, `${String(value)} is none of the enumeration`)

const attributesOf = (where: string, value: unknown): Attributes => {
  const entries = list(where, value).map((one, index) => {
    const at = `${where}[${index}]`
    const pair = object(at, one, ["key", "value"])
    const any = object(`${at}.value`, pair.value, ["stringValue", "intValue", "doubleValue", "boolValue"])
    const [kind, ...more] = Object.entries(any)
    if (kind === undefined || more.length > 0) return fail(at, "a value has exactly one member")
    const [member, content] = kind
    const key = text(at, pair.key)
    if (key === "") fail(at, "an empty key")
    switch (member) {
      case "stringValue":
        return [key, text(at, content)] as const
      case "intValue":
        return [key, Number(whole64(at, content))] as const
      case "doubleValue":
        return [key, double(at, content)] as const
      default:
        return [key, typeof content === "boolean" ? content : fail(at, "not a boolean")] as const
    }
  })
  const attributes = Object.fromEntries(entries)
  if (Object.keys(attributes).length !== entries.length) fail(where, "a key is there twice")
  return attributes
}

const scopeOf = (where: string, value: unknown): void => {
  const scope = object(where, value, ["name", "version", "attributes"])
  text(`${where}.name`, scope.name)
}

const spanOf = (where: string, value: unknown, resource: Attributes): ReceivedSpan => {
  const span = object(where, value, [
    ...["traceId", "spanId", "parentSpanId", "traceState", "flags", "name", "kind", "startTimeUnixNano"],
    ...["endTimeUnixNano", "attributes", "events", "links", "status"]
  ])
  const status = object(`${where}.status`, span.status ?? {}, ["code", "message"])
  const code = status.code === undefined ? 0 : choice(`${where}.status.code`, status.code, 0, 2)
  const startNanos = whole64(`${where}.startTimeUnixNano`, span.startTimeUnixNano)
  const endNanos = whole64(`${where}.endTimeUnixNano`, span.endTimeUnixNano)
  if (endNanos < startNanos) fail(where, "ends before it begins")
  if (startNanos < 10n ** 18n) fail(where, "not in nanoseconds")
  if (span.flags !== undefined) choice(`${where}.flags`, span.flags, 0, 1023)
  return {
    traceId: matching(`${where}.traceId`, span.traceId, /^(?!0+$)[0-9a-f]{32}$/),
    spanId: matching(`${where}.spanId`, span.spanId, /^(?!0+$)[0-9a-f]{16}$/),
    parentSpanId: span.parentSpanId === undefined ? "" : matching(where, span.parentSpanId, /^((?!0+$)[0-9a-f]{16})?$/),
    traceState: span.traceState === undefined ? "" : text(where, span.traceState),
    name: matching(`${where}.name`, span.name, /./),
    kind: choice(`${where}.kind`, span.kind, 1, 5),
    startNanos,
    endNanos,
    attributes: attributesOf(`${where}.attributes`, span.attributes),
    error: code === 2 ? text(where, status.message) : undefined,
    resource
  }
}

const pointsOf = (where: string, value: unknown): ReadonlyArray<ReceivedPoint> => {
  const metric = object(where, value, ["name", "description", "unit", "gauge", "sum", "histogram"])
  const name = matching(`${where}.name`, metric.name, /^[A-Za-z][\w./-]{0,254}$/)
  const kinds = (["gauge", "sum", "histogram"] as const).filter(kind => metric[kind] !== undefined)
  const [kind] = kinds
  if (kind === undefined || kinds.length !== 1) return fail(where, "a metric has exactly one kind of data")
  const data = object(where, metric[kind], [
    "dataPoints",
    ...(kind === "gauge" ? [] : ["aggregationTemporality"]),
    ...(kind === "sum" ? ["isMonotonic"] : [])
  ])
  if (kind !== "gauge") choice(`${where}.aggregationTemporality`, data.aggregationTemporality, 1, 2)
  return list(where, data.dataPoints).map((one, index) => {
    const at = `${where}.dataPoints[${index}]`
    const numeric = ["asDouble", "asInt"]
    const histogram = ["count", "sum", "min", "max", "bucketCounts", "explicitBounds"]
    const members = ["attributes", "startTimeUnixNano", "timeUnixNano", "flags"]
    const point = object(at, one, [...members, ...(kind === "histogram" ? histogram : numeric)])
    whole64(`${at}.startTimeUnixNano`, point.startTimeUnixNano)
    whole64(`${at}.timeUnixNano`, point.timeUnixNano)
    const attributes = attributesOf(`${at}.attributes`, point.attributes)
    if (kind !== "histogram") {
      const counted = point.asInt === undefined ? double(at, point.asDouble) : Number(whole64(at, point.asInt))
      return { name, attributes, kind, value: counted }
    }
    const counts = list(at, point.bucketCounts).map(count => whole64(`${at}.bucketCounts`, count))
    const bounds = list(at, point.explicitBounds).map(bound => double(`${at}.explicitBounds`, bound))
    if (counts.length !== bounds.length + 1) fail(at, `${counts.length} buckets for ${bounds.length} bounds`)
    if (bounds.some((bound, i) => i > 0 && bound <= (bounds[i - 1] ?? bound))) fail(at, "bounds do not grow")
    if (counts.some(count => count < 0n)) fail(at, "a bucket below 0")
    const count = whole64(`${at}.count`, point.count)
    if (counts.reduce((sum, own) => sum + own, 0n) !== count) fail(at, "buckets do not add up to the count")
    double(`${at}.sum`, point.sum)
    return { name, attributes, kind, value: Number(count) }
  })
}

/** Reads a request of either kind. */
const read = <A>(
  body: unknown,
  kind: "Spans" | "Metrics",
  each: (where: string, value: unknown, resource: Attributes) => ReadonlyArray<A>
): ReadonlyArray<A> => {
  const [resources, scopes, members] =
    kind === "Spans"
      ? (["resourceSpans", "scopeSpans", "spans"] as const)
      : (["resourceMetrics", "scopeMetrics", "metrics"] as const)
  return list(resources, object("request", body, [resources])[resources]).flatMap(one => {
    const group = object(resources, one, ["resource", scopes, "schemaUrl"])
    const { attributes } = object("resource", group.resource, ["attributes"])
    const resource = attributesOf("resource.attributes", attributes)
    if (typeof resource["service.name"] !== "string") fail("resource", "no service.name")
    return list(scopes, group[scopes]).flatMap(scoped => {
      const scope = object(scopes, scoped, ["scope", members, "schemaUrl"])
      scopeOf("scope", scope.scope)
      return list(members, scope[members]).flatMap((value, index) => each(`${members}[${index}]`, value, resource))
    })
  })
}

export const start = async (): Promise<OtlpReceiver> => {
  const spans: Array<ReceivedSpan> = []
  const faults: Array<string> = []
  let points: ReadonlyArray<ReceivedPoint> = []
  let headers: Readonly<Record<string, unknown>> = {}
  let requests = 0
  let takenOver: ((response: ServerResponse) => void) | undefined
  let holding: ((release: () => void) => void) | undefined

  const take = (path: string | undefined, body: string): void => {
    if (path === "/v1/traces") spans.push(...read(JSON.parse(body), "Spans", (...one) => [spanOf(...one)]))
    else if (path === "/v1/metrics") points = read(JSON.parse(body), "Metrics", pointsOf)
    else fail("path", String(path))
  }

  const answer = (request: IncomingMessage, response: ServerResponse, chunks: ReadonlyArray<Uint8Array>): void => {
    try {
      if (request.method !== "POST") fail("method", String(request.method))
      if (request.headers["content-type"] !== "application/json") fail("content-type", "not application/json")
      take(request.url, Buffer.concat(chunks).toString("utf8"))
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    } catch (error) {
      faults.push(error instanceof Error ? error.message : String(error))
      response.writeHead(400, { "content-type": "application/json" }).end('{"code":3}')
    }
  }

  const server = createServer((request, response) => {
    requests++
    headers = { ...request.headers }
    const chunks: Array<Uint8Array> = []
    request.on("error", () => undefined)
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk))
    request.on("end", () => {
      if (takenOver !== undefined) return takenOver(response)
      if (holding !== undefined) return holding(() => answer(request, response, chunks))
      answer(request, response, chunks)
    })
  })
  const port = await new Promise<number>(resolve => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    points: () => points,
    faults,
    headers: () => headers,
    requests: () => requests,
    answer: by => {
      takenOver = by
    },
    hold: by => {
      holding = by
    },
    span: (name, deadlineMs = 10_000) =>
      eventually(`span ${name}`, deadlineMs, () => spans.find(span => span.name === name), {
        giveUp: () => (faults.length === 0 ? undefined : faults.join("; "))
      }),
    stop: () =>
      new Promise(resolve => {
        server.closeAllConnections()
        server.close(() => resolve())
      })
  }
}
