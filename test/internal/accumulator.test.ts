import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as CircuitBreaker from "../../src/CircuitBreaker.ts"
import { Accumulator, type Request } from "../../src/internal/accumulator.ts"
import { BufferPool } from "../../src/internal/bufferPool.ts"

const topic = {
  topic: "events",
  encoding: "raw",
  balancer: "default",
  batchSize: 1000,
  batchBytes: 1_000_000,
  idleTimeoutMs: 5,
  writeTimeoutMs: 1000,
  maxRecordBytes: 10_000_000,
  maxInFlight: 1,
  idHeader: "spillway-id"
} as const

const thresholds = {
  consecutiveFailures: 5,
  windowMs: 10_000,
  minimumVolume: 20,
  failureRate: 0.5,
  slowCallMs: undefined,
  slowCallRate: 0.8,
  probes: 1,
  probeTimeoutMs: 5000
}

/** An accumulator whose partitions all have the same leader, and a clock to set. */
const make = (partitions: number, occupied?: (topic: string, partition: number) => boolean) => {
  const clock = { now: 1_700_000_000_000 }
  const schedule = CircuitBreaker.openSchedule({ minMs: 1000, maxMs: 30_000, factor: 2, jitter: 0 })
  const accumulator = new Accumulator(
    [topic],
    { maxRecords: 100_000, maxBytes: 2 ** 30, maxWaitMs: 1000 },
    Effect.runSync(CircuitBreaker.make(thresholds, schedule)),
    () => clock.now,
    () => {},
    () => {},
    occupied
  )
  accumulator.learn({
    _tag: "Topic",
    topic: "events",
    partitions: Array.from({ length: partitions }, (_, partition) => ({
      partition,
      leader: 1,
      replicas: [1],
      inSyncReplicas: [1]
    }))
  })
  const offer = (partition: number | undefined, bytes = 100) =>
    accumulator.offer({ topic: "events", partition, value: Buffer.alloc(bytes) }, () => {})
  const deliver = (request: Request | undefined) => {
    for (const batch of request?.batches ?? []) {
      accumulator.land(batch)
      accumulator.finished(batch, "delivered")
    }
    if (request !== undefined) accumulator.answered(request)
  }
  return { accumulator, clock, offer, deliver }
}

const partitionsOf = (request: Request | undefined) => request?.batches.map(({ partition }) => partition)

describe("the accumulator", () => {
  it("lets partitions take turns, however much comes for the first of them", () => {
    const { accumulator, clock, deliver, offer } = make(4)
    const sent: Array<number> = []
    for (let round = 0; round < 8; round++) {
      // Two of these fill a request.
      for (let partition = 0; partition < 4; partition++) offer(partition, 400_000)
      clock.now += 10
      const { requests } = accumulator.take()
      sent.push(...(partitionsOf(requests[0]) ?? []))
      deliver(requests[0])
    }
    assert.deepEqual(sent.slice(0, 8), [0, 1, 2, 3, 0, 1, 2, 3])
  })

  it("does not fill the room left in a request with what came last", () => {
    const { accumulator, offer } = make(4)
    offer(0, 600_000)
    offer(1, 600_000)
    offer(2)
    offer(3)
    assert.deepEqual(accumulator.take().requests.map(partitionsOf), [[0]])
  })

  it("finds what ran out of time, in flight, queued or open, whatever came in between", () => {
    const { accumulator, clock, deliver, offer } = make(4)
    offer(0)
    const [first] = accumulator.take().requests
    clock.now += 400
    offer(0)
    offer(1)
    assert.deepEqual(accumulator.expire(), [])
    clock.now += 599
    assert.deepEqual(accumulator.expire(), [])
    clock.now += 1
    assert.deepEqual(
      accumulator.expire().map(({ partition, recordCount }) => [partition, recordCount]),
      [[0, 1]]
    )
    accumulator.answered({ leader: 1, size: "small" })
    clock.now += 300
    const [second] = accumulator.take().requests
    assert.deepEqual(partitionsOf(second), [0, 1])
    offer(2)
    clock.now += 99
    assert.deepEqual(accumulator.expire(), [])
    clock.now += 1
    assert.deepEqual(
      accumulator.expire().map(({ partition }) => partition),
      [0, 1]
    )
    deliver({ leader: 1, size: "small", batches: first?.batches.slice(1) ?? [] })
    clock.now += 881
    assert.deepEqual(
      accumulator.expire().map(({ partition }) => partition),
      [2]
    )
  })

  it("counts large batches apart: small ones go while one is in flight, the next large one waits", () => {
    const { accumulator, deliver, offer } = make(4)
    offer(0, 5_000_000)
    const [large] = accumulator.take().requests
    assert.deepEqual([partitionsOf(large), large?.size], [[0], "large"])
    offer(1)
    const [small] = accumulator.take().requests
    assert.deepEqual([partitionsOf(small), small?.size], [[1], "small"])
    deliver(small)
    offer(2, 5_000_000)
    offer(3)
    assert.deepEqual(accumulator.take().requests.map(partitionsOf), [[3]])
    deliver(large)
    assert.deepEqual(accumulator.take().requests.map(partitionsOf), [[2]])
  })

  it("chooses no partition behind a large batch for a record without a key", () => {
    const { accumulator, deliver, offer } = make(2)
    offer(undefined, 5_000_000)
    offer(undefined)
    const [small, large] = accumulator.take().requests
    assert.deepEqual([small?.size, large?.size], ["small", "large"])
    const elsewhere = 1 - (large?.batches[0]?.partition ?? 0)
    assert.deepEqual(partitionsOf(small), [elsewhere])
    deliver(small)
    for (let round = 0; round < 20; round++) {
      offer(undefined)
      const [next] = accumulator.take().requests
      assert.deepEqual(partitionsOf(next), [elsewhere])
      deliver(next)
    }
  })

  it("nor one to which somebody else sends a large batch", () => {
    const { accumulator, deliver, offer } = make(2, (name, partition) => name === "events" && partition === 0)
    for (let round = 0; round < 20; round++) {
      offer(undefined)
      const [next] = accumulator.take().requests
      assert.deepEqual(partitionsOf(next), [1])
      deliver(next)
    }
  })

  it("waits behind a large batch sooner than it goes where there is no leader", () => {
    for (let round = 0; round < 20; round++) {
      const { accumulator, offer } = make(2, (_, partition) => partition === 0)
      const partitions = [1, -1].map((leader, partition) => ({ partition, leader, replicas: [1], inSyncReplicas: [1] }))
      accumulator.learn({ _tag: "Topic", topic: "events", partitions })
      offer(undefined)
      assert.deepEqual(accumulator.take().requests.map(partitionsOf), [[0]])
    }
  })

  it("has no buffer for a partition that is idle again", t => {
    let inUse = 0
    const { give, take } = BufferPool.prototype
    BufferPool.prototype.take = function (bytes) {
      inUse++
      return take.call(this, bytes)
    }
    BufferPool.prototype.give = function (buffer) {
      inUse--
      give.call(this, buffer)
    }
    t.after(() => Object.assign(BufferPool.prototype, { give, take }))
    const partitions = 768
    const { accumulator, clock, deliver, offer } = make(partitions)
    assert.equal(inUse, 0)
    for (let partition = 0; partition < partitions; partition++) offer(partition, 2000)
    assert.equal(inUse, partitions)
    while (accumulator.records > 0) {
      clock.now += 10
      const { requests } = accumulator.take()
      assert.equal(requests.length, 1)
      deliver(requests[0])
    }
    assert.equal(inUse, 0)
  })
})
