import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import type { Envelope } from "../../src/Envelope.ts"
import { type Placed, Placement } from "../../src/internal/placement.ts"
import * as MemoryKafka from "../../src/KafkaClient/Memory.ts"
import type { Service as Kafka } from "../../src/KafkaClient.ts"
import { envelopeOf } from "../support/batches.ts"

const place = (placement: Placement, ...envelopes: ReadonlyArray<Envelope>) =>
  Effect.runPromise(placement.place(envelopes))

const keyed = (rest: Partial<Envelope> = {}): Envelope => ({
  ...envelopeOf(Array.from({ length: 20 }, (_, i) => ({ key: `k${i}`, value: "v" }))),
  ...rest
})

const recordsOf = ({ homeless, placed }: Placed<Envelope>): number =>
  [...placed, ...homeless.map(([envelope]) => envelope)].reduce((sum, { recordCount }) => sum + recordCount, 0)

describe("placement", () => {
  it("keeps a partition chosen under the same count, or fixed by the caller", async () => {
    const placement = new Placement(MemoryKafka.make({ events: 4 }), "default", 1000)
    const same = keyed({ partition: 3, partitionCount: 4 })
    const fixed = keyed({ partition: 1, partitionCount: 2, partitionFixed: true })
    const { homeless, placed } = await place(placement, same, fixed)
    assert.deepEqual(homeless, [])
    assert.equal(placed.length, 2)
    assert.equal(placed[0], same)
    assert.equal(placed[1], fixed)
  })

  it("gives each record a partition where there was none or the topic has more by now", async () => {
    const placement = new Placement(MemoryKafka.make({ events: 4 }), "default", 1000)
    const found = await place(placement, keyed({ partition: -1, partitionCount: 0 }), keyed({ partitionCount: 2 }))
    assert.equal(recordsOf(found), 40)
    assert.deepEqual(Array.from(new Set(found.placed.map(({ partition }) => partition))).sort(), [0, 1, 2, 3])
    assert.ok(found.placed.every(({ partitionCount }) => partitionCount === 4))
  })

  it("asks about a topic once, and again when it is to be forgotten", async () => {
    const kafka = MemoryKafka.make({ events: 1 })
    const placement = new Placement(kafka, "default", 1000)
    await place(placement, keyed())
    await place(placement, keyed())
    assert.equal(kafka.calls.metadata, 1)
    kafka.setPartitions("events", 2)
    placement.forget("events")
    const { placed } = await place(placement, keyed())
    assert.equal(kafka.calls.metadata, 2)
    assert.ok(placed.every(({ partitionCount }) => partitionCount === 2))
  })

  it("loses no envelope of a topic that does not exist, or that Kafka's answer leaves out", async () => {
    const memory = MemoryKafka.make({ events: 1, silent: 1 })
    const kafka: Kafka = {
      ...memory,
      metadata: (topics, timeoutMs) =>
        Effect.map(memory.metadata(topics, timeoutMs), found => found.filter(({ topic }) => topic !== "silent"))
    }
    const placement = new Placement(kafka, "default", 1000)
    const found = await place(placement, keyed(), keyed({ topic: "gone" }), keyed({ topic: "silent" }))
    assert.deepEqual(
      found.homeless.map(([{ topic }, error]) => [topic, error?.reason]),
      [
        ["gone", "UNKNOWN_TOPIC_OR_PARTITION"],
        ["silent", undefined]
      ]
    )
    assert.equal(recordsOf(found), 60)
  })
})
