import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import * as Varint from "../../src/internal/varint.ts"

test("numbers up to 2^53 - 1 come back, in as many bytes as announced", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.nat(3), (value, before) => {
      const bytes = new Uint8Array(20)
      const end = Varint.write(bytes, before, value)
      assert.equal(end - before, Varint.size(value))
      assert.ok(end - before <= Varint.maximumVarintBytes)
      const reader = new Varint.Reader(bytes, before, end)
      assert.equal(reader.varint(), value)
      assert.equal(reader.remaining, 0)
    })
  )
})

test("the bytes are those of Kafka's unsigned varints", () => {
  const bytes = new Uint8Array(2)
  Varint.write(bytes, 0, 300)
  assert.deepEqual(Array.from(bytes), [0xac, 0x02])
})

test("a varint that is cut off, too long or too large is undefined", () => {
  assert.equal(new Varint.Reader(new Uint8Array(0)).varint(), undefined)
  assert.equal(new Varint.Reader(Uint8Array.of(0x80)).varint(), undefined)
  assert.equal(new Varint.Reader(new Uint8Array(12).fill(0x80)).varint(), undefined)
  assert.equal(new Varint.Reader(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127)).varint(), undefined)
  assert.equal(
    new Varint.Reader(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 15)).varint(),
    Number.MAX_SAFE_INTEGER
  )
})

test("a length beyond the end is undefined, never a shorter view", () => {
  assert.equal(new Varint.Reader(Uint8Array.of(3, 1, 2)).lengthPrefixed(), undefined)
  assert.deepEqual(new Varint.Reader(Uint8Array.of(2, 1, 2)).lengthPrefixed(), Uint8Array.of(1, 2))
})
