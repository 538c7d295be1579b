/**
 * Compresses the records of a finished batch once, off the event loop.
 */
import { promisify } from "node:util"
import { constants, gzip, zstdCompress } from "node:zlib"
import * as Effect from "effect/Effect"
import { headerBytes, readHeader, writeHeader } from "./batchLayout.ts"
import { largeBatchBytes } from "./bodyChecksum.ts"
import type { Batch } from "./lane.ts"
import { deflate } from "./largeCompression.ts"
import { lengthOf, type Pieces } from "./slices.ts"

/** Codec numbers in a batch's attributes. */
const codecs = { gzip: 1, zstd: 4 } as const
/** Below this size compressing costs more than it saves, bytes. */
const worthwhileBytes = 512

const zstd = promisify(zstdCompress)
const gz = promisify(gzip)

const packed = (body: Uint8Array, compression: "gzip" | "zstd"): Effect.Effect<Pieces | undefined> =>
  body.length >= largeBatchBytes
    ? deflate([body], compression)
    : Effect.promise(async () => {
        const params = { [constants.ZSTD_c_compressionLevel]: 1 }
        const frame = compression === "gzip" ? await gz(body) : await zstd(body, { params })
        return frame.length < body.length ? [frame] : undefined
      })

/** Replaces the batch's bytes by compressed ones, unless they would not be smaller. */
export const compress = (batch: Batch, compression: "none" | "gzip" | "zstd"): Effect.Effect<void> => {
  if (compression === "none" || batch.bytes.length < worthwhileBytes) return Effect.void
  const plain = batch.bytes
  return Effect.map(packed(plain.subarray(headerBytes), compression), pieces => {
    if (pieces === undefined) return
    const bytes = Buffer.allocUnsafeSlow(headerBytes + lengthOf(pieces))
    let at = headerBytes
    for (const piece of pieces) {
      bytes.set(piece, at)
      at += piece.length
    }
    const header = readHeader(plain)
    writeHeader(bytes, { ...header, length: bytes.length, attributes: codecs[compression] })
    batch.bytes = bytes
    batch.room = 0
  })
}
