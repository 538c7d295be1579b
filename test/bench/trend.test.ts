import assert from "node:assert/strict"
import { test } from "node:test"
import { trendOf } from "../../bench/trend.ts"
import { noise } from "../support/batches.ts"

/** An hour, a sample each 5 s; random ones between -1 and 1. */
const random = [...noise(720, 7)].map(byte => byte / 127.5 - 1)
const series = (value: (hours: number, random: number, index: number) => number) =>
  random.map((one, index) => ({ at: index * 5, value: value(index / 720, one, index) }))

test("a straight line's slope is per hour, with nothing around it", () => {
  const { flat, slope, within } = trendOf(series(hours => 200 + 12 * hours))
  assert.ok(Math.abs(slope - 12) < 1e-6 && within < 1e-6)
  assert.equal(flat, false)
})

test("noise is flat, and growth in it is not", () => {
  assert.equal(trendOf(series((_, one) => 200 + 10 * one)).flat, true)
  const growing = trendOf(series((hours, one) => 200 + 12 * hours + 10 * one))
  assert.equal(growing.flat, false)
  assert.ok(Math.abs(growing.slope - 12) < growing.within)
})

test("samples that follow their neighbours say less", () => {
  let level = 0
  const wandering = trendOf(
    series((_, one) => {
      level = 0.95 * level + one
      return 200 + level
    })
  )
  const independent = trendOf(series((_, one) => 200 + one * 3.2))
  assert.ok(wandering.within > 2 * independent.within, `${wandering.within} ${independent.within}`)
})
