import * as assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import * as ConfluentWireFormat from "../../src/encoding/ConfluentWireFormat.ts"

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"))

const frame = (schemaId: number, indexes: ReadonlyArray<number>, payload: Uint8Array): Uint8Array => {
  const framed = ConfluentWireFormat.frame(schemaId, indexes, payload)
  if (framed instanceof ConfluentWireFormat.EncodingError) throw framed
  return framed
}

// Headers written by @confluentinc/schemaregistry 1.10.1, SchemaId("PROTOBUF", id, undefined, indexes).idToBytes().
const confluentHeaders: ReadonlyArray<readonly [schemaId: number, indexes: ReadonlyArray<number>, hex: string]> = [
  [1, [0], "000000000100"],
  [42, [0], "000000002a00"],
  [1, [1], "00000000010202"],
  [7, [1, 0], "0000000007040200"],
  [305419896, [2, 3, 64], "00123456780604068001"],
  [2147483647, [0, 0], "007fffffff040000"],
  [100001, [63, 64, 8191, 8192], "00000186a1087e8001fe7f808001"]
]

test("headers are those of Confluent's own JavaScript client, both ways", () => {
  for (const [schemaId, indexes, hex] of confluentHeaders) {
    const framed = frame(schemaId, indexes, bytes("cafe"))
    assert.equal(Buffer.from(framed).toString("hex"), `${hex}cafe`)
    assert.deepEqual(ConfluentWireFormat.parse(framed), {
      schemaId,
      messageIndexes: indexes,
      payloadOffset: hex.length / 2
    })
  }
})

test("[0] written out in full is read too, and so is an empty payload", () => {
  assert.deepEqual(ConfluentWireFormat.parse(bytes("00000000050200")), {
    schemaId: 5,
    messageIndexes: [0],
    payloadOffset: 7
  })
})

const faults: ReadonlyArray<readonly [hex: string, reason: string, message: RegExp]> = [
  ["", "Empty", /the value is empty/],
  ["7b7d", "WrongMagic", /^magic byte is 0x7b, expected 0x00: is this JSON\?$/],
  ["5b5d", "WrongMagic", /0x5b.*JSON/],
  ["0a03616263", "WrongMagic", /0x0a.*bare protobuf/],
  ["01000000000000000000000000000000000000", "WrongMagic", /GUID/],
  ["ff", "WrongMagic", /^magic byte is 0xff, expected 0x00$/],
  ["00", "Truncated", /ends after 1 bytes, inside the schema id/],
  ["00000000", "Truncated", /ends after 4 bytes, inside the schema id/],
  ["0000000001", "Truncated", /ends after 5 bytes, inside the message indexes/],
  ["0000000001049a", "Truncated", /inside the message indexes.*byte 6/],
  ["00000000010400", "Truncated", /inside the message indexes/],
  ["008000000000", "BadSchemaId", /0x80000000 is negative/],
  ["000000000101", "BadMessageIndexes", /count of message indexes at byte 5/],
  ["0000000001ca01", "BadMessageIndexes", /from 0 to 100/],
  ["0000000001feffffff0f", "BadMessageIndexes", /count/],
  ["0000000001ffffffffff01", "BadMessageIndexes", /count/],
  ["0000000001808080808000", "BadMessageIndexes", /count/],
  ["00000000010203", "BadMessageIndexes", /message index at byte 6/],
  ["000000000102ffffffff1f", "BadMessageIndexes", /message index at byte 6/]
]

test("every malformed header is named for what is wrong with it", () => {
  for (const [hex, reason, message] of faults) {
    const error = ConfluentWireFormat.parse(bytes(hex))
    assert.ok(error instanceof ConfluentWireFormat.EncodingError, hex)
    assert.equal(error.reason, reason, hex)
    assert.match(error.message, message, hex)
    assert.deepEqual(ConfluentWireFormat.faultOf(bytes(hex)), { reason, message: error.message })
  }
})

test("frame refuses what no reader could read", () => {
  const tooMany = Array.from({ length: ConfluentWireFormat.maxMessageIndexes + 1 }, () => 0)
  const cases: ReadonlyArray<readonly [schemaId: number, indexes: ReadonlyArray<number>, reason: string]> = [
    [-1, [0], "BadSchemaId"],
    [0.5, [0], "BadSchemaId"],
    [2 ** 31, [0], "BadSchemaId"],
    [Number.NaN, [0], "BadSchemaId"],
    [1, [], "BadMessageIndexes"],
    [1, [-1], "BadMessageIndexes"],
    [1, [2 ** 31], "BadMessageIndexes"],
    [1, tooMany, "BadMessageIndexes"]
  ]
  for (const [schemaId, indexes, reason] of cases) {
    const error = ConfluentWireFormat.frame(schemaId, indexes, new Uint8Array(0))
    assert.ok(error instanceof ConfluentWireFormat.EncodingError)
    assert.equal(error.reason, reason)
  }
})

const int32 = fc.integer({ min: 0, max: 0x7fffffff })
const indexPath = fc.array(int32, { minLength: 1, maxLength: ConfluentWireFormat.maxMessageIndexes })

test("what is framed parses back, and no cut of the header does", () => {
  fc.assert(
    fc.property(int32, indexPath, fc.uint8Array({ maxLength: 64 }), (schemaId, messageIndexes, payload) => {
      const framed = frame(schemaId, messageIndexes, payload)
      const payloadOffset = framed.length - payload.length
      assert.deepEqual(ConfluentWireFormat.parse(framed), { schemaId, messageIndexes, payloadOffset })
      assert.deepEqual(framed.subarray(payloadOffset), payload)
      for (let cut = 0; cut < payloadOffset; cut++) {
        const error = ConfluentWireFormat.parse(framed.subarray(0, cut))
        assert.ok(error instanceof ConfluentWireFormat.EncodingError)
        assert.equal(error.reason, cut === 0 ? "Empty" : "Truncated")
      }
    })
  )
})

test("any bytes parse or are refused, without a throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), tail => {
      const value = Uint8Array.of(0, 0, ...tail)
      const parsed = ConfluentWireFormat.parse(value)
      if (parsed instanceof ConfluentWireFormat.EncodingError) assert.ok(parsed.message.length > 0)
      else assert.ok(parsed.payloadOffset >= 6 && parsed.payloadOffset <= value.length)
    }),
    { numRuns: 2000 }
  )
})
