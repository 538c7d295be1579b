import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Histogram } from "../../src/internal/histogram.ts"

test("an empty histogram answers 0", () => {
  const empty = new Histogram()
  assert.deepEqual([empty.count, empty.sum, empty.max, empty.quantile(0.5), empty.atMost(1000)], [0, 0, 0, 0, 0])
})

test("quantiles are at most a quarter above the value, never above the largest", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0.1, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (values, q) => {
        const histogram = new Histogram()
        for (const value of values) histogram.add(value, 1)
        const sorted = [...values].sort((a, b) => a - b)
        const exact = sorted[Math.max(0, Math.ceil(q * values.length - 1e-9) - 1)] ?? 0
        const found = histogram.quantile(q)
        assert.ok(found >= exact * 0.9999 && found <= exact * 1.2501, `${found} for ${exact}`)
        assert.ok(found <= histogram.max)
      }
    )
  )
})

test("a weight counts like that many values", () => {
  const histogram = new Histogram()
  histogram.add(1, 99)
  histogram.add(1000, 1)
  assert.deepEqual([histogram.count, histogram.sum, histogram.max], [100, 1099, 1000])
  assert.ok(histogram.quantile(0.5) < 1.3)
  assert.ok(histogram.quantile(0.999) > 800)
})

test("counts up to a bound grow with it, and values out of range fall into the outermost buckets", () => {
  const histogram = new Histogram()
  for (const ms of [0, 0.01, 5, 50, 500, 1e12]) histogram.add(ms, 1)
  assert.equal(histogram.atMost(0.1), 2)
  assert.equal(histogram.atMost(10), 3)
  assert.equal(histogram.atMost(1000), 5)
  assert.equal(histogram.atMost(Number.POSITIVE_INFINITY), 6)
  assert.equal(histogram.max, 1e12)
})
