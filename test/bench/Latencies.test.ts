import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Latencies } from "../../bench/Latencies.ts"

test("without a latency every quantile is 0", () => {
  assert.deepEqual(new Latencies().quantiles(), { p50: 0, p99: 0, p999: 0, most: 0 })
})

test("quantiles of 1 to 1000 ms are those, to less than one percent", () => {
  const latencies = new Latencies()
  for (let ms = 1000; ms >= 1; ms--) latencies.add(ms)
  const { most, p50, p99, p999 } = latencies.quantiles()
  for (const [found, exact] of [
    [p50, 500],
    [p99, 990],
    [p999, 999]
  ] as const) {
    assert.ok(found >= exact && found < exact * 1.01, `${found} for ${exact}`)
  }
  assert.equal(most, 1000)
  assert.equal(latencies.count, 1000)
})

test("a quantile is never below the exact one, nor more than a percent above it", () => {
  const times = fc.array(fc.double({ min: 0.001, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 })
  const share = fc.constantFrom(0.5, 0.9, 0.99, 0.999, 1)
  fc.assert(
    fc.property(times, share, (values, q) => {
      const latencies = new Latencies()
      for (const ms of values) latencies.add(ms)
      const sorted = [...values].sort((a, b) => a - b)
      const exact = sorted[Math.max(0, Math.ceil(values.length * q) - 1)] ?? 0
      const found = latencies.quantile(q)
      // Bounds of buckets are irrational: the last digit may fall to either side.
      assert.ok(found >= exact * (1 - 1e-9) && found <= exact * 1.01, `${found} for ${exact}`)
    }),
    { numRuns: 200 }
  )
})

test("times outside of the buckets are counted in the first and the last", () => {
  const latencies = new Latencies()
  latencies.add(-1)
  latencies.add(1e9)
  assert.equal(latencies.count, 2)
  assert.ok(latencies.quantile(0.5) < 0.0011)
  assert.equal(latencies.quantiles().most, 1e9)
})
