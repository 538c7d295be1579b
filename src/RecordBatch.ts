/**
 * Kafka's v2 record batch as bytes: reading it, taking records out of it, and making it fit to be parked. Writing new
 * ones is `internal/batchBuilder`.
 *
 * @see https://kafka.apache.org/documentation/#recordbatch
 */

import { gunzipSync, zstdDecompressSync } from "node:zlib"
import * as Data from "effect/Data"
import * as Either from "effect/Either"
import {
  checksum,
  type Header,
  headerBytes,
  readHeader,
  stamp,
  writeChecksum,
  writeHeader
} from "./internal/batchLayout.ts"
import * as Lz4 from "./internal/lz4.ts"
import * as Snappy from "./internal/snappy.ts"
import { VarintReader, varintSize, varlongSize, writeVarint, writeVarlong } from "./internal/zigzag.ts"

/** The bytes are not a record batch that this reader can take apart. */
export class RecordBatchError extends Data.TaggedError("RecordBatchError")<{
  readonly reason: "Truncated" | "UnsupportedMagic" | "ChecksumMismatch" | "Malformed" | "UnsupportedCompression"
  readonly message: string
}> {}

export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd"

const compressions: ReadonlyArray<Compression> = ["none", "gzip", "snappy", "lz4", "zstd"]

/** Largest batch the reader inflates, bytes: a bound against decompression bombs. */
const maximumInflatedBytes = 256 * 1024 * 1024

/** What the header of a batch says. */
export interface BatchInfo {
  readonly baseOffset: bigint
  /** Bytes of the whole batch. */
  readonly length: number
  readonly count: number
  readonly compression: Compression
  /** ms since the epoch */
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
}

/** One record read from a batch. Byte fields are views of the batch. */
export interface ReadRecord {
  readonly offsetDelta: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: ReadonlyArray<readonly [name: string, value: Uint8Array | null]>
  /** Everything behind the offset delta, verbatim: key, value and headers as they stand in the batch. */
  readonly tail: Uint8Array
}

const fail = (reason: RecordBatchError["reason"], message: string) =>
  Either.left(new RecordBatchError({ reason, message }))

const readFields = (bytes: Uint8Array): Either.Either<Header, RecordBatchError> => {
  if (bytes.length < headerBytes) return fail("Truncated", `${bytes.length} bytes, a batch header has ${headerBytes}`)
  const fields = readHeader(bytes)
  if (fields.magic !== 2) return fail("UnsupportedMagic", `magic byte ${fields.magic}, expected 2`)
  if (fields.length < headerBytes || fields.length > bytes.length) {
    return fail("Truncated", `the header says ${fields.length} bytes, ${bytes.length} are there`)
  }
  return Either.right(fields)
}

const described = (fields: Header): Either.Either<BatchInfo, RecordBatchError> => {
  const compression = compressions[fields.attributes & 7]
  if (compression === undefined) return fail("UnsupportedCompression", `codec ${fields.attributes & 7}`)
  if (fields.count < 0) return fail("Malformed", `record count ${fields.count}`)
  return Either.right({
    baseOffset: fields.baseOffset,
    length: fields.length,
    count: fields.count,
    compression,
    baseTimestamp: fields.baseTimestamp,
    maxTimestamp: fields.maxTimestamp,
    producerId: fields.producerId,
    producerEpoch: fields.producerEpoch,
    baseSequence: fields.baseSequence
  })
}

/** Reads and checks the header of the batch at the start of `bytes`, and leaves the checksum alone. */
export const header = (bytes: Uint8Array): Either.Either<BatchInfo, RecordBatchError> =>
  Either.flatMap(readFields(bytes), described)

/** Reads and checks the header and the checksum of the batch at the start of `bytes`. */
export const info = (bytes: Uint8Array): Either.Either<BatchInfo, RecordBatchError> =>
  Either.flatMap(readFields(bytes), fields => {
    const computed = checksum(bytes.subarray(0, fields.length))
    return computed === fields.crc
      ? described(fields)
      : fail("ChecksumMismatch", `CRC-32C is ${computed.toString(16)}, the header says ${fields.crc.toString(16)}`)
  })

const inflate = (bytes: Uint8Array, batch: BatchInfo): Either.Either<Uint8Array, RecordBatchError> => {
  const body = bytes.subarray(headerBytes, batch.length)
  try {
    switch (batch.compression) {
      case "none":
        return Either.right(body)
      case "gzip":
        return Either.right(gunzipSync(body, { maxOutputLength: maximumInflatedBytes }))
      case "zstd":
        return Either.right(zstdDecompressSync(body, { maxOutputLength: maximumInflatedBytes }))
      case "snappy":
        return Either.right(Snappy.read(body, maximumInflatedBytes))
      case "lz4":
        return Either.right(Lz4.read(body, maximumInflatedBytes))
    }
  } catch (cause) {
    return fail("Malformed", `${batch.compression} does not inflate: ${String(cause)}`)
  }
}

const text = new TextDecoder()

const readRecord = (reader: VarintReader, batch: BatchInfo): ReadRecord | undefined => {
  const length = reader.next()
  const end = reader.position + length
  if (!reader.ok || length < 0 || end > reader.end) return undefined
  reader.take(1)
  const timestamp = batch.baseTimestamp + reader.next()
  const offsetDelta = reader.next()
  const tailAt = reader.position
  const keyLength = reader.next()
  const key = keyLength < 0 ? null : reader.take(keyLength)
  const valueLength = reader.next()
  const value = valueLength < 0 ? null : reader.take(valueLength)
  const headerCount = reader.next()
  const headers: Array<readonly [string, Uint8Array | null]> = []
  for (let i = 0; i < headerCount && reader.ok; i++) {
    const name = text.decode(reader.take(reader.next()))
    const headerLength = reader.next()
    headers.push([name, headerLength < 0 ? null : reader.take(headerLength)])
  }
  if (!reader.ok || reader.position !== end) return undefined
  return { offsetDelta, timestamp, key, value, headers, tail: reader.bytes.subarray(tailAt, end) }
}

/**
 * All records of a batch, in order.
 *
 * @param intact somebody has checked the checksum already
 */
export const records = (
  bytes: Uint8Array,
  intact = false
): Either.Either<ReadonlyArray<ReadRecord>, RecordBatchError> =>
  Either.flatMap(intact ? header(bytes) : info(bytes), batch =>
    Either.flatMap(inflate(bytes, batch), body => {
      const reader = new VarintReader(body, 0, body.length)
      const read: Array<ReadRecord> = []
      for (let index = 0; index < batch.count; index++) {
        const record = readRecord(reader, batch)
        if (record === undefined) return fail("Malformed", `record ${index} of ${batch.count} does not parse`)
        read.push(record)
      }
      return reader.position === body.length
        ? Either.right(read)
        : fail("Malformed", `${body.length - reader.position} bytes behind the last record`)
    })
  )

/** A new uncompressed batch of the given records, copied verbatim but for their deltas. `picked` must not be empty. */
export const fromRecords = (picked: ReadonlyArray<ReadRecord>): Buffer => {
  const baseTimestamp = picked[0]?.timestamp ?? 0
  let maxTimestamp = baseTimestamp
  let length = headerBytes
  const bodyLengths = picked.map((record, index) => {
    const body = 1 + varlongSize(record.timestamp - baseTimestamp) + varintSize(index) + record.tail.length
    length += varintSize(body) + body
    maxTimestamp = Math.max(maxTimestamp, record.timestamp)
    return body
  })
  const bytes = Buffer.allocUnsafeSlow(length)
  let at = headerBytes
  picked.forEach((record, index) => {
    at = writeVarint(bytes, at, bodyLengths[index] ?? 0)
    bytes[at++] = 0
    at = writeVarlong(bytes, at, record.timestamp - baseTimestamp)
    at = writeVarint(bytes, at, index)
    bytes.set(record.tail, at)
    at += record.tail.length
  })
  writeHeader(bytes, { length, attributes: 0, count: picked.length, baseTimestamp, maxTimestamp })
  writeChecksum(bytes)
  return bytes
}

/**
 * A copy that belongs to no producer: what is parked must not carry another session's id, epoch and sequence.
 *
 * @param bodyChecksum CRC-32C of everything behind the header, where it is known
 */
export const parkable = (bytes: Uint8Array, bodyChecksum?: number): Buffer => {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  stamp(copy, -1n, -1, -1, bodyChecksum)
  return copy
}

/** The same without a copy: for a batch that was never sent, or a large one, whose header the client has copied. */
export const disown = (bytes: Uint8Array, bodyChecksum?: number): Uint8Array => {
  stamp(bytes, -1n, -1, -1, bodyChecksum)
  return bytes
}

/** The value of the record's id header, when it has one. */
export const idOf = (record: ReadRecord, idHeader: string): string | undefined => {
  for (const [name, value] of record.headers) if (name === idHeader && value !== null) return text.decode(value)
  return undefined
}

/** The record id of a batch's first record; empty when there is none, or the batch cannot be read. */
export const firstId = (batch: Uint8Array, idHeader: string): string => {
  const read = records(batch, true)
  const first = Either.isRight(read) ? read.right[0] : undefined
  return first === undefined ? "" : (idOf(first, idHeader) ?? "")
}
