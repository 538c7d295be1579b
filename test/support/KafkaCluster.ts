/**
 * A running test cluster: its brokers, and the administration tests need. Every change is waited for on every live
 * broker, so that a client may ask any of them right after.
 */
import { type Admin, Kafka as KafkaJs, logLevel } from "kafkajs"
import type { TcpProxy } from "../../src/testing/TcpProxy.ts"
import type { Broker } from "./Broker.ts"
import { eventually } from "./eventually.ts"
import { deleteDirectory } from "./Guard.ts"
import type { Security } from "./KafkaProperties.ts"
import { type ProbedCluster, type ProbedTopic, probe } from "./MetadataProbe.ts"

export interface TopicSpec {
  readonly name: string
  /** 1 by default. */
  readonly partitions?: number
  /** The number of brokers by default. */
  readonly replicationFactor?: number
  /** Topic configuration, for example `min.insync.replicas`. */
  readonly config?: Readonly<Record<string, string>>
}

/** How to reach the second listener. */
export interface SecureAccess {
  readonly bootstrap: ReadonlyArray<string>
  readonly sasl: Security["sasl"] | undefined
  /** PEM certificate to trust, with TLS. */
  readonly ca: string | undefined
}

/** Offsets of one partition: the first record, and one past the last. */
export interface PartitionRange {
  readonly partition: number
  readonly low: bigint
  readonly high: bigint
}

const unknownTopic = 3

export class KafkaCluster {
  readonly brokers: ReadonlyArray<Broker>
  /** `host:port` of every broker's PLAINTEXT listener. */
  readonly bootstrap: ReadonlyArray<string>
  /** The second listener, when `security` was asked for. */
  readonly secure: SecureAccess | undefined
  /** With `proxied`: what stands in front of each broker's second listener, in the order of `brokers`. */
  readonly proxies: ReadonlyArray<TcpProxy>
  readonly #directory: string

  constructor(
    brokers: ReadonlyArray<Broker>,
    directory: string,
    secure: SecureAccess | undefined,
    proxies: ReadonlyArray<TcpProxy>
  ) {
    this.brokers = brokers
    this.bootstrap = brokers.map(({ address }) => address)
    this.secure = secure
    this.proxies = proxies
    this.#directory = directory
  }

  /** The broker with this `node.id`. */
  broker(id: number): Broker {
    const found = this.brokers.find(broker => broker.id === id)
    if (found === undefined) throw new Error(`no broker ${id} in this cluster`)
    return found
  }

  /** The broker that leads a partition now. */
  async leaderOf(topic: string, partition: number): Promise<Broker> {
    const found = (await this.describeTopic(topic)).partitions.find(entry => entry.partition === partition)
    if (found === undefined) throw new Error(`${topic} has no partition ${partition}`)
    return this.broker(found.leader)
  }

  /** The topic as a live broker knows it; fails when it knows no such topic. */
  async describeTopic(name: string): Promise<ProbedTopic> {
    const found = (await this.#ask([name])).topics.find(topic => topic.name === name)
    if (found === undefined || found.errorCode !== 0) throw new Error(`${name}: Kafka error ${found?.errorCode}`)
    return { ...found, partitions: [...found.partitions].sort((a, b) => a.partition - b.partition) }
  }

  async createTopic(name: string, spec: Omit<TopicSpec, "name"> = {}): Promise<void> {
    const { config = {}, partitions = 1, replicationFactor = this.brokers.length } = spec
    const configEntries = Object.entries(config).map(([key, value]) => ({ name: key, value }))
    const topics = [{ topic: name, numPartitions: partitions, replicationFactor, configEntries }]
    const created = await this.admin(admin => admin.createTopics({ topics, waitForLeaders: false }))
    if (!created) throw new Error(`topic ${name} exists already`)
    await this.#everywhere(`topic ${name}`, name, topic => isServed(topic, partitions, replicationFactor))
    await this.offsets(name)
  }

  /** Raises the number of partitions to `total`. */
  async addPartitions(name: string, total: number): Promise<void> {
    await this.admin(admin => admin.createPartitions({ topicPartitions: [{ topic: name, count: total }] }))
    await this.#everywhere(`${total} partitions of ${name}`, name, topic => isServed(topic, total, 1))
    await this.offsets(name)
  }

  async deleteTopic(name: string): Promise<void> {
    await this.admin(admin => admin.deleteTopics({ topics: [name] }))
    await this.#everywhere(`deletion of ${name}`, name, topic => topic.errorCode === unknownTopic)
  }

  /**
   * First and end offset of every partition, from their leaders themselves: a broker names itself leader in its metadata
   * a moment before it acts as one, also when it has just been restarted.
   */
  async offsets(topic: string): Promise<ReadonlyArray<PartitionRange>> {
    const ask = () => this.admin(admin => admin.fetchTopicOffsets(topic))
    const found = await eventually(`leaders of ${topic}`, 30_000, ask)
    return found
      .map(({ high, low, partition }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
      .sort((a, b) => a.partition - b.partition)
  }

  /** Resolves when every replica of the topic is in sync and every partition has its leader. */
  async inSync(name: string): Promise<void> {
    const whole = ({ inSyncReplicas, leader, replicas }: ProbedTopic["partitions"][number]) =>
      leader > 0 && inSyncReplicas.length === replicas.length
    await this.#everywhere(`replicas of ${name} in sync`, name, topic => topic.partitions.every(whole))
  }

  /** Runs `use` with a connected kafkajs admin of its own. */
  async admin<A>(use: (admin: Admin) => Promise<A>): Promise<A> {
    const admin = this.kafkaJs().admin()
    await admin.connect()
    try {
      return await use(admin)
    } finally {
      await admin.disconnect()
    }
  }

  /** A kafkajs client of the live brokers, for what this class does not do. */
  kafkaJs(): KafkaJs {
    const live = this.brokers.filter(broker => broker.live).map(({ address }) => address)
    return new KafkaJs({
      clientId: "spillway-testbed",
      brokers: live,
      logLevel: logLevel.NOTHING,
      connectionTimeout: 2_000,
      requestTimeout: 15_000,
      retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 10 }
    })
  }

  /** Resolves when every live broker counts all live brokers as alive. */
  async settled(deadlineMs = 60_000): Promise<void> {
    const expected = this.brokers.filter(({ live }) => live)
    await eventually("the cluster", deadlineMs, async () => {
      const answers = await Promise.all(expected.map(broker => probe(broker)))
      const complete = answers.every(({ brokers }) =>
        expected.every(({ id }) => brokers.some(known => known.id === id))
      )
      return complete ? true : undefined
    })
  }

  /** Ends every broker at once and deletes their data. */
  async stop(): Promise<void> {
    await Promise.all([...this.brokers.map(broker => broker.kill()), ...this.proxies.map(proxy => proxy.stop())])
    deleteDirectory(this.#directory)
  }

  async #ask(topics: ReadonlyArray<string>): Promise<ProbedCluster> {
    const live = this.brokers.filter(broker => broker.live)
    if (live.length === 0) throw new Error("no live broker")
    return Promise.any(live.map(broker => probe(broker, topics)))
  }

  async #everywhere(what: string, name: string, holds: (topic: ProbedTopic) => boolean): Promise<void> {
    await eventually(what, 30_000, async () => {
      const live = this.brokers.filter(broker => broker.live)
      const answers = await Promise.all(live.map(broker => probe(broker, [name])))
      return answers.every(({ topics }) => topics.some(topic => topic.name === name && holds(topic))) ? true : undefined
    })
  }
}

const isServed = (topic: ProbedTopic, partitions: number, inSync: number): boolean =>
  topic.errorCode === 0 &&
  topic.partitions.length === partitions &&
  topic.partitions.every(
    ({ errorCode, inSyncReplicas, leader }) => errorCode === 0 && leader > 0 && inSyncReplicas.length >= inSync
  )
