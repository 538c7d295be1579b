import assert from "node:assert/strict"
import { test } from "node:test"
import * as Either from "effect/Either"
import { fromCode } from "../../src/internal/kafkaErrors.ts"
import { Batch, Lane } from "../../src/internal/lane.ts"
import { split } from "../../src/internal/split.ts"
import { type Outcome, Receipt } from "../../src/Receipt.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import { batchOf } from "../support/batches.ts"

const context = { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true }

const batchOfRecords = (count: number) => {
  const told: Array<string> = []
  const ids = Array.from({ length: count }, (_, index) => `id-${index}`)
  const batch = new Batch(new Lane("t", 3), {
    bytes: batchOf(ids.map((id, index) => ({ id, key: `k${index}`, value: `v${index}` }))),
    room: 0,
    buffer: undefined,
    callbacks: ids.map(() => (outcome: Outcome, index: number) => {
      told.push(`${ids[index]}=${outcome instanceof Receipt ? outcome.id : outcome.reason}`)
    }),
    indexes: ids.map((_, index) => index),
    idAt: index => ids[index] ?? "",
    openedAt: 5,
    deadline: 1005,
    partitionFixed: true,
    traces: [0, count - 1].map(index => ({ index, context }))
  })
  // The checksum is not valid before a batch is sent: splitting must not rely on it.
  batch.bytes.fill(0, 17, 21)
  return { batch, told }
}

const idsIn = (batch: Batch | undefined): ReadonlyArray<string | undefined> =>
  batch === undefined
    ? []
    : Either.getOrThrow(RecordBatch.records(batch.bytes)).map(record => RecordBatch.idOf(record, "spillway-id"))

test("named culprits are taken out, everyone else goes on together", () => {
  const { batch, told } = batchOfRecords(5)
  const found = split(batch, fromCode(87, { culprits: [1, 4] }))
  assert.deepEqual(idsIn(found?.rejected), ["id-1", "id-4"])
  assert.deepEqual(found?.parts.map(idsIn), [["id-0", "id-2", "id-3"]])
  assert.deepEqual(found?.rejected?.traces, [{ index: 1, context }])
  assert.deepEqual(found?.parts[0]?.traces, [{ index: 0, context }])
  for (const part of [found?.rejected, ...(found?.parts ?? [])]) part?.succeed("delivered", 10n)
  assert.deepEqual(told, ["id-1=id-1", "id-4=id-4", "id-0=id-0", "id-2=id-2", "id-3=id-3"])
})

test("without names, or with all of them or none that exist, it is halved, nothing lost", () => {
  for (const culprits of [[], [0, 1, 2, 3, 4], [99, -1]]) {
    const { batch } = batchOfRecords(5)
    const found = split(batch, fromCode(10, { culprits }))
    assert.equal(found?.rejected, undefined)
    assert.deepEqual(found?.parts.map(idsIn), [
      ["id-0", "id-1"],
      ["id-2", "id-3", "id-4"]
    ])
  }
})

test("the parts keep what the batch promised", () => {
  const { batch } = batchOfRecords(2)
  for (const part of split(batch, fromCode(10))?.parts ?? assert.fail("not split")) {
    assert.deepEqual(
      [part.topic, part.partition, part.openedAt, part.deadline, part.partitionFixed, part.recordCount, part.stamp],
      ["t", 3, 5, 1005, true, 1, undefined]
    )
  }
})

test("one record, or a refusal that stands for all, is not divided", () => {
  for (const code of [10, 18, 32, 87, 2]) {
    assert.equal(split(batchOfRecords(1).batch, fromCode(code)), undefined)
    assert.notEqual(split(batchOfRecords(2).batch, fromCode(code)), undefined)
  }
  for (const code of [3, 6, 7, 17, 29, 44]) assert.equal(split(batchOfRecords(2).batch, fromCode(code)), undefined)
})
