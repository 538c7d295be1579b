/**
 * The three requests Spillway writes itself, byte by byte: Produce v3 to v8, Metadata v4 to v6, InitProducerId v0 and v1.
 *
 * @see https://kafka.apache.org/protocol
 */
import type { ProduceBatch } from "../KafkaClient.ts"
import { headerBytes } from "./batchLayout.ts"
import { largeBatchBytes } from "./bodyChecksum.ts"
import type { BufferPool } from "./bufferPool.ts"

export const apiKeys = { produce: 0, metadata: 3, initProducerId: 22 } as const

/** The newest versions written here; newer ones are "flexible" (KIP-482). */
export const newestVersions = { produce: 8, metadata: 6, initProducerId: 1 } as const

/** Big-endian reader that throws `RangeError` past the end (a broken answer, not a normal case). */
export class Reader {
  readonly #view: DataView
  readonly #bytes: Uint8Array
  #at = 0
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  #advance(size: number): number {
    const at = this.#at
    this.#at += size
    return at
  }
  /** Passes over so many bytes. */
  skip(size: number): void {
    this.#advance(size)
    if (this.#at > this.#bytes.length) throw new RangeError("past the end of the answer")
  }
  int8 = (): number => this.#view.getInt8(this.#advance(1))
  int16 = (): number => this.#view.getInt16(this.#advance(2))
  int32 = (): number => this.#view.getInt32(this.#advance(4))
  int64 = (): bigint => this.#view.getBigInt64(this.#advance(8))
  string = (): string | null => {
    const length = this.int16()
    if (length < 0) return null
    const at = this.#advance(length)
    if (this.#at > this.#bytes.length) throw new RangeError("string past the end of the answer")
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + at, length).toString("utf8")
  }
  array = <A>(read: () => A): ReadonlyArray<A> => {
    const length = this.int32()
    const items: Array<A> = []
    for (let i = 0; i < length; i++) items.push(read())
    return items
  }
}

export const stringSize = (text: string | null): number => 2 + (text === null ? 0 : Buffer.byteLength(text))

export const writeString = (buffer: Buffer, position: number, text: string | null): number => {
  if (text === null) return buffer.writeInt16BE(-1, position)
  const length = buffer.write(text, position + 2, "utf8")
  buffer.writeInt16BE(length, position)
  return position + 2 + length
}

/** A small request: length, header and body in one piece. */
export const frame = (
  apiKey: number,
  version: number,
  correlationId: number,
  clientId: string,
  body: Uint8Array
): ReadonlyArray<Uint8Array> => {
  const head = Buffer.alloc(4 + 2 + 2 + 4 + stringSize(clientId))
  head.writeInt32BE(head.length - 4 + body.length, 0)
  head.writeInt16BE(apiKey, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(correlationId, 8)
  writeString(head, 12, clientId)
  return [head, body]
}

/** A batch up to this size is copied behind the one before it: that costs less than a piece of its own, bytes. */
const copiedBytes = 64 * 1024

/** The last so many bytes in front of a batch, and the batch, when they are free. */
const withRoom = ({ bytes, room = 0 }: ProduceBatch, length: number): Buffer | undefined =>
  room < length || bytes.byteOffset < length
    ? undefined
    : Buffer.from(bytes.buffer, bytes.byteOffset - length, length + bytes.length)

/** A Produce request on its way: `release` gives back the memory it was made in, once nothing reads it any more. */
export interface Framed {
  /** To be written in order. */
  readonly pieces: ReadonlyArray<Uint8Array>
  readonly release: () => void
}

/**
 * A Produce request, acks=all, in front of and between the untouched batches. Large batches are pieces of their own, uncopied;
 * small ones share a piece with what is around them. A batch that goes alone and has room in front is one piece with the
 * request's head. Of a very large one the header is copied: it takes long to leave, and its header may be
 * written to when its time is over.
 *
 * @param timeoutMs how long the broker may wait for its replicas
 * @param pool memory for heads and small batches
 */
export const produceFrame = (
  options: {
    readonly correlationId: number
    readonly clientId: string
    readonly version: number
    readonly timeoutMs: number
    readonly batches: ReadonlyArray<ProduceBatch>
  },
  pool: BufferPool
): Framed => {
  const { batches } = options
  const topics = new Map<string, Array<ProduceBatch>>()
  let headsLength = 4 + 2 + 2 + 4 + stringSize(options.clientId) + 2 + 2 + 4 + 4
  let copied = 0
  let total = 0
  for (const batch of batches) {
    const same = topics.get(batch.topic)
    if (same === undefined) {
      topics.set(batch.topic, [batch])
      headsLength += stringSize(batch.topic) + 4
    } else same.push(batch)
    headsLength += 8
    total += batch.bytes.length
    if (batch.bytes.length <= copiedBytes) copied += batch.bytes.length
    else if (batch.bytes.length >= largeBatchBytes) copied += headerBytes
  }
  const [only] = batches
  const alone =
    only !== undefined && batches.length === 1 && total < largeBatchBytes ? withRoom(only, headsLength) : undefined
  const buffer = alone ?? pool.take(headsLength + copied)
  const pieces: Array<Uint8Array> = []
  let at = buffer.writeInt32BE(headsLength + total - 4, 0)
  at = buffer.writeInt16BE(apiKeys.produce, at)
  at = buffer.writeInt16BE(options.version, at)
  at = buffer.writeInt32BE(options.correlationId, at)
  at = writeString(buffer, at, options.clientId)
  at = writeString(buffer, at, null)
  at = buffer.writeInt16BE(-1, at)
  at = buffer.writeInt32BE(options.timeoutMs, at)
  at = buffer.writeInt32BE(topics.size, at)
  let from = 0
  for (const [topic, those] of topics) {
    at = writeString(buffer, at, topic)
    at = buffer.writeInt32BE(those.length, at)
    for (const { bytes, partition } of those) {
      at = buffer.writeInt32BE(partition, at)
      at = buffer.writeInt32BE(bytes.length, at)
      if (alone !== undefined) continue
      if (bytes.length <= copiedBytes) {
        buffer.set(bytes, at)
        at += bytes.length
        continue
      }
      const own = bytes.length >= largeBatchBytes ? headerBytes : 0
      buffer.set(bytes.subarray(0, own), at)
      at += own
      pieces.push(buffer.subarray(from, at), own > 0 ? bytes.subarray(own) : bytes)
      from = at
    }
  }
  if (alone !== undefined) return { pieces: [alone], release: () => undefined }
  if (at > from) pieces.push(buffer.subarray(from, at))
  return { pieces, release: () => pool.give(buffer) }
}

export interface ProducedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly baseOffset: bigint
  readonly culprits: ReadonlyArray<number>
  readonly message: string | null
}

const nobody: ReadonlyArray<number> = []

export const readProduce = (payload: Uint8Array, version: number): ReadonlyArray<ProducedPartition> => {
  const reader = new Reader(payload)
  const answers: Array<ProducedPartition> = []
  for (let topics = reader.int32(); topics > 0; topics--) {
    const topic = reader.string() ?? ""
    for (let partitions = reader.int32(); partitions > 0; partitions--) {
      const partition = reader.int32()
      const errorCode = reader.int16()
      const baseOffset = reader.int64()
      // Append time, and from version 5 on the log's start.
      reader.skip(version >= 5 ? 16 : 8)
      let culprits = nobody
      let message: string | null = null
      if (version >= 8) {
        const named = reader.array(() => ({ index: reader.int32(), message: reader.string() }))
        if (named.length > 0) culprits = named.map(({ index }) => index)
        message = reader.string() ?? named[0]?.message ?? null
      }
      answers.push({ topic, partition, errorCode, baseOffset, culprits, message })
    }
  }
  return answers
}

/** Body of a Metadata request that never creates topics. */
export const metadataBody = (topics: ReadonlyArray<string>): Buffer => {
  const body = Buffer.alloc(4 + topics.reduce((size, topic) => size + stringSize(topic), 0) + 1)
  let at = body.writeInt32BE(topics.length, 0)
  for (const topic of topics) at = writeString(body, at, topic)
  return body
}

export interface ClusterAnswer {
  readonly brokers: ReadonlyArray<{ readonly id: number; readonly host: string; readonly port: number }>
  readonly topics: ReadonlyArray<{
    readonly errorCode: number
    readonly topic: string
    readonly partitions: ReadonlyArray<{
      readonly errorCode: number
      readonly partition: number
      readonly leader: number
      readonly replicas: ReadonlyArray<number>
      readonly inSyncReplicas: ReadonlyArray<number>
    }>
  }>
}

export const readMetadata = (payload: Uint8Array, version: number): ClusterAnswer => {
  const reader = new Reader(payload)
  reader.int32()
  const brokers = reader.array(() => {
    const broker = { id: reader.int32(), host: reader.string() ?? "", port: reader.int32() }
    reader.string()
    return broker
  })
  reader.string()
  reader.int32()
  const topics = reader.array(() => {
    const errorCode = reader.int16()
    const topic = reader.string() ?? ""
    reader.int8()
    const partitions = reader.array(() => {
      const partition = {
        errorCode: reader.int16(),
        partition: reader.int32(),
        leader: reader.int32(),
        replicas: reader.array(reader.int32),
        inSyncReplicas: reader.array(reader.int32)
      }
      if (version >= 5) reader.array(reader.int32)
      return partition
    })
    return { errorCode, topic, partitions }
  })
  return { brokers, topics }
}

/** Body of an InitProducerId request without a transactional id. */
export const initProducerIdBody = (): Buffer => {
  const body = Buffer.alloc(6)
  body.writeInt16BE(-1, 0)
  body.writeInt32BE(60_000, 2)
  return body
}

export const readInitProducerId = (
  payload: Uint8Array
): { readonly errorCode: number; readonly producerId: bigint; readonly epoch: number } => {
  const reader = new Reader(payload)
  reader.int32()
  return { errorCode: reader.int16(), producerId: reader.int64(), epoch: reader.int16() }
}
