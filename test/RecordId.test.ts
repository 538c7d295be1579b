import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import * as RecordId from "../src/RecordId.ts"

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test("ids are UUIDv7 of their millisecond", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.nat(100_000), (now, index) => {
      const id = RecordId.at(RecordId.sequence(now), index)
      assert.match(id, uuid7)
      assert.equal(id.length, RecordId.idLength)
      assert.equal(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16), now)
    })
  )
})

test("ids of a batch differ and sort in order; the counter leaves room for two thousand million", () => {
  const ids = RecordId.sequence(1_700_000_000_000)
  const all = Array.from({ length: 5000 }, (_, index) => RecordId.at(ids, index))
  assert.equal(new Set(all).size, all.length)
  assert.deepEqual([...all].sort(), all)
  for (let i = 0; i < 2000; i++) {
    const { start } = RecordId.sequence(0)
    assert.ok(start >= 0 && start < 2 ** 31)
  }
  assert.match(RecordId.at({ prefix: ids.prefix, start: 2 ** 31 - 1 }, 2 ** 31 - 1), uuid7)
})

test("sequences of the same millisecond do not collide", () => {
  const seen = new Set<string>()
  for (let i = 0; i < 20_000; i++) seen.add(RecordId.at(RecordId.sequence(1), 0))
  assert.equal(seen.size, 20_000)
})

test("the counter written as bytes is the end of the text", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), fc.nat(2 ** 31 - 1), fc.nat(8), (start, index, before) => {
      const ids = { prefix: "0".repeat(RecordId.prefixLength), start }
      const buffer = Buffer.alloc(before + 8)
      assert.equal(RecordId.writeCounter(buffer, before, ids.start + index), before + 8)
      assert.equal(buffer.subarray(before).toString(), RecordId.at(ids, index).slice(RecordId.prefixLength))
    })
  )
})
