/**
 * Does a record's value have the encoding its producer promises? Asked per record, before it is accepted.
 */
import * as ConfluentWireFormat from "./ConfluentWireFormat.ts"
import * as jsonText from "./jsonText.ts"

/**
 * `raw`: any bytes. `application/json`: one JSON value in UTF-8 (RFC 8259). `kafka/proto-wire-format`: Protocol Buffers
 * framed for a schema registry, see `ConfluentWireFormat`.
 */
export type Encoding = "raw" | "application/json" | "kafka/proto-wire-format"

export const encodings: ReadonlyArray<Encoding> = ["application/json", "raw", "kafka/proto-wire-format"]

/** Why a value is refused. */
export interface EncodingFault {
  readonly reason: ConfluentWireFormat.EncodingReason | "NotJson"
  readonly message: string
}

const encoder = new TextEncoder()
const maxScratchBytes = 1_048_576
let scratch = new Uint8Array(4096)

/** The string's UTF-8, in memory that the next call overwrites. */
const utf8 = (text: string): Uint8Array => {
  // A UTF-16 unit is at most 3 bytes of UTF-8.
  const room = text.length * 3
  if (room > maxScratchBytes) return encoder.encode(text)
  if (room > scratch.length) scratch = new Uint8Array(maxScratchBytes)
  return scratch.subarray(0, encoder.encodeInto(text, scratch).written)
}

const printable = (byte: number): string =>
  byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `0x${byte.toString(16).padStart(2, "0")}`

const checkJson = (value: Uint8Array): EncodingFault | undefined => {
  const at = jsonText.scan(value)
  if (at < 0) return undefined
  if (value.length === 0) return { reason: "Empty", message: "the value is empty, expected JSON (a tombstone is null)" }
  const byte = value[at]
  const found = byte === undefined ? "the end" : printable(byte)
  const bom = value[0] === 0xef && value[1] === 0xbb ? " (JSON must not begin with a byte order mark)" : ""
  return { reason: "NotJson", message: `not JSON: ${jsonText.lastProblem()}, found ${found} at byte ${at}${bom}` }
}

/**
 * Undefined when `value` has the encoding. `null` (a tombstone) has every encoding; a string is judged by its UTF-8.
 * Total: never throws, and allocates nothing for bytes that pass.
 */
export const check = (encoding: Encoding, value: Uint8Array | string | null): EncodingFault | undefined => {
  if (value === null || encoding === "raw") return undefined
  const bytes = typeof value === "string" ? utf8(value) : value
  return encoding === "application/json" ? checkJson(bytes) : ConfluentWireFormat.faultOf(bytes)
}
