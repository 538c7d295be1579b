import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, it } from "node:test"
import { catalogue } from "../../../src/internal/doctor/catalogue.ts"
import { diagnose, reachedNothing } from "../../../src/internal/doctor/diagnose.ts"
import { denied, type Evidence, missing, seen, unseen } from "../../../src/internal/doctor/evidence.ts"
import {
  configured,
  spool,
  wellSetUp,
  withAttributes,
  withBroker,
  withBucket,
  withCluster,
  withQueue,
  withReplicas,
  withSettings,
  withTopic
} from "./evidence.ts"

const certificateEndsAt = Date.UTC(2027, 0, 1)
const spoken = { produce: 8, metadata: 6, initProducerId: 1 }
const rule = { id: "a", prefix: "large/", expirationDays: 30, abortUploadDays: 1, noncurrentDays: undefined }
const disk = { fileSystem: "ext4", device: "/dev/sda1", model: "", freeBytes: 2 ** 34 }
const gone = unseen("connect ECONNREFUSED")
const no = denied("not authorized")
const dlq = (maxReceiveCount: number, name = "parked-dlq") => ({
  RedrivePolicy: JSON.stringify({
    deadLetterTargetArn: `arn:aws:sqs:eu-central-1:123456789012:${name}`,
    maxReceiveCount
  })
})
const only = (look: typeof no | typeof gone | typeof missing, ...operations: ReadonlyArray<string>) =>
  Object.fromEntries(operations.map(operation => [operation, look]))
const set = (yaml: string): Evidence => ({ ...wellSetUp, config: configured(yaml) })

/** What is seen, and everything that is said of it beyond "ok". */
const table: ReadonlyArray<readonly [name: string, evidence: Evidence, findings: ReadonlyArray<string>]> = [
  ["all is well", wellSetUp, []],

  [
    "no broker",
    { ...wellSetUp, clusters: wellSetUp.clusters.map(one => ({ ...one, cluster: gone })) },
    ["error kafka-reachable"]
  ],
  [
    "one seed is gone",
    {
      ...wellSetUp,
      clusters: wellSetUp.clusters.map(one => ({ ...one, seeds: [{ address: "k9.example:1", link: gone }] }))
    },
    ["warning seed-broker"]
  ],
  ["an advertised broker is gone", withBroker({ link: gone }), ["error advertised-broker"]],
  ["an advertised broker refuses the password", withBroker({ link: no }), ["error advertised-broker"]],
  [
    "no Produce version in common",
    withBroker({ link: seen({ versions: { ...spoken, produce: undefined }, certificateEndsAt }) }),
    ["error broker-version"]
  ],
  [
    "a certificate that is not shown",
    withBroker({ link: seen({ versions: spoken, certificateEndsAt: undefined }) }),
    ["unchecked certificate"]
  ],
  [
    "a certificate that has ended",
    withBroker({ link: seen({ versions: spoken, certificateEndsAt: wellSetUp.now }) }),
    ["error certificate"]
  ],
  [
    "a certificate that ends next week",
    withBroker({ link: seen({ versions: spoken, certificateEndsAt: wellSetUp.now + 7 * 86_400_000 }) }),
    ["warning certificate"]
  ],
  [
    "plaintext to elsewhere",
    set("kafka: { connection: { main: { tls: { enabled: false } } } }"),
    ["warning transport"]
  ],
  [
    "certificates nobody looks at",
    set("kafka: { connection: { main: { tls: { insecure_skip_verify: true } } } }"),
    ["warning transport"]
  ],
  ["one broker", withCluster(({ brokers }) => ({ brokers: brokers.slice(0, 1) })), ["warning one-broker"]],
  ["no producer id", withCluster(() => ({ idempotence: seen(false) })), ["warning idempotence"]],
  ["producer ids cannot be asked for", withCluster(() => ({ idempotence: gone })), ["unchecked idempotence"]],
  [
    "a clock half a minute off",
    withCluster(() => ({ clock: seen({ skewMs: 31_000, withinMs: 500 }) })),
    ["warning kafka-clock"]
  ],
  ["a clock within what is known", withCluster(() => ({ clock: seen({ skewMs: 30_400, withinMs: 500 }) })), []],
  ["a clock far off", withCluster(() => ({ clock: seen({ skewMs: 301_000, withinMs: 500 }) })), ["error kafka-clock"]],
  [
    "a clock so far ahead that records are refused",
    withCluster(() => ({ clock: seen({ skewMs: -3_602_000, withinMs: 500 }) })),
    ["error kafka-clock", "error timestamp-bounds"]
  ],
  ["a cluster that does not tell the time", withCluster(() => ({ clock: gone })), ["unchecked kafka-clock"]],
  [
    "topics made by anybody",
    withBroker({ settings: seen({ "auto.create.topics.enable": "true", "socket.request.max.bytes": "104857600" }) }),
    ["info topic-creation"]
  ],
  [
    "requests smaller than a record",
    withBroker({ settings: seen({ "auto.create.topics.enable": "false", "socket.request.max.bytes": "1048576" }) }),
    ["error request-size"]
  ],
  ["a broker's settings denied", withBroker({ settings: no }), ["unchecked request-size"]],

  ["no such topic", withTopic({ partitions: missing }), ["error topic-exists"]],
  ["a topic that may not be described", withTopic({ partitions: no }), ["error topic-access"]],
  ["a topic that cannot be described", withTopic({ partitions: gone }), ["unchecked topic-exists"]],
  ["a topic that may not be written to", withTopic({ write: no }), ["error topic-access"]],
  ["writing could not be tried", withTopic({ write: gone }), ["unchecked topic-access"]],
  ["a topic's settings denied", withTopic({ settings: no }), ["unchecked topic-settings"]],
  [
    "one replica of three brokers",
    withReplicas([1], [1], 1, { "min.insync.replicas": "1" }),
    ["error replication-factor"]
  ],
  [
    "two replicas of three brokers, one of which may be away",
    withReplicas([1, 2], [1, 2], 1, { "min.insync.replicas": "1" }),
    ["error min-insync-replicas", "warning replication-factor"]
  ],
  [
    "as many in sync as there are",
    withReplicas([1, 2, 3], [1, 2, 3], 1, { "min.insync.replicas": "3" }),
    ["warning min-insync-replicas"]
  ],
  [
    "more in sync than there are",
    withReplicas([1, 2, 3], [1, 2, 3], 1, { "min.insync.replicas": "4" }),
    ["error min-insync-replicas"]
  ],
  ["one in sync is enough", withSettings({ "min.insync.replicas": "1" }), ["error min-insync-replicas"]],
  ["a replica behind", withReplicas([1, 2, 3], [1, 2]), ["warning in-sync-replicas"]],
  ["too few in sync", withReplicas([1, 2, 3], [1]), ["error in-sync-replicas"]],
  ["no leader", withReplicas([1, 2, 3], [], -1), ["error partitions-online"]],
  ["any replica may lead", withSettings({ "unclean.leader.election.enable": "true" }), ["error unclean-election"]],
  ["compaction", withSettings({ "cleanup.policy": "compact" }), ["error cleanup-policy"]],
  ["compaction beside deletion", withSettings({ "cleanup.policy": "compact,delete" }), ["error cleanup-policy"]],
  ["records larger than messages", withSettings({ "max.message.bytes": "900000" }), ["error max-message-bytes"]],
  ["Kafka's own default against ours", withSettings({ "max.message.bytes": "1048588" }), ["info max-message-bytes"]],
  [
    "batches larger than messages",
    {
      ...withSettings({ "max.message.bytes": "900000" }),
      config: configured("stream: { output: { out: { max_record_bytes: 500000 } } }")
    },
    ["warning max-message-bytes"]
  ],
  [
    "seven days in Kafka, fourteen in the queue",
    withSettings({ "retention.ms": "604800000" }),
    ["warning topic-retention"]
  ],
  ["as long as the retries take", withSettings({ "retention.ms": "3600000" }), ["error topic-retention"]],
  [
    "as long as long retries take",
    {
      ...withSettings({ "retention.ms": "36000000" }),
      config: configured("stream: { producer: { events: { retry: { after: 2h } } } }")
    },
    ["error topic-retention"]
  ],
  ["kept for ever", withSettings({ "retention.ms": "-1" }), []],
  [
    "old times refused after a day",
    withSettings({ "message.timestamp.before.max.ms": "86400000" }),
    ["warning timestamp-bounds"]
  ],
  [
    "old times refused at once",
    withSettings({ "message.timestamp.before.max.ms": "60000" }),
    ["error timestamp-bounds"]
  ],
  [
    "old times refused by an older Kafka",
    withTopic({ settings: seen({ "message.timestamp.difference.max.ms": "60000" }) }),
    ["error timestamp-bounds"]
  ],
  [
    "times of the log: age is nothing to Kafka",
    withSettings({ "message.timestamp.type": "LogAppendTime", "retention.ms": "60000" }),
    ["info timestamp-type"]
  ],
  [
    "nothing is replayed, so nothing is old",
    {
      ...withSettings({ "retention.ms": "60000" }),
      config: configured("stream: { producer: { events: { retry: { enabled: false } } } }", []),
      queues: [],
      buckets: [],
      disk: undefined
    },
    ["warning fallback"]
  ],
  [
    "zstd to an old broker",
    {
      ...withBroker({ link: seen({ versions: { ...spoken, produce: 5 }, certificateEndsAt }) }),
      config: configured("stream: { output: { out: { compression: zstd } } }")
    },
    ["error compression-version"]
  ],

  ["no such queue", withQueue("parked", { attributes: missing }), ["error queue-exists"]],
  [
    "no such queue yet",
    {
      ...withQueue("parked", { attributes: missing }),
      config: configured("stream: { producer: { events: { retry: { create: true } } } }")
    },
    ["info queue-exists"]
  ],
  ["no queue for dead letters", withQueue("parked-dlq", { attributes: missing }), ["error queue-exists"]],
  ["SQS does not answer", withQueue("parked", { attributes: gone }), ["error queue-reachable"]],
  ["attributes denied", withQueue("parked", { attributes: no }), ["error queue-access"]],
  ["sending denied", withQueue("parked", { tried: only(no, "SendMessage") }), ["error queue-access"]],
  ["sending not tried", withQueue("parked", { tried: only(gone, "SendMessage") }), ["unchecked queue-access"]],
  [
    "two days in the queue",
    withAttributes("parked", { MessageRetentionPeriod: "172800" }),
    ["warning queue-retention"]
  ],
  ["an hour in the queue", withAttributes("parked", { MessageRetentionPeriod: "3600" }), ["error queue-retention"]],
  [
    "dead letters deleted before",
    withAttributes("parked-dlq", { MessageRetentionPeriod: "345600" }),
    ["error dead-letter-retention"]
  ],
  [
    "dead letters deleted before, and SQS moves none",
    {
      ...withAttributes("parked-dlq", { MessageRetentionPeriod: "345600" }),
      queues: withAttributes("parked-dlq", { MessageRetentionPeriod: "345600" }).queues.map(queue =>
        queue.attributes._tag === "Seen"
          ? { ...queue, attributes: seen({ ...queue.attributes.value, RedrivePolicy: "" }) }
          : queue
      )
    },
    ["warning dead-letter-retention"]
  ],
  [
    "a stand-in for SQS that tells little",
    {
      ...wellSetUp,
      queues: wellSetUp.queues.map(queue => ({ ...queue, attributes: seen({ SqsManagedSseEnabled: "true" }) }))
    },
    ["info queue-purge", "unchecked dead-letter-retention", "unchecked message-size", "unchecked queue-retention"]
  ],
  ["three receives", withAttributes("parked", dlq(3)), ["error max-receive-count"]],
  ["two hundred receives", withAttributes("parked", dlq(200)), ["warning max-receive-count"]],
  [
    "a policy that cannot be read",
    withAttributes("parked", { RedrivePolicy: '{"maxReceiveCount":"many"}' }),
    ["unchecked max-receive-count"]
  ],
  ["another dead-letter queue", withAttributes("parked", dlq(1000, "other")), ["warning redrive-target"]],
  [
    "small messages, and no claim check",
    { ...wellSetUp, config: configured("", []), buckets: [], disk: undefined },
    ["warning message-size"]
  ],
  [
    "small messages, and a spool",
    { ...wellSetUp, config: configured("", [spool]), buckets: [] },
    ["info message-size"]
  ],
  ["messages of an old queue", withAttributes("parked", { MaximumMessageSize: "262144" }), ["info message-size"]],
  ["a queue with a delay", withAttributes("parked", { DelaySeconds: "60" }), ["info queue-delay"]],
  ["a queue in the clear", withAttributes("parked", { SqsManagedSseEnabled: "false" }), ["info queue-encryption"]],
  ["a queue that anybody may purge", withAttributes("parked", { Policy: "" }), ["info queue-purge"]],
  [
    "AWS is a minute off",
    withQueue("parked", { clock: seen({ skewMs: 60_000, withinMs: 600 }) }),
    ["warning aws-clock"]
  ],
  [
    "AWS is ten minutes off",
    withQueue("parked", { clock: seen({ skewMs: -600_000, withinMs: 600 }) }),
    ["error aws-clock"]
  ],
  [
    "AWS does not tell the time",
    { ...wellSetUp, queues: wellSetUp.queues.map(queue => ({ ...queue, clock: gone })) },
    ["unchecked aws-clock"]
  ],

  ["no such bucket", withBucket({ tried: only(missing, "PutObject") }), ["error bucket-exists"]],
  ["S3 does not answer", withBucket({ tried: only(gone, "PutObject", "GetObject") }), ["error bucket-reachable"]],
  [
    "putting denied",
    withBucket({ tried: { ...only(no, "PutObject"), ...only(gone, "GetObject") } }),
    ["error bucket-access", "unchecked bucket-access"]
  ],
  ["listing denied", withBucket({ tried: only(no, "ListBucket") }), ["warning bucket-access"]],
  [
    "objects deleted before their messages",
    withBucket({ lifecycle: seen([{ ...rule, expirationDays: 14 }]) }),
    ["error bucket-expiry"]
  ],
  [
    "objects deleted before their dead letters",
    withBucket({ lifecycle: seen([{ ...rule, expirationDays: 20 }]) }),
    ["warning bucket-expiry"]
  ],
  [
    "a rule for all of the bucket",
    withBucket({ lifecycle: seen([rule, { ...rule, prefix: "", expirationDays: 3 }]) }),
    ["error bucket-expiry"]
  ],
  [
    "a rule for something else",
    withBucket({ lifecycle: seen([rule, { ...rule, prefix: "logs/", expirationDays: 3 }]) }),
    []
  ],
  [
    "a rule for one topic's objects",
    withBucket({ lifecycle: seen([rule, { ...rule, prefix: "large/events/", expirationDays: 3 }]) }),
    ["error bucket-expiry"]
  ],
  ["no rules", withBucket({ lifecycle: seen([]) }), ["info bucket-orphans"]],
  ["uploads stay", withBucket({ lifecycle: seen([{ ...rule, abortUploadDays: undefined }]) }), ["info bucket-orphans"]],
  ["rules denied", withBucket({ lifecycle: no }), ["unchecked bucket-expiry", "unchecked bucket-orphans"]],
  ["versions stay", withBucket({ versioned: seen(true) }), ["info bucket-versions"]],
  ["versions go", withBucket({ versioned: seen(true), lifecycle: seen([{ ...rule, noncurrentDays: 1 }]) }), []],
  ["versions denied", withBucket({ versioned: no }), ["unchecked bucket-versions"]],

  ["a budget beyond what platforms give", set("shutdown: { budget: 40s }"), ["warning kill-timeout"]],
  [
    "hardly any margin",
    set(
      "shutdown: { budget: 10500ms }\nspool: { queue_timeout: 5s }\nstream: { output: { out: { write_timeout: 5s } } }"
    ),
    ["warning deadline-margins"]
  ],
  [
    "messages hidden hardly longer than a call takes",
    set("stream: { producer: { events: { retry: { visibility_timeout: 6s } } } }"),
    ["warning visibility-timeout"]
  ],
  ["a spool in memory", { ...wellSetUp, disk: seen({ ...disk, fileSystem: "tmpfs" }) }, ["error spool-disk"]],
  [
    "a spool in the container",
    { ...wellSetUp, disk: seen({ ...disk, fileSystem: "overlay" }) },
    ["warning spool-disk"]
  ],
  [
    "a spool on the instance",
    { ...wellSetUp, disk: seen({ ...disk, model: "Amazon EC2 NVMe Instance Storage" }) },
    ["warning spool-disk"]
  ],
  ["a full disk", { ...wellSetUp, disk: seen({ ...disk, freeBytes: 1000 }) }, ["warning spool-disk"]],
  ["a disk nobody knows", { ...wellSetUp, disk: gone }, ["unchecked spool-disk"]]
]

describe("the rules", () => {
  for (const [name, evidence, expected] of table) {
    it(`${name}: ${expected.length === 0 ? "nothing" : expected.join(", ")}`, () => {
      const results = diagnose(evidence).filter(({ severity }) => severity !== "ok")
      assert.deepEqual(
        [...new Set(results.map(({ code, severity }) => `${severity} ${code}`))].sort(),
        [...expected].sort()
      )
      for (const { fix, severity, subject, what } of results) {
        assert.notEqual(subject, "")
        assert.doesNotMatch(`${what} ${fix}`, /undefined|NaN|Infinity|\[object/)
        // Nothing is to be done about what is created by itself.
        if (severity === "error" || severity === "warning") assert.notEqual(fix, "")
        if (severity === "unchecked") assert.match(what, /^could not check .+ because .+/)
      }
    })
  }

  it("are each broken by a row of the table", () => {
    const found = new Set(table.flatMap(([, , findings]) => findings.map(finding => finding.split(" ")[1])))
    assert.deepEqual(
      Object.keys(catalogue).filter(code => !found.has(code)),
      []
    )
  })

  it("are each good for an ok where all is well, but for those that need something more", () => {
    const fine = new Set<string>(diagnose(wellSetUp).map(({ code }) => code))
    const more = ["one-broker", "topic-settings", "queue-reachable", "bucket-reachable", "compression-version"]
    assert.deepEqual(
      Object.keys(catalogue)
        .filter(code => !fine.has(code))
        .sort(),
      [...more].sort()
    )
  })

  it("put errors first within a group", () => {
    const severities = diagnose(withReplicas([1, 2], [1, 2], 1, { "min.insync.replicas": "1" }))
      .filter(({ subject }) => subject === "topic events")
      .map(({ severity }) => severity)
    assert.deepEqual(severities.slice(0, 3), ["error", "warning", "ok"])
  })
})

describe("nothing was reached", () => {
  const away: Evidence = {
    ...wellSetUp,
    clusters: wellSetUp.clusters.map(one => ({
      ...one,
      seeds: one.seeds.map(seed => ({ ...seed, link: gone })),
      cluster: gone
    })),
    queues: wellSetUp.queues.map(one => ({ ...one, attributes: gone })),
    buckets: wellSetUp.buckets.map(one => ({ ...one, tried: only(gone, "PutObject") }))
  }

  it("when nobody answered, and not when anybody did", () => {
    assert.equal(reachedNothing(away), true)
    assert.equal(reachedNothing({ ...away, clusters: wellSetUp.clusters }), false)
    assert.equal(reachedNothing({ ...away, queues: wellSetUp.queues }), false)
    assert.equal(reachedNothing({ ...away, queues: away.queues.map(one => ({ ...one, attributes: no })) }), false)
    const refusing = away.clusters.map(one => ({
      ...one,
      seeds: one.seeds.map(seed => ({ ...seed, link: no })),
      cluster: no
    }))
    assert.equal(reachedNothing({ ...away, clusters: refusing }), false)
    assert.equal(reachedNothing({ ...away, buckets: wellSetUp.buckets }), false)
  })
})

describe("docs/operations/doctor.md", () => {
  const text = readFileSync(new URL("../../../docs/operations/doctor.md", import.meta.url), "utf8")

  it("has a section for every check, with its reason, and for nothing else", () => {
    const sections = new Map(
      text
        .split(/^### /m)
        .slice(1)
        .map(section => {
          const [head = "", ...rest] = section.split("\n")
          return [head.trim(), rest.join(" ").replace(/\s+/g, " ")] as const
        })
    )
    assert.deepEqual([...sections.keys()].sort(), Object.keys(catalogue).sort())
    for (const [code, { why }] of Object.entries(catalogue)) {
      assert.ok(sections.get(code)?.includes(why), `${code}: ${why}`)
    }
  })
})
