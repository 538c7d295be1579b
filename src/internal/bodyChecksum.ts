/**
 * The checksum of a large batch's records, worked out in slices, so that the event loop has its turns in between.
 */
import * as Effect from "effect/Effect"
import { headerBytes } from "./batchLayout.ts"
import { combine, crc32c } from "./crc32c.ts"

/** From this size on a batch is worth it: a smaller one's checksum takes a few milliseconds at most. */
export const largeBatchBytes = 4 * 1024 * 1024
const sliceBytes = 4 * 1024 * 1024

/** Of everything behind the batch's header. */
export const bodyChecksum = (batch: Uint8Array): Effect.Effect<number> =>
  Effect.gen(function* () {
    let sum = 0
    for (let at = headerBytes; at < batch.length; at += sliceBytes) {
      if (at > headerBytes) yield* Effect.async<void>(resume => void setImmediate(() => resume(Effect.void)))
      const slice = batch.subarray(at, at + sliceBytes)
      sum = combine(sum, crc32c(slice), slice.length)
    }
    return sum
  })
