/**
 * Looks at a cluster for `doctor`, through the connections that records use, and through each by itself: kafkajs's admin
 * asks one broker for everything, which may be the one that is down. Nothing is written and nothing created.
 */
import { BatchBuilder, IdHeader } from "../internal/batchBuilder.ts"
import { writeChecksum } from "../internal/batchLayout.ts"
import { BufferPool } from "../internal/bufferPool.ts"
import * as Configs from "../internal/doctor/describeConfigs.ts"
import type {
  BrokerEvidence,
  ClockReading,
  ClusterEvidence,
  Look,
  Settings,
  TopicEvidence
} from "../internal/doctor/evidence.ts"
import { denied, missing, seen, unseen } from "../internal/doctor/evidence.ts"
import * as Quorum from "../internal/doctor/quorum.ts"
import * as KafkaErrors from "../internal/kafkaErrors.ts"
import * as Protocol from "../internal/kafkaProtocol.ts"
import { KafkaError } from "../KafkaClient.ts"
import type { BrokerLink } from "./brokerLink.ts"
import { BrokerPool, type PoolOptions } from "./brokerPool.ts"

export interface Options extends PoolOptions {
  readonly topics: ReadonlyArray<string>
  /** The time now, ms since the epoch. */
  readonly now: () => number
}

/** No topic has this partition: a Produce request for it is authorised, and then refused. */
const noPartition = 2 ** 31 - 1

const nobody = unseen("no advertised broker can be reached")

/** Between two questions for a producer id, ms. */
const againMs = 100

const topicSettings: ReadonlyArray<string> = [
  "cleanup.policy",
  "max.message.bytes",
  "message.timestamp.type",
  "message.timestamp.after.max.ms",
  "message.timestamp.before.max.ms",
  "message.timestamp.difference.max.ms",
  "min.insync.replicas",
  "retention.ms",
  "unclean.leader.election.enable"
]
const brokerSettings: ReadonlyArray<string> = ["auto.create.topics.enable", "socket.request.max.bytes"]

const errorOf = (cause: unknown): KafkaError =>
  cause instanceof KafkaError ? cause : KafkaErrors.fromThrown(cause, false, false)

const lookOf = (cause: unknown): Look<never> => {
  const error = errorOf(cause)
  const text = `${error.message} (${error.reason})`
  if (/AUTHORIZATION_FAILED|AUTHENTICATION_FAILED/.test(error.reason)) return denied(text)
  return error.reason === "UNKNOWN_TOPIC_OR_PARTITION" ? missing : unseen(text)
}

const look = <A>(find: Promise<A>): Promise<Look<A>> => find.then(seen, lookOf)

/** What does not come to an end by itself. */
const within = async <A>(ms: number, work: Promise<A>): Promise<A> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(KafkaErrors.attemptTimeout(false, false, ms)), ms)
  })
  return Promise.race([work, end]).finally(() => clearTimeout(timer))
}

const recordBatch = (): Uint8Array => {
  const builder = new BatchBuilder(new BufferPool(0), new IdHeader("spillway-id"), 0, 0)
  builder.append(
    { key: null, value: null, headers: [], id: "doctor" },
    0,
    Number.MAX_SAFE_INTEGER,
    Number.MAX_SAFE_INTEGER
  )
  const { bytes } = builder.finish()
  writeChecksum(bytes)
  return bytes
}

const call = (
  link: BrokerLink,
  request: { readonly apiKey: number; readonly apiName: string; readonly apiVersion: number },
  timeoutMs: number,
  pieces: (correlationId: number) => ReadonlyArray<Uint8Array>
): Promise<Uint8Array> =>
  within(timeoutMs, new Promise((resolve, reject) => link.call({ ...request, timeoutMs, pieces }, resolve, reject)))

const tryWrite = async (link: BrokerLink, topic: string, timeoutMs: number): Promise<Look<true>> => {
  const apiVersion = link.version(Protocol.apiKeys.produce, Protocol.newestVersions.produce)
  if (apiVersion === undefined) return unseen("the broker speaks no Produce version that Spillway does")
  const batch = { topic, partition: noPartition, recordCount: 1, bytes: recordBatch(), idempotent: false }
  const request = { apiKey: Protocol.apiKeys.produce, apiName: "Produce", apiVersion }
  try {
    const payload = await call(
      link,
      request,
      timeoutMs,
      correlationId =>
        Protocol.produceFrame(
          { correlationId, clientId: link.clientId, version: apiVersion, timeoutMs, batches: [batch] },
          new BufferPool(0)
        ).pieces
    )
    const [answer] = Protocol.readProduce(payload, apiVersion)
    const error = KafkaErrors.fromCode(answer?.errorCode ?? -1)
    // Said of the partition, behind the authorisation of the topic.
    return error.reason === "UNKNOWN_TOPIC_OR_PARTITION" ? seen(true) : lookOf(error)
  } catch (cause) {
    return lookOf(cause)
  }
}

const readClock = async (link: BrokerLink, timeoutMs: number, now: () => number): Promise<Look<ClockReading>> => {
  const { apiKey, apiName, version: apiVersion } = Quorum.describeQuorum
  if (link.version(apiKey, apiVersion) !== apiVersion) {
    return unseen("only clusters in KRaft mode, from Kafka 3.3 on, tell their time without a record being written")
  }
  try {
    const from = now()
    const payload = await call(link, { apiKey, apiName, apiVersion }, timeoutMs, correlationId =>
      Protocol.frame(apiKey, apiVersion, correlationId, link.clientId, Quorum.body())
    )
    const to = now()
    const { errorCode, time } = Quorum.read(payload)
    if (errorCode !== 0) return lookOf(KafkaErrors.fromCode(errorCode))
    if (time === undefined) return unseen("the controller's answer does not tell it")
    return seen({ skewMs: time - (from + to) / 2, withinMs: (to - from) / 2 })
  } catch (cause) {
    return lookOf(cause)
  }
}

const readSettings = async (
  link: BrokerLink,
  type: number,
  name: string,
  names: ReadonlyArray<string>,
  timeoutMs: number
): Promise<Look<Settings>> => {
  const { apiKey, apiName, version: apiVersion } = Configs.describeConfigs
  if (link.version(apiKey, apiVersion) !== apiVersion) return unseen("only Kafka 1.1 and later tell their settings")
  try {
    const payload = await call(link, { apiKey, apiName, apiVersion }, timeoutMs, correlationId =>
      Protocol.frame(apiKey, apiVersion, correlationId, link.clientId, Configs.body(type, name, names))
    )
    const { errorCode, settings } = Configs.read(payload)
    return errorCode === 0 ? seen(settings) : lookOf(KafkaErrors.fromCode(errorCode))
  } catch (cause) {
    return lookOf(cause)
  }
}

/** True when the cluster gives a producer id. It has none to give for a moment after its start: that is waited for. */
const identify = async (pool: BrokerPool, timeoutMs: number, endsAt: number, now: () => number): Promise<boolean> => {
  for (;;) {
    const { errorCode } = await pool.askAny(timeoutMs, {
      apiKey: Protocol.apiKeys.initProducerId,
      apiName: "InitProducerId",
      newest: Protocol.newestVersions.initProducerId,
      body: Protocol.initProducerIdBody(),
      read: Protocol.readInitProducerId
    })
    if (errorCode === 0) return true
    const error = KafkaErrors.fromCode(errorCode)
    if (error.class === "Permanent" || error.reason === "UNSUPPORTED_VERSION") return false
    if (!error.retryable || now() >= endsAt) throw error
    await new Promise(resolve => setTimeout(resolve, againMs))
  }
}

const inspectBroker = async (
  id: number,
  address: string,
  look: Look<BrokerLink>,
  timeoutMs: number
): Promise<BrokerEvidence> => {
  if (look._tag !== "Seen") return { id, address, link: look, settings: unseen("it cannot be connected to") }
  const link = look.value
  const { apiKeys, newestVersions } = Protocol
  const versions = {
    produce: link.version(apiKeys.produce, newestVersions.produce),
    metadata: link.version(apiKeys.metadata, newestVersions.metadata),
    initProducerId: link.version(apiKeys.initProducerId, newestVersions.initProducerId)
  }
  const settings = await readSettings(link, Configs.resourceTypes.broker, `${id}`, brokerSettings, timeoutMs)
  return { id, address, link: seen({ versions, certificateEndsAt: link.certificateEndsAt }), settings }
}

const inspectTopic = async (
  { errorCode, partitions: described, topic }: Protocol.ClusterAnswer["topics"][number],
  link: BrokerLink | undefined,
  timeoutMs: number
): Promise<TopicEvidence> => {
  const partitions = errorCode === 0 ? seen(described) : lookOf(KafkaErrors.fromCode(errorCode))
  if (link === undefined || errorCode !== 0) return { topic, partitions, settings: nobody, write: nobody }
  const [settings, write] = await Promise.all([
    readSettings(link, Configs.resourceTypes.topic, topic, topicSettings, timeoutMs),
    tryWrite(link, topic, timeoutMs)
  ])
  return { topic, partitions, settings, write }
}

type Cluster = Extract<ClusterEvidence["cluster"], { _tag: "Seen" }>["value"]

const inspectCluster = async (
  { now, requestTimeoutMs: timeoutMs, topics }: Options,
  pool: BrokerPool,
  connect: (address: string) => Promise<BrokerLink>
): Promise<Cluster> => {
  const answer = await pool.askAny(timeoutMs, {
    apiKey: Protocol.apiKeys.metadata,
    apiName: "Metadata",
    newest: Protocol.newestVersions.metadata,
    body: Protocol.metadataBody(topics),
    read: Protocol.readMetadata
  })
  pool.learn(answer.brokers)
  const links = await Promise.all(
    answer.brokers.map(async ({ host, id, port }) => {
      const address = `${host}:${port}`
      return { id, address, look: await look(connect(address)) }
    })
  )
  const [link] = links.flatMap(({ look }) => (look._tag === "Seen" ? [look.value] : []))
  const [brokers, described, idempotence, clock] = await Promise.all([
    Promise.all(links.map(({ address, id, look }) => inspectBroker(id, address, look, timeoutMs))),
    Promise.all(answer.topics.map(topic => inspectTopic(topic, link, timeoutMs))),
    look(identify(pool, timeoutMs, now() + timeoutMs, now)),
    link === undefined ? nobody : readClock(link, timeoutMs, now)
  ])
  return { brokers, topics: described, idempotence, clock }
}

/** Everything there is to see of one connection's cluster. Never rejects. */
export const inspect = async (connection: string, options: Options): Promise<ClusterEvidence> => {
  const pool = new BrokerPool(options)
  try {
    const connect = (address: string): Promise<BrokerLink> => {
      const link = pool.link(address)
      return within(
        options.connectionTimeoutMs + options.requestTimeoutMs,
        link.connect().then(() => link)
      )
    }
    const seeds = await Promise.all(
      options.brokers.map(async address => ({ address, link: await look<unknown>(connect(address)) }))
    )
    const [first] = seeds
    const reached = seeds.some(({ link }) => link._tag === "Seen")
    if (!reached) return { connection, seeds, cluster: failureOf(first?.link) }
    return { connection, seeds, cluster: await look(inspectCluster(options, pool, connect)) }
  } finally {
    pool.close()
  }
}

const failureOf = (link: Look<unknown> | undefined): Look<never> =>
  link === undefined || link._tag === "Seen" || link._tag === "Missing" ? unseen("no broker answers") : link
