import assert from "node:assert/strict"
import { test } from "node:test"
import { Pacer } from "../../src/internal/pacer.ts"

test("leave is given at the rate, no faster", () => {
  const pacer = new Pacer()
  assert.equal(pacer.rate, 10_000)
  let now = 1000
  let taken = 0
  for (let i = 0; i < 50; i++) {
    taken += 700
    now += pacer.take(700, now)
  }
  const earned = ((now - 1000) * pacer.rate) / 1000
  assert.ok(Math.abs(taken - earned) < 1, `${taken} taken, ${earned} earned`)
})

test("idleness is made up for by a tenth of a second at most", () => {
  const pacer = new Pacer()
  pacer.take(0, 1000)
  assert.equal(pacer.take(1000, 61_000), 0)
  assert.equal(pacer.take(1000, 61_000), 100)
})

test("healthy answers double the rate until the first slow one; from half of it on it grows in steps", () => {
  const pacer = new Pacer()
  for (let i = 0; i < 5; i++) pacer.speedUp()
  assert.equal(pacer.rate, 320_000)
  pacer.slowDown()
  assert.equal(pacer.rate, 160_000)
  pacer.speedUp()
  assert.equal(pacer.rate, 180_000)
  pacer.restart()
  assert.equal(pacer.rate, 10_000)
  pacer.speedUp()
  assert.equal(pacer.rate, 20_000)
})

test("never slower than a floor, never faster than allowed", () => {
  const pacer = new Pacer(15_000)
  for (let i = 0; i < 100; i++) pacer.speedUp()
  assert.equal(pacer.rate, 15_000)
  for (let i = 0; i < 100; i++) pacer.slowDown()
  assert.equal(pacer.rate, 100)
  assert.equal(new Pacer(500).rate, 500)
  const free = new Pacer()
  for (let i = 0; i < 100; i++) free.speedUp()
  assert.ok(Number.isFinite(free.rate))
})
