import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Either from "effect/Either"
import { rounds } from "../../src/internal/replayUnits.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import { batchOf, compressed, envelopeOf } from "../support/batches.ts"

const valuesOf = (bytes: Uint8Array) =>
  Either.getOrThrow(RecordBatch.records(bytes)).map(({ value }) => Buffer.from(value ?? []).toString())

describe("small batches of a partition", () => {
  it("are merged into no more than one batch holds, by what their records take uncompressed, in order", async () => {
    const values = Array.from({ length: 12 }, (_, i) => `${i}`.repeat(100_000))
    const envelopes = await Promise.all(
      values.map(async value => ({
        ...envelopeOf([{ value }]),
        batch: await compressed(batchOf([{ value }]), "zstd")
      }))
    )
    assert.ok(envelopes.every(({ batch }) => batch.length < 1000))
    const units = rounds(envelopes, 500_000).flat()
    assert.ok(units.length > 1 && units.length < 12, `${units.length} units`)
    for (const { bytes } of units) assert.ok(bytes.length < 501_000, `${bytes.length} bytes`)
    assert.deepEqual(
      units.flatMap(({ bytes }) => valuesOf(bytes)),
      values
    )
    assert.deepEqual(
      units.flatMap(unit => unit.envelopes),
      envelopes
    )
    assert.deepEqual(
      units.map(({ recordCount }) => recordCount),
      units.map(({ bytes }) => valuesOf(bytes).length)
    )
  })

  it("stay as they are where one alone takes more than a batch holds", async () => {
    const value = "x".repeat(300_000)
    const batch = await compressed(batchOf([{ value }]), "zstd")
    const units = rounds(
      [1, 2, 3].map(() => ({ ...envelopeOf([{ value }]), batch })),
      200_000
    ).flat()
    assert.deepEqual(
      units.map(({ bytes }) => bytes === batch),
      [true, true, true]
    )
  })
})
