import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as CircuitBreaker from "../src/CircuitBreaker.ts"

const thresholds: CircuitBreaker.Thresholds = {
  consecutiveFailures: 3,
  windowMs: 10_000,
  minimumVolume: 10,
  failureRate: 0.5,
  slowCallMs: 500,
  slowCallRate: 0.5,
  probes: 2,
  probeTimeoutMs: 1_000
}

const steady = CircuitBreaker.openSchedule({ minMs: 1_000, maxMs: 1_000, factor: 2, jitter: 0 })

const run = (
  use: (breaker: CircuitBreaker.Service) => Effect.Effect<void>,
  changes: Partial<CircuitBreaker.Thresholds> = {},
  schedule = steady
): Promise<void> =>
  Effect.runPromise(
    Effect.flatMap(CircuitBreaker.make({ ...thresholds, ...changes }, schedule), use).pipe(
      Effect.provide(TestContext.TestContext)
    )
  )

const permitOf = (breaker: CircuitBreaker.Service, topic = "t", partition = 0): CircuitBreaker.Permit => {
  const permit = breaker.acquire(topic, partition)
  if (permit === undefined) throw new Error(`nothing passes: ${JSON.stringify(breaker.status())}`)
  return permit
}

const call = (
  breaker: CircuitBreaker.Service,
  result: "success" | "failure" | "ignored",
  { partition = 0, ms = 1 }: { readonly partition?: number; readonly ms?: number } = {}
) => breaker.settle(permitOf(breaker, "t", partition), result, ms, "ECONNREFUSED")

/** Failures on different partitions, so that only the cluster's breaker has reason to open. */
const breakIt = (breaker: CircuitBreaker.Service) => {
  for (let i = 0; i < thresholds.consecutiveFailures; i++) call(breaker, "failure", { partition: i })
}

/** A reach that is counted and answers as told. */
const reaching = () => {
  const reach = { calls: 0, works: true }
  const effect = Effect.suspend(() => {
    reach.calls++
    return reach.works ? Effect.void : Effect.fail({ message: "still down" })
  })
  return { reach, effect }
}

describe("CircuitBreaker: when it opens", () => {
  it("after so many failures in a row; a success in between starts the count anew", () =>
    run(breaker =>
      Effect.sync(() => {
        call(breaker, "failure", { partition: 1 })
        call(breaker, "failure", { partition: 2 })
        call(breaker, "success")
        call(breaker, "failure", { partition: 3 })
        call(breaker, "failure", { partition: 4 })
        assert.equal(breaker.status().state, "closed")
        call(breaker, "failure", { partition: 5 })
        const status = breaker.status()
        assert.deepEqual([status.state, status.reason, status.nextProbeAt], ["open", "ECONNREFUSED", 1_000])
        assert.equal(breaker.acquire("t", 0), undefined)
        assert.equal(breaker.closed("t", 0), false)
      })
    ))

  it("at a failure rate, not below the minimum volume", () =>
    run(
      breaker =>
        Effect.sync(() => {
          for (let i = 0; i < 4; i++) {
            call(breaker, "failure", { partition: i })
            call(breaker, "success", { partition: 100 })
          }
          call(breaker, "failure", { partition: 5 })
          assert.equal(breaker.status().state, "closed")
          call(breaker, "success", { partition: 100 })
          assert.equal(breaker.status().state, "open")
          assert.match(breaker.status().reason, /5 of 10 calls failed, last:/)
        }),
      { consecutiveFailures: 100 }
    ))

  it("failures that left the window no longer count", () =>
    run(
      breaker =>
        Effect.gen(function* () {
          for (let i = 0; i < 9; i++) call(breaker, "failure", { partition: i })
          yield* TestClock.adjust(12_000)
          for (let i = 0; i < 12; i++) call(breaker, "success")
          assert.equal(breaker.status().state, "closed")
        }),
      { consecutiveFailures: 100 }
    ))

  it("when half the calls are slow; never when the rule is off", async () => {
    const slowly = (breaker: CircuitBreaker.Service) => {
      for (let i = 0; i < 5; i++) call(breaker, "success", { ms: 499 })
      for (let i = 0; i < 5; i++) call(breaker, "success", { ms: 500 })
    }
    await run(breaker =>
      Effect.sync(() => {
        slowly(breaker)
        assert.equal(breaker.status().state, "open")
        assert.match(breaker.status().reason, /5 of 10 calls took 500 ms or longer/)
      })
    )
    await run(
      breaker =>
        Effect.sync(() => {
          slowly(breaker)
          assert.equal(breaker.status().state, "closed")
        }),
      { slowCallMs: undefined }
    )
  })

  it("a record's own fault says nothing about Kafka; a cluster nobody reaches does", () =>
    run(breaker =>
      Effect.sync(() => {
        for (let i = 0; i < 50; i++) call(breaker, "ignored")
        assert.equal(breaker.status().state, "closed")
        for (let i = 0; i < 3; i++) breaker.unreachable("no broker")
        assert.deepEqual([breaker.status().state, breaker.status().reason], ["open", "no broker"])
      })
    ))
})

describe("CircuitBreaker: the way back", () => {
  const halfOpen = (breaker: CircuitBreaker.Service) =>
    Effect.gen(function* () {
      const { effect, reach } = reaching()
      const loop = yield* Effect.fork(breaker.watch(effect))
      yield* Effect.yieldNow()
      breakIt(breaker)
      yield* TestClock.adjust(1_000)
      assert.equal(breaker.status().state, "half-open")
      return { loop, reach }
    })

  it("half-open lets exactly so many probes through, and that many successes close it", () =>
    run(breaker =>
      Effect.gen(function* () {
        yield* halfOpen(breaker)
        const first = permitOf(breaker)
        const second = permitOf(breaker)
        assert.equal(breaker.acquire("t", 0), undefined)
        breaker.settle(first, "success", 1)
        assert.equal(breaker.status().state, "half-open")
        assert.equal(breaker.acquire("t", 0), undefined)
        breaker.settle(second, "success", 1)
        assert.equal(breaker.status().state, "closed")
        assert.equal(breaker.status().reason, "")
        assert.equal(breaker.closed("t", 0), true)
      })
    ))

  it("a failed probe opens it again", () =>
    run(breaker =>
      Effect.gen(function* () {
        const { reach } = yield* halfOpen(breaker)
        call(breaker, "failure")
        assert.equal(breaker.status().state, "open")
        assert.equal(breaker.acquire("t", 0), undefined)
        yield* TestClock.adjust(999)
        assert.equal(reach.calls, 1)
        yield* TestClock.adjust(1)
        assert.equal(reach.calls, 2)
        assert.equal(breaker.status().state, "half-open")
      })
    ))

  it("a probe that never answers frees its place; one that was cancelled at once", () =>
    run(breaker =>
      Effect.gen(function* () {
        yield* halfOpen(breaker)
        permitOf(breaker)
        breaker.settle(permitOf(breaker), "ignored", 1)
        permitOf(breaker)
        assert.equal(breaker.acquire("t", 0), undefined)
        yield* TestClock.adjust(999)
        assert.equal(breaker.acquire("t", 0), undefined)
        yield* TestClock.adjust(1)
        assert.notEqual(breaker.acquire("t", 0), undefined)
      })
    ))

  it("answers to calls from before the state changed are ignored", () =>
    run(breaker =>
      Effect.gen(function* () {
        const old = Array.from({ length: 4 + thresholds.consecutiveFailures }, (_, i) => permitOf(breaker, "t", i))
        yield* halfOpen(breaker)
        for (const permit of old.slice(0, 2)) breaker.settle(permit, "success", 1)
        assert.equal(breaker.status().state, "half-open")
        for (const permit of old.slice(2, 4)) breaker.settle(permit, "failure", 1, "late")
        assert.equal(breaker.status().state, "half-open")
        call(breaker, "success")
        call(breaker, "success")
        assert.equal(breaker.status().state, "closed")
        for (const permit of old.slice(4)) breaker.settle(permit, "failure", 1, "late")
        assert.equal(breaker.status().state, "closed")
      })
    ))

  it("the watch loop tries nothing before its time and stays open while Kafka cannot be reached", () =>
    run(breaker =>
      Effect.gen(function* () {
        const { effect, reach } = reaching()
        reach.works = false
        yield* Effect.fork(breaker.watch(effect))
        yield* Effect.yieldNow()
        yield* TestClock.adjust(60_000)
        assert.equal(reach.calls, 0)
        breakIt(breaker)
        yield* TestClock.adjust(999)
        assert.equal(reach.calls, 0)
        yield* TestClock.adjust(1)
        assert.equal(reach.calls, 1)
        assert.deepEqual([breaker.status().state, breaker.status().reason], ["open", "still down"])
        yield* TestClock.adjust(5_000)
        assert.equal(reach.calls, 6)
        reach.works = true
        yield* TestClock.adjust(1_000)
        assert.equal(breaker.status().state, "half-open")
      })
    ))

  it("intervals grow, are capped, and begin anew once it has closed", () =>
    run(
      breaker =>
        Effect.gen(function* () {
          const { effect, reach } = reaching()
          reach.works = false
          yield* Effect.fork(breaker.watch(effect))
          yield* Effect.yieldNow()
          breakIt(breaker)
          const start = breaker.status().nextProbeAt - 1_000
          const probes: Array<number> = []
          for (let i = 0; i < 5; i++) {
            const { nextProbeAt } = breaker.status()
            probes.push(nextProbeAt - start)
            yield* TestClock.setTime(nextProbeAt)
          }
          assert.deepEqual(probes, [1_000, 3_000, 7_000, 12_000, 17_000])
          reach.works = true
          yield* TestClock.setTime(breaker.status().nextProbeAt)
          call(breaker, "success")
          call(breaker, "success")
          assert.equal(breaker.status().state, "closed")
          const now = yield* TestClock.currentTimeMillis
          breakIt(breaker)
          assert.equal(breaker.status().nextProbeAt - now, 1_000)
        }),
      {},
      CircuitBreaker.openSchedule({ minMs: 1_000, maxMs: 5_000, factor: 2, jitter: 0 })
    ))

  it("jitter spreads the intervals within its share", async () => {
    const seen = new Set<number>()
    for (let i = 0; i < 50; i++) {
      await run(
        breaker =>
          Effect.sync(() => {
            breakIt(breaker)
            seen.add(breaker.status().nextProbeAt)
          }),
        {},
        CircuitBreaker.openSchedule({ minMs: 1_000, maxMs: 5_000, factor: 2, jitter: 0.2 })
      )
    }
    assert.ok(
      [...seen].every(ms => ms >= 800 && ms <= 1_200),
      [...seen].join(" ")
    )
    assert.ok(seen.size > 1)
  })
})

describe("CircuitBreaker: the operator's word", () => {
  it("forced open lets nothing through, forced closed everything, whatever happens", () =>
    run(breaker =>
      Effect.sync(() => {
        breaker.force("open")
        assert.equal(breaker.acquire("t", 0), undefined)
        assert.deepEqual([breaker.status().state, breaker.status().forced], ["open", "open"])
        breaker.force("closed")
        for (let i = 0; i < 20; i++) call(breaker, "failure")
        assert.notEqual(breaker.acquire("t", 0), undefined)
        assert.deepEqual([breaker.status().state, breaker.closed("t", 0)], ["closed", true])
        assert.match(breaker.status().reason, /operator/)
        breaker.force(undefined)
        assert.equal(breaker.status().forced, undefined)
      })
    ))

  it("forcing and releasing wakes those who wait", () =>
    run(breaker =>
      Effect.gen(function* () {
        breaker.force("open")
        const passable = yield* Effect.fork(breaker.untilPassable)
        yield* Effect.yieldNow()
        assert.ok(Option.isNone(yield* Fiber.poll(passable)))
        breaker.force(undefined)
        yield* Fiber.join(passable)
        breakIt(breaker)
        const forced = yield* Effect.fork(breaker.untilPassable)
        yield* Effect.yieldNow()
        breaker.force("closed")
        yield* Fiber.join(forced)
      })
    ))

  it("listeners hear of every change, with its scope and reason", () =>
    run(breaker =>
      Effect.gen(function* () {
        const heard: Array<string> = []
        breaker.onChange((scope, state, reason) => heard.push(`${scope} ${state} ${reason}`))
        yield* Effect.fork(breaker.watch(Effect.void))
        yield* Effect.yieldNow()
        breakIt(breaker)
        yield* TestClock.adjust(1_000)
        call(breaker, "success")
        call(breaker, "success")
        assert.deepEqual(heard, ["cluster open ECONNREFUSED", "cluster half-open ECONNREFUSED", "cluster closed "])
      })
    ))
})

describe("CircuitBreaker: one partition", () => {
  /** Partition 1 fails while partition 0 goes on working. */
  const breakOne = (breaker: CircuitBreaker.Service) => {
    for (let i = 0; i < 3; i++) {
      call(breaker, "failure", { partition: 1 })
      for (let n = 0; n < 5; n++) call(breaker, "success", { partition: 0 })
    }
  }

  it("opens alone while the others work, and is probed when its time has come", () =>
    run(breaker =>
      Effect.gen(function* () {
        breakOne(breaker)
        assert.deepEqual([breaker.status().state, breaker.status().partitions], ["closed", ["t-1"]])
        assert.equal(breaker.acquire("t", 1), undefined)
        assert.deepEqual([breaker.avoids("t", 1), breaker.avoids("t", 0)], [true, false])
        assert.deepEqual([breaker.closed("t", 1), breaker.closed("t", 0), breaker.closed("u", 1)], [false, true, true])
        call(breaker, "success", { partition: 0 })
        yield* TestClock.adjust(999)
        assert.equal(breaker.acquire("t", 1), undefined)
        yield* TestClock.adjust(1)
        const probes = [permitOf(breaker, "t", 1), permitOf(breaker, "t", 1)]
        assert.equal(breaker.acquire("t", 1), undefined)
        for (const probe of probes) breaker.settle(probe, "success", 1)
        assert.deepEqual(breaker.status().partitions, [])
        assert.equal(breaker.avoids("t", 1), false)
      })
    ))

  it("a probe that fails keeps it away for another interval", () =>
    run(breaker =>
      Effect.gen(function* () {
        breakOne(breaker)
        yield* TestClock.adjust(1_000)
        call(breaker, "failure", { partition: 1 })
        assert.equal(breaker.acquire("t", 1), undefined)
        yield* TestClock.adjust(1_000)
        assert.notEqual(breaker.acquire("t", 1), undefined)
      })
    ))

  it("an outage of the cluster takes its place: nothing is left of it once the cluster has closed", () =>
    run(breaker =>
      Effect.gen(function* () {
        yield* Effect.fork(breaker.watch(Effect.void))
        yield* Effect.yieldNow()
        breakOne(breaker)
        for (let i = 0; i < 3; i++) breaker.unreachable("down")
        assert.equal(breaker.status().state, "open")
        yield* TestClock.adjust(1_000)
        call(breaker, "success", { partition: 1 })
        call(breaker, "success", { partition: 1 })
        assert.deepEqual([breaker.status().state, breaker.status().partitions], ["closed", []])
        assert.equal(breaker.closed("t", 1), true)
      })
    ))
})
