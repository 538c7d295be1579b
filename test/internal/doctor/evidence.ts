/**
 * A deployment where all is well: three brokers, TLS, a queue of each kind, a bucket and a spool.
 */
import * as Either from "effect/Either"
import * as AppConfig from "../../../src/AppConfig.ts"
import {
  type BrokerEvidence,
  type Evidence,
  type QueueEvidence,
  seen,
  type TopicEvidence
} from "../../../src/internal/doctor/evidence.ts"

const day = 86_400

const text = `
kafka: { connection: { main: { brokers: "k1.example:9093,k2.example:9093", tls: { enabled: true } } } }
cloud:
  aws:
    sqs: { clients: { default: { region: eu-central-1 } } }
    s3: { clients: { default: { region: eu-central-1 } } }
stream:
  output: { out: { connection: main, topic: events, max_record_bytes: 1MiB } }
  producer:
    events:
      output: out
      retry: { queue_id: parked, after: 2m, max_attempts: 5 }
`
const claimCheck = "stream: { producer: { events: { retry: { claim_check: { bucket: claims, prefix: large } } } } }"
export const spool = "spool: { path: /var/lib/spillway/spool.db, max_bytes: 1GiB }"

/** The configuration, with more YAML over it, and with these parts, which YAML cannot take away again. */
export const configured = (more = "", parts: ReadonlyArray<string> = [claimCheck, spool]): AppConfig.AppConfig => {
  const texts = [text, ...parts, more].filter(one => one !== "")
  const sources = texts.map((one, index) => ({ file: `${index}.yaml`, text: one }))
  const parsed = AppConfig.parse(sources, {})
  if (Either.isLeft(parsed)) throw parsed.left
  return parsed.right
}

const broker = (id: number): BrokerEvidence => ({
  id,
  address: `k${id}.example:9093`,
  link: seen({
    versions: { produce: 8, metadata: 6, initProducerId: 1 },
    certificateEndsAt: Date.UTC(2027, 0, 1)
  }),
  settings: seen({ "auto.create.topics.enable": "false", "socket.request.max.bytes": "104857600" })
})

const topic: TopicEvidence = {
  topic: "events",
  partitions: seen([
    { partition: 0, leader: 1, replicas: [1, 2, 3], inSyncReplicas: [1, 2, 3] },
    { partition: 1, leader: 2, replicas: [2, 3, 1], inSyncReplicas: [2, 3, 1] }
  ]),
  settings: seen({
    "cleanup.policy": "delete",
    "max.message.bytes": "2097152",
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.after.max.ms": "3600000",
    "min.insync.replicas": "2",
    "retention.ms": "2592000000",
    "unclean.leader.election.enable": "false"
  }),
  write: seen<true>(true)
}

const allowed = (...operations: ReadonlyArray<string>) =>
  Object.fromEntries(operations.map(operation => [operation, seen<true>(true)]))

const queue = (
  queueId: string,
  role: QueueEvidence["role"],
  more: Readonly<Record<string, string>>
): QueueEvidence => ({
  client: "default",
  queueId,
  role,
  attributes: seen({
    QueueArn: `arn:aws:sqs:eu-central-1:123456789012:${queueId}`,
    MessageRetentionPeriod: String(14 * day),
    MaximumMessageSize: "1048576",
    DelaySeconds: "0",
    SqsManagedSseEnabled: "true",
    ...more
  }),
  tried: role === "fallback" ? allowed("SendMessage", "ReceiveMessage", "DeleteMessage") : allowed("SendMessage"),
  clock: seen({ skewMs: 200, withinMs: 600 })
})

export const wellSetUp: Evidence = {
  config: configured(),
  now: Date.UTC(2026, 5, 1),
  clusters: [
    {
      connection: "main",
      seeds: [
        { address: "k1.example:9093", link: seen(undefined) },
        { address: "k2.example:9093", link: seen(undefined) }
      ],
      cluster: seen({
        brokers: [broker(1), broker(2), broker(3)],
        topics: [topic],
        idempotence: seen(true),
        clock: seen({ skewMs: -40, withinMs: 3 })
      })
    }
  ],
  queues: [
    queue("parked", "fallback", {
      Policy: '{"Statement":[{"Effect":"Deny","Principal":"*","Action":["sqs:PurgeQueue"]}]}',
      RedrivePolicy: '{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:123456789012:parked-dlq","maxReceiveCount":1000}'
    }),
    queue("parked-dlq", "dead letters", {})
  ],
  buckets: [
    {
      client: "default",
      bucket: "claims",
      prefix: "large",
      tried: allowed("PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload", "ListBucket"),
      lifecycle: seen([
        { id: "orphans", prefix: "large/", expirationDays: 30, abortUploadDays: 1, noncurrentDays: undefined }
      ]),
      versioned: seen(false)
    }
  ],
  disk: seen({ fileSystem: "ext4", device: "/dev/nvme1n1", model: "Amazon Elastic Block Store", freeBytes: 2 ** 34 })
}

type Cluster = Extract<Evidence["clusters"][number]["cluster"], { _tag: "Seen" }>["value"]

export const withCluster = (change: (cluster: Cluster) => Partial<Cluster>): Evidence => ({
  ...wellSetUp,
  clusters: wellSetUp.clusters.map(one =>
    one.cluster._tag === "Seen"
      ? { ...one, cluster: seen({ ...one.cluster.value, ...change(one.cluster.value) }) }
      : one
  )
})

export const withTopic = (change: Partial<TopicEvidence>): Evidence =>
  withCluster(({ topics }) => ({ topics: topics.map(one => ({ ...one, ...change })) }))

export const withSettings = (settings: Readonly<Record<string, string>>): Evidence =>
  withTopic(topic.settings._tag === "Seen" ? { settings: seen({ ...topic.settings.value, ...settings }) } : {})

/** Each partition on these replicas, of which these are in sync. */
export const withReplicas = (
  replicas: ReadonlyArray<number>,
  inSyncReplicas: ReadonlyArray<number> = replicas,
  leader = replicas[0] ?? 1,
  settings: Readonly<Record<string, string>> = {}
): Evidence => {
  const own = topic.settings._tag === "Seen" ? topic.settings.value : {}
  return withTopic({
    partitions: seen([{ partition: 0, leader, replicas, inSyncReplicas }]),
    settings: seen({ ...own, ...settings })
  })
}

/** The first broker changed. */
export const withBroker = (change: Partial<BrokerEvidence>): Evidence =>
  withCluster(({ brokers }) => ({ brokers: brokers.map((one, index) => (index === 0 ? { ...one, ...change } : one)) }))

export const withQueue = (queueId: string, change: Partial<QueueEvidence>): Evidence => ({
  ...wellSetUp,
  queues: wellSetUp.queues.map(one => (one.queueId === queueId ? { ...one, ...change } : one))
})

export const withAttributes = (queueId: string, attributes: Readonly<Record<string, string>>): Evidence => {
  const found = wellSetUp.queues.find(one => one.queueId === queueId)?.attributes
  return withQueue(queueId, { attributes: seen({ ...(found?._tag === "Seen" ? found.value : {}), ...attributes }) })
}

export const withBucket = (change: Partial<Evidence["buckets"][number]>): Evidence => ({
  ...wellSetUp,
  buckets: wellSetUp.buckets.map(one => ({ ...one, ...change }))
})
