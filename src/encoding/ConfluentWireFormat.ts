/**
 * Confluent's wire format for Protocol Buffers: magic byte 0, schema id (4 bytes, big endian), message indexes (zigzag
 * varints: count, then each; the one byte 0 for the single index `[0]`), payload.
 *
 * @see Confluent Documentation, "Formats, Serializers, and Deserializers for Schema Registry", section "Wire format"
 */
import * as Data from "effect/Data"
import { varintSize, writeVarint } from "../internal/zigzag.ts"

/** `BadSchemaId`: negative. `BadMessageIndexes`: negative, too many, or written as a varint of more than 32 bits. */
export type EncodingReason = "Empty" | "WrongMagic" | "Truncated" | "BadSchemaId" | "BadMessageIndexes"

/** The bytes are not a frame. */
export class EncodingError extends Data.TaggedError("EncodingError")<{
  readonly reason: EncodingReason
  readonly message: string
  /** Where the fault is, bytes from the start of the value. */
  readonly offset: number
}> {}

export interface Frame {
  readonly schemaId: number
  /** Path to the message type in its schema: `[0]` is the first type of the file, `[1, 0]` the first nested in the second. */
  readonly messageIndexes: ReadonlyArray<number>
  /** The payload is everything from here; it may be empty, as a message of nothing but defaults is. */
  readonly payloadOffset: number
}

/** More nesting than any schema compiler takes: protoc and the runtimes stop at 100. */
export const maxMessageIndexes = 100

const headerBytes = 5
const maxInt32 = 0x7fffffff

/** Where the last `readIndex` stopped, and what it found; module state, so that a check allocates nothing. */
let position = 0
let fault: EncodingReason | undefined
let faultAt = 0

const fail = (reason: EncodingReason, at: number): number => {
  fault = reason
  faultAt = at
  return -1
}

/** One index or the count at `position`, never negative; -1 after a fault. */
const readIndex = (value: Uint8Array): number => {
  const start = position
  let zigzag = 0
  for (let shift = 0; ; shift += 7) {
    const byte = value[position]
    if (byte === undefined) return fail("Truncated", start)
    // The fifth byte holds the last 4 of 32 bits: a larger one, or a sixth byte, cannot be an int32.
    if (shift === 28 && byte > 0x0f) return fail("BadMessageIndexes", start)
    position++
    zigzag += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return zigzag % 2 === 0 ? zigzag / 2 : fail("BadMessageIndexes", start)
  }
}

/** Payload offset, or -1 after a fault. Message indexes are pushed to `indexes` when given. */
const scan = (value: Uint8Array, indexes?: Array<number>): number => {
  if (value.length === 0) return fail("Empty", 0)
  if (value[0] !== 0) return fail("WrongMagic", 0)
  if (value.length < headerBytes) return fail("Truncated", 1)
  if ((value[1] ?? 0) > 0x7f) return fail("BadSchemaId", 1)
  position = headerBytes
  const count = readIndex(value)
  if (count < 0) return -1
  if (count > maxMessageIndexes) return fail("BadMessageIndexes", headerBytes)
  if (count === 0) indexes?.push(0)
  for (let read = 0; read < count; read++) {
    const index = readIndex(value)
    if (index < 0) return -1
    indexes?.push(index)
  }
  return position
}

const hex = (byte: number | undefined): string => `0x${(byte ?? 0).toString(16).padStart(2, "0")}`

const guess = (first: number | undefined): string => {
  if (first === 0x7b || first === 0x5b || first === 0x22) return ": is this JSON?"
  if (first === 0x08 || first === 0x0a) return ": is this a bare protobuf message, not yet framed?"
  if (first === 0x01) return ": schema GUIDs (magic byte 1) are not supported"
  return ""
}

const faultMessage = (value: Uint8Array, reason: EncodingReason, at: number): string => {
  switch (reason) {
    case "Empty":
      return "the value is empty, expected a frame of at least 6 bytes (a tombstone is null, not empty)"
    case "WrongMagic":
      return `magic byte is ${hex(value[0])}, expected 0x00${guess(value[0])}`
    case "Truncated":
      return at < headerBytes
        ? `the value ends after ${value.length} bytes, inside the schema id (bytes 1 to 4)`
        : `the value ends after ${value.length} bytes, inside the message indexes (a varint was expected at byte ${at})`
    case "BadSchemaId":
      return `schema id ${hex(value[1])}${value.subarray(2, 5).reduce((text, byte) => text + hex(byte).slice(2), "")} is negative, schema ids are positive 32-bit numbers`
    case "BadMessageIndexes":
      return at === headerBytes
        ? `the count of message indexes at byte ${at} is not a number from 0 to ${maxMessageIndexes}`
        : `the message index at byte ${at} is not a number from 0 to ${maxInt32}`
  }
}

/** What is wrong with `value` as a frame; undefined when it is one. Allocates nothing unless it is not. */
export const faultOf = (
  value: Uint8Array
): { readonly reason: EncodingReason; readonly message: string } | undefined => {
  if (scan(value) >= 0 || fault === undefined) return undefined
  return { reason: fault, message: faultMessage(value, fault, faultAt) }
}

/** Reads the frame's header. Total: returns, never throws. */
export const parse = (value: Uint8Array): Frame | EncodingError => {
  const messageIndexes: Array<number> = []
  const payloadOffset = scan(value, messageIndexes)
  if (payloadOffset < 0) {
    const reason = fault ?? "Truncated"
    return new EncodingError({ reason, message: faultMessage(value, reason, faultAt), offset: faultAt })
  }
  const schemaId = new DataView(value.buffer, value.byteOffset, headerBytes).getInt32(1)
  return { schemaId, messageIndexes, payloadOffset }
}

const isInt32 = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= maxInt32

/** Puts a header before `payload`, in new memory. Total: a header that cannot be written is an error. */
export const frame = (
  schemaId: number,
  messageIndexes: ReadonlyArray<number>,
  payload: Uint8Array
): Uint8Array | EncodingError => {
  if (!isInt32(schemaId)) {
    const message = `schema id ${schemaId} is not a whole number from 0 to ${maxInt32}`
    return new EncodingError({ reason: "BadSchemaId", message, offset: 1 })
  }
  const bad = messageIndexes.find(index => !isInt32(index))
  if (messageIndexes.length === 0 || messageIndexes.length > maxMessageIndexes || bad !== undefined) {
    const message =
      bad === undefined
        ? `${messageIndexes.length} message indexes, expected 1 to ${maxMessageIndexes} (the first message of a schema is [0])`
        : `message index ${bad} is not a whole number from 0 to ${maxInt32}`
    return new EncodingError({ reason: "BadMessageIndexes", message, offset: headerBytes })
  }
  const short = messageIndexes.length === 1 && messageIndexes[0] === 0
  const size = short
    ? 1
    : messageIndexes.reduce((sum, index) => sum + varintSize(index), varintSize(messageIndexes.length))
  const framed = new Uint8Array(headerBytes + size + payload.length)
  new DataView(framed.buffer).setInt32(1, schemaId)
  let at = headerBytes
  if (short) at++
  else {
    at = writeVarint(framed, at, messageIndexes.length)
    for (const index of messageIndexes) at = writeVarint(framed, at, index)
  }
  framed.set(payload, at)
  return framed
}
