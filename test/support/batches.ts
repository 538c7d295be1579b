/**
 * Record batches for tests, by the builder that the Producer uses.
 */
import * as Effect from "effect/Effect"
import type { Envelope } from "../../src/Envelope.ts"
import { type Appendable, BatchBuilder, IdHeader } from "../../src/internal/batchBuilder.ts"
import { readHeader, writeChecksum } from "../../src/internal/batchLayout.ts"
import { BufferPool } from "../../src/internal/bufferPool.ts"
import { compress } from "../../src/internal/compression.ts"
import { Batch, Lane } from "../../src/internal/lane.ts"
import type { Compression } from "../../src/RecordBatch.ts"

/** A finished batch with a valid checksum. Timestamps count up from 1000 unless given. */
export const batchOf = (records: ReadonlyArray<Appendable & { readonly timestamp?: number }>): Buffer => {
  const idHeader = new IdHeader("spillway-id")
  const builder = new BatchBuilder(new BufferPool(0), idHeader, 0, 1000)
  records.forEach((record, index) => {
    builder.append(record, record.timestamp ?? 1000 + index, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  })
  const { bytes } = builder.finish()
  writeChecksum(bytes)
  return bytes
}

/** The batch as the Producer compresses it, with a valid checksum. */
export const compressed = async (plain: Buffer, compression: Compression): Promise<Buffer> => {
  const batch = new Batch(new Lane("t", 0), {
    ...{ bytes: Buffer.from(plain), room: 0, buffer: undefined, callbacks: [], indexes: [], idAt: String },
    ...{ openedAt: 0, deadline: 0, partitionFixed: false, traces: undefined }
  })
  await Effect.runPromise(compress(batch, compression, new BufferPool(0)))
  if ((readHeader(batch.bytes).attributes & 7) === 0) throw new Error(`${compression} does not make it smaller`)
  writeChecksum(batch.bytes)
  return Buffer.from(batch.bytes)
}

/** Bytes that do not compress, the same for the same seed. */
export const noise = (bytes: number, seed: number): Uint8Array => {
  let state = seed
  return Uint8Array.from({ length: bytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

/** The records as the writer gets them, of topic `events`. */
export const envelopeOf = (records: Parameters<typeof batchOf>[0]): Envelope => ({
  topic: "events",
  partition: 0,
  partitionCount: 1,
  partitionFixed: false,
  attempts: 0,
  firstFailureAt: 1,
  notBefore: 0,
  lastError: "Availability:TEST",
  origin: "test",
  traceParent: "",
  recordCount: records.length,
  batch: new Uint8Array(batchOf(records))
})
