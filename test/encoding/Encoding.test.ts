import * as assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import * as Encoding from "../../src/encoding/Encoding.ts"
import { maxDepth } from "../../src/encoding/jsonText.ts"

const utf8 = new TextEncoder()
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The oracle: the runtime's own strict decoder and parser. */
const isJson = (value: Uint8Array): boolean => {
  try {
    JSON.parse(strictDecoder.decode(value))
    return true
  } catch {
    return false
  }
}

test("a tombstone has every encoding, raw takes anything", () => {
  for (const encoding of Encoding.encodings) assert.equal(Encoding.check(encoding, null), undefined)
  assert.equal(Encoding.check("raw", new Uint8Array(0)), undefined)
  assert.equal(Encoding.check("raw", "anything"), undefined)
})

test("protobuf frames are checked as bytes and as strings", () => {
  assert.equal(Encoding.check("kafka/proto-wire-format", Uint8Array.of(0, 0, 0, 0, 1, 0)), undefined)
  assert.equal(Encoding.check("kafka/proto-wire-format", "\0\0\0\0\u0001\0payload"), undefined)
  assert.deepEqual(Encoding.check("kafka/proto-wire-format", '{"a":1}'), {
    reason: "WrongMagic",
    message: "magic byte is 0x7b, expected 0x00: is this JSON?"
  })
  assert.equal(Encoding.check("kafka/proto-wire-format", "")?.reason, "Empty")
})

test("JSON faults name the place and what was there", () => {
  const cases: ReadonlyArray<readonly [text: string, message: RegExp]> = [
    ["{}x", /text behind the value, found "x" at byte 2/],
    ["{'a':1}", /member name in double quotes, found "'" at byte 1/],
    ['{"a" 1}', /expected ":", found "1" at byte 5/],
    ['{"a":1', /expected "," or "}", found the end at byte 6/],
    ["[1 2]", /expected "," or "\]", found "2" at byte 3/],
    ["[1,]", /expected a value, found "]" at byte 3/],
    ['{"a":1,}', /member name in double quotes/],
    ["tru", /expected true, false or null/],
    ["01", /text behind the value/],
    ["-", /expected a digit, found the end/],
    ["1.", /expected a digit/],
    ["1e+", /expected a digit/],
    ['"\\x"', /unknown escape/],
    ['"\\u12g4"', /4 hexadecimal digits/],
    ['"a\nb"', /control character in a string, found 0x0a/],
    ['"abc', /unterminated string/],
    [" ", /ends where a value was expected/],
    ["NaN", /expected a value/],
    ["\uFEFF{}", /byte order mark/]
  ]
  for (const [text, message] of cases) {
    const fault = Encoding.check("application/json", utf8.encode(text))
    assert.equal(fault?.reason, "NotJson", text)
    assert.match(fault?.message ?? "", message, text)
    assert.deepEqual(Encoding.check("application/json", text), fault, "the same fault for a string")
  }
  assert.equal(Encoding.check("application/json", "")?.reason, "Empty")
})

test("ill-formed UTF-8 inside a string is refused", () => {
  for (const hex of [
    "22ff22",
    "22c322",
    "22c0af22",
    "22e0808022",
    "22eda08022",
    "22f080808022",
    "22f490808022",
    "22e282"
  ]) {
    const value = Uint8Array.from(Buffer.from(hex, "hex"))
    assert.equal(isJson(value), false)
    assert.match(Encoding.check("application/json", value)?.message ?? "", /not valid UTF-8/, hex)
  }
})

test("nesting is bounded, up to the bound it is fine", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth)
  assert.equal(Encoding.check("application/json", nested(maxDepth)), undefined)
  assert.match(
    Encoding.check("application/json", nested(maxDepth + 1))?.message ?? "",
    /nested deeper than 1000 levels/
  )
  assert.match(Encoding.check("application/json", "[".repeat(100_000))?.message ?? "", /nested deeper/)
})

test("every value JSON.stringify writes passes, as bytes and as a string", () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: "binary" }), fc.constantFrom(undefined, 2), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      assert.equal(Encoding.check("application/json", utf8.encode(text)), undefined)
      assert.equal(Encoding.check("application/json", text), undefined)
    }),
    { numRuns: 500 }
  )
})

test("strings longer than the scratch memory are checked too", () => {
  const long = JSON.stringify("ü".repeat(500_000))
  assert.equal(Encoding.check("application/json", long), undefined)
  assert.match(Encoding.check("application/json", long.slice(0, -1))?.message ?? "", /unterminated/)
})

test("agrees with the runtime's parser on mutated JSON", () => {
  const mutation = fc.record({
    at: fc.nat(200),
    drop: fc.nat(3),
    add: fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc.constantFrom(...'{}[]",:\\u0ed.-+1tfn \n'.split("")).map(text => utf8.encode(text))
    )
  })
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(mutation, { minLength: 1, maxLength: 3 }), (value, mutations) => {
      let bytes = utf8.encode(JSON.stringify(value))
      for (const { at, drop, add } of mutations) {
        const from = at % (bytes.length + 1)
        bytes = Uint8Array.from([...bytes.subarray(0, from), ...add, ...bytes.subarray(from + drop)])
      }
      const passes = Encoding.check("application/json", bytes) === undefined
      assert.equal(passes, isJson(bytes), Buffer.from(bytes).toString("latin1"))
    }),
    { numRuns: 5000 }
  )
})
