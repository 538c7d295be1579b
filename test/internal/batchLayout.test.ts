import assert from "node:assert/strict"
import { test } from "node:test"
import { headerBytes, readHeader, stamp, writeChecksum, writeHeader } from "../../src/internal/batchLayout.ts"
import { crc32c } from "../../src/internal/crc32c.ts"

const fields = {
  length: 100,
  attributes: 4,
  count: 7,
  baseTimestamp: 1_700_000_000_000,
  maxTimestamp: 1_700_000_000_009
}

test("CRC-32C is Castagnoli's (RFC 3720, B.4)", () => {
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283)
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa)
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43)
  assert.equal(crc32c(new Uint8Array(0)), 0)
})

test("every header field is where Kafka looks for it", () => {
  const bytes = Buffer.alloc(100, 0xee)
  writeHeader(bytes, fields)
  stamp(bytes, 2n ** 40n + 1n, 32_000, 2 ** 31 - 1)
  assert.equal(bytes.readBigInt64BE(0), 0n)
  assert.equal(bytes.readInt32BE(8), 88)
  assert.equal(bytes.readInt32BE(12), -1)
  assert.equal(bytes.readInt8(16), 2)
  assert.equal(bytes.readUInt32BE(17), crc32c(bytes.subarray(21)))
  assert.equal(bytes.readInt16BE(21), 4)
  assert.equal(bytes.readInt32BE(23), 6)
  assert.equal(bytes.readBigInt64BE(27), 1_700_000_000_000n)
  assert.equal(bytes.readBigInt64BE(35), 1_700_000_000_009n)
  assert.equal(bytes.readBigInt64BE(43), 2n ** 40n + 1n)
  assert.equal(bytes.readInt16BE(51), 32_000)
  assert.equal(bytes.readInt32BE(53), 2 ** 31 - 1)
  assert.equal(bytes.readInt32BE(57), 7)
  assert.equal(bytes[headerBytes], 0xee)
})

test("a header is read as it was written, also from the middle of a larger buffer", () => {
  const around = Buffer.alloc(200)
  const bytes = around.subarray(33, 133)
  writeHeader(bytes, fields)
  writeChecksum(bytes)
  const { baseOffset, baseSequence, crc, lastOffsetDelta, magic, producerEpoch, producerId, ...rest } =
    readHeader(bytes)
  assert.deepEqual(rest, fields)
  assert.deepEqual(
    { baseOffset, baseSequence, lastOffsetDelta, magic, producerEpoch, producerId },
    { baseOffset: 0n, baseSequence: -1, lastOffsetDelta: 6, magic: 2, producerEpoch: -1, producerId: -1n }
  )
  assert.equal(crc, crc32c(bytes.subarray(21)))
})
