import assert from "node:assert/strict"
import { test } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { requestHeadBytes } from "../../src/internal/batchBuilder.ts"
import { writeChecksum } from "../../src/internal/batchLayout.ts"
import { BufferPool } from "../../src/internal/bufferPool.ts"
import { compress } from "../../src/internal/compression.ts"
import { Batch, Lane } from "../../src/internal/lane.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import { batchOf, noise } from "../support/batches.ts"

const codecs: ReadonlyArray<RecordBatch.Compression> = ["gzip", "snappy", "lz4", "zstd"]

/** A batch as the builder leaves it: in a buffer of the pool's, with room in front. */
const sealed = (pool: BufferPool, values: ReadonlyArray<Uint8Array | string>) => {
  const made = batchOf(values.map(value => ({ value })))
  const buffer = pool.take(requestHeadBytes + made.length)
  buffer.set(made, requestHeadBytes)
  return new Batch(new Lane("t", 0), {
    bytes: buffer.subarray(requestHeadBytes, requestHeadBytes + made.length),
    room: requestHeadBytes,
    buffer,
    callbacks: values.map(() => () => undefined),
    indexes: [],
    idAt: String,
    openedAt: 0,
    deadline: 1000,
    partitionFixed: false,
    traces: undefined
  })
}

const valuesOf = (batch: Batch) => {
  writeChecksum(batch.bytes)
  return Either.getOrThrow(RecordBatch.records(batch.bytes)).map(({ value }) => Buffer.from(value ?? []).toString())
}
const infoOf = ({ bytes }: Batch) => Either.getOrThrow(RecordBatch.info(bytes))

for (const codec of codecs) {
  test(`${codec}: the same records in fewer bytes, in a buffer of its own with room in front; the old one is the pool's`, async () => {
    const pool = new BufferPool(64 * 1024 * 1024)
    const values = Array.from(
      { length: 2000 },
      (_, index) => `{"user":${index},"note":"the same for everybody ${index % 7}"}`
    )
    const batch = sealed(pool, values)
    const { buffer: old, bytes: plain } = batch
    await Effect.runPromise(compress(batch, codec, pool))
    assert.ok(batch.bytes.length < plain.length / 2)
    assert.deepEqual(valuesOf(batch), values)
    assert.deepEqual([infoOf(batch).compression, infoOf(batch).count], [codec, 2000])
    assert.equal(batch.room, requestHeadBytes)
    assert.equal(batch.buffer?.buffer, batch.bytes.buffer)
    assert.ok(batch.bytes.byteOffset - (batch.buffer?.byteOffset ?? 0) >= requestHeadBytes)
    assert.notEqual(batch.buffer, old)
    assert.equal(pool.take(old?.length ?? 0), old)
  })

  test(`${codec}: what does not get smaller, or is small, goes as it is`, async () => {
    const pool = new BufferPool(64 * 1024 * 1024)
    for (const values of [[noise(100_000, 1)], ["small"]]) {
      const batch = sealed(pool, values)
      const { buffer, bytes } = batch
      await Effect.runPromise(compress(batch, codec, pool))
      assert.equal(batch.bytes, bytes)
      assert.equal(batch.buffer, buffer)
      assert.equal(infoOf(batch).compression, "none")
    }
  })

  test(`${codec}: a batch whose time ended meanwhile keeps its bytes, and its buffer is nobody else's`, async () => {
    const pool = new BufferPool(64 * 1024 * 1024)
    const batch = sealed(pool, ["x".repeat(3_000_000)])
    const { buffer: old, bytes } = batch
    const ended = Effect.runPromise(compress(batch, codec, pool))
    batch.settled = true
    // As `Accumulator.forget` does.
    if (batch.buffer !== undefined) pool.give(batch.buffer)
    await ended
    assert.equal(batch.bytes, bytes)
    assert.notEqual(pool.take(old?.length ?? 0), old)
  })

  test(`${codec}: the event loop has turns while a large batch is compressed`, async () => {
    const batch = sealed(new BufferPool(0), ["abcdefgh".repeat(1_000_000)])
    let turns = 0
    let done = false
    const count = () => {
      turns++
      if (!done) setImmediate(count)
    }
    setImmediate(count)
    await Effect.runPromise(compress(batch, codec, new BufferPool(0)))
    done = true
    assert.ok(turns > 3, String(turns))
    assert.ok(batch.bytes.length < 1_000_000)
  })
}
