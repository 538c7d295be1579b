/**
 * A record as REST Proxy API v3 writes it, and its delivery report.
 */
import type { Outcome } from "../../Receipt.ts"
import type { HeaderValue, ProducerRecord } from "../../Record.ts"
import type { RetryAfter } from "../Answer.ts"
import { decodeBase64 } from "../base64.ts"
import * as JsonSource from "../jsonSource.ts"
import {
  bytesOf,
  Fault,
  type Format,
  isObject,
  type Json,
  kindOf,
  parse,
  partitionOf,
  unknownMember
} from "./embedded.ts"
import * as RestAnswer from "./RestAnswer.ts"

/** What becomes of one object of the body. */
export interface Report {
  readonly status: number
  readonly text: string
  readonly after: string | undefined
}

const members = ["partition_id", "headers", "key", "value", "timestamp"]
const schemaMembers = ["subject", "subject_name_strategy", "schema_id", "schema_version", "schema"]
const formats = ["BINARY", "JSON", "STRING"] as const

/** A key or a value: its bytes, and the format they came in; undefined where there is none. */
interface Data {
  readonly format: Format | undefined
  readonly bytes: Uint8Array | null
}

const dataOf = (record: Json, text: string, name: "key" | "value"): Data | Fault => {
  const data = record[name]
  if (data === undefined || data === null) return { format: undefined, bytes: null }
  if (!isObject(data)) return new Fault(name, `expected an object with type and data, got ${kindOf(data)}`)
  const unknown = unknownMember(data, name, ["type", "data", ...schemaMembers])
  if (unknown !== undefined) return unknown
  const schema = schemaMembers.find(member => data[member] !== undefined && data[member] !== null)
  if (schema !== undefined) return new Fault(`${name}.${schema}`, "schemas are not supported here")
  const format = formats.find(one => one === data.type)
  if (format === undefined) return new Fault(`${name}.type`, `expected ${formats.join(", ")}`)
  const source = format === "JSON" ? (JsonSource.member(text, name) ?? "") : ""
  const bytes = bytesOf(format, data, source, "data", `${name}.data`)
  return bytes instanceof Fault ? bytes : { format, bytes }
}

const headersOf = (headers: unknown): ProducerRecord["headers"] | Fault => {
  if (headers === undefined || headers === null) return undefined
  if (!Array.isArray(headers)) return new Fault("headers", `expected an array, got ${kindOf(headers)}`)
  const pairs: Array<readonly [string, HeaderValue]> = []
  for (const [index, header] of headers.entries()) {
    const field = `headers[${index}]`
    if (!isObject(header)) return new Fault(field, `expected an object with name and value, got ${kindOf(header)}`)
    const unknown = unknownMember(header, field, ["name", "value"])
    if (unknown !== undefined) return unknown
    const { name, value = null } = header
    if (typeof name !== "string") return new Fault(`${field}.name`, `expected a string, got ${kindOf(name)}`)
    const bytes = value === null ? null : typeof value === "string" ? decodeBase64(value) : undefined
    if (bytes === undefined) return new Fault(`${field}.value`, "expected base64 or null")
    pairs.push([name, bytes])
  }
  return pairs
}

/** RFC 3339, as `date-time` in JSON Schema. */
const dateTime = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/

const timestampOf = (value: unknown, now: number): number | Fault => {
  if (value === undefined || value === null) return now
  const ms = typeof value === "string" && dateTime.test(value) ? Date.parse(value.toUpperCase()) : Number.NaN
  return Number.isNaN(ms) ? new Fault("timestamp", "expected a date and time such as 2026-02-05T19:14:42Z") : ms
}

/** What to offer, and how to report on it. */
export interface Produced {
  readonly record: ProducerRecord
  readonly report: (outcome: Outcome) => Report
}

export const read = (
  text: string,
  clusterId: string,
  topic: string,
  id: string | undefined,
  retryAfter: RetryAfter,
  now: number
): Produced | Fault => {
  const written = parse(text)
  if (written instanceof Fault) return written
  if (!isObject(written)) return new Fault("", `expected an object, got ${kindOf(written)}`)
  const unknown = unknownMember(written, "", members)
  if (unknown !== undefined) return unknown
  const key = dataOf(written, text, "key")
  if (key instanceof Fault) return key
  const value = dataOf(written, text, "value")
  if (value instanceof Fault) return value
  const headers = headersOf(written.headers)
  if (headers instanceof Fault) return headers
  const partition = partitionOf(written.partition_id, "partition_id")
  if (partition instanceof Fault) return partition
  const timestamp = timestampOf(written.timestamp, now)
  if (timestamp instanceof Fault) return timestamp
  const about = (data: Data) =>
    data.format === undefined ? "null" : `{"type":"${data.format}","size":${data.bytes?.length ?? 0}}`
  const rest = `"timestamp":"${new Date(timestamp).toISOString()}","key":${about(key)},"value":${about(value)}`
  const report = (outcome: Outcome): Report => {
    if (outcome._tag !== "Receipt") {
      const { code, status } = RestAnswer.codeOf(outcome)
      return { status, text: RestAnswer.errorText(code, outcome.message), after: retryAfter(outcome.reason) }
    }
    const status = outcome.outcome === "delivered" ? 200 : 202
    const { offset = null, partition: at = null } = outcome
    const where = `"cluster_id":${JSON.stringify(clusterId)},"topic_name":${JSON.stringify(topic)}`
    const found = `"partition_id":${at},"offset":${offset}`
    return { status, text: `{"error_code":${status},${where},${found},${rest}}`, after: undefined }
  }
  return { record: { topic, key: key.bytes, value: value.bytes, headers, partition, timestamp, id }, report }
}

export const reportOf = (
  { message, syntax }: Fault,
  { code, status } = syntax ? RestAnswer.malformed : RestAnswer.invalidPayload
): Report => ({ status, text: RestAnswer.errorText(code, message), after: undefined })
