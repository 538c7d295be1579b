/**
 * Compresses the records of a finished batch once, off the event loop.
 */
import { promisify } from "node:util"
import { constants, gzip, zstdCompress } from "node:zlib"
import * as Effect from "effect/Effect"
import { headerBytes, readHeader, writeHeader } from "./batchLayout.ts"
import type { Batch } from "./lane.ts"

/** Codec numbers in a batch's attributes. */
const codecs = { gzip: 1, zstd: 4 } as const
/** Below this size compressing costs more than it saves, bytes. */
const worthwhileBytes = 512

const zstd = promisify(zstdCompress)
const gz = promisify(gzip)

/** Replaces the batch's bytes by compressed ones, unless they would not be smaller. */
export const compress = (batch: Batch, compression: "none" | "gzip" | "zstd"): Effect.Effect<void> => {
  if (compression === "none" || batch.bytes.length < worthwhileBytes) return Effect.void
  return Effect.promise(async () => {
    const plain = batch.bytes
    const body = plain.subarray(headerBytes)
    const packed =
      compression === "gzip" ? await gz(body) : await zstd(body, { params: { [constants.ZSTD_c_compressionLevel]: 1 } })
    if (packed.length >= body.length) return
    const bytes = Buffer.allocUnsafeSlow(headerBytes + packed.length)
    bytes.set(packed, headerBytes)
    const header = readHeader(plain)
    writeHeader(bytes, { ...header, length: bytes.length, attributes: codecs[compression] })
    batch.bytes = bytes
    batch.room = 0
  })
}
