import assert from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as KafkaJs from "../../src/KafkaClient/KafkaJs.ts"
import type { KafkaError, ProduceBatch, ProduceOutcome, Service, TopicMetadata } from "../../src/KafkaClient.ts"
import type { Compression } from "../../src/RecordBatch.ts"
import { batchOf, compressed } from "../support/batches.ts"
import { readAllWithConsoleConsumer } from "../support/ConsoleReader.ts"
import { eventually } from "../support/eventually.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"

const batch = (
  topic: string,
  partition: number,
  values: ReadonlyArray<string | Buffer>,
  idempotent = true
): ProduceBatch => ({
  topic,
  partition,
  recordCount: values.length,
  bytes: batchOf(values.map(value => ({ key: "k", value }))),
  idempotent
})

const withClient = <A, E>(
  brokers: ReadonlyArray<string>,
  use: (client: Service) => Effect.Effect<A, E, Scope.Scope>,
  options: Partial<KafkaJs.Options> = {}
): Promise<A> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(
        KafkaJs.make({
          brokers,
          clientId: "spillway-test",
          connectionTimeoutMs: 2_000,
          requestTimeoutMs: 5_000,
          idempotent: true,
          ...options
        }),
        use
      )
    )
  )

const summary = (outcome: ProduceOutcome | undefined): string =>
  outcome === undefined
    ? "none"
    : outcome._tag === "Delivered"
      ? `delivered at ${outcome.baseOffset}`
      : `${outcome.error.class} ${outcome.error.reason}`

const errorOf = (outcome: ProduceOutcome | undefined): KafkaError => {
  if (outcome?._tag !== "Failed") throw new Error(`expected a failure, got ${summary(outcome)}`)
  return outcome.error
}

const valuesIn = async (cluster: Kafka.KafkaCluster, topic: string): Promise<ReadonlyArray<string>> =>
  (await readAll(cluster, topic)).map(({ partition, value }) => `${partition}:${Buffer.from(value ?? []).toString()}`)

/** Warnings of the process while `use` runs: kafkajs 2.2.4's throttle timer is known for them. */
const warningsDuring = async (use: () => Promise<void>): Promise<ReadonlyArray<string>> => {
  const warnings: Array<string> = []
  const listen = (warning: Error) => warnings.push(warning.name)
  process.on("warning", listen)
  const timeouts: Array<unknown> = []
  const original = globalThis.setTimeout
  const watched = new Proxy(original, {
    apply: (target, self, args: ReadonlyArray<unknown>) => {
      if (typeof args[1] === "number" && args[1] < 0) timeouts.push(args[1])
      return Reflect.apply(target, self, args)
    }
  })
  globalThis.setTimeout = watched
  try {
    await use()
  } finally {
    globalThis.setTimeout = original
    process.off("warning", listen)
  }
  return [...warnings, ...timeouts.map(ms => `timeout of ${String(ms)} ms`)]
}

/** A broker that has just started answers COORDINATOR_LOAD_IN_PROGRESS to the first request for a producer id. */
const warmUp = (cluster: Kafka.KafkaCluster): Promise<void> =>
  withClient(cluster.bootstrap, client =>
    Effect.promise(async () => {
      const sent = batch("warm", 0, ["x"])
      await eventually("a first delivery", 30_000, async () => {
        const [outcome] = await Effect.runPromise(client.produce([sent], 2_000))
        return outcome?._tag === "Delivered" ? true : undefined
      })
    })
  )

describe("one broker", () => {
  let cluster: Kafka.KafkaCluster
  before(async () => {
    cluster = await Kafka.start({
      topics: [
        { name: "events", partitions: 3 },
        { name: "mixed", partitions: 2 },
        { name: "compressed", partitions: 4 },
        { name: "small", config: { "max.message.bytes": "2000" } },
        { name: "retried" },
        { name: "frozen" },
        { name: "warm" }
      ]
    })
    await warmUp(cluster)
  })
  after(() => cluster.stop())

  it("writes to several partitions in one call, each with its own offset, and warns of nothing", async () => {
    const warnings = await warningsDuring(async () => {
      const outcomes = await withClient(cluster.bootstrap, client =>
        Effect.gen(function* () {
          const first = yield* client.produce(
            [batch("events", 0, ["a", "b"]), batch("events", 2, ["c"]), batch("events", 1, ["d"], false)],
            5_000
          )
          const second = yield* client.produce([batch("events", 2, ["e"]), batch("events", 0, ["f"])], 5_000)
          return [...first, ...second].map(summary)
        })
      )
      assert.deepEqual(outcomes, [
        "delivered at 0",
        "delivered at 0",
        "delivered at 0",
        "delivered at 1",
        "delivered at 2"
      ])
    })
    assert.deepEqual(warnings, [])
    assert.deepEqual(await valuesIn(cluster, "events"), ["0:a", "0:b", "0:f", "1:d", "2:c", "2:e"])
  })

  it("compresses with every codec so that the broker takes it and Java's consumer reads it", async () => {
    const codecs: ReadonlyArray<Compression> = ["gzip", "snappy", "lz4", "zstd"]
    const values = Array.from({ length: 3000 }, (_, index) => `{"n":${index},"note":"one like the other"}`)
    const batches = await Promise.all(
      codecs.map(async (codec, partition) => {
        const plain = batch("compressed", partition, values)
        return { ...plain, bytes: await compressed(Buffer.from(plain.bytes), codec) }
      })
    )
    const outcomes = await withClient(cluster.bootstrap, client => client.produce(batches, 10_000))
    assert.deepEqual(
      outcomes.map(summary),
      codecs.map(() => "delivered at 0")
    )
    const read = await readAllWithConsoleConsumer(cluster, "compressed")
    assert.deepEqual(
      read.map(({ partition, value }) => `${partition}:${Buffer.from(value ?? []).toString()}`),
      codecs.flatMap((_, partition) => values.map(value => `${partition}:${value}`))
    )
  })

  it("an unknown partition or topic among good ones fails alone", async () => {
    const outcomes = await withClient(cluster.bootstrap, client =>
      client.produce(
        [batch("mixed", 0, ["a"]), batch("mixed", 7, ["lost"]), batch("absent", 0, ["lost"]), batch("mixed", 1, ["b"])],
        5_000
      )
    )
    assert.deepEqual(outcomes.map(summary), [
      "delivered at 0",
      "Permanent UNKNOWN_TOPIC_OR_PARTITION",
      "Permanent UNKNOWN_TOPIC_OR_PARTITION",
      "delivered at 0"
    ])
    assert.deepEqual(await valuesIn(cluster, "mixed"), ["0:a", "1:b"])
  })

  it("metadata names partitions and leaders, and tells which topic is unknown", async () => {
    const topics = await withClient(cluster.bootstrap, client => client.metadata(["mixed", "absent"], 5_000))
    const of = (name: string): TopicMetadata | undefined => topics.find(({ topic }) => topic === name)
    const mixed = of("mixed")
    assert.equal(mixed?._tag, "Topic")
    if (mixed?._tag === "Topic") {
      assert.deepEqual(
        mixed.partitions.map(({ inSyncReplicas, leader, partition }) => [partition, leader, ...inSyncReplicas]).sort(),
        [
          [0, 1, 1],
          [1, 1, 1]
        ]
      )
    }
    const absent = of("absent")
    assert.equal(absent?._tag === "TopicFailed" ? absent.error.reason : absent?._tag, "UNKNOWN_TOPIC_OR_PARTITION")
  })

  it("a batch too large is the record's fault; its sequences are free for the next one", async () => {
    const outcomes = await withClient(cluster.bootstrap, client =>
      Effect.gen(function* () {
        const [good] = yield* client.produce([batch("small", 0, ["fits"])], 5_000)
        const [large] = yield* client.produce([batch("small", 0, [Buffer.alloc(5_000)])], 5_000)
        const [next] = yield* client.produce([batch("small", 0, ["fits, too"])], 5_000)
        return [summary(good), summary(large), String(errorOf(large).retryable), summary(next)]
      })
    )
    assert.deepEqual(outcomes, ["delivered at 0", "Permanent MESSAGE_TOO_LARGE", "false", "delivered at 1"])
  })

  it("the same batch again is recognised; the same records in another batch are not", async () => {
    const offsets = await withClient(cluster.bootstrap, client =>
      Effect.gen(function* () {
        const one = batch("retried", 0, ["once"])
        const other = batch("retried", 0, ["once"])
        const found: Array<string> = []
        for (const sent of [one, one, one, other]) found.push(...(yield* client.produce([sent], 5_000)).map(summary))
        return found
      })
    )
    assert.deepEqual(offsets, ["delivered at 0", "delivered at 0", "delivered at 0", "delivered at 1"])
    assert.deepEqual(await valuesIn(cluster, "retried"), ["0:once", "0:once"])
  })

  it("a frozen broker ends the attempt in time as unknown; resumed, the retry does not duplicate", async () => {
    const broker = cluster.broker(1)
    await withClient(cluster.bootstrap, client =>
      Effect.gen(function* () {
        yield* client.produce([batch("frozen", 0, ["before"])], 5_000)
        const caught = batch("frozen", 0, ["caught"])
        broker.freeze()
        try {
          const error = errorOf((yield* client.produce([caught], 500))[0])
          assert.deepEqual([error.class, error.reason, error.retryable], ["Unknown", "ATTEMPT_TIMEOUT", true])
          assert.equal(caught.maybeWritten, true)
          // Nothing left for a connection that is still being made: certainly not written.
          const later = errorOf((yield* client.produce([batch("frozen", 0, ["later"])], 500))[0])
          assert.deepEqual([later.class, later.reason], ["Availability", "ATTEMPT_TIMEOUT"])
          const failed = yield* Effect.flip(client.metadata(["frozen"], 500))
          assert.equal(failed.class, "Availability")
        } finally {
          broker.resume()
        }
        yield* Effect.promise(() => broker.ready())
        yield* Effect.promise(() =>
          eventually("delivery after the freeze", 10_000, async () => {
            const [outcome] = await Effect.runPromise(client.produce([caught], 1_000))
            return outcome?._tag === "Delivered" ? true : undefined
          })
        )
        assert.equal(summary((yield* client.produce([batch("frozen", 0, ["after"])], 5_000))[0]), "delivered at 2")
        assert.equal((yield* client.metadata(["frozen"], 5_000)).length, 1)
      })
    )
    assert.deepEqual(await valuesIn(cluster, "frozen"), ["0:before", "0:caught", "0:after"])
  })
})

describe("no broker", () => {
  it("all seeds refusing is an availability error at once, for produce and for metadata", async () => {
    await withClient(["127.0.0.1:1", "127.0.0.1:2"], client =>
      Effect.gen(function* () {
        const outcomes = yield* client.produce([batch("a", 0, ["x"]), batch("b", 1, ["y"])], 60_000)
        assert.deepEqual(outcomes.map(summary), ["Availability CONNECTION_REFUSED", "Availability CONNECTION_REFUSED"])
        assert.equal(errorOf(outcomes[0]).retryable, true)
        const error = yield* Effect.flip(client.metadata(["a"], 60_000))
        assert.deepEqual([error.class, error.reason, error.retryable], ["Availability", "CONNECTION_REFUSED", true])
      })
    )
  })
})

describe("three brokers", () => {
  let cluster: Kafka.KafkaCluster
  before(async () => {
    cluster = await Kafka.start({ brokers: 3, topics: [{ name: "events", partitions: 3 }, { name: "warm" }] })
    await warmUp(cluster)
  })
  after(() => cluster.stop())

  it("a leader that shuts down costs a retry with fresh metadata, no record and no copy", async () => {
    const partitions = [0, 1, 2]
    const leader = await cluster.leaderOf("events", 0)
    let retries = 0
    await withClient(cluster.bootstrap, client =>
      Effect.gen(function* () {
        const send = (sent: ProduceBatch) =>
          Effect.promise(() =>
            eventually(`delivery to partition ${sent.partition}`, 20_000, async () => {
              const [outcome] = await Effect.runPromise(client.produce([sent], 1_000))
              if (outcome?._tag === "Delivered") return outcome
              retries++
              assert.equal(errorOf(outcome).retryable, true, summary(outcome))
              await Effect.runPromise(Effect.ignore(client.metadata(["events"], 1_000)))
              return undefined
            })
          )
        for (const partition of partitions) yield* send(batch("events", partition, ["before"]))
        const gone = leader.shutdown()
        for (let round = 0; round < 20; round++) {
          for (const partition of partitions) yield* send(batch("events", partition, [`during ${round}`]))
        }
        assert.equal(yield* Effect.promise(() => gone), true)
        for (const partition of partitions) yield* send(batch("events", partition, ["after"]))
        assert.ok(retries > 0)
        const [topic] = yield* client.metadata(["events"], 5_000)
        assert.ok(topic?._tag === "Topic" && topic.partitions.every(one => one.leader > 0 && one.leader !== leader.id))
      })
    )
    const expected = partitions.flatMap(partition => [
      `${partition}:before`,
      ...Array.from({ length: 20 }, (_, round) => `${partition}:during ${round}`),
      `${partition}:after`
    ])
    assert.deepEqual(await valuesIn(cluster, "events"), expected)
  })
})
