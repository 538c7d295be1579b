import assert from "node:assert/strict"
import { test } from "node:test"
import { compare, fell, ratiosOf, renewed, type Stored, type StoredRatio } from "../../bench/compare.ts"
import { type Sample, summarize } from "../../bench/report.ts"

const one = (ratio: number, tolerance = 0.1, name = "offer"): StoredRatio => ({
  name,
  size: 200,
  runtime: "bun",
  against: "kafkajs",
  of: "rate",
  ratio,
  tolerance
})
const verdictOf = (before: StoredRatio, now: StoredRatio) => compare([before], [now])[0]?.verdict

test("a ratio may fall and rise by its tolerance, and no more", () => {
  assert.equal(verdictOf(one(10), one(9.1)), "same")
  assert.equal(verdictOf(one(10), one(8.9)), "worse")
  assert.equal(verdictOf(one(10), one(10.9)), "same")
  assert.equal(verdictOf(one(10), one(11.1)), "better")
  assert.equal(verdictOf(one(10, 0.3), one(7.1)), "same")
})

test("only what fell, or is not there any more, is a failure", () => {
  assert.equal(fell(compare([one(10)], [one(20)])), false)
  assert.equal(fell(compare([one(10)], [one(5)])), true)
  assert.equal(fell(compare([one(10)], [])), true)
  assert.equal(fell(compare([one(10)], [one(10), one(1, 0.1, "promise")])), false)
})

test("the same row against another, of another size or of CPU is another ratio", () => {
  const others: ReadonlyArray<StoredRatio> = [
    { ...one(1), against: "java" },
    { ...one(1), size: 1000 },
    { ...one(1), of: "cpu" },
    { ...one(1), runtime: "deno" }
  ]
  for (const other of others) assert.equal(compare([one(10)], [other])[0]?.verdict, "missing")
})

test("a baseline renewed in part keeps what was not measured again", () => {
  const of = (date: string, ratios: ReadonlyArray<StoredRatio>): Stored => ({
    ...{ date, commit: "c", machine: {}, versions: {}, rounds: 3, ratios }
  })
  const now = renewed(of("old", [one(1, 0.1, "a"), one(2, 0.1, "b")]), of("new", [one(3, 0.2, "b")]))
  assert.deepEqual(now, of("new", [one(1, 0.1, "a"), one(3, 0.2, "b")]))
  assert.deepEqual(renewed(undefined, now), now)
})

test("what fell most comes first", () => {
  const before = [one(10, 0.1, "a"), one(10, 0.1, "b"), one(10, 0.1, "c")]
  const now = [one(9.5, 0.1, "a"), one(12, 0.1, "b"), one(4, 0.1, "c")]
  assert.deepEqual(
    compare(before, now).map(({ before: { name } }) => name),
    ["c", "a", "b"]
  )
})

test("ratios of a run: Spillway's own rows only, with the rounds' range as tolerance", () => {
  const sample = (name: string, round: number, recordsPerSecond: number, cpuMicrosPerRecord: number): Sample => ({
    ...{ name, size: 200, runtime: "bun", round },
    ...{ recordsPerSecond, cpuMicrosPerRecord }
  })
  const rows = summarize([
    ...[sample("offer", 1, 100, 1), sample("kafkajs", 1, 10, 9)],
    ...[sample("offer", 2, 110, 1), sample("kafkajs", 2, 10, 9)],
    ...[sample("offer", 3, 120, 1), sample("kafkajs", 3, 10, 9)]
  ])
  assert.deepEqual(ratiosOf({ rows }), [one(11, 0.18), { ...one(9, 0.1), of: "cpu" }])
})

test("rounds that are far apart do not make a guard that lets everything pass", () => {
  const sample = (name: string, round: number, recordsPerSecond: number): Sample => ({
    ...{ name, size: 200, runtime: "bun", round, recordsPerSecond }
  })
  const rows = summarize([
    sample("offer", 1, 10),
    sample("kafkajs", 1, 10),
    sample("offer", 2, 90),
    sample("kafkajs", 2, 10)
  ])
  assert.equal(ratiosOf({ rows })[0]?.tolerance, 0.4)
})
