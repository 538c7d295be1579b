import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { seeded } from "../../../scripts/chaos/random.ts"
import { faultNames, type Step, schedule } from "../../../scripts/chaos/schedule.ts"

const first = (seed: number, count: number): ReadonlyArray<Step> => {
  const steps: Array<Step> = []
  for (const step of schedule(seed)) {
    if (steps.length === count) break
    steps.push(step)
  }
  return steps
}

describe("the schedule of faults", () => {
  it("is the same for the same seed, and another for another", () => {
    assert.deepEqual(first(7, 100), first(7, 100))
    assert.notDeepEqual(first(7, 100), first(8, 100))
  })

  it("has every fault once before any comes again", () => {
    for (let seed = 0; seed < 20; seed++) {
      const steps = first(seed, faultNames.length * 2).map(({ fault }) => fault)
      assert.equal(new Set(steps.slice(0, faultNames.length)).size, faultNames.length)
      assert.equal(new Set(steps.slice(faultNames.length)).size, faultNames.length)
    }
  })

  it("has bounded lengths", () => {
    for (const { broker, calmMs, holdMs } of first(3, 500)) {
      assert.ok(holdMs >= 3000 && holdMs <= 9000 && calmMs >= 2000 && calmMs <= 5000 && broker >= 0 && broker <= 2)
    }
  })
})

describe("the generator", () => {
  it("gives the numbers it always gave: a seed in a report must mean the same schedule tomorrow", () => {
    const random = seeded(42)
    assert.deepEqual(
      Array.from({ length: 4 }, () => random.whole(0, 999)),
      [291, 152, 111, 763]
    )
  })

  it("spreads evenly", () => {
    const random = seeded(1)
    const counts = new Array<number>(10).fill(0)
    for (let i = 0; i < 10_000; i++) {
      const bucket = random.whole(0, 9)
      counts[bucket] = (counts[bucket] ?? 0) + 1
    }
    for (const count of counts) assert.ok(count > 850 && count < 1150, counts.join(" "))
  })
})
