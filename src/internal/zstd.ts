/**
 * zstd of what is small enough for one call (`largeCompression` has the rest): on Bun by its own functions, which copy less on
 * the event loop than those of `node:zlib`, and in a thread.
 */
import { constants, zstdCompress, zstdDecompress } from "node:zlib"
import * as Effect from "effect/Effect"
import { compressWhole, expandWhole } from "../runtime/zstd.ts"
import { contentLength } from "./zstdFrame.ts"

/** The fastest that makes few bytes. */
export const level = 1

/** Whether one call, however much it is given, works beside the event loop: on Deno it holds it. */
export const beside = compressWhole !== undefined

const asError = (cause: unknown): Error => (cause instanceof Error ? cause : new Error(String(cause)))

const called = (call: (done: (error: Error | null, result: Uint8Array) => void) => void) =>
  Effect.async<Uint8Array, Error>(resume =>
    call((error, result) =>
      resume(error === null ? Effect.succeed(result) : Effect.fail(new Error(error.message || error.name)))
    )
  )

/** One frame; the bytes must not change until it is there. */
export const compress = (bytes: Uint8Array): Effect.Effect<Uint8Array, Error> => {
  const own = compressWhole
  if (own !== undefined) return Effect.tryPromise({ try: () => own(bytes, level), catch: asError })
  const params = { [constants.ZSTD_c_compressionLevel]: level }
  // In one piece: what is larger than the content is of no use.
  const chunkSize = Math.max(constants.Z_MIN_CHUNK, bytes.length)
  return called(done => zstdCompress(bytes, { params, chunkSize }, done))
}

/** What a frame holds, at most `length` bytes; an error when it holds more, or is broken. */
export const expand = (frame: Uint8Array, length: number): Effect.Effect<Uint8Array, Error> => {
  const own = expandWhole
  if (own !== undefined && contentLength(frame) === length) {
    return Effect.tryPromise({ try: () => own(frame), catch: asError })
  }
  const options = {
    maxOutputLength: Math.max(1, length),
    // In one piece: node's own of 16 KiB are a way to the thread pool each. One byte more than there is, since a piece that
    // is full is taken for one with more behind it.
    chunkSize: Math.max(constants.Z_MIN_CHUNK, length + 1)
  }
  return called(done => zstdDecompress(frame, options, done))
}
