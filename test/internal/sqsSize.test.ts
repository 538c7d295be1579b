import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import * as SqsSize from "../../src/internal/sqsSize.ts"

test("a message counts its body and the names, types and values of its attributes, in UTF-8", () => {
  assert.equal(SqsSize.messageBytes({ body: "abc", attributes: {} }), 3)
  assert.equal(SqsSize.messageBytes({ body: "é", attributes: { name: "wert", ü: "1" } }), 2 + (4 + 6 + 4) + (2 + 6 + 1))
})

test("one request is billed per started 64 KiB", () => {
  const cases = [0, 1, 65_536, 65_537, 262_144, 1_048_576]
  assert.deepEqual(cases.map(SqsSize.billedRequests), [1, 1, 1, 2, 4, 16])
})

test("calls hold at most 10 entries and the limit in bytes, in order, and nothing is left out", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 120 })), sizes => {
      const groups = SqsSize.groupBySize(sizes, size => size, 100)
      assert.deepEqual(groups.flat(), sizes)
      for (const group of groups) {
        assert.ok(group.length >= 1 && group.length <= 10)
        const bytes = group.reduce((sum, size) => sum + size, 0)
        assert.ok(bytes <= 100 || group.length === 1)
      }
      for (const [index, group] of groups.slice(1).entries()) {
        const before = groups[index] ?? []
        const first = group[0] ?? 0
        assert.ok(before.length === 10 || before.reduce((sum, size) => sum + size, 0) + first > 100)
      }
    })
  )
})
