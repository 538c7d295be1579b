/**
 * Records written as JSON objects: NDJSON, one to a line, or the elements of an array. A malformed one fails alone.
 */
import { PublishError } from "../Receipt.ts"
import type { HeaderValue, ProducerRecord } from "../Record.ts"
import { decodeBase64 } from "./base64.ts"
import * as JsonSource from "./jsonSource.ts"
import * as PlainLine from "./plainLine.ts"

/** One of many: the record, or why there is none. */
export interface Entry {
  readonly parsed: ProducerRecord | PublishError
  /** The id the caller gave, where one could be read. */
  readonly id: string | undefined
}

/** What is wrong, behind the name of the member it is wrong with. */
class Fault {
  readonly field: string
  readonly why: string

  constructor(field: string, why: string) {
    this.field = field
    this.why = why
  }
}

const members = ["key", "keyBase64", "value", "valueBase64", "headers", "id", "partition", "timestamp"]

const kindOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "an array" : typeof value === "object" ? "an object" : typeof value

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const base64 = (field: string, value: unknown): Uint8Array | Fault => {
  if (typeof value !== "string") return new Fault(field, `expected a string, got ${kindOf(value)}`)
  return decodeBase64(value) ?? new Fault(field, "not base64")
}

const headerValue = (field: string, value: unknown): HeaderValue | Fault => {
  if (value === null || typeof value === "string") return value
  if (isObject(value) && Object.keys(value).join() === "base64") return base64(`${field}.base64`, value.base64)
  return new Fault(field, `expected a string, null or {"base64": …}, got ${kindOf(value)}`)
}

const headersOf = (headers: unknown): Array<readonly [string, HeaderValue]> | Fault => {
  const pairs: Array<readonly [string, HeaderValue]> = []
  if (Array.isArray(headers)) {
    for (const [index, pair] of headers.entries()) {
      const field = `headers[${index}]`
      if (!Array.isArray(pair) || pair.length !== 2) return new Fault(field, "expected a [name, value] pair")
      const [name, value]: ReadonlyArray<unknown> = pair
      if (typeof name !== "string") return new Fault(field, `the name is ${kindOf(name)}, expected a string`)
      const read = headerValue(field, value)
      if (read instanceof Fault) return read
      pairs.push([name, read])
    }
    return pairs
  }
  if (!isObject(headers)) {
    return new Fault("headers", `expected an object or an array of [name, value] pairs, got ${kindOf(headers)}`)
  }
  for (const [name, value] of Object.entries(headers)) {
    const read = headerValue(`headers.${name}`, value)
    if (read instanceof Fault) return read
    pairs.push([name, read])
  }
  return pairs
}

const keyOf = (record: Readonly<Record<string, unknown>>): Uint8Array | string | null | undefined | Fault => {
  const { key, keyBase64 } = record
  if (keyBase64 !== undefined) {
    return key === undefined ? base64("keyBase64", keyBase64) : new Fault("keyBase64", "key is there too")
  }
  if (key === undefined || key === null || typeof key === "string") return key
  return new Fault("key", `expected a string or null, got ${kindOf(key)}`)
}

/**
 * Longer text is not written anew to compare it, UTF-16 units: it might be nested so deeply that Bun, which could read it,
 * cannot write it, and it takes seconds to say so.
 */
const mostAtOnce = 16_384

const valueOf = (record: Readonly<Record<string, unknown>>, text: string): Uint8Array | string | null | Fault => {
  const { value, valueBase64 } = record
  if (valueBase64 !== undefined) {
    return value === undefined ? base64("valueBase64", valueBase64) : new Fault("valueBase64", "value is there too")
  }
  if (value === undefined) return new Fault("value", "missing (a tombstone is null)")
  if (value === null || typeof value === "string") return value
  // Most are written so already, as the last member, and need not be looked through: what ends the object is a member of it,
  // and one of another name that ends alike is refused by then.
  if (text.length <= mostAtOnce) {
    const compact = JSON.stringify(value)
    if (text.endsWith(`"value":${compact}}`)) return compact
  }
  return JsonSource.member(text, "value") ?? JSON.stringify(value)
}

const build = (topic: string, record: unknown, text: string): ProducerRecord | Fault => {
  if (!isObject(record)) return new Fault("record", `expected an object, got ${kindOf(record)}`)
  for (const name of Object.keys(record)) {
    if (!members.includes(name)) return new Fault(name, `unknown member; there are ${members.join(", ")}`)
  }
  const { id, partition, timestamp } = record
  const key = keyOf(record)
  if (key instanceof Fault) return key
  const value = valueOf(record, text)
  if (value instanceof Fault) return value
  const headers = record.headers === undefined ? undefined : headersOf(record.headers)
  if (headers instanceof Fault) return headers
  if (id !== undefined && typeof id !== "string") return new Fault("id", `expected a string, got ${kindOf(id)}`)
  if (partition !== undefined && typeof partition !== "number") {
    return new Fault("partition", `expected a number, got ${kindOf(partition)}`)
  }
  if (timestamp !== undefined && typeof timestamp !== "number") {
    return new Fault("timestamp", `expected a number, got ${kindOf(timestamp)}`)
  }
  return { topic, key, value, headers, id, partition, timestamp }
}

const wrong = (where: string, field: string, why: string): Entry => ({
  parsed: new PublishError({
    reason: "InvalidRecord",
    field,
    message: `${where === "" ? "" : `${where}: `}${field}: ${why}`
  }),
  id: undefined
})

/** One record. `where`: put before what is wrong with it. */
export const parse = (topic: string, text: string, where: string): Entry => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    return wrong(where, "record", `not JSON: ${error instanceof Error ? error.message : "unreadable"}`)
  }
  const built = build(topic, json, text)
  const id = isObject(json) && typeof json.id === "string" ? json.id : undefined
  return built instanceof Fault ? { ...wrong(where, built.field, built.why), id } : { parsed: built, id }
}

const decoder = new TextDecoder("utf-8", { fatal: true })
const newline = 10

/** Undefined: it is not UTF-8. */
const decoded = (bytes: Uint8Array): string | undefined => {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Behind a byte order mark, where there is one. */
const behindMark = (bytes: Uint8Array, from: number): number =>
  bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf ? from + 3 : from

const behindBlanks = (bytes: Uint8Array, from: number): number => {
  let at = from
  while (bytes[at] === 32 || bytes[at] === 9 || bytes[at] === 13) at++
  return at
}

/** The records of NDJSON, in order; blank lines are none. Undefined: more than `most`. */
export const lines = (topic: string, body: Uint8Array, most: number): ReadonlyArray<Entry> | undefined => {
  const entries: Array<Entry> = []
  for (let line = 1, at = 0; at < body.length; line++) {
    const start = behindMark(body, at)
    const first = behindBlanks(body, start)
    const record = PlainLine.read(topic, body, start)
    if (first >= body.length || body[first] === newline) at = first + 1
    else if (record !== undefined) {
      entries.push({ parsed: record, id: record.id })
      at = PlainLine.next()
    } else {
      const found = body.indexOf(newline, first)
      const end = found < 0 ? body.length : found
      const text = decoded(body.subarray(start, end))
      const where = `line ${line}`
      entries.push(text === undefined ? wrong(where, "record", "not UTF-8") : parse(topic, text, where))
      at = end + 1
    }
    if (entries.length > most) return undefined
  }
  return entries
}

const space = new Set([9, 10, 13, 32])
const openBracket = 91

/** Whether JSON in UTF-8 is an array. */
export const isArray = (body: Uint8Array): boolean => {
  const first = body.find(byte => !space.has(byte))
  return first === openBracket
}

/** The records of a JSON array, in order. A string: why it cannot be read at all. Undefined: more than `most`. */
export const array = (topic: string, body: Uint8Array, most: number): ReadonlyArray<Entry> | string | undefined => {
  let text: string
  try {
    text = decoder.decode(body)
  } catch {
    return "the body is not UTF-8"
  }
  const found = JsonSource.elements(text)
  if (found === undefined) return "the body begins like a JSON array and is none"
  if (found.length > most) return undefined
  return found.map((element, index) => parse(topic, element, `element ${index}`))
}
