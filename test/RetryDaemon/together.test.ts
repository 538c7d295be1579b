/** The small messages of one receive: replayed together, settled each by itself. */
import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Runtime from "effect/Runtime"
import * as AppConfig from "../../src/AppConfig.ts"
import * as CircuitBreaker from "../../src/CircuitBreaker.ts"
import * as DeadLetterQueue from "../../src/DeadLetterQueue.ts"
import * as Envelope from "../../src/Envelope.ts"
import * as MemoryQueue from "../../src/FallbackQueue/Memory.ts"
import type { QueueMessage } from "../../src/FallbackQueue.ts"
import { toBody } from "../../src/internal/claimPointer.ts"
import { openScheduleOf } from "../../src/internal/fallback.ts"
import { together } from "../../src/internal/receiver.ts"
import * as MemoryKafka from "../../src/KafkaClient/Memory.ts"
import * as RetryDaemon from "../../src/RetryDaemon.ts"
import { envelopeOf } from "../support/batches.ts"
import { advance, advanceUntil, configuration, onTestClock } from "../support/doubles.ts"

const maxAttempts = 2

/** A daemon with one runner in front of `count` messages, message n with the record `vn`. */
const daemonFor = (count: number) =>
  Effect.gen(function* () {
    const kafka = MemoryKafka.make({ events: 1 })
    const queue = MemoryQueue.make({ name: "parked" })
    const dead = MemoryQueue.make({ name: "dead" })
    const parsed = AppConfig.parse([{ file: "test.yaml", text: configuration({}) }], {})
    const { breaker: thresholds } = Either.getOrThrow(parsed)
    const breaker = yield* CircuitBreaker.make(thresholds, openScheduleOf(thresholds))
    const daemon = yield* RetryDaemon.make(
      {
        topic: "events",
        balancer: "default",
        idHeader: "spillway-id",
        batchBytes: 1_000_000,
        writeTimeoutMs: 1000,
        maxAttempts,
        afterMs: 1000,
        runnerCount: 1,
        maxNumberOfMessages: 10,
        waitTimeSeconds: 1,
        visibilityMs: 30_000,
        unmarshaller: "msg"
      },
      { queue, deadLetters: DeadLetterQueue.make(dead), kafka, breaker, pressed: () => false }
    )
    for (let i = 0; i < count; i++) {
      const body = yield* Envelope.toBody(Envelope.encode([envelopeOf([{ key: "k", value: `v${i}` }])]))
      yield* queue.send([{ body, attributes: { n: `${i}` }, delaySeconds: 0 }])
    }
    const runSync = Runtime.runSync(yield* Effect.runtime())
    yield* Effect.forkScoped(daemon.run)
    return {
      daemon,
      kafka,
      queue,
      parked: () => runSync(queue.messages),
      dead: () => runSync(dead.messages),
      values: () => kafka.stored().map(({ value }) => Buffer.from(value ?? []).toString())
    }
  })

const numbers = (count: number, name = "v") => Array.from({ length: count }, (_, i) => `${name}${i}`)

describe("the messages of one receive", () => {
  it("are one batch to Kafka, in order, and deleted each", () =>
    onTestClock(
      Effect.gen(function* () {
        const { daemon, kafka, parked, queue, values } = yield* daemonFor(10)
        yield* advanceUntil("the replay", () => parked().length === 0)
        assert.deepEqual(values(), numbers(10))
        assert.equal(kafka.calls.produce, 1)
        assert.equal(queue.calls.delete, 10)
        assert.equal(daemon.counters().redelivered, 10)
        assert.equal(daemon.counters().unknown, 0)
      })
    ))

  it("keep their own fates: the one whose record is refused for good is dead-lettered", () =>
    onTestClock(
      Effect.gen(function* () {
        const { daemon, dead, kafka, parked, values } = yield* daemonFor(4)
        // The batch of all four; then each message's own, the third of them refused again.
        kafka.script(
          { _tag: "Fail", code: 87 },
          { _tag: "Deliver" },
          { _tag: "Deliver" },
          { _tag: "Fail", code: 87 },
          { _tag: "Deliver" }
        )
        yield* advanceUntil("the replay", () => parked().length === 0)
        assert.deepEqual(values(), ["v0", "v1", "v3"])
        assert.equal(dead().length, 1)
        const [envelope] = yield* Envelope.fromBody(dead()[0]?.body ?? "")
        assert.ok(Buffer.from(envelope?.batch ?? []).includes("v2"))
        assert.deepEqual(
          [daemon.counters().redelivered, daemon.counters().deadLettered, daemon.counters().unknown],
          [3, 1, 0]
        )
      })
    ))

  it("do not share a failure: the one that cannot be deleted comes back alone, and counts as possible copies", () =>
    onTestClock(
      Effect.gen(function* () {
        const { daemon, parked, queue, values } = yield* daemonFor(4)
        queue.script("delete", { _tag: "Pass" }, { _tag: "Fail", reason: "AccessDenied" })
        yield* advanceUntil("the deletions", () => parked().length === 1)
        assert.deepEqual(
          parked().map(({ attributes }) => attributes.n),
          ["1"]
        )
        assert.deepEqual([daemon.counters().redelivered, daemon.counters().unknown], [3, 1])
        yield* advanceUntil("its return", () => parked().length === 0, { stepMs: 500 })
        assert.deepEqual(values(), [...numbers(4), "v1"])
        assert.deepEqual([daemon.counters().redelivered, daemon.counters().unknown], [4, 1])
      })
    ))

  it("cut short, are handed back at once but for the settled ones, and counted as what they may be: copies", () =>
    onTestClock(
      Effect.gen(function* () {
        const { daemon, parked, queue } = yield* daemonFor(4)
        queue.script("delete", { _tag: "Pass" }, { _tag: "Pass" }, { _tag: "Hang" }, { _tag: "Hang" })
        yield* advanceUntil("two deletions", () => parked().length === 2)
        assert.ok(parked().every(({ visibleAt }) => visibleAt > 20_000))
        yield* Effect.fork(daemon.stop(500))
        yield* advance(1000)
        const now = yield* Effect.clockWith(clock => clock.currentTimeMillis)
        assert.deepEqual(
          parked().map(({ attributes, visibleAt }) => [attributes.n, visibleAt <= now]),
          [
            ["2", true],
            ["3", true]
          ]
        )
        // Only those two: what is settled is not given back.
        assert.equal(queue.calls.changeVisibility, 2)
        assert.deepEqual([daemon.counters().redelivered, daemon.counters().unknown], [2, 2])
      })
    ))

  it("are left whole by an outage, and nothing of them is counted", () =>
    onTestClock(
      Effect.gen(function* () {
        const { daemon, kafka, parked, queue, values } = yield* daemonFor(3)
        kafka.script({ _tag: "Fail", code: 19 }, ...Array.from({ length: 40 }, () => ({ _tag: "Refuse" }) as const))
        yield* advance(2000)
        assert.equal(queue.calls.delete, 0)
        assert.equal(parked().length, 3)
        yield* advanceUntil("the replay", () => parked().length === 0, { stepMs: 200 })
        assert.deepEqual(new Set(values()), new Set(numbers(3)))
        assert.deepEqual([daemon.counters().redelivered, daemon.counters().deadLettered], [3, 0])
      })
    ))
})

describe("together", () => {
  const message = (body: string): QueueMessage => ({
    messageId: body.slice(0, 8),
    receiptHandle: "r",
    body,
    attributes: {},
    receiveCount: 1,
    sentAt: 0
  })
  const pointer = toBody({
    claim: { bucket: "b", key: "k", bytes: 100_000_000, partBytes: 16_777_216, checksum: "x-6" },
    notBefore: 0,
    recordCount: 1
  })
  const sizes = (...bodies: ReadonlyArray<string>) =>
    together(bodies.map(message)).map(group => group.map(({ body }) => (body === pointer ? "pointer" : body.length)))

  it("holds neighbours up to 1 MiB of bodies; what is larger, and what leads to an object, goes alone", () => {
    const kib = (count: number) => "x".repeat(count * 1024)
    assert.deepEqual(sizes(), [])
    assert.deepEqual(sizes(kib(1), kib(1), kib(1)), [[1024, 1024, 1024]])
    assert.deepEqual(sizes(kib(512), kib(512), kib(1)), [[524_288, 524_288], [1024]])
    assert.deepEqual(sizes(kib(1024), kib(1), kib(1024)), [[1_048_576], [1024], [1_048_576]])
    assert.deepEqual(sizes(kib(1), pointer, kib(1), pointer, pointer), [
      [1024],
      ["pointer"],
      [1024],
      ["pointer"],
      ["pointer"]
    ])
  })
})
