import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as KafkaJs from "../../src/KafkaClient/KafkaJs.ts"
import type { ProduceBatch, ProduceOutcome } from "../../src/KafkaClient.ts"
import { batchOf } from "../support/batches.ts"
import * as FakeBroker from "../support/FakeBroker.ts"

const batch = (partition: number): ProduceBatch => ({
  topic: "t",
  partition,
  recordCount: 1,
  bytes: batchOf([{ key: "k", value: "v" }]),
  idempotent: true
})

const summary = (outcome: ProduceOutcome): string =>
  outcome._tag === "Delivered" ? `delivered at ${outcome.baseOffset}` : `${outcome.error.class} ${outcome.error.reason}`

/** One attempt with a batch for each of two partitions, and the same batches once more. */
const produceTwice = async (
  answer: FakeBroker.FakeBrokerOptions["answer"],
  timeoutMs = 2000
): Promise<ReadonlyArray<ReadonlyArray<string>>> => {
  const broker = await FakeBroker.start({ topic: "t", partitions: 2, answer })
  try {
    return await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const client = yield* KafkaJs.make({
            brokers: [broker.address],
            clientId: "test",
            connectionTimeoutMs: 1000,
            requestTimeoutMs: 1000,
            idempotent: true
          })
          const batches = [batch(0), batch(1)]
          const first = yield* client.produce(batches, timeoutMs)
          const second = yield* client.produce(batches, timeoutMs)
          return [first.map(summary), second.map(summary)]
        })
      )
    )
  } finally {
    await broker.stop()
  }
}

describe("KafkaJs and a broker that answers oddly", () => {
  it("takes a partition the answer leaves out as unknown, not as a success (metadata coverage)", async () => {
    assert.deepEqual(
      await produceTwice(attempt =>
        attempt === 0
          ? [[0, 0]]
          : [
              [0, 0],
              [1, 0]
            ]
      ),
      [
        ["delivered at 40", "Unknown PARTITION_UNANSWERED"],
        ["delivered at 40", "delivered at 40"]
      ]
    )
  })

  it("takes the answer of a partition it did not ask for as nobody's", async () => {
    const [first] = await produceTwice(() => [
      [5, 0],
      [0, 0]
    ])
    assert.deepEqual(first, ["delivered at 40", "Unknown PARTITION_UNANSWERED"])
  })

  it("ends an attempt that gets no answer in time, unknown, and goes on over a new connection", async () => {
    assert.deepEqual(
      await produceTwice(
        attempt =>
          attempt === 0
            ? undefined
            : [
                [0, 0],
                [1, 0]
              ],
        300
      ),
      [
        ["Unknown ATTEMPT_TIMEOUT", "Unknown ATTEMPT_TIMEOUT"],
        ["delivered at 40", "delivered at 40"]
      ]
    )
  })
})
