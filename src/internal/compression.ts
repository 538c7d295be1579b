/**
 * Compresses the records of a finished batch, once: zstd and gzip in the runtime's own threads where it has them, LZ4 and
 * Snappy on the event loop, all in slices between which it has its turns (`docs/decisions/compression.md`).
 */
import * as Effect from "effect/Effect"
import type { Compression } from "../RecordBatch.ts"
import { requestHeadBytes } from "./batchBuilder.ts"
import { headerBytes, readHeader, writeHeader } from "./batchLayout.ts"
import { type BlockCodec, blockBytes } from "./blocks.ts"
import type { BufferPool } from "./bufferPool.ts"
import type { Batch } from "./lane.ts"
import { deflate } from "./largeCompression.ts"
import * as Lz4 from "./lz4.ts"
import { lengthOf, turn } from "./slices.ts"
import * as Snappy from "./snappy.ts"

/** Codec numbers in a batch's attributes. */
const numbers = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const
/** Below this size compressing costs more than it saves, bytes. */
const worthwhileBytes = 512
/** What is compressed in one turn of the event loop: less than a millisecond of work. */
const sliceBytes = 4 * blockBytes

const bodyAt = requestHeadBytes + headerBytes

/** Compressed records in memory of the pool's, up to `end`, behind room for the heads of a request and of the batch. */
interface Packed {
  readonly whole: Buffer
  readonly end: number
}

const inSlices = (batch: Batch, codec: BlockCodec, pool: BufferPool): Effect.Effect<Packed> =>
  Effect.suspend(() => {
    const input = batch.bytes
    const view = new DataView(input.buffer, input.byteOffset, input.length)
    const whole = pool.take(bodyAt + codec.bound(input.length - headerBytes))
    whole.set(codec.head, bodyAt)
    let end = bodyAt + codec.head.length
    let from = headerBytes
    const slice = () => {
      const sliceEnd = Math.min(from + sliceBytes, input.length)
      while (from < sliceEnd) {
        const to = Math.min(from + blockBytes, input.length)
        end = codec.block(input, view, from, to, whole, end)
        from = to
      }
    }
    slice()
    const rest = Effect.whileLoop({
      while: () => from < input.length && !batch.settled,
      body: () => turn,
      step: slice
    })
    return Effect.map(rest, () => {
      whole.set(codec.end, end)
      return { whole, end: end + codec.end.length }
    })
  })

const onThread = (batch: Batch, compression: "gzip" | "zstd", pool: BufferPool): Effect.Effect<Packed | undefined> =>
  Effect.map(deflate([batch.bytes.subarray(headerBytes)], compression), pieces => {
    if (pieces === undefined) return undefined
    const whole = pool.take(bodyAt + lengthOf(pieces))
    let end = bodyAt
    for (const piece of pieces) {
      whole.set(piece, end)
      end += piece.length
    }
    return { whole, end }
  })

const packed = (batch: Batch, compression: Exclude<Compression, "none">, pool: BufferPool) => {
  if (compression === "lz4") return inSlices(batch, Lz4.codec, pool)
  if (compression === "snappy") return inSlices(batch, Snappy.codec, pool)
  return onThread(batch, compression, pool)
}

/**
 * Replaces the batch's bytes by compressed ones out of the pool, and gives it those they replace. Unless they are no smaller,
 * or the batch has gone another way meanwhile: then it stays as it is.
 */
export const compress = (batch: Batch, compression: Compression, pool: BufferPool): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (compression === "none" || batch.bytes.length < worthwhileBytes) return Effect.void
    const { buffer: plain } = batch
    // A thread may read it until the end, also when the batch is settled before: nobody may get it, or free it, until then.
    batch.buffer = undefined
    return Effect.map(packed(batch, compression, pool), result => {
      if (batch.settled) {
        if (result !== undefined) pool.give(result.whole)
        return
      }
      batch.buffer = plain
      if (result === undefined) return
      const bytes = result.whole.subarray(requestHeadBytes, result.end)
      if (bytes.length >= batch.bytes.length) return pool.give(result.whole)
      writeHeader(bytes, { ...readHeader(batch.bytes), length: bytes.length, attributes: numbers[compression] })
      if (plain !== undefined) pool.give(plain)
      batch.bytes = bytes
      batch.room = requestHeadBytes
      batch.buffer = result.whole
    })
  })
