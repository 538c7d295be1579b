import assert from "node:assert/strict"
import { test } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Memory from "../../src/KafkaClient/Memory.ts"
import type { ProduceBatch, ProduceOutcome } from "../../src/KafkaClient.ts"
import { batchOf } from "../support/batches.ts"

const batch = (partition: number, value: string, topic = "t"): ProduceBatch => ({
  topic,
  partition,
  recordCount: 1,
  bytes: batchOf([{ key: "k", value }]),
  idempotent: true
})

const summary = (outcome: ProduceOutcome): string =>
  outcome._tag === "Delivered" ? `at ${outcome.baseOffset}` : `${outcome.error.class} ${outcome.error.reason}`

const run = <A>(effect: Effect.Effect<A>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, TestContext.TestContext))

/** The outcomes of one call whose time-outs pass at once. */
const produce = (kafka: Memory.Memory, ...batches: ReadonlyArray<ProduceBatch>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(kafka.produce(batches, 1_000))
    yield* TestClock.adjust(1_000)
    return (yield* Fiber.join(fiber)).map(summary)
  })

const values = (kafka: Memory.Memory) =>
  kafka.stored().map(({ offset, partition, value }) => `${partition}/${offset}:${Buffer.from(value ?? []).toString()}`)

test("without a script everything is stored in order; unknown topics and partitions are refused", () =>
  run(
    Effect.gen(function* () {
      const kafka = Memory.make({ t: 2 })
      assert.deepEqual(yield* produce(kafka, batch(0, "a"), batch(1, "b"), batch(2, "x"), batch(0, "y", "u")), [
        "at 0",
        "at 0",
        "Permanent UNKNOWN_TOPIC_OR_PARTITION",
        "Permanent UNKNOWN_TOPIC_OR_PARTITION"
      ])
      assert.deepEqual(yield* produce(kafka, batch(0, "c")), ["at 1"])
      assert.deepEqual(values(kafka), ["0/0:a", "1/0:b", "0/1:c"])
      assert.equal(kafka.calls.produce, 2)
    })
  ))

test("steps come one call each, then `always`, and what they leave in Kafka is what they say", () =>
  run(
    Effect.gen(function* () {
      const kafka = Memory.make({ t: 2 })
      kafka.script(
        { _tag: "Fail", code: 10 },
        { _tag: "Hang" },
        { _tag: "LoseAck" },
        { _tag: "Partial", code: 6, partitions: [1] },
        { _tag: "Omit", partitions: [0] },
        { _tag: "Delay", ms: 500 }
      )
      kafka.always({ _tag: "Refuse" })
      const found: Array<ReadonlyArray<string>> = []
      const marks: Array<boolean> = []
      for (const value of ["fail", "hang", "lose", "partial", "omit", "delay", "refuse"]) {
        const batches = [batch(0, value), batch(1, value)]
        found.push(yield* produce(kafka, ...batches))
        marks.push(batches[0]?.maybeWritten === true)
      }
      assert.deepEqual(found, [
        ["Permanent MESSAGE_TOO_LARGE", "Permanent MESSAGE_TOO_LARGE"],
        ["Unknown ATTEMPT_TIMEOUT", "Unknown ATTEMPT_TIMEOUT"],
        ["Unknown ATTEMPT_TIMEOUT", "Unknown ATTEMPT_TIMEOUT"],
        ["at 1", "Availability NOT_LEADER_OR_FOLLOWER"],
        ["Unknown PARTITION_UNANSWERED", "at 1"],
        ["at 3", "at 2"],
        ["Availability CONNECTION_REFUSED", "Availability CONNECTION_REFUSED"]
      ])
      assert.deepEqual(marks, [false, true, true, false, true, false, false])
      assert.deepEqual(values(kafka), [
        "0/0:lose",
        "1/0:lose",
        "0/1:partial",
        "0/2:omit",
        "1/1:omit",
        "0/3:delay",
        "1/2:delay"
      ])
    })
  ))

test("metadata follows what was set, and fails while Kafka cannot be reached", () =>
  run(
    Effect.gen(function* () {
      const kafka = Memory.make({ t: 2 })
      const describe = Effect.map(Effect.either(kafka.metadata(["t"], 1)), result =>
        result._tag === "Left"
          ? result.left.reason
          : result.right.map(topic => (topic._tag === "Topic" ? topic.partitions.length : topic.error.reason)).join()
      )
      assert.equal(yield* describe, "2")
      kafka.setPartitions("t", 5)
      assert.equal(yield* describe, "5")
      kafka.reachable(false)
      assert.equal(yield* describe, "CONNECTION_REFUSED")
      kafka.reachable(true)
      kafka.deleteTopic("t")
      assert.equal(yield* describe, "UNKNOWN_TOPIC_OR_PARTITION")
      assert.equal(kafka.calls.metadata, 4)
    })
  ))
