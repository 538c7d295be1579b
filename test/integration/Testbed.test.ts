import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { dirname } from "node:path"
import { after, before, describe, it } from "node:test"
import { readAllWithConsoleConsumer } from "../support/ConsoleReader.ts"
import { runKafkaTool } from "../support/Java.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"
import { probe } from "../support/MetadataProbe.ts"
import { headerText } from "../support/StoredRecord.ts"

const produce = async (cluster: Kafka.KafkaCluster, topic: string, values: ReadonlyArray<string | Buffer | null>) => {
  const producer = cluster.kafkaJs().producer()
  await producer.connect()
  try {
    const headers = { id: "header, with: \\ ünd\ttab" }
    await producer.send({
      topic,
      acks: -1,
      messages: values.map((value, index) => ({ key: index % 3 === 0 ? null : `key-${index}`, value, headers }))
    })
  } finally {
    await producer.disconnect()
  }
}

const comparable = (records: Awaited<ReturnType<typeof readAll>>) =>
  records.map(({ headers, key, offset, partition, timestamp, value }) => ({
    position: `${partition}/${offset}`,
    timestamp,
    key: key === null ? null : Buffer.from(key).toString("base64"),
    value: value === null ? null : Buffer.from(value).toString("base64"),
    headers: headers.map(([name, bytes]) => [name, bytes === null ? null : Buffer.from(bytes).toString("base64")])
  }))

describe("a real broker", () => {
  let cluster: Kafka.KafkaCluster
  let broker: Kafka.Broker
  before(async () => {
    cluster = await Kafka.start({ topics: [{ name: "events", partitions: 3, config: { "retention.ms": "-1" } }] })
    broker = cluster.broker(1)
  })
  after(() => cluster.stop())

  it("both readers find what was produced, byte for byte", async () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    await produce(cluster, "events", ["plain", every, null, "", "\\x41 \t\n", ...Array<string>(200).fill("more")])
    const mine = await readAll(cluster, "events")
    const theirs = await readAllWithConsoleConsumer(cluster, "events")
    assert.equal(mine.length, 205)
    assert.deepEqual(comparable(theirs), comparable(mine))
    assert.ok(mine.some(({ value }) => value !== null && every.equals(value)))
    assert.ok(mine.some(({ value }) => value === null))
    for (const record of mine) assert.equal(headerText(record, "id"), "header, with: \\ ünd\ttab")
  })

  it("an empty topic reads as empty; topics change everywhere before the call returns", async () => {
    await cluster.createTopic("empty")
    assert.deepEqual(await readAll(cluster, "empty"), [])
    assert.deepEqual(await readAllWithConsoleConsumer(cluster, "empty"), [])
    await cluster.addPartitions("empty", 4)
    assert.equal((await cluster.describeTopic("empty")).partitions.length, 4)
    assert.equal((await cluster.leaderOf("empty", 3)).id, broker.id)
    await cluster.deleteTopic("empty")
    await assert.rejects(cluster.describeTopic("empty"), /Kafka error 3/)
    await assert.rejects(cluster.createTopic("events"), /exists already/)
  })

  it("frozen, it accepts connections and answers nothing; resumed, it goes on", async () => {
    broker.freeze()
    assert.equal(broker.live, false)
    await assert.rejects(probe(broker, [], 500), /did not answer in time/)
    broker.resume()
    await broker.ready()
    assert.equal(broker.live, true)
  })

  it("killed and restarted, it is another process at the same address with the same records", async () => {
    const before = broker.pid
    const records = comparable(await readAll(cluster, "events"))
    await broker.kill()
    assert.equal(broker.pid, undefined)
    await assert.rejects(probe(broker), /ECONNREFUSED|refused|closed/i)
    await broker.restart()
    assert.notEqual(broker.pid, before)
    assert.deepEqual(comparable(await readAll(cluster, "events")), records)
    await broker.restart()
    assert.equal(
      (await cluster.offsets("events")).reduce((sum, { high }) => sum + high, 0n),
      205n
    )
  })

  it("Kafka's own tools run, and their failure is told", async () => {
    const bootstrap = cluster.bootstrap.join(",")
    const topics = await runKafkaTool("org.apache.kafka.tools.TopicCommand", [
      "--bootstrap-server",
      bootstrap,
      "--list"
    ])
    assert.match(topics.stdout, /^events$/m)
    await assert.rejects(runKafkaTool("org.apache.kafka.tools.TopicCommand", ["--nonsense"]), /nonsense/)
  })
})

it("stopping a cluster ends its process and deletes its data", async () => {
  const cluster = await Kafka.start()
  const broker = cluster.broker(1)
  broker.freeze()
  await cluster.stop()
  assert.equal(broker.pid, undefined)
  assert.equal(existsSync(dirname(broker.logFile)), false)
})
