import assert from "node:assert/strict"
import { test } from "node:test"
import * as Either from "effect/Either"
import { BatchBuilder, IdHeader } from "../../src/internal/batchBuilder.ts"
import { headerBytes, writeChecksum } from "../../src/internal/batchLayout.ts"
import { BufferPool } from "../../src/internal/bufferPool.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"

const unlimited = Number.MAX_SAFE_INTEGER

const builder = (name = "spillway-id", pool = new BufferPool(0)) =>
  new BatchBuilder(pool, new IdHeader(name), 0, 1_700_000_000_000)

const recordsOf = (built: BatchBuilder) => {
  const { bytes } = built.finish()
  writeChecksum(bytes)
  return Either.getOrThrow(RecordBatch.records(bytes))
}

test("a record that would push the batch over its limit leaves the batch as it was", () => {
  const built = builder()
  const taken = built.append({ value: "v".repeat(100) }, 5, 400, unlimited)
  assert.equal(built.size, headerBytes + taken)
  assert.equal(built.append({ value: "w".repeat(300) }, 99, 400, unlimited), 0)
  assert.equal(built.size, headerBytes + taken)
  assert.equal(built.count, 1)
  const exactly = built.size + taken
  assert.equal(built.append({ value: "x".repeat(100) }, 6, exactly - 1, unlimited), 0)
  assert.equal(built.append({ value: "x".repeat(100) }, 6, exactly, unlimited), taken)
  const found = recordsOf(built)
  assert.deepEqual(
    found.map(({ timestamp }) => timestamp),
    [5, 6]
  )
})

test("the first record fits whatever the batch's limit", () => {
  const built = builder()
  assert.ok(built.append({ value: "v".repeat(5000) }, 5, 100, unlimited) > 5000)
  assert.equal(recordsOf(built).length, 1)
})

test("a record over the record limit is too large, first or not, and leaves no trace", () => {
  const built = builder()
  assert.equal(built.append({ value: "v".repeat(100) }, 7, unlimited, 100), -1)
  assert.equal(built.count, 0)
  const taken = built.append({ value: "v" }, 5, unlimited, unlimited)
  assert.equal(built.append({ value: "v".repeat(100), id: "left over?" }, 9, unlimited, 100), -1)
  assert.equal(built.append({ value: "v" }, 5, unlimited, taken), taken)
  assert.notEqual(built.idAt(1), "left over?")
  assert.deepEqual(
    recordsOf(built).map(({ timestamp }) => timestamp),
    [5, 5]
  )
})

test("a growing batch gives the outgrown buffer back to the pool, with nothing lost", () => {
  const pool = new BufferPool(1024 * 1024)
  const built = builder("spillway-id", pool)
  for (let i = 0; i < 100; i++) built.append({ value: `${i}:${"v".repeat(i)}` }, 5, unlimited, unlimited)
  const found = recordsOf(built)
  found.forEach((record, i) => assert.equal(Buffer.from(record.value ?? []).toString(), `${i}:${"v".repeat(i)}`))
  const { buffer } = built.finish()
  assert.notEqual(pool.take(1), buffer)
})

test("ids: given, in a header, or made up, and each record names its own", () => {
  const built = builder("idempotency-key-ü")
  const name = "idempotency-key-ü"
  built.append({ value: "0" }, 5, unlimited, unlimited)
  built.append({ value: "1", id: "gïven" }, 5, unlimited, unlimited)
  built.append({ value: "2", headers: [[name, "from header"]] }, 5, unlimited, unlimited)
  built.append({ value: "3", headers: [[name, Buffer.from("from bytes")]] }, 5, unlimited, unlimited)
  built.append({ value: "4", headers: [[name, null]] }, 5, unlimited, unlimited)
  built.append({ value: "5", id: "wins", headers: [[name, "loses"]] }, 5, unlimited, unlimited)
  built.append(
    {
      value: "6",
      headers: [
        [name, "first"],
        [name, "second"]
      ]
    },
    5,
    unlimited,
    unlimited
  )
  const found = recordsOf(built)
  const { idAt } = built
  assert.deepEqual([1, 2, 3, 5, 6].map(idAt), ["gïven", "from header", "from bytes", "wins", "first"])
  found.forEach((record, index) => assert.equal(RecordBatch.idOf(record, name), idAt(index)))
  assert.deepEqual(
    found.map(({ headers }) => headers.length),
    [1, 1, 1, 1, 2, 2, 2]
  )
  assert.notEqual(idAt(0), idAt(4))
})

test("batches of one millisecond have ids of their own, and a batch keeps those it began with", () => {
  const header = new IdHeader("spillway-id")
  const pool = new BufferPool(0)
  const open = (now: number) => {
    const built = new BatchBuilder(pool, header, 0, now)
    built.append({ value: "v" }, 5, unlimited, unlimited)
    return built
  }
  // More than one draw has ids for.
  const batches = Array.from({ length: 2000 }, () => open(1_700_000_000_000))
  const [first] = batches
  const later = open(1_700_000_000_001)
  first?.append({ value: "w" }, 5, unlimited, unlimited)
  const seen = new Set<string>()
  for (const built of [...batches, later]) {
    recordsOf(built).forEach((record, index) => {
      assert.equal(RecordBatch.idOf(record, "spillway-id"), built.idAt(index))
      seen.add(built.idAt(index))
    })
  }
  assert.equal(seen.size, 2002)
  assert.ok((first?.idAt(2 ** 22 - 1) ?? "") < (batches[1]?.idAt(0) ?? ""))
})

test("a large record's buffer is as large as it must be, and not kept", () => {
  const pool = new BufferPool(1024 * 1024 * 1024)
  const built = builder("spillway-id", pool)
  const taken = built.append({ value: Buffer.alloc(5_000_000) }, 5, unlimited, unlimited)
  const { buffer } = built.finish()
  assert.ok(buffer.length < taken + 1000, `${buffer.length} bytes for ${taken}`)
  pool.give(buffer)
  // Its memory is free from here on, whenever the garbage collector comes.
  assert.equal(buffer.buffer.byteLength, 0)
})
