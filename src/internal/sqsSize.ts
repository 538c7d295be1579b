/**
 * Size rules of Amazon SQS (Developer Guide, "Amazon SQS message quotas"; API Reference, `SendMessageBatch`; "Amazon SQS
 * pricing" for what counts as one request).
 */
import { Buffer } from "node:buffer"

/** Entries of one `SendMessageBatch`. */
export const maximumBatchEntries = 10
/** All messages of one `SendMessageBatch` together, bytes; also the largest `MaximumMessageSize` a queue can have. */
export const maximumBatchBytes = 1_048_576
/** The largest `MaximumMessageSize` before August 2025; emulators and older partitions may refuse more. */
export const legacyMaximumMessageBytes = 262_144
/** One billed request per started chunk of payload, bytes. */
export const billedChunkBytes = 65_536
/** Message attributes of one message. */
export const maximumAttributes = 10
/** The only attribute type Spillway writes; its name counts too. */
export const attributeType = "String"

/** Bytes the attributes count for: names, types and values. */
export const attributeBytes = (attributes: Readonly<Record<string, string>>): number => {
  let bytes = 0
  for (const [name, value] of Object.entries(attributes)) {
    bytes += Buffer.byteLength(name) + attributeType.length + Buffer.byteLength(value)
  }
  return bytes
}

/** Bytes a message counts for: body (as UTF-8) and attributes. */
export const messageBytes = (message: {
  readonly body: string
  readonly attributes: Readonly<Record<string, string>>
}): number => Buffer.byteLength(message.body) + attributeBytes(message.attributes)

/** Requests AWS bills for one call that moved `bytes` of payload; an empty call is one. */
export const billedRequests = (bytes: number): number => Math.max(1, Math.ceil(bytes / billedChunkBytes))

/**
 * Splits messages into calls of at most 10 entries and `maximumBytes` in total, keeping their order. A message above the
 * limit gets a call of its own: the queue's answer names it, and no other message suffers.
 */
export const groupBySize = <A>(
  items: ReadonlyArray<A>,
  bytesOf: (item: A) => number,
  maximumBytes: number = maximumBatchBytes
): ReadonlyArray<ReadonlyArray<A>> => {
  const groups: Array<Array<A>> = []
  let group: Array<A> = []
  let bytes = 0
  for (const item of items) {
    const size = bytesOf(item)
    if (group.length > 0 && (group.length === maximumBatchEntries || bytes + size > maximumBytes)) {
      groups.push(group)
      group = []
      bytes = 0
    }
    group.push(item)
    bytes += size
  }
  if (group.length > 0) groups.push(group)
  return groups
}
