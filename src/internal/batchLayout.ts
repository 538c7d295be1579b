/**
 * Where the fields of a Kafka v2 record batch are, and how its header is read, written and stamped.
 *
 * @see https://kafka.apache.org/documentation/#recordbatch
 */
import { combine, crc32c } from "./crc32c.ts"

/** Bytes before the first record. */
export const headerBytes = 61

const lengthAt = 8
const leaderEpochAt = 12
const magicAt = 16
const crcAt = 17
const attributesAt = 21
const lastOffsetDeltaAt = 23
const baseTimestampAt = 27
const maxTimestampAt = 35
const producerIdAt = 43
const producerEpochAt = 51
const baseSequenceAt = 53
const countAt = 57

/** `batchLength` counts the bytes behind itself. */
const lengthOverhead = 12

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Plain stores: small batches feel an object each for a view, and a bigint for each 64-bit field. */
const setInt16 = (bytes: Uint8Array, at: number, value: number): void => {
  bytes[at] = value >>> 8
  bytes[at + 1] = value
}
const setInt32 = (bytes: Uint8Array, at: number, value: number): void => {
  setInt16(bytes, at, value >>> 16)
  setInt16(bytes, at + 2, value)
}
/** A safe integer as 64 bits. */
const setInt64 = (bytes: Uint8Array, at: number, value: number): void => {
  setInt32(bytes, at, Math.floor(value / 2 ** 32))
  setInt32(bytes, at + 4, value % 2 ** 32)
}

export interface HeaderFields {
  /** Bytes of the whole batch, this header included. */
  readonly length: number
  readonly attributes: number
  readonly count: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
}

/** Writes a header without producer id. The checksum is left for `writeChecksum` or `stamp`. */
export const writeHeader = (bytes: Uint8Array, fields: HeaderFields): void => {
  setInt64(bytes, 0, 0)
  setInt32(bytes, lengthAt, fields.length - lengthOverhead)
  setInt32(bytes, leaderEpochAt, -1)
  bytes[magicAt] = 2
  setInt16(bytes, attributesAt, fields.attributes)
  setInt32(bytes, lastOffsetDeltaAt, fields.count - 1)
  setInt64(bytes, baseTimestampAt, fields.baseTimestamp)
  setInt64(bytes, maxTimestampAt, fields.maxTimestamp)
  setInt64(bytes, producerIdAt, -1)
  setInt16(bytes, producerEpochAt, -1)
  setInt32(bytes, baseSequenceAt, -1)
  setInt32(bytes, countAt, fields.count)
}

export interface Header extends HeaderFields {
  readonly baseOffset: bigint
  readonly magic: number
  readonly crc: number
  readonly lastOffsetDelta: number
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly baseSequence: number
}

/** Reads the header; the caller has checked that `bytes` holds at least `headerBytes`. */
export const readHeader = (bytes: Uint8Array): Header => {
  const header = view(bytes)
  return {
    baseOffset: header.getBigInt64(0),
    length: header.getInt32(lengthAt) + lengthOverhead,
    magic: header.getInt8(magicAt),
    crc: header.getUint32(crcAt),
    attributes: header.getInt16(attributesAt),
    lastOffsetDelta: header.getInt32(lastOffsetDeltaAt),
    baseTimestamp: Number(header.getBigInt64(baseTimestampAt)),
    maxTimestamp: Number(header.getBigInt64(maxTimestampAt)),
    producerId: header.getBigInt64(producerIdAt),
    producerEpoch: header.getInt16(producerEpochAt),
    baseSequence: header.getInt32(baseSequenceAt),
    count: header.getInt32(countAt)
  }
}

/**
 * The checksum covers everything from the attributes on.
 *
 * @param body the checksum of everything behind the header, where it is known already
 */
export const checksum = (bytes: Uint8Array, body?: number): number =>
  body === undefined
    ? crc32c(bytes.subarray(attributesAt))
    : combine(crc32c(bytes.subarray(attributesAt, headerBytes)), body, bytes.length - headerBytes)

/** `body` as in `checksum`. */
export const writeChecksum = (bytes: Uint8Array, body?: number): void => {
  setInt32(bytes, crcAt, checksum(bytes, body))
}

/** Writes the fields of idempotent producing (KIP-98) and the checksum, which covers them; `body` as in `checksum`. */
export const stamp = (bytes: Uint8Array, producerId: bigint, epoch: number, sequence: number, body?: number): void => {
  setInt32(bytes, producerIdAt, Number(BigInt.asIntN(32, producerId >> 32n)))
  setInt32(bytes, producerIdAt + 4, Number(BigInt.asIntN(32, producerId)))
  setInt16(bytes, producerEpochAt, epoch)
  setInt32(bytes, baseSequenceAt, sequence)
  writeChecksum(bytes, body)
}
