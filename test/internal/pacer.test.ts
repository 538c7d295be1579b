import assert from "node:assert/strict"
import { test } from "node:test"
import { Pacer } from "../../src/internal/pacer.ts"

test("leave is given at the rate, no faster, and the first at once", () => {
  const pacer = new Pacer()
  assert.equal(pacer.rate, 10_000)
  let now = 1000
  let taken = 0
  for (let i = 0; i < 50; i++) {
    const wait = pacer.take(700, now)
    if (wait === 0) taken += 700
    else assert.ok(i > 0)
    now += wait
  }
  const earned = ((now - 1000) * pacer.rate) / 1000
  assert.ok(Math.abs(taken - earned) <= 700, `${taken} taken, ${earned} earned`)
})

test("who has to wait has taken nothing, and waits less when the rate has grown", () => {
  const pacer = new Pacer()
  assert.equal(pacer.take(5000, 1000), 0)
  assert.equal(pacer.take(5000, 1000), 500)
  assert.equal(pacer.take(5000, 1000), 500)
  pacer.speedUp(1, 1)
  assert.equal(pacer.take(5000, 1000), 250)
  assert.equal(pacer.take(5000, 1250), 0)
})

test("idleness is made up for by a tenth of a second at most", () => {
  const pacer = new Pacer()
  pacer.take(0, 1000)
  assert.equal(pacer.take(2000, 61_000), 0)
  assert.equal(pacer.take(1000, 61_000), 100)
})

test("a clock that is set back makes nobody wait for it", () => {
  const pacer = new Pacer()
  assert.equal(pacer.take(1000, 3_700_000), 0)
  assert.equal(pacer.take(1000, 100_000), 100)
  assert.equal(pacer.take(1000, 100_100), 0)
})

test("healthy answers double the rate until the first slow one; from half of it on it grows in steps", () => {
  const pacer = new Pacer()
  for (let i = 0; i < 5; i++) pacer.speedUp(1, 1)
  assert.equal(pacer.rate, 320_000)
  pacer.slowDown()
  assert.equal(pacer.rate, 160_000)
  pacer.speedUp(1, 1)
  assert.equal(pacer.rate, 180_000)
  pacer.restart()
  assert.equal(pacer.rate, 10_000)
  pacer.speedUp(1, 1)
  assert.equal(pacer.rate, 20_000)
})

test("an answer that shows more than double is believed, until the first slow one", () => {
  const pacer = new Pacer()
  pacer.speedUp(6000, 20)
  assert.equal(pacer.rate, 300_000)
  pacer.speedUp(6000, 20)
  assert.equal(pacer.rate, 600_000)
  pacer.slowDown()
  pacer.speedUp(6000, 1)
  assert.equal(pacer.rate, 320_000)
})

test("never slower than a floor, never faster than allowed", () => {
  const pacer = new Pacer(15_000)
  for (let i = 0; i < 100; i++) pacer.speedUp(1, 1)
  assert.equal(pacer.rate, 15_000)
  for (let i = 0; i < 100; i++) pacer.slowDown()
  assert.equal(pacer.rate, 100)
  assert.equal(new Pacer(500).rate, 500)
  const free = new Pacer()
  for (let i = 0; i < 100; i++) free.speedUp(1, 1)
  assert.ok(Number.isFinite(free.rate))
})
