/**
 * Compresses the records of a finished batch, once: zstd and gzip in the runtime's own threads where it has them, LZ4 and
 * Snappy on the event loop, all in slices between which it has its turns (`docs/decisions/compression.md`).
 */
import { constants, createGzip, createZstdCompress } from "node:zlib"
import * as Effect from "effect/Effect"
import type { Compression } from "../RecordBatch.ts"
import { requestHeadBytes } from "./batchBuilder.ts"
import { headerBytes, readHeader, writeHeader } from "./batchLayout.ts"
import { type BlockCodec, blockBytes } from "./blocks.ts"
import type { BufferPool } from "./bufferPool.ts"
import type { Batch } from "./lane.ts"
import * as Lz4 from "./lz4.ts"
import * as Snappy from "./snappy.ts"

/** Codec numbers in a batch's attributes. */
const numbers = { gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const
/** Below this size compressing costs more than it saves, bytes. */
const worthwhileBytes = 512
/** Both at their fastest. */
const level = { zstd: { [constants.ZSTD_c_compressionLevel]: 1 }, gzip: 1 }
/** What is compressed in one turn of the event loop: less than a millisecond of work. */
const sliceBytes = 4 * blockBytes
/** What a thread gets at once. Deno has none: there `node:zlib` works on the event loop. */
const threadSliceBytes = 1024 * 1024
/** What comes back from a thread at once: each piece costs another way there and back. */
const pieceBytes = 64 * 1024

const bodyAt = requestHeadBytes + headerBytes

/**
 * The batch's bytes are now those in `whole`: room for a request's head, for a header, and the records up to `end`. Unless
 * they are no smaller, or the batch has gone another way meanwhile: then it stays as it is.
 */
const replace = (batch: Batch, codec: number, whole: Buffer, end: number, pool: BufferPool): void => {
  const bytes = whole.subarray(requestHeadBytes, end)
  if (batch.settled || bytes.length >= batch.bytes.length) return pool.give(whole)
  writeHeader(bytes, { ...readHeader(batch.bytes), length: bytes.length, attributes: codec })
  if (batch.buffer !== undefined) pool.give(batch.buffer)
  batch.bytes = bytes
  batch.room = requestHeadBytes
  batch.buffer = whole
}

const nextTurn = Effect.async<void>(resume => void setImmediate(() => resume(Effect.void)))

const inSlices = (batch: Batch, codec: BlockCodec, number: number, pool: BufferPool): Effect.Effect<void> =>
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
      body: () => nextTurn,
      step: slice
    })
    return Effect.map(rest, () => {
      whole.set(codec.end, end)
      replace(batch, number, whole, end + codec.end.length, pool)
    })
  })

const onThread = (batch: Batch, compression: "gzip" | "zstd", pool: BufferPool): Effect.Effect<void> =>
  Effect.async(resume => {
    const body = batch.bytes.subarray(headerBytes)
    const pieces: Array<Buffer> = []
    const stream =
      compression === "gzip"
        ? createGzip({ level: level.gzip, chunkSize: pieceBytes })
        : createZstdCompress({ params: level.zstd, chunkSize: pieceBytes })
    stream.on("data", (piece: Buffer) => pieces.push(piece))
    stream.on("error", cause => resume(Effect.die(cause)))
    stream.on("end", () => {
      const whole = pool.take(pieces.reduce((sum, piece) => sum + piece.length, bodyAt))
      let end = bodyAt
      for (const piece of pieces) {
        whole.set(piece, end)
        end += piece.length
      }
      replace(batch, numbers[compression], whole, end, pool)
      resume(Effect.void)
    })
    const write = (from: number): void => {
      const to = from + threadSliceBytes
      if (to >= body.length) stream.end(body.subarray(from))
      else stream.write(body.subarray(from, to), () => setImmediate(write, to))
    }
    write(0)
  })

/** Replaces the batch's bytes by compressed ones out of the pool, and gives it those they replace. */
export const compress = (batch: Batch, compression: Compression, pool: BufferPool): Effect.Effect<void> => {
  if (compression === "none" || batch.bytes.length < worthwhileBytes) return Effect.void
  if (compression === "lz4") return inSlices(batch, Lz4.codec, numbers.lz4, pool)
  if (compression === "snappy") return inSlices(batch, Snappy.codec, numbers.snappy, pool)
  return onThread(batch, compression, pool)
}
