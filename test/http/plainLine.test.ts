import { deepStrictEqual, strictEqual } from "node:assert/strict"
import { Buffer } from "node:buffer"
import { describe, test } from "node:test"
import fc from "fast-check"
import * as PlainLine from "../../src/http/plainLine.ts"
import * as RecordJson from "../../src/http/RecordJson.ts"
import type { ProducerRecord } from "../../src/Record.ts"

const bytesOf = (part: Uint8Array | string | null | undefined): string | null | undefined =>
  typeof part === "string" ? part : part === null || part === undefined ? part : Buffer.from(part).toString("utf8")

const comparable = (record: ProducerRecord) => ({ ...record, key: bytesOf(record.key), value: bytesOf(record.value) })

const read = (line: string, from = 0) => PlainLine.read("events", Buffer.from(line), from)

/** What the line is when nothing but `JSON.parse` reads it; undefined: no record. */
const slowly = (line: string) => {
  const { parsed } = RecordJson.parse("events", line, "")
  return "_tag" in parsed ? undefined : comparable(parsed)
}

describe("plainLine", () => {
  test("a compact line is read: values and keys as their bytes, ids as text, numbers as numbers", () => {
    const line = '{"key":"k","value":{"a":[1,-0.5e3,"x\\n",{}]},"id":"i-1","partition":3,"timestamp":1760000000000}\n'
    const record = read(line)
    deepStrictEqual(record === undefined ? record : comparable(record), {
      topic: "events",
      key: "k",
      value: '{"a":[1,-0.5e3,"x\\n",{}]}',
      headers: undefined,
      id: "i-1",
      partition: 3,
      timestamp: 1_760_000_000_000
    })
    strictEqual(PlainLine.next(), line.length)
  })

  test("texts, null, numbers beyond JavaScript's, and lines that end with CR LF or with the body", () => {
    for (const [line, value] of [
      ['{"value":"text"}', "text"],
      ['{"value":null}\r\n', null],
      ['{"value":9007199254740993}\n', "9007199254740993"],
      ['{"value":{"grüße":"ü"}}\n', '{"grüße":"ü"}'],
      ['{"value":""}', ""]
    ] as const) {
      strictEqual(bytesOf(read(line)?.value), value, line)
      strictEqual(PlainLine.next() >= Buffer.byteLength(line), true, line)
    }
  })

  test("every other line is left to JSON.parse", () => {
    for (const line of [
      "",
      "{}",
      '{"value": 1}',
      '{"value":{"a": 1}}',
      '{"value":[1,\n2]}',
      '{"value":1} ',
      ' {"value":1}',
      '{"value":1}}',
      '{"value":1,}',
      '{"value":01}',
      '{"value":"\\u00e9"}',
      '{"value":"é"}',
      '{"value":"open',
      '{"value":1,"value":2}',
      '{"key":"a","key":"b","value":1}',
      '{"key":null,"value":1}',
      '{"value":1,"other":2}',
      '{"value":1,"partition":01}',
      '{"value":1,"partition":-1}',
      '{"value":1,"timestamp":1.5}',
      '{"value":1,"timestamp":1234567890123456}',
      '{"value":1,"headers":{}}',
      '{"key":"k"}',
      `{"value":${"[".repeat(1001)}${"]".repeat(1001)}}`
    ]) {
      strictEqual(read(line), undefined, line)
    }
  })

  test("not UTF-8 inside a value is none", () => {
    const line = Buffer.from('{"value":{"a":"?"}}')
    line[15] = 0xff
    strictEqual(PlainLine.read("events", line, 0), undefined)
  })

  test("a line is looked at up to its end only: values left open at many line ends cost no more than their length", () => {
    let reads = 0
    const body = new Proxy(Buffer.from('{"value":[\n'.repeat(400)), {
      get: (bytes, name) => {
        reads++
        return Reflect.get(bytes, name, bytes)
      }
    })
    for (let line = 0; line < 400; line++) strictEqual(PlainLine.read("events", body, line * 11), undefined)
    strictEqual(reads < 10 * 400 * 11, true, `${reads} reads`)
  })

  test("what is read is what JSON.parse and all that follows make of the line, whatever it is", () => {
    const member = fc.oneof(
      fc.json().map(value => `"value":${value}`),
      fc.json().map(value => `"value":${JSON.stringify(JSON.parse(value), null, 1).replaceAll("\n", " ")}`),
      fc.string().map(key => `"key":${JSON.stringify(key)}`),
      fc.string({ unit: "binary" }).map(id => `"id":${JSON.stringify(id)}`),
      fc.double().map(partition => `"partition":${JSON.stringify(partition)}`),
      fc.nat().map(timestamp => `"timestamp":${timestamp}`)
    )
    const lines = fc.array(member, { maxLength: 4 }).map(members => `{${members.join(",")}}`)
    const damaged = fc.tuple(lines, fc.nat(), fc.string({ minLength: 1, maxLength: 1 })).map(([line, at, char]) => {
      const where = at % line.length
      return line.slice(0, where) + (char === "\n" ? " " : char) + line.slice(where + 1)
    })
    let plain = 0
    fc.assert(
      fc.property(fc.oneof(lines, damaged), line => {
        const record = read(line)
        if (record === undefined) return
        plain++
        deepStrictEqual(comparable(record), slowly(line))
      }),
      { numRuns: 5000 }
    )
    strictEqual(plain > 100, true, `only ${plain} lines were plain`)
  })
})
