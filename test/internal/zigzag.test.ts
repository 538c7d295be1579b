import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { VarintReader, varintSize, varlongSize, writeVarint, writeVarlong } from "../../src/internal/zigzag.ts"

const bytesOf = (write: typeof writeVarint, value: number): string => {
  const buffer = Buffer.alloc(10)
  return buffer.subarray(0, write(buffer, 0, value)).toString("hex")
}

const around = fc.oneof(
  fc.integer({ min: -(2 ** 51), max: 2 ** 51 }),
  fc.integer({ min: -(2 ** 30) - 3, max: -(2 ** 30) + 3 }),
  fc.integer({ min: 2 ** 30 - 3, max: 2 ** 30 + 3 }),
  fc.integer({ min: -300, max: 300 })
)

test("32-bit numbers come back, in as many bytes as announced, the same as 64-bit ones", () => {
  fc.assert(
    fc.property(fc.integer(), value => {
      const buffer = new Uint8Array(10)
      const end = writeVarint(buffer, 0, value)
      assert.equal(end, varintSize(value))
      const reader = new VarintReader(buffer, 0, end)
      assert.equal(reader.next(), value)
      assert.equal(reader.position, end)
      assert.ok(reader.ok)
      assert.equal(bytesOf(writeVarlong, value), bytesOf(writeVarint, value))
      assert.equal(varlongSize(value), varintSize(value))
    })
  )
})

test("64-bit numbers come back, in as many bytes as announced", () => {
  fc.assert(
    fc.property(around, value => {
      const buffer = new Uint8Array(12)
      const end = writeVarlong(buffer, 1, value)
      assert.equal(end - 1, varlongSize(value))
      const reader = new VarintReader(buffer, 1, end)
      assert.equal(reader.next(), value)
      assert.equal(reader.position, end)
    })
  )
})

test("the bytes are those of Kafka's ByteUtils.writeVarint and writeVarlong", () => {
  const known: ReadonlyArray<readonly [number, string]> = [
    [0, "00"],
    [-1, "01"],
    [1, "02"],
    [63, "7e"],
    [-64, "7f"],
    [64, "8001"],
    [-65, "8101"],
    [8191, "fe7f"],
    [-8192, "ff7f"],
    [8192, "808001"],
    [2147483647, "feffffff0f"],
    [-2147483648, "ffffffff0f"]
  ]
  for (const [value, hex] of known) assert.equal(bytesOf(writeVarint, value), hex, String(value))
  assert.equal(bytesOf(writeVarlong, 17179869183), "feffffff7f")
  assert.equal(bytesOf(writeVarlong, -17179869184), "ffffffff7f")
  assert.equal(bytesOf(writeVarlong, 17179869184), "808080808001")
})

test("a number past the end or longer than ten bytes, or a view past the end, ends the reading for good", () => {
  for (const bytes of [Uint8Array.of(), Uint8Array.of(0x80), new Uint8Array(11).fill(0x80)]) {
    const reader = new VarintReader(bytes, 0, bytes.length)
    assert.equal(reader.next(), 0)
    assert.equal(reader.ok, false)
  }
  for (const length of [-1, 4]) {
    const reader = new VarintReader(Uint8Array.of(1, 2, 3), 0, 3)
    assert.equal(reader.take(length).length, 0)
    assert.equal(reader.ok, false)
  }
  const reader = new VarintReader(Uint8Array.of(1, 2, 3), 0, 2)
  assert.deepEqual(Array.from(reader.take(2)), [1, 2])
  assert.ok(reader.ok)
})
