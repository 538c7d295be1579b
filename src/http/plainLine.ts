/**
 * Lines of NDJSON as most senders write them: compact, each member once, texts of ASCII without escapes. What they hold is
 * passed on as the bytes it came in, and no object is made of it. Every other line is for `JSON.parse`.
 */
import { Buffer } from "node:buffer"
import { compactEnd } from "../encoding/jsonText.ts"
import type { ProducerRecord } from "../Record.ts"

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
const names = {
  value: bytesOf('"value":'),
  key: bytesOf('"key":'),
  id: bytesOf('"id":'),
  partition: bytesOf('"partition":'),
  timestamp: bytesOf('"timestamp":')
}
const nothing = bytesOf("null")

const quote = 34
const comma = 44
const zero = 48
const backslash = 92
const carriageReturn = 13
const newline = 10
const openBrace = 123
const closeBrace = 125
/** Longer ones are no exact numbers in JavaScript. */
const mostDigits = 15

let behind = 0

/** The position behind the last line that was read. */
export const next = (): number => behind

const begins = (bytes: Uint8Array, from: number, text: Uint8Array): boolean => {
  for (let i = 0; i < text.length; i++) if (bytes[from + i] !== text[i]) return false
  return true
}

const view = (bytes: Uint8Array, from: number, to: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from)

/** Where the text whose opening quote is at `from` has its closing one; -1 when there is none, or it is not plain. */
const textEnd = (bytes: Uint8Array, from: number): number => {
  if (bytes[from] !== quote) return -1
  for (let at = from + 1; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === quote) return at
    if (byte === backslash || byte < 32 || byte > 126) return -1
  }
  return -1
}

/** Behind the digits of a whole number; -1 when there is none, or not an exact one. */
const digitsEnd = (bytes: Uint8Array, from: number): number => {
  let at = from
  while ((bytes[at] ?? 0) - zero >= 0 && (bytes[at] ?? 0) - zero <= 9) at++
  const count = at - from
  return count === 0 || count > mostDigits || (count > 1 && bytes[from] === zero) ? -1 : at
}

const numberOf = (bytes: Uint8Array, from: number, to: number): number => {
  let number = 0
  for (let at = from; at < to; at++) number = number * 10 + (bytes[at] ?? 0) - zero
  return number
}

/** The record in the line that begins at `from`; undefined when it is not written in that way. */
export const read = (topic: string, bytes: Uint8Array, from: number): ProducerRecord | undefined => {
  if (bytes[from] !== openBrace) return undefined
  let value: Uint8Array | null | undefined
  let key: Uint8Array | null | undefined
  let id: string | undefined
  let partition: number | undefined
  let timestamp: number | undefined
  let at = from
  do {
    at++
    if (begins(bytes, at, names.value) && value === undefined) {
      const start = at + names.value.length
      if (bytes[start] === quote) {
        const end = textEnd(bytes, start)
        if (end < 0) return undefined
        value = view(bytes, start + 1, end)
        at = end + 1
      } else if (begins(bytes, start, nothing)) {
        value = null
        at = start + nothing.length
      } else {
        at = compactEnd(bytes, start)
        if (at < 0) return undefined
        value = view(bytes, start, at)
      }
    } else if (begins(bytes, at, names.key) && key === undefined) {
      const start = at + names.key.length
      const end = textEnd(bytes, start)
      if (end < 0) return undefined
      key = view(bytes, start + 1, end)
      at = end + 1
    } else if (begins(bytes, at, names.id) && id === undefined) {
      const start = at + names.id.length
      const end = textEnd(bytes, start)
      if (end < 0) return undefined
      id = Buffer.from(bytes.buffer, bytes.byteOffset + start + 1, end - start - 1).toString("latin1")
      at = end + 1
    } else if (begins(bytes, at, names.partition) && partition === undefined) {
      const start = at + names.partition.length
      at = digitsEnd(bytes, start)
      if (at < 0) return undefined
      partition = numberOf(bytes, start, at)
    } else if (begins(bytes, at, names.timestamp) && timestamp === undefined) {
      const start = at + names.timestamp.length
      at = digitsEnd(bytes, start)
      if (at < 0) return undefined
      timestamp = numberOf(bytes, start, at)
    } else return undefined
  } while (bytes[at] === comma)
  if (bytes[at++] !== closeBrace || value === undefined) return undefined
  if (bytes[at] === carriageReturn) at++
  if (at < bytes.length && bytes[at] !== newline) return undefined
  behind = at + 1
  return { topic, key, value, headers: undefined, id, partition, timestamp }
}
