import assert from "node:assert/strict"
import { test } from "node:test"
import { check } from "../../src/internal/recordCheck.ts"
import type { ProducerRecord } from "../../src/Record.ts"

/** What plain JavaScript can hand in whatever the types say. */
const found = (record: unknown) => {
  const loose: (record: unknown) => ReturnType<typeof check> = given => Reflect.apply(check, undefined, [given])
  const error = loose(record)
  return error === undefined ? undefined : { field: error.field, reason: error.reason, rejected: error.rejected }
}

const good: ProducerRecord = { topic: "t", value: "v" }

test("good records pass", () => {
  const records: ReadonlyArray<ProducerRecord> = [
    good,
    { ...good, value: null, key: null },
    { ...good, value: new Uint8Array(0), key: Buffer.from("k") },
    { ...good, headers: [] },
    {
      ...good,
      headers: [
        ["a", null],
        ["a", "x"],
        ["", new Uint8Array(1)]
      ]
    },
    { ...good, timestamp: 0, partition: 0, id: "x" },
    { ...good, timestamp: 253_402_300_799_999, partition: 2 ** 31 - 1, id: "x".repeat(256) }
  ]
  for (const record of records) assert.equal(check(record), undefined)
})

test("each member at fault is named", () => {
  const cases: ReadonlyArray<readonly [unknown, string]> = [
    [null, "record"],
    [undefined, "record"],
    ["text", "record"],
    [{ topic: "t" }, "value"],
    [{ ...good, value: 1 }, "value"],
    [{ ...good, value: {} }, "value"],
    [{ ...good, value: [1] }, "value"],
    [{ ...good, key: 1 }, "key"],
    [{ ...good, key: {} }, "key"],
    [{ ...good, headers: {} }, "headers"],
    [{ ...good, headers: null }, "headers"],
    [{ ...good, headers: ["a"] }, "headers[0]"],
    [{ ...good, headers: [["a", "b"], ["a"]] }, "headers[1]"],
    [{ ...good, headers: [["a", "b", "c"]] }, "headers[0]"],
    [{ ...good, headers: [[1, "b"]] }, "headers[0]"],
    [{ ...good, headers: [["a", 1]] }, "headers[0]"],
    [{ ...good, headers: [["a", undefined]] }, "headers[0]"],
    [{ ...good, timestamp: -1 }, "timestamp"],
    [{ ...good, timestamp: 1.5 }, "timestamp"],
    [{ ...good, timestamp: Number.NaN }, "timestamp"],
    [{ ...good, timestamp: 253_402_300_800_000 }, "timestamp"],
    [{ ...good, timestamp: "1" }, "timestamp"],
    [{ ...good, timestamp: null }, "timestamp"],
    [{ ...good, partition: -1 }, "partition"],
    [{ ...good, partition: 2 ** 31 }, "partition"],
    [{ ...good, partition: 0.5 }, "partition"],
    [{ ...good, id: "" }, "id"],
    [{ ...good, id: "x".repeat(257) }, "id"],
    [{ ...good, id: 7 }, "id"],
    [{ ...good, id: null }, "id"]
  ]
  for (const [record, field] of cases) {
    assert.deepEqual(found(record), { field, reason: "InvalidRecord", rejected: true }, JSON.stringify(record) ?? field)
  }
})
