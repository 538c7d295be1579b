import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as KafkaJs from "../../src/KafkaClient/KafkaJs.ts"
import type { Service as KafkaService, ProduceBatch, ProduceOutcome } from "../../src/KafkaClient.ts"
import { batchOf } from "../support/batches.ts"
import { eventually } from "../support/eventually.ts"
import * as FakeBroker from "../support/FakeBroker.ts"

const batch = (partition: number): ProduceBatch => ({
  topic: "t",
  partition,
  recordCount: 1,
  bytes: batchOf([{ key: "k", value: "v" }]),
  idempotent: true
})

const largeBatch = (partition: number): ProduceBatch => ({
  ...batch(partition),
  bytes: batchOf([{ key: "k", value: new Uint8Array(6 * 1024 * 1024) }])
})

const connect = ({ address }: FakeBroker.FakeBroker, idempotent = true) =>
  KafkaJs.make({
    brokers: [address],
    clientId: "test",
    connectionTimeoutMs: 1000,
    requestTimeoutMs: 1000,
    idempotent
  })

const summary = (outcome: ProduceOutcome): string =>
  outcome._tag === "Delivered" ? `delivered at ${outcome.baseOffset}` : `${outcome.error.class} ${outcome.error.reason}`

const withClient = async <A>(
  answer: FakeBroker.FakeBrokerOptions["answer"],
  use: (client: KafkaService) => Effect.Effect<A>,
  idempotent = true
): Promise<A> => {
  const broker = await FakeBroker.start({ topic: "t", partitions: 2, answer })
  try {
    return await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const client = yield* connect(broker, idempotent)
          return yield* use(client)
        })
      )
    )
  } finally {
    await broker.stop()
  }
}

/** One attempt with a batch for each of two partitions, and the same batches once more. */
const produceTwice = (
  answer: FakeBroker.FakeBrokerOptions["answer"],
  timeoutMs = 2000
): Promise<ReadonlyArray<ReadonlyArray<string>>> =>
  withClient(answer, client =>
    Effect.gen(function* () {
      const batches = [batch(0), batch(1)]
      const first = yield* client.produce(batches, timeoutMs)
      const second = yield* client.produce(batches, timeoutMs)
      return [first.map(summary), second.map(summary)]
    })
  )

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

  // A leader that loses its place while the replicas have not confirmed answers so; the new one may have the batch.
  const appended: FakeBroker.FakeBrokerOptions["answer"] = attempt =>
    attempt === 0
      ? [
          [0, 6, 40n],
          [1, 6]
        ]
      : [
          [0, 0],
          [1, 0]
        ]

  it("sends what is sent from within such an end over the new connection, too", async () => {
    const second = await withClient(
      attempt => (attempt === 0 ? undefined : [[0, 0]]),
      client =>
        Effect.async<ReadonlyArray<ProduceOutcome>>(resume => {
          const again = [batch(0)]
          client.send?.([batch(0)], 300, () => client.send?.(again, 2000, outcomes => resume(Effect.succeed(outcomes))))
        })
    )
    assert.deepEqual(second.map(summary), ["delivered at 40"])
  })

  it("takes a refusal with an offset as unknown: the leader had written the batch", async () => {
    for (const idempotent of [true, false]) {
      const outcomes = await withClient(appended, client => client.produce([batch(0), batch(1)], 2000), idempotent)
      assert.deepEqual(outcomes.map(summary), ["Unknown NOT_LEADER_OR_FOLLOWER", "Availability NOT_LEADER_OR_FOLLOWER"])
      const retryable = outcomes.map(outcome => outcome._tag === "Failed" && outcome.error.retryable)
      assert.deepEqual(retryable, [idempotent, true])
    }
  })

  it("gives the next batch no sequences that may be written already: it would pass for a copy and be lost", async () => {
    const [given, next] = await withClient(appended, client =>
      Effect.gen(function* () {
        const first = [batch(0), batch(1)]
        yield* client.produce(first, 2000)
        const stamps = first.map(({ stamp }) => stamp)
        const second = [batch(0), batch(1)]
        yield* client.produce(second, 2000)
        return [stamps, second.map(({ stamp }) => stamp)] as const
      })
    )
    assert.deepEqual(given, [{ producerId: 7n, epoch: 0, sequence: 0 }, undefined])
    assert.deepEqual(next, [
      { producerId: 7n, epoch: 1, sequence: 0 },
      { producerId: 7n, epoch: 0, sequence: 0 }
    ])
  })

  it("sends nothing of a batch whose time is over before the bytes could leave", async () => {
    const broker = await FakeBroker.start({ topic: "t", partitions: 2, answer: () => [[0, 0]] })
    try {
      const outcomes = await Effect.gen(function* () {
        const client = yield* connect(broker)
        const over = { ...batch(0), settled: false }
        const bytes = Buffer.from(over.bytes)
        const attempt = client.produce([over], 2000)
        const fiber = yield* Effect.fork(attempt)
        yield* Effect.yieldNow()
        // Metadata, an id and a connection are still on their way.
        over.settled = true
        const outcomes = yield* Fiber.join(fiber)
        assert.ok(bytes.equals(over.bytes))
        return outcomes
      }).pipe(Effect.scoped, Effect.runPromise)
      assert.deepEqual(outcomes.map(summary), ["Availability ATTEMPT_TIMEOUT"])
      assert.equal(broker.produced(), 0)
    } finally {
      await broker.stop()
    }
  })

  it("leaves alone what has become another's while the broker had it wait for its turn", async () => {
    const broker = await FakeBroker.start({ topic: "t", partitions: 2, answer: () => undefined, throttleMs: 200 })
    try {
      const outcomes = await Effect.gen(function* () {
        const client = yield* connect(broker)
        // No answer: the next attempt has a new connection.
        yield* client.produce([batch(0)], 500)
        let asked = 0
        const over = {
          ...batch(1),
          get settled() {
            return asked++ > 0
          }
        }
        const bytes = Buffer.from(over.bytes)
        const outcomes = yield* client.produce([over], 2000)
        assert.ok(bytes.equals(over.bytes))
        return outcomes
      }).pipe(Effect.scoped, Effect.runPromise)
      assert.deepEqual(outcomes.map(summary), ["Availability ATTEMPT_TIMEOUT"])
      assert.equal(broker.produced(), 1)
    } finally {
      await broker.stop()
    }
  })

  it("has small batches acknowledged while a large one is still on its way, also one of the same call", async () => {
    const begun = Effect.unsafeMakeLatch()
    const rest = Effect.unsafeMakeLatch()
    const broker = await FakeBroker.start({
      topic: "t",
      partitions: 2,
      answer: attempt => [[attempt === 2 ? 1 : 0, 0]],
      stall: { above: 1024 * 1024, begun: () => begun.unsafeOpen(), until: Effect.runPromise(rest.await) }
    })
    try {
      await Effect.gen(function* () {
        const client = yield* connect(broker)
        const large = largeBatch(1)
        const first = batch(0)
        const both = yield* Effect.fork(client.produce([first, large], 10_000))
        yield* begun.await
        // One batch of a partition at a time.
        yield* Effect.promise(() => eventually("the first", 5000, () => (broker.produced() > 0 ? true : undefined)))
        assert.equal(client.occupied?.("t", 1), true)
        assert.equal(client.occupied?.("t", 0), false)
        assert.deepEqual((yield* client.produce([batch(0)], 2000)).map(summary), ["delivered at 40"])
        assert.equal(broker.produced(), 2)
        rest.unsafeOpen()
        assert.deepEqual((yield* Fiber.join(both)).map(summary), ["delivered at 40", "delivered at 40"])
        assert.equal(client.occupied?.("t", 1), false)
      }).pipe(Effect.scoped, Effect.runPromise)
    } finally {
      rest.unsafeOpen()
      await broker.stop()
    }
  })

  it("sends a large batch over the first connection where the broker takes no second", async () => {
    const broker = await FakeBroker.start({ topic: "t", partitions: 2, answer: () => [[0, 0]], connections: 1 })
    try {
      await Effect.gen(function* () {
        const client = yield* connect(broker)
        const large = largeBatch(0)
        assert.deepEqual((yield* client.produce([large], 5000)).map(summary), ["delivered at 40"])
        assert.equal(client.occupied?.("t", 0), false)
      }).pipe(Effect.scoped, Effect.runPromise)
    } finally {
      await broker.stop()
    }
  })

  it("gives up the second connection, when it does nothing, for a first one that was lost", async () => {
    const answer = (attempt: number) => (attempt === 0 ? undefined : ([[0, 0]] as const))
    const broker = await FakeBroker.start({ topic: "t", partitions: 2, answer, connections: 1 })
    try {
      await Effect.gen(function* () {
        const client = yield* connect(broker)
        const large = largeBatch(0)
        const sent = async (what: ReturnType<typeof batch>, timeoutMs: number) =>
          (await Effect.runPromise(client.produce([what], timeoutMs))).map(summary)[0]
        // The broker may not have seen yet that the last connection is closed.
        const delivered = (what: ReturnType<typeof batch>) =>
          Effect.promise(() =>
            eventually("a delivery", 5000, async () =>
              (await sent(what, 3000)) === "delivered at 40" ? true : undefined
            )
          )
        assert.notEqual(yield* Effect.promise(() => sent(batch(0), 200)), "delivered at 40")
        yield* delivered(large)
        yield* delivered(batch(0))
        yield* delivered(large)
      }).pipe(Effect.scoped, Effect.runPromise)
    } finally {
      await broker.stop()
    }
  })
})
