/**
 * The checksum of a large batch's records, worked out in slices, so that the event loop has its turns in between.
 */
import * as Effect from "effect/Effect"
import { headerBytes } from "./batchLayout.ts"
import { crc32c } from "./crc32c.ts"
import { eachSlice } from "./slices.ts"

/** From this size on a batch is worth it: a smaller one's checksum takes a millisecond or two at most. */
export const largeBatchBytes = 4 * 1024 * 1024

/** Of everything behind the batch's header. */
export const bodyChecksum = (batch: Uint8Array): Effect.Effect<number> =>
  Effect.suspend(() => {
    let sum = 0
    const add = (slice: Uint8Array) => {
      sum = crc32c(slice, sum)
    }
    return Effect.map(eachSlice([batch.subarray(headerBytes)], add), () => sum)
  })
