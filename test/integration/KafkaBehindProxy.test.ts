import assert from "node:assert/strict"
import { after, before, beforeEach, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as KafkaJs from "../../src/KafkaClient/KafkaJs.ts"
import type { ProduceBatch, ProduceOutcome, Service } from "../../src/KafkaClient.ts"
import type { TcpProxy } from "../../src/testing/TcpProxy.ts"
import { batchOf } from "../support/batches.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"

const topics = ["lost", "retried", "cut", "hung"]
const timeoutMs = 3000

const batch = (topic: string, value: string): ProduceBatch => ({
  topic,
  partition: 0,
  recordCount: 1,
  bytes: batchOf([{ key: "k", value }]),
  idempotent: true
})

const inWords = (outcome: ProduceOutcome | undefined): string =>
  outcome === undefined
    ? "none"
    : outcome._tag === "Delivered"
      ? `delivered at ${outcome.baseOffset}`
      : outcome.error.class

/** Tries until it is: a broker that has just started, or a connection that was broken, may cost an attempt. */
const delivered = (client: Service, one: ProduceBatch) =>
  Effect.gen(function* () {
    let outcome: ProduceOutcome | undefined
    for (let tries = 0; tries < 20 && outcome?._tag !== "Delivered"; tries++) {
      if (tries > 0) yield* Effect.sleep(100)
      yield* Effect.ignore(client.metadata([one.topic], timeoutMs))
      outcome = (yield* client.produce([one], timeoutMs))[0]
    }
    return outcome
  })

describe("a real broker behind TcpProxy", () => {
  let cluster: Kafka.KafkaCluster
  let proxy: TcpProxy
  before(async () => {
    cluster = await Kafka.start({ proxied: true, topics: topics.map(name => ({ name })) })
    const [only] = cluster.proxies
    assert.ok(only !== undefined)
    proxy = only
  })
  beforeEach(() => proxy.set({ _tag: "Pass" }))
  after(() => cluster.stop())

  /** A client that has delivered to the topic once, so that its identity and metadata are there. */
  const use = (topic: string, work: (client: Service) => Effect.Effect<void>): Promise<void> =>
    Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const client = yield* KafkaJs.make({
            brokers: cluster.secure?.bootstrap ?? [],
            clientId: "behind-proxy",
            connectionTimeoutMs: 2000,
            requestTimeoutMs: 2000,
            idempotent: true
          })
          yield* client.metadata([topic], timeoutMs)
          assert.equal(inWords(yield* delivered(client, batch(topic, "first"))), "delivered at 0")
          yield* work(client)
        }).pipe(Effect.orDie)
      )
    )
  const valuesIn = async (topic: string) =>
    (await readAll(cluster, topic)).map(({ value }) => Buffer.from(value ?? []).toString())
  const set = (fault: Parameters<TcpProxy["set"]>[0]) => Effect.promise(() => proxy.set(fault))

  it("swallows the acknowledgement: the record is in Kafka, and the client reports Unknown", async () => {
    await use("lost", client =>
      Effect.gen(function* () {
        const { lostAcks } = proxy.counters
        yield* set({ _tag: "LoseAck", of: "produce" })
        const [outcome] = yield* client.produce([batch("lost", "unknown")], timeoutMs)
        assert.equal(inWords(outcome), "Unknown")
        assert.equal(proxy.counters.lostAcks, lostAcks + 1)
      })
    )
    assert.deepEqual(await valuesIn("lost"), ["first", "unknown"])
  })

  it("an idempotent retry after a swallowed acknowledgement makes no duplicate", async () => {
    await use("retried", client =>
      Effect.gen(function* () {
        const second = batch("retried", "second")
        yield* set({ _tag: "LoseAck", of: "produce" })
        assert.equal(inWords((yield* client.produce([second], timeoutMs))[0]), "Unknown")
        yield* set({ _tag: "Pass" })
        assert.equal(inWords(yield* delivered(client, second)), "delivered at 1")
      })
    )
    assert.deepEqual(await valuesIn("retried"), ["first", "second"])
  })

  it("a reset in the middle of the answer is Unknown too", async () => {
    await use("cut", client =>
      Effect.gen(function* () {
        yield* set({ _tag: "ResetMidResponse" })
        assert.equal(inWords((yield* client.produce([batch("cut", "second")], timeoutMs))[0]), "Unknown")
      })
    )
    assert.deepEqual(await valuesIn("cut"), ["first", "second"])
  })

  it("a hang ends at the attempt's deadline as Unknown, and the record is not in Kafka", async () => {
    await use("hung", client =>
      Effect.gen(function* () {
        yield* set({ _tag: "Hang" })
        assert.equal(inWords((yield* client.produce([batch("hung", "second")], 500))[0]), "Unknown")
        yield* set({ _tag: "Pass" })
      })
    )
    assert.deepEqual(await valuesIn("hung"), ["first"])
  })
})
