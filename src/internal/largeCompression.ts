/**
 * Compressing and expanding by zlib's codecs in slices, with turns of the event loop in between also where the runtime
 * compresses on it (Deno), and without joining up what comes out. Except for what Bun compresses in one call, beside it.
 */
import { Buffer } from "node:buffer"
import type { Transform } from "node:stream"
import { constants, createGzip, createZstdCompress, createZstdDecompress } from "node:zlib"
import * as Effect from "effect/Effect"
import { joined, lengthOf, type Pieces, slicesOf } from "./slices.ts"
import * as Zstd from "./zstd.ts"

/** Handed to the codec between two turns, bytes. */
const sliceBytes = 1024 * 1024
/** The same of what is to be expanded: it may become a hundred times as long. */
const frameSliceBytes = 128 * 1024
/** Size of the buffers that hold what comes out, bytes: each is a way to the thread and back, and is made anew. */
const chunkBytes = { small: 64 * 1024, large: 256 * 1024 } as const
/** After so many bytes it is seen whether compressing helps. */
const trialBytes = 4 * 1024 * 1024
/** Of those, the share that must be left at most to go on. */
const worthwhile = 7 / 8

/** Puts the pieces through a codec. `take` says if it wants more; `stop` is asked before each slice, and ends the work early. */
const through = (
  codec: Transform,
  pieces: Pieces,
  size: number,
  take: (chunk: Uint8Array) => boolean,
  stop: (read: number) => boolean = () => false
): Effect.Effect<"whole" | "stopped" | Error> =>
  Effect.async(resume => {
    const slices = slicesOf(pieces, size)
    let read = 0
    const end = (how: "whole" | "stopped" | Error) => {
      codec.destroy()
      resume(Effect.succeed(how))
    }
    const next = () => {
      if (codec.destroyed) return
      if (stop(read)) return end("stopped")
      const { done, value } = slices.next()
      if (done === true) return codec.end()
      read += value.length
      codec.write(value, () => setImmediate(next))
    }
    codec.on("data", chunk => {
      if (!take(chunk)) end("stopped")
    })
    codec.on("error", end)
    codec.on("end", () => end("whole"))
    next()
    return Effect.sync(() => codec.destroy())
  })

/** One frame of zstd or gzip, both at their fastest; undefined when it is hardly smaller, as far as can be told, or that fails. */
export const deflate = (pieces: Pieces, codec: "zstd" | "gzip"): Effect.Effect<Pieces | undefined> =>
  Effect.suspend(() => {
    const length = lengthOf(pieces)
    if (codec === "zstd" && Zstd.beside && length < trialBytes) {
      return Effect.match(Zstd.compress(joined(pieces)), {
        onFailure: () => undefined,
        onSuccess: frame => (frame.length < length ? [frame] : undefined)
      })
    }
    const params = { [constants.ZSTD_c_compressionLevel]: Zstd.level }
    const chunkSize = length < trialBytes ? chunkBytes.small : chunkBytes.large
    const stream = codec === "zstd" ? createZstdCompress({ chunkSize, params }) : createGzip({ chunkSize, level: 1 })
    const chunks: Array<Uint8Array> = []
    let written = 0
    const take = (chunk: Uint8Array) => {
      chunks.push(chunk)
      written += chunk.length
      return true
    }
    const hardlySmaller = (read: number) => read >= trialBytes && written > read * worthwhile
    return Effect.map(through(stream, pieces, sliceBytes, take, hardlySmaller), how =>
      how === "whole" && written < length ? chunks : undefined
    )
  })

/** One after the other in the same memory, as one: copied only where they are not. */
const together = (chunks: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const [first] = chunks
  let at = first?.byteOffset ?? 0
  const inPlace = chunks.every(({ buffer, byteLength, byteOffset }) => {
    const next = at
    at += byteLength
    return buffer === first?.buffer && byteOffset === next
  })
  return first !== undefined && inPlace ? Buffer.from(first.buffer, first.byteOffset, length) : Buffer.concat(chunks)
}

/** The `length` bytes that a frame of zstd holds; an error when it holds more or less, or is broken. */
export const inflate = (frame: Uint8Array, length: number): Effect.Effect<Uint8Array, Error> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let filled = 0
    const take = (chunk: Uint8Array) => {
      chunks.push(chunk)
      filled += chunk.length
      return filled <= length
    }
    // Room for all, and for what would be too much: Deno throws what is wrong with a frame where nobody can catch it when a
    // chunk was full before.
    const stream = createZstdDecompress({ chunkSize: Math.max(constants.Z_MIN_CHUNK, length + 1) })
    return Effect.flatMap(through(stream, [frame], frameSliceBytes, take), how => {
      if (how instanceof Error) return Effect.fail(how)
      if (filled !== length) return Effect.fail(new Error(`${filled > length ? "more" : "less"} than ${length} bytes`))
      return Effect.succeed(together(chunks, length))
    })
  })
