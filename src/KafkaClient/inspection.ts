/**
 * Looks at a cluster for `doctor`, through the connections that records use, and kafkajs's admin for settings. Nothing is
 * written and nothing created: topics are asked for by name only.
 */
import { ConfigResourceTypes, Kafka, logLevel, type SASLOptions } from "kafkajs"
import { BatchBuilder, idHeaderPrefix } from "../internal/batchBuilder.ts"
import { writeChecksum } from "../internal/batchLayout.ts"
import { BufferPool } from "../internal/bufferPool.ts"
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
import { type BrokerLink, type SaslOptions, tlsConnectionOptions } from "./brokerLink.ts"
import { BrokerPool, type PoolOptions } from "./brokerPool.ts"

export interface Options extends PoolOptions {
  readonly topics: ReadonlyArray<string>
  /** The time now, ms since the epoch. */
  readonly now: () => number
}

/** No topic has this partition: a Produce request for it is authorised, and then refused. */
const noPartition = 2 ** 31 - 1

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
  const type = typeof cause === "object" && cause !== null && "type" in cause ? String(cause.type) : error.reason
  if (/AUTHORIZATION_FAILED|AUTHENTICATION_FAILED/.test(`${type} ${error.reason}`)) return denied(text)
  return /UNKNOWN_TOPIC/.test(type) ? missing : unseen(text)
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
  const builder = new BatchBuilder(
    new BufferPool(0),
    { name: "spillway-id", prefix: idHeaderPrefix("spillway-id") },
    0,
    0
  )
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
    const payload = await call(link, request, timeoutMs, correlationId =>
      Protocol.produceFrame({
        correlationId,
        clientId: link.clientId,
        version: apiVersion,
        timeoutMs,
        batches: [batch]
      })
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
    const theirs = Quorum.controllerTime(payload)
    if (theirs === undefined) return denied("Describe on the cluster is needed for it")
    return seen({ skewMs: theirs - (from + to) / 2, withinMs: (to - from) / 2 })
  } catch (cause) {
    return lookOf(cause)
  }
}

/** The same; kafkajs's type wants each mechanism by itself. */
const saslOf = (sasl: SaslOptions): SASLOptions => {
  switch (sasl.mechanism) {
    case "oauthbearer":
      return sasl
    case "plain":
      return { ...sasl, mechanism: "plain" }
    case "scram-sha-256":
      return { ...sasl, mechanism: "scram-sha-256" }
    case "scram-sha-512":
      return { ...sasl, mechanism: "scram-sha-512" }
  }
}

/** Settings of brokers and topics; each asked for by itself, so that one refusal hides no other. */
const settingsReader = async (options: Options, brokers: ReadonlyArray<string>) => {
  const { clientId, connectionTimeoutMs, requestTimeoutMs, sasl, tls } = options
  const kafka = new Kafka({
    clientId,
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 500 },
    ...(tls === undefined ? {} : { ssl: tlsConnectionOptions(tls) }),
    ...(sasl === undefined ? {} : { sasl: saslOf(sasl) })
  })
  const admin = kafka.admin()
  const connected = look(within(requestTimeoutMs * 2, admin.connect()))
  const read = async (
    type: ConfigResourceTypes,
    name: string,
    names: ReadonlyArray<string>
  ): Promise<Look<Settings>> => {
    const found = await connected
    if (found._tag !== "Seen") return found
    const resources = [{ type, name, configNames: [...names] }]
    const answer = admin.describeConfigs({ resources, includeSynonyms: false }).then(({ resources: [resource] }) => {
      const entries = (resource?.configEntries ?? []).map(entry => [entry.configName, entry.configValue] as const)
      return Object.fromEntries(entries.filter(([, value]) => value !== null))
    })
    return look(within(requestTimeoutMs * 2, answer))
  }
  return {
    ofTopic: (topic: string) => read(ConfigResourceTypes.TOPIC, topic, topicSettings),
    ofBroker: (id: number) => read(ConfigResourceTypes.BROKER, String(id), brokerSettings),
    close: () => within(requestTimeoutMs, admin.disconnect()).catch(() => undefined)
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

type Cluster = Extract<ClusterEvidence["cluster"], { _tag: "Seen" }>["value"]

const inspectCluster = async (
  options: Options,
  pool: BrokerPool,
  connect: (address: string) => Promise<BrokerLink>
): Promise<Cluster> => {
  const { now, requestTimeoutMs: timeoutMs, topics } = options
  const ask = (names: ReadonlyArray<string>) =>
    pool.askAny(timeoutMs, {
      apiKey: Protocol.apiKeys.metadata,
      apiName: "Metadata",
      newest: Protocol.newestVersions.metadata,
      body: Protocol.metadataBody(names),
      read: Protocol.readMetadata
    })
  const answer = await ask(topics)
  pool.learn(answer.brokers)
  const addressOf = ({ host, port }: (typeof answer.brokers)[number]) => `${host}:${port}`
  const links = await Promise.all(
    answer.brokers.map(async broker => ({ broker, link: await look(connect(addressOf(broker))) }))
  )
  const reached = links.flatMap(({ link }) => (link._tag === "Seen" ? [link.value] : []))
  const settings = await settingsReader(
    options,
    reached.map(({ address }) => address)
  )
  try {
    const brokers = links.map(async ({ broker, link }): Promise<BrokerEvidence> => {
      const base = { id: broker.id, address: addressOf(broker) }
      if (link._tag !== "Seen") return { ...base, link, settings: unseen("it cannot be connected to") }
      const { apiKeys, newestVersions } = Protocol
      const versions = {
        produce: link.value.version(apiKeys.produce, newestVersions.produce),
        metadata: link.value.version(apiKeys.metadata, newestVersions.metadata),
        initProducerId: link.value.version(apiKeys.initProducerId, newestVersions.initProducerId)
      }
      const { certificateEndsAt } = link.value
      return { ...base, link: seen({ versions, certificateEndsAt }), settings: await settings.ofBroker(broker.id) }
    })
    const described = answer.topics.map(async ({ errorCode, partitions, topic }): Promise<TopicEvidence> => {
      const nothing = unseen("the topic cannot be seen")
      if (errorCode !== 0) {
        return { topic, partitions: lookOf(KafkaErrors.fromCode(errorCode)), settings: nothing, write: nothing }
      }
      const [link] = reached
      const write =
        link === undefined ? unseen("no advertised broker can be reached") : tryWrite(link, topic, timeoutMs)
      return { topic, partitions: seen(partitions), settings: await settings.ofTopic(topic), write: await write }
    })
    const [link] = reached
    const identity = look(identify(pool, timeoutMs, now() + timeoutMs, now))
    const clock = link === undefined ? unseen("no advertised broker can be reached") : readClock(link, timeoutMs, now)
    return {
      brokers: await Promise.all(brokers),
      topics: await Promise.all(described),
      idempotence: await identity,
      clock: await clock
    }
  } finally {
    await settings.close()
  }
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
    if (!reached) {
      return { connection, seeds, cluster: failureOf(first?.link) }
    }
    return { connection, seeds, cluster: await look(inspectCluster(options, pool, connect)) }
  } finally {
    pool.close()
  }
}

const failureOf = (link: Look<unknown> | undefined): Look<never> =>
  link === undefined || link._tag === "Seen" || link._tag === "Missing" ? unseen("no broker answers") : link
