import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { it } from "node:test"
import { lines, parse } from "../../src/http/RecordJson.ts"

const valueOf = (text: string): unknown => {
  const { parsed } = parse("events", text, "")
  return "_tag" in parsed ? parsed.message : parsed.value
}

it("a value is its text without what stands between tokens, however the record is written", () => {
  for (const [text, value] of [
    ['{"value":{"a":1,"b":[true,null]}}', '{"a":1,"b":[true,null]}'],
    ['{"key":"k","value":{"a":1}}', '{"a":1}'],
    ['{"value":{"a":1},"key":"k"}', '{"a":1}'],
    ['{"value": {"a": 1}}', '{"a":1}'],
    ['{"value":{"a": 1}} ', '{"a":1}'],
    ['{"value":{"a":1.0}}', '{"a":1.0}'],
    ['{"value":1e2}', "1e2"],
    ['{"value":{"n":9007199254740993}}', '{"n":9007199254740993}'],
    ['{"value":{"value":1.0,"a":2}}', '{"value":1.0,"a":2}'],
    ['{"value":{"b":1,"a":2,"1":3}}', '{"b":1,"a":2,"1":3}'],
    ['{"value":1,"headers":{"value":"2"}}', "1"],
    ['{"value":1.0,"value":2}', "2"],
    ['{"value":2,"value":1.0}', "1.0"],
    ['{"value":{"u":"\\u0041"}}', '{"u":"\\u0041"}'],
    ['{"value":{"\\"value\\":1":1}}', '{"\\"value\\":1":1}'],
    [
      '{"value":1.0,"x\\"value":1}',
      'x"value: unknown member; there are key, keyBase64, value, valueBase64, headers, id, partition, timestamp'
    ]
  ] as const) {
    assert.equal(valueOf(text), value, text)
  }
})

it("a value may be nested more deeply than the runtime can write it", () => {
  for (const depth of [8000, 60_000]) {
    const deep = `${"[".repeat(depth)}${"]".repeat(depth)}`
    assert.equal(valueOf(`{"value":${deep}}`), deep)
    assert.equal(valueOf(`{"value": ${deep} }`), deep)
  }
})

const utf8 = (text: string) => new TextEncoder().encode(text)
const body = (...parts: ReadonlyArray<Uint8Array | string>) =>
  Buffer.concat(parts.map(part => (typeof part === "string" ? utf8(part) : part)))
const outcomes = (bytes: Uint8Array) =>
  lines("events", bytes, 10)?.map(({ parsed }) =>
    "_tag" in parsed ? parsed.message : parsed.value === null ? null : Buffer.from(parsed.value).toString()
  )

it("a line that is not UTF-8, or begins with a byte order mark, takes nothing from its neighbours", () => {
  const good = '\ufeff{"value":"ä"}\n\n\ufeff{"value":"b"}\r\n'
  assert.deepEqual(outcomes(body(good)), ["ä", "b"])
  assert.deepEqual(outcomes(body(good, Uint8Array.of(0xff, 10), '\ufeff{"value":"c"}')), [
    "ä",
    "b",
    "line 4: record: not UTF-8",
    "c"
  ])
  assert.equal(lines("events", utf8('{"value":1}\n'.repeat(11)), 10), undefined)
})

it("blank lines are no records, wherever they are, and are not decoded to find that out", () => {
  const { decode } = TextDecoder.prototype
  let decoded = 0
  TextDecoder.prototype.decode = function (...given) {
    decoded++
    return decode.apply(this, given)
  }
  try {
    const blanks = "\ufeff\n\n \t\r\n\r\n\ufeff \r\n"
    const found = outcomes(
      body(blanks, '{"value":1}\n', blanks, '{"value": 2}\n', blanks, Uint8Array.of(0xff, 10), "\r")
    )
    assert.deepEqual(found, ["1", "2", "line 18: record: not UTF-8"])
    assert.equal(decoded <= 2, true, `${decoded} lines decoded`)
  } finally {
    TextDecoder.prototype.decode = decode
  }
})
