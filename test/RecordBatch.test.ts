import assert from "node:assert/strict"
import { test } from "node:test"
import { gzipSync, zstdCompressSync } from "node:zlib"
import * as Either from "effect/Either"
import fc from "fast-check"
import { BatchBuilder, IdHeader } from "../src/internal/batchBuilder.ts"
import { headerBytes, readHeader, stamp, writeChecksum, writeHeader } from "../src/internal/batchLayout.ts"
import { BufferPool } from "../src/internal/bufferPool.ts"
import * as RecordBatch from "../src/RecordBatch.ts"
import * as Generated from "./support/arbitraries.ts"
import { batchOf } from "./support/batches.ts"

const unlimited = Number.MAX_SAFE_INTEGER
const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString("hex"))
const utf8 = (value: Uint8Array | string | null | undefined): string | null =>
  value === null || value === undefined ? null : hex(typeof value === "string" ? Buffer.from(value, "utf8") : value)

const read = (bytes: Uint8Array) => Either.getOrThrow(RecordBatch.records(bytes))

const reasonOf = (result: Either.Either<unknown, RecordBatch.RecordBatchError>): string =>
  Either.isLeft(result) ? result.left.reason : "none"

test("whatever is appended is read back: keys, values, headers, timestamps, ids", () => {
  const pool = new BufferPool(1024 * 1024)
  fc.assert(
    fc.property(fc.array(Generated.record, { minLength: 1, maxLength: 20 }), fc.nat(4096), (given, capacity) => {
      const idHeader = new IdHeader("spillway-id")
      const builder = new BatchBuilder(pool, idHeader, capacity, 1_700_000_000_000)
      let size = headerBytes
      for (const one of given) size += builder.append(one, one.timestamp, unlimited, unlimited)
      assert.equal(builder.size, size)
      const { buffer, bytes } = builder.finish()
      assert.equal(bytes.length, size)
      writeChecksum(bytes)
      const info = Either.getOrThrow(RecordBatch.info(bytes))
      assert.equal(info.count, given.length)
      assert.equal(info.compression, "none")
      assert.equal(info.baseTimestamp, given[0]?.timestamp)
      assert.equal(info.maxTimestamp, Math.max(...given.map(({ timestamp }) => timestamp)))
      assert.equal(info.producerId, -1n)

      const found = read(bytes)
      assert.equal(found.length, given.length)
      found.forEach((record, index) => {
        const wanted = given[index]
        assert.ok(wanted !== undefined)
        assert.equal(record.offsetDelta, index)
        assert.equal(record.timestamp, wanted.timestamp)
        assert.equal(hex(record.key), utf8(wanted.key))
        assert.equal(hex(record.value), utf8(wanted.value))
        const headers = (wanted.headers ?? []).map(([name, value]) => [hex(Buffer.from(name, "utf8")), utf8(value)])
        const stored = record.headers.map(([name, value]) => [hex(Buffer.from(name, "utf8")), hex(value)])
        const asHeader = (wanted.headers ?? []).find(([name, value]) => name === "spillway-id" && value !== null)
        if (wanted.id !== undefined || asHeader === undefined) {
          const own = stored.shift()
          assert.equal(own?.[0], hex(Buffer.from("spillway-id")))
          if (wanted.id !== undefined) assert.equal(own?.[1], utf8(wanted.id))
          else
            assert.match(builder.idAt(index), /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        }
        assert.deepEqual(stored, headers)
        assert.equal(
          RecordBatch.idOf(record, "spillway-id"),
          new TextDecoder().decode(Buffer.from(builder.idAt(index)))
        )
      })
      pool.give(buffer)
    }),
    { numRuns: 300 }
  )
})

test("decreasing timestamps are negative deltas; the header names the largest", () => {
  const times = [1_700_000_000_000, 0, 253_402_300_799_999, 1]
  const bytes = batchOf(times.map(timestamp => ({ value: "v", timestamp })))
  assert.deepEqual(
    read(bytes).map(({ timestamp }) => timestamp),
    times
  )
  assert.equal(Either.getOrThrow(RecordBatch.info(bytes)).maxTimestamp, 253_402_300_799_999)
})

test("a value of several MiB grows the buffer and comes back whole", () => {
  const value = Buffer.alloc(5 * 1024 * 1024 + 3)
  for (let i = 0; i < value.length; i += 997) value[i] = i & 0xff
  const found = read(batchOf([{ value: "small" }, { key: "k", value }, { value: "after" }]))
  assert.ok(value.equals(found[1]?.value ?? Buffer.alloc(0)))
  assert.equal(Buffer.from(found[2]?.value ?? []).toString(), "after")
})

test("a cut anywhere is an error, never an exception", () => {
  const bytes = batchOf([{ key: "k", value: "v", headers: [["h", null]] }, { value: "w" }])
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(reasonOf(RecordBatch.records(bytes.subarray(0, length))), "Truncated")
  }
})

test("a flipped bit behind the checksum is always noticed; before it, never an exception", () => {
  const original = batchOf([{ key: "k", value: "v", headers: [["h", null]] }, { value: "w".repeat(50) }])
  for (let bit = 0; bit < original.length * 8; bit++) {
    const bytes = Buffer.from(original)
    const at = bit >> 3
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7))
    const result = RecordBatch.records(bytes)
    // 17 to 20 are the checksum itself, from 21 on what it covers.
    if (at >= 17) assert.equal(reasonOf(result), "ChecksumMismatch", `bit ${bit}`)
    // 8 to 11 are the length, 16 the magic; 0 to 7 and 12 to 15 belong to the broker.
    else if (at === 16) assert.equal(reasonOf(result), "UnsupportedMagic")
    else if (at >= 8 && at < 12) assert.notEqual(reasonOf(result), "none")
    else assert.equal(reasonOf(result), "none")
  }
})

test("garbage under a valid checksum is malformed, never an exception", () => {
  const original = batchOf([{ key: "k", value: "v", headers: [["h", "x"]] }, { value: "w" }])
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 21, max: original.length - 1 }), fc.nat(255)), {
        minLength: 1,
        maxLength: 6
      }),
      changes => {
        const bytes = Buffer.from(original)
        for (const [at, byte] of changes) bytes[at] = byte
        writeChecksum(bytes)
        const result = RecordBatch.records(bytes)
        if (Either.isRight(result)) RecordBatch.fromRecords(result.right)
        else assert.match(result.left.reason, /^(Malformed|UnsupportedCompression)$/)
      }
    ),
    { numRuns: 2000 }
  )
})

test("a count or a length that does not match the records is malformed", () => {
  const bytes = batchOf([{ value: "v" }, { value: "w" }])
  for (const count of [0, 1, 3, -1, 2 ** 31 - 1]) {
    const changed = Buffer.from(bytes)
    changed.writeInt32BE(count, 57)
    writeChecksum(changed)
    assert.equal(reasonOf(RecordBatch.records(changed)), "Malformed", String(count))
  }
})

test("a record whose own length disagrees with its fields is malformed", () => {
  const bytes = batchOf([{ value: "v" }, { value: "w" }])
  for (const flip of [2, 4, 6]) {
    const changed = Buffer.from(bytes)
    changed[headerBytes] = (changed[headerBytes] ?? 0) ^ flip
    writeChecksum(changed)
    assert.equal(reasonOf(RecordBatch.records(changed)), "Malformed")
  }
})

const compressed = (plain: Buffer, codec: number, body: Uint8Array): Buffer => {
  const bytes = Buffer.concat([plain.subarray(0, headerBytes), body])
  writeHeader(bytes, { ...readHeader(plain), length: bytes.length, attributes: codec })
  writeChecksum(bytes)
  return bytes
}

test("gzip and zstd inflate; codecs nobody knows are named as such; a broken stream is malformed", () => {
  const plain = batchOf([{ key: "k", value: "v".repeat(1000) }, { value: null }])
  const body = plain.subarray(headerBytes)
  const wanted = read(plain).map(({ value }) => hex(value))
  for (const bytes of [compressed(plain, 1, gzipSync(body)), compressed(plain, 4, zstdCompressSync(body))]) {
    assert.deepEqual(
      read(bytes).map(({ value }) => hex(value)),
      wanted
    )
  }
  assert.equal(Either.getOrThrow(RecordBatch.info(compressed(plain, 4, zstdCompressSync(body)))).compression, "zstd")
  for (const codec of [5, 6, 7]) {
    assert.equal(reasonOf(RecordBatch.records(compressed(plain, codec, body))), "UnsupportedCompression", String(codec))
  }
  for (const codec of [1, 2, 3, 4])
    assert.equal(reasonOf(RecordBatch.records(compressed(plain, codec, body))), "Malformed")
})

test("records picked from batches make a new one, verbatim but for their deltas", () => {
  fc.assert(
    fc.property(
      fc.array(Generated.record, { minLength: 2, maxLength: 12 }),
      fc.infiniteStream(fc.boolean()),
      (given, coin) => {
        const all = read(batchOf(given))
        const picked = all.filter(() => coin.next().value === true)
        if (picked.length === 0) return
        const again = read(RecordBatch.fromRecords(picked))
        assert.deepEqual(
          again.map(({ tail, timestamp }) => [hex(tail), timestamp]),
          picked.map(({ tail, timestamp }) => [hex(tail), timestamp])
        )
        assert.deepEqual(
          again.map(({ offsetDelta }) => offsetDelta),
          picked.map((_, index) => index)
        )
      }
    )
  )
})

test("what is parked belongs to no producer, and the original keeps its stamp", () => {
  const bytes = batchOf([{ value: "v" }])
  stamp(bytes, 4711n, 3, 99)
  const parked = Either.getOrThrow(RecordBatch.info(RecordBatch.parkable(bytes)))
  assert.deepEqual([parked.producerId, parked.producerEpoch, parked.baseSequence], [-1n, -1, -1])
  const kept = Either.getOrThrow(RecordBatch.info(bytes))
  assert.deepEqual([kept.producerId, kept.producerEpoch, kept.baseSequence], [4711n, 3, 99])
})

test("the id is the first header of that name with a value", () => {
  const [record] = read(
    batchOf([
      {
        value: "v",
        headers: [
          ["spillway-id", null],
          ["x", "y"]
        ],
        id: "mine"
      }
    ])
  )
  assert.ok(record !== undefined)
  assert.equal(RecordBatch.idOf(record, "spillway-id"), "mine")
  assert.equal(RecordBatch.idOf(record, "x"), "y")
  assert.equal(RecordBatch.idOf(record, "absent"), undefined)
})
