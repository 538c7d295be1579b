import { deepStrictEqual, strictEqual } from "node:assert/strict"
import { Buffer } from "node:buffer"
import { test } from "node:test"
import fc from "fast-check"
import { ResultBytes } from "../../src/http/resultBytes.ts"
import { type Durability, Receipt } from "../../src/Receipt.ts"

const read = (bytes: ResultBytes): unknown => JSON.parse(Buffer.from(bytes.end()).toString("utf8"))

test("what is written is what each receipt says, in order, whatever its id, offset and batch", () => {
  const settlement = fc.record({
    outcome: fc.constantFrom<Durability>("delivered", "diverted", "spooled"),
    topic: fc.constant("events"),
    partition: fc.oneof(fc.integer({ min: -1, max: 1000 }), fc.constant(2 ** 31 - 1)),
    baseOffset: fc.oneof(fc.constant(-1n), fc.bigInt({ min: 0n, max: 2n ** 63n - 5000n }), fc.constant(2n ** 53n - 3n)),
    ids: fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 256 }), { minLength: 1, maxLength: 8 })
  })
  fc.assert(
    fc.property(fc.array(settlement, { maxLength: 5 }), fc.nat({ max: 3000 }), (settlements, count) => {
      const bytes = new ResultBytes(count % 3)
      const expected: Array<unknown> = []
      for (const { ids, ...rest } of settlements) {
        const shared = { ...rest, idAt: (index: number) => ids[index % ids.length] ?? "" }
        ids.forEach((_, index) => {
          const receipt = new Receipt(shared, index)
          bytes.receipt(receipt)
          const { topic: _topic, ...said } = receipt.toJSON()
          expected.push(said)
        })
        bytes.text('{"outcome":"failed","message":"grüße"}')
        expected.push({ outcome: "failed", message: "grüße" })
      }
      deepStrictEqual(read(bytes), { results: expected })
    })
  )
})

test("no result is an empty list", () => {
  strictEqual(Buffer.from(new ResultBytes(0).end()).toString("utf8"), '{"results":[]}')
})
