import assert from "node:assert/strict"
import { test } from "node:test"
import {
  aligned,
  type LatencySample,
  latencyTable,
  type Sample,
  summarize,
  summarizeLatency,
  table
} from "../../bench/report.ts"

const sample = (name: string, round: number, recordsPerSecond: number, more: Partial<Sample> = {}): Sample => ({
  name,
  size: 200,
  runtime: "bun",
  round,
  recordsPerSecond,
  ...more
})

test("a row is the median of its rounds, with the lowest and the highest", () => {
  const [row] = summarize([sample("offer", 1, 300), sample("offer", 2, 100), sample("offer", 3, 200)])
  assert.deepEqual(row, {
    name: "offer",
    size: 200,
    runtime: "bun",
    recordsPerSecond: 200,
    lowest: 100,
    highest: 300,
    spread: 3,
    ratios: {}
  })
})

test("a ratio is the median of the ratios within the rounds, not the ratio of the medians", () => {
  const rows = summarize([
    ...[sample("offer", 1, 100), sample("kafkajs", 1, 10)],
    ...[sample("offer", 2, 900), sample("kafkajs", 2, 300)],
    ...[sample("offer", 3, 400), sample("kafkajs", 3, 80)]
  ])
  assert.deepEqual(rows[0]?.ratios.kafkajs?.rate, { median: 5, low: 3, high: 10 })
  assert.equal(rows[1]?.ratios.offer?.rate.median, 0.2)
})

test("CPU ratios say how much less the row takes; a row without CPU time has none", () => {
  const cpu = (cpuMicrosPerRecord: number) => ({ cpuMicrosPerRecord })
  const [offer, java] = summarize([
    sample("offer", 1, 100, cpu(0.5)),
    sample("java", 1, 100),
    sample("kafkajs", 1, 10, cpu(4))
  ])
  assert.equal(offer?.ratios.kafkajs?.cpu?.median, 8)
  assert.equal(offer?.ratios.java?.cpu, undefined)
  assert.equal(java?.ratios.kafkajs?.rate.median, 10)
})

test("rows are compared within their size, and with offer on their own runtime", () => {
  const rows = summarize([
    sample("offer", 1, 1000),
    sample("promise", 1, 500),
    sample("offer", 1, 400, { runtime: "deno" }),
    sample("promise", 1, 100, { runtime: "deno" }),
    sample("offer", 1, 50, { size: 1000 })
  ])
  const of = (name: string, runtime: string) => rows.find(row => row.name === name && row.runtime === runtime)
  assert.equal(of("promise", "bun")?.ratios.offer?.rate.median, 0.5)
  assert.equal(of("promise", "deno")?.ratios.offer?.rate.median, 0.25)
  assert.equal(rows.length, 5)
  assert.deepEqual(rows[4]?.ratios, {})
})

test("a round in which one of two rows failed gives no ratio", () => {
  const rows = summarize([sample("http", 1, 50), sample("http", 2, 60), sample("http-echo", 2, 120)])
  assert.deepEqual(rows[0]?.ratios["http-echo"]?.rate, { median: 0.5, low: 0.5, high: 0.5 })
})

test("latency is the median of the rounds, the longest of all is kept", () => {
  const one = (round: number, p99: number, most: number): LatencySample => ({
    ...{ client: "offer", size: 200, share: 0.5, of: "offer", rate: 1000, round, recordsPerSecond: 1000 },
    ...{ cpuMicrosPerRecord: round, latencyMs: { p50: 1, p99, p999: 20, most } }
  })
  const rows = summarizeLatency([one(1, 9, 70), one(2, 4, 30), one(3, 5, 40)])
  assert.equal(rows.length, 1)
  assert.deepEqual(rows[0]?.latencyMs, { p50: 1, p99: 5, p999: 20, most: 70 })
  assert.equal(rows[0]?.cpuMicrosPerRecord, 2)
  assert.match(latencyTable(rows), /offer +50% of offer's highest +1,000 +1\.0 ms +5\.0 ms/)
})

test("the table has a column for each baseline that ran, and no others", () => {
  const text = table(summarize([sample("offer", 1, 100), sample("kafkajs", 1, 10)]))
  assert.match(text, /kafkajs +offer +billed/)
  assert.doesNotMatch(text, /java/)
  assert.match(text, /offer +200 B +bun +100 +1\.00 +10\.00x/)
})

test("columns are as wide as their widest cell", () => {
  assert.equal(
    aligned([
      ["", "x"],
      ["name", "10"]
    ]),
    "       x\nname  10"
  )
})
