/**
 * Checks what a caller hands in, whatever its types claim: plain JavaScript callers and JSON reach this too.
 */
import { PublishError } from "../Receipt.ts"
import type { ProducerRecord } from "../Record.ts"

const invalid = (field: string, message: string): PublishError =>
  new PublishError({ reason: "InvalidRecord", field, message: `${field}: ${message}` })

/** Ids longer than this are refused: they are a header of every copy of the record. */
const maximumIdLength = 256
/** 9999-12-31: beyond it the client's own arithmetic on deltas would lose precision. */
const latestTimestamp = 253_402_300_799_999

const describe = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "an array" : typeof value

const checkHeaders = (headers: unknown): PublishError | undefined => {
  if (!Array.isArray(headers))
    return invalid("headers", `expected an array of [name, value] pairs, got ${describe(headers)}`)
  for (let i = 0; i < headers.length; i++) {
    const header: unknown = headers[i]
    if (!Array.isArray(header) || header.length !== 2) return invalid(`headers[${i}]`, "expected a [name, value] pair")
    if (typeof header[0] !== "string")
      return invalid(`headers[${i}]`, `the name is ${describe(header[0])}, expected a string`)
    const value: unknown = header[1]
    if (value !== null && typeof value !== "string" && !(value instanceof Uint8Array)) {
      return invalid(`headers[${i}]`, `the value is ${describe(value)}, expected a string, bytes or null`)
    }
  }
  return undefined
}

/** The first thing wrong with a record, or undefined. Allocates nothing when all is well. */
export const check = (record: ProducerRecord): PublishError | undefined => {
  if (typeof record !== "object" || record === null)
    return invalid("record", `expected an object, got ${describe(record)}`)
  const { headers, id, key, partition, timestamp, value } = record
  if (value !== null && typeof value !== "string" && !(value instanceof Uint8Array)) {
    return invalid("value", `expected a string, bytes or null, got ${describe(value)}`)
  }
  if (key !== undefined && key !== null && typeof key !== "string" && !(key instanceof Uint8Array)) {
    return invalid("key", `expected a string, bytes or null, got ${describe(key)}`)
  }
  if (headers !== undefined) {
    const error = checkHeaders(headers)
    if (error !== undefined) return error
  }
  if (timestamp !== undefined && !(Number.isInteger(timestamp) && timestamp >= 0 && timestamp <= latestTimestamp)) {
    return invalid("timestamp", `expected whole milliseconds since the epoch, got ${String(timestamp)}`)
  }
  if (partition !== undefined && !(Number.isInteger(partition) && partition >= 0 && partition < 2 ** 31)) {
    return invalid("partition", `expected a partition number, got ${String(partition)}`)
  }
  if (id !== undefined && (typeof id !== "string" || id.length === 0 || id.length > maximumIdLength)) {
    return invalid("id", `expected a string of 1 to ${maximumIdLength} characters`)
  }
  return undefined
}
