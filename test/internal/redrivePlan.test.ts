import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Either from "effect/Either"
import * as fc from "fast-check"
import { piecesOf, plan } from "../../src/internal/redrivePlan.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import { envelopeOf } from "../support/batches.ts"

const valuesOf = (batch: Uint8Array): ReadonlyArray<string> =>
  Either.getOrThrow(RecordBatch.records(batch)).map(({ value }) => Buffer.from(value ?? []).toString())

/** Letters of one envelope each, and their records as pieces. */
const letters = (batches: ReadonlyArray<ReadonlyArray<{ readonly key: string | null; readonly timestamp: number }>>) =>
  batches.flatMap((records, letter) => {
    const envelope = envelopeOf(
      records.map((record, n) => ({ ...record, value: `${letter}/${n}`, id: `${letter}/${n}` }))
    )
    const message = { messageId: `m${letter}`, receiptHandle: "", body: "", attributes: {}, receiveCount: 1, sentAt: 9 }
    const read = Either.getOrThrow(RecordBatch.records(envelope.batch))
    const all = read.map((_, position) => position)
    return piecesOf(letter, { message }, envelope, 0, read, all)
  })

const limits = { bytes: 100_000, records: 5 }

describe("the plan of a redrive", () => {
  it("has every record once, a key in one chunk, and a batch's own order, whatever the timestamps", () => {
    const record = fc.record({ key: fc.constantFrom("a", "b", "c", null), timestamp: fc.integer({ min: 0, max: 5 }) })
    const batches = fc.array(fc.array(record, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(batches, some => {
        const { chunks, splitKeys } = plan(letters(some), limits, "spillway-id")
        assert.equal(splitKeys, 0)
        const placed = chunks.map(({ parcels }) => parcels.flatMap(({ envelope }) => valuesOf(envelope.batch)))
        const all = some.flatMap((records, letter) => records.map((_, n) => `${letter}/${n}`))
        assert.deepEqual(placed.flat().sort(), Array.from(all).sort())
        const keyOf = (value: string) => {
          const [letter, n] = value.split("/").map(Number)
          return some[letter ?? -1]?.[n ?? -1]?.key
        }
        for (const key of ["a", "b", "c"]) {
          assert.ok(placed.filter(values => values.some(value => keyOf(value) === key)).length <= 1)
        }
        for (const letter of some.keys()) {
          for (const key of ["a", "b", "c"]) {
            const own = placed.flat().filter(value => value.startsWith(`${letter}/`) && keyOf(value) === key)
            assert.deepEqual(own, Array.from(own).sort())
          }
        }
        for (const { parcels } of chunks) {
          for (const { envelope, firstId, pieces } of parcels) {
            assert.equal(envelope.recordCount, pieces.length)
            assert.equal(valuesOf(envelope.batch)[0], firstId)
          }
        }
      }),
      { numRuns: 200 }
    )
  })

  it("splits a key that no message can hold, in order, and counts it", () => {
    const batches = Array.from({ length: 6 }, (_, n) => [{ key: "a", timestamp: n }])
    const { chunks, splitKeys } = plan(letters(batches), { bytes: 600, records: 100 }, "spillway-id")
    assert.equal(splitKeys, 1)
    assert.ok(chunks.length > 1)
    const values = chunks.flatMap(({ parcels }) => parcels.flatMap(({ envelope }) => valuesOf(envelope.batch)))
    assert.deepEqual(values, ["0/0", "1/0", "2/0", "3/0", "4/0", "5/0"])
  })

  it("passes a whole batch on as it is", () => {
    const pieces = letters([
      [
        { key: "a", timestamp: 1 },
        { key: "b", timestamp: 2 }
      ]
    ])
    const [chunk] = plan(pieces, limits, "spillway-id").chunks
    assert.equal(chunk?.parcels[0]?.envelope.batch, pieces[0]?.envelope.batch)
  })
})
