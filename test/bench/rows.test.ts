import assert from "node:assert/strict"
import { test } from "node:test"
import { type Choice, contenders, planOf, progress } from "../../bench/rows.ts"

const all = contenders({ deno: false, go: true })
const full: Choice = { only: [], sizes: [], quick: false, rounds: 3, brokers: 1 }
const names = (choice: Partial<Choice>): ReadonlyArray<string> => [
  ...new Set(planOf(all, { ...full, ...choice }).steps.map(({ contender }) => contender.name))
]

test("a full run takes every row at every size of its own, round by round", () => {
  const { latency, steps } = planOf(all, full)
  assert.equal(steps.length, 3 * all.reduce((sum, { sizes }) => sum + sizes.length, 0))
  const rounds = steps.map(({ round }) => round)
  assert.deepEqual(rounds, [...rounds].sort())
  assert.equal(latency.length, 3 * 5 * 4)
})

test("a quick run leaves out large records and some loads", () => {
  const { latency, steps } = planOf(all, { ...full, quick: true, rounds: 1 })
  assert.ok(steps.every(({ size }) => size <= 1000))
  assert.deepEqual([...new Set(latency.map(({ share }) => share))], [0.1, 0.5, 0.9])
})

test("latency alone runs what its rates are shares of", () => {
  assert.deepEqual(names({ only: ["latency"] }), ["offer", "kafkajs", "platformatic"])
  assert.deepEqual(planOf(all, { ...full, only: ["latency"], sizes: [1000] }), { steps: [], latency: [] })
})

test("three brokers leave out what does not end in Kafka, and very many partitions", () => {
  const three = names({ brokers: 3 })
  assert.ok(three.includes("offer") && three.includes("http"))
  assert.ok(!three.some(name => ["parking", "draining", "sqs-singles", "keyed-768"].includes(name)))
})

test("rows that do not exist are named, with those that do", () => {
  assert.throws(() => names({ only: ["ofer"] }), /no row ofer; there are offer, promise, .*latency/)
})

test("what is left is corrected by what rows took", () => {
  const expected = [10, 10, 10, 10]
  assert.equal(progress(expected, 1, 10), "row 1 of 4, about 30 s left")
  assert.equal(progress(expected, 2, 80), "row 2 of 4, about 80 s left")
  assert.equal(progress(expected, 1, 200), "row 1 of 4, about 10 min left")
  assert.equal(progress(expected, 4, 40), "row 4 of 4")
})
