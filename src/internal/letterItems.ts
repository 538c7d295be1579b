/**
 * Dead letters to be shown: every record with its history, as values and as JSON.
 */
import { Buffer } from "node:buffer"
import * as RecordBatch from "../RecordBatch.ts"
import type { Letter } from "./deadLetter.ts"

interface Found {
  /** SQS's id of the message it lies in. */
  readonly messageId: string
  /** Times the message was received, by whomever. */
  readonly receives: number
  readonly reason: string
  readonly errorClass: string
  /** What was said when it became a dead letter. */
  readonly error: string
  /** When that was, ms since the epoch. */
  readonly deadSince: number
}

export interface DeadRecord extends Found {
  readonly _tag: "Record"
  readonly topic: string
  /** -1: none was chosen yet. */
  readonly partition: number
  /** Empty when it has none. */
  readonly id: string
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: ReadonlyArray<readonly [name: string, value: Uint8Array | null]>
  /** ms since the epoch */
  readonly timestamp: number
  /** Times Kafka was there and refused it. */
  readonly attempts: number
  /** ms since the epoch */
  readonly firstFailureAt: number
  /** `{class}:{reason}` */
  readonly lastError: string
  /** The instance that parked it. */
  readonly origin: string
  /** Empty when there is none. */
  readonly traceParent: string
  /** The object it lies in, `bucket/key`; empty when it lies in the message. */
  readonly claim: string
}

/** A message that holds no records, or none that can be read now. */
export interface UnreadableLetter extends Found {
  readonly _tag: "Unreadable"
  readonly topic: string | undefined
  /** Why it cannot be read. */
  readonly why: string
  /** In it, as far as is known. */
  readonly records: number
  readonly bodyBytes: number
  /** The beginning of the body; what is not printable is a dot. */
  readonly excerpt: string
}

export type Json =
  | string
  | number
  | boolean
  | null
  | undefined
  | ReadonlyArray<Json>
  | { readonly [member: string]: Json }

const excerptCharacters = 200
/** Longest value that is shown whole, bytes. */
const shownBytes = 64 * 1024

/** @param positions of the records wanted, by envelope; undefined: the letter has none that can be read */
export const itemsOf = (
  letter: Letter,
  positions: ReadonlyArray<ReadonlyArray<number>> | undefined,
  idHeader: string
): ReadonlyArray<DeadRecord | UnreadableLetter> => {
  const { at, content, error, errorClass, message, reason } = letter
  const found: Found = {
    messageId: message.messageId,
    receives: message.receiveCount,
    reason,
    errorClass,
    error,
    deadSince: at
  }
  if (content._tag !== "Records") {
    const why = content._tag === "Unreadable" ? content.why : "its records were not fetched"
    const excerpt = message.body.slice(0, excerptCharacters).replace(/[^\x20-\x7e]/g, ".")
    const bodyBytes = Buffer.byteLength(message.body)
    return [{ ...found, _tag: "Unreadable", topic: letter.topic, why, records: letter.records, bodyBytes, excerpt }]
  }
  const { claim, envelopes } = content
  return envelopes.flatMap(({ envelope, records }, index) =>
    (positions?.[index] ?? []).flatMap(position => {
      const record = records[position]
      if (record === undefined) return []
      const { headers, key, timestamp, value } = record
      const { attempts, firstFailureAt, lastError, origin, partition, topic, traceParent } = envelope
      const item: DeadRecord = {
        ...found,
        _tag: "Record",
        topic,
        partition,
        id: RecordBatch.idOf(record, idHeader) ?? "",
        key,
        value,
        headers,
        timestamp,
        attempts,
        firstFailureAt,
        lastError,
        origin,
        traceParent,
        claim: claim === undefined ? "" : `${claim.bucket}/${claim.key}`
      }
      return [item]
    })
  )
}

/** Bytes as text where they are text, as base64 where not; undefined members are left out of JSON. */
const bytesAs = (name: string, bytes: Uint8Array | null): { readonly [member: string]: Json } => {
  if (bytes === null) return { [name]: null }
  const truncated = bytes.length > shownBytes
  const shown = truncated ? bytes.subarray(0, shownBytes) : bytes
  const note = truncated ? { [`${name}Bytes`]: bytes.length, [`${name}Truncated`]: true } : {}
  try {
    // Streaming: a character may be cut in two.
    return {
      [name]: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(shown, { stream: truncated }),
      ...note
    }
  } catch {
    return { [`${name}Base64`]: Buffer.from(shown).toString("base64"), ...note }
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()

const timeOf = (ms: number): string | null => (Number.isFinite(new Date(ms).getTime()) ? iso(ms) : null)

/** For a wire or a screen: times as ISO 8601, bytes as text or base64 (`key` or `keyBase64`), large values cut. */
export const toJson = (item: DeadRecord | UnreadableLetter): { readonly [member: string]: Json } => {
  const { deadSince, error, errorClass, messageId, reason, receives, topic } = item
  const why = { reason, errorClass, error, deadSince: timeOf(deadSince), messageId, receives }
  if (item._tag === "Unreadable") {
    const { bodyBytes, excerpt, records } = item
    return { unreadable: item.why, ...(topic === undefined ? {} : { topic }), records, bodyBytes, excerpt, ...why }
  }
  return {
    topic,
    partition: item.partition < 0 ? null : item.partition,
    id: item.id,
    ...bytesAs("key", item.key),
    ...bytesAs("value", item.value),
    headers: item.headers.map(([name, value]) => ({ name, ...bytesAs("value", value) })),
    timestamp: timeOf(item.timestamp),
    attempts: item.attempts,
    firstFailure: timeOf(item.firstFailureAt),
    lastError: item.lastError,
    origin: item.origin,
    ...(item.traceParent === "" ? {} : { traceParent: item.traceParent }),
    ...(item.claim === "" ? {} : { claim: item.claim }),
    ...why
  }
}
