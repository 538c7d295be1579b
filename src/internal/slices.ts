/**
 * Work on many bytes in slices, so that the event loop has its turns in between; and views of bytes that lie in pieces.
 */
import * as Effect from "effect/Effect"

/** Bytes one after the other, where copying them into one place would cost more than it is worth. */
export type Pieces = ReadonlyArray<Uint8Array>

/** What is worked on between two turns, bytes: a few ms. */
const sliceBytes = 4 * 1024 * 1024

export const lengthOf = (pieces: Pieces): number => pieces.reduce((sum, { length }) => sum + length, 0)

/** The bytes from `from` up to `to`, as views. */
export const cutOut = (pieces: Pieces, from: number, to: number): Pieces => {
  const found: Array<Uint8Array> = []
  let at = 0
  for (const piece of pieces) {
    if (at < to && at + piece.length > from) found.push(piece.subarray(Math.max(0, from - at), to - at))
    at += piece.length
  }
  return found
}

/** In one place: copied unless they are already. */
export const joined = (pieces: Pieces): Uint8Array => {
  const [only, second] = pieces
  return only !== undefined && second === undefined ? only : Buffer.concat(pieces)
}

/** Views of at most `size` bytes, one after the other. */
export function* slicesOf(pieces: Pieces, size: number): Generator<Uint8Array> {
  for (const piece of pieces) for (let at = 0; at < piece.length; at += size) yield piece.subarray(at, at + size)
}

/** Lets the event loop have a turn. */
export const turn = Effect.async<void>(resume => void setImmediate(() => resume(Effect.void)))

/** Hands the bytes over slice by slice. Up to a slice there is no turn. */
export const eachSlice = (pieces: Pieces, use: (slice: Uint8Array) => void): Effect.Effect<void> =>
  Effect.gen(function* () {
    let worked = 0
    for (const slice of slicesOf(pieces, sliceBytes)) {
      if (worked > 0 && worked + slice.length > sliceBytes) {
        yield* turn
        worked = 0
      }
      use(slice)
      worked += slice.length
    }
  })
