/**
 * Every check of `doctor` by its code. Each has a section in docs/operations/doctor.md.
 */
export const groups = ["Kafka", "topics", "queues", "claim check", "configuration"] as const
export type Group = (typeof groups)[number]

/** Why it matters: the same sentence in the report and in the documentation. */
const check = (group: Group, why: string) => ({ group, why })

export const catalogue = {
  "kafka-reachable": check(
    "Kafka",
    "While no broker answers every record is diverted, or fails where there is no queue."
  ),
  "seed-broker": check("Kafka", "A start finds the cluster only through the brokers of the configuration."),
  "advertised-broker": check(
    "Kafka",
    "Partitions led by a broker that cannot be reached take no records: theirs are diverted, and cannot be replayed."
  ),
  "broker-version": check("Kafka", "Spillway speaks Produce v3 to v8, Metadata v4 to v6 and InitProducerId v0 to v1."),
  transport: check("Kafka", "What is sent in the clear can be read, and changed, on its way."),
  certificate: check("Kafka", "Once it has ended no connection is made any more, and every record is diverted."),
  "one-broker": check("Kafka", "A record that was delivered is on one disk: it is lost when that is."),
  idempotence: check("Kafka", "Without a producer id a retry of a batch whose answer was lost writes it twice."),
  "kafka-clock": check(
    "Kafka",
    "Records carry this host's time: Kafka refuses those too far ahead of its own clock, and retention counts by it."
  ),
  "request-size": check(
    "Kafka",
    "A broker closes the connection on a larger request: its record is diverted and never replayed."
  ),
  "topic-exists": check(
    "topics",
    "Records for a topic that is not there are rejected, and what was diverted becomes dead letters."
  ),
  "topic-creation": check(
    "Kafka",
    "A topic made by whoever names it first has the brokers' defaults, not what was decided."
  ),
  "topic-access": check("topics", "Records are refused, and what was diverted before becomes dead letters."),
  "topic-settings": check(
    "topics",
    "What the topic does with late, large or keyed records cannot be told without its settings."
  ),
  "replication-factor": check("topics", "A delivered record is lost with the last disk that holds it."),
  "min-insync-replicas": check(
    "topics",
    "acks=all waits for the replicas in sync only: this is how many there must be."
  ),
  "unclean-election": check(
    "topics",
    "A replica that lacks delivered records may become the leader: they are gone then."
  ),
  "cleanup-policy": check(
    "topics",
    "Compaction keeps one record per key, the last written: a replayed older one removes the newer. It refuses records without a key."
  ),
  "max-message-bytes": check(
    "topics",
    "What Kafka finds too large is refused; a record accepted and diverted while Kafka was away becomes a dead letter."
  ),
  "topic-retention": check(
    "topics",
    "A replayed record keeps its time: one older than the retention is deleted before it is read."
  ),
  "timestamp-bounds": check(
    "topics",
    "A replayed record keeps its time, and Kafka refuses times out of bounds: it becomes a dead letter."
  ),
  "timestamp-type": check("topics", "Replayed records get the time of the replay, and their own is gone."),
  "partitions-online": check("topics", "A partition without a leader takes no records."),
  "in-sync-replicas": check(
    "topics",
    "With too few replicas in sync Kafka takes no records, or keeps them on fewer disks than meant."
  ),
  "compression-version": check("topics", "zstd needs Produce v7 (Kafka 2.1): older brokers refuse the batches."),
  "queue-reachable": check("queues", "While Kafka is away records are durable only through the queue."),
  "queue-exists": check(
    "queues",
    "Nothing can be diverted to a queue that is not there: publishes fail while Kafka is away."
  ),
  "queue-access": check("queues", "A call that is denied is needed to divert, replay or settle records."),
  "queue-retention": check(
    "queues",
    "SQS deletes messages at their retention: diverted records, when no service ran to store them anew."
  ),
  "dead-letter-retention": check(
    "queues",
    "A message that SQS moves keeps its age: with a shorter retention it is deleted soon after, or at once."
  ),
  "max-receive-count": check(
    "queues",
    "Receives are not attempts: a message may be received often while Kafka is away, and SQS then takes it out of the replay."
  ),
  "redrive-target": check("queues", "What SQS moves itself ends in a queue that nobody looks at."),
  "message-size": check(
    "queues",
    "A record that fits into no message, compressed, cannot be diverted: its publish fails while Kafka is away."
  ),
  "queue-delay": check("queues", "It is added to nothing: each message is sent with a delay of its own."),
  "queue-encryption": check("queues", "Records lie on SQS's disks as they are."),
  "queue-purge": check(
    "queues",
    "PurgeQueue deletes diverted records, and those sent while it runs, whose callers were told they are safe."
  ),
  "aws-clock": check(
    "queues",
    "AWS refuses signatures five minutes off, and the age of messages is counted with both clocks."
  ),
  "bucket-reachable": check("claim check", "While Kafka is away large records are durable only through the bucket."),
  "bucket-exists": check(
    "claim check",
    "Records that fit into no message cannot be diverted: their publishes fail while Kafka is away."
  ),
  "bucket-access": check("claim check", "A call that is denied is needed to store, fetch or remove large records."),
  "bucket-expiry": check(
    "claim check",
    "An object deleted before its message leaves a pointer to nothing: the record is lost, and a dead letter says so."
  ),
  "bucket-orphans": check(
    "claim check",
    "What a crash leaves behind, objects and parts of uploads, stays and is paid for."
  ),
  "bucket-versions": check("claim check", "Removed objects stay as noncurrent versions, and are paid for."),
  fallback: check("configuration", "Without a fallback queue records fail while Kafka is away; the callers are told."),
  "visibility-timeout": check(
    "configuration",
    "A message that is not held in time is received again while its records are on their way: they are sent twice."
  ),
  "deadline-margins": check(
    "configuration",
    "A shutdown must end within its budget, or what it could not park is lost to its callers."
  ),
  "kill-timeout": check(
    "configuration",
    "A platform that kills earlier cuts the shutdown short: records in memory get no outcome."
  ),
  "spool-disk": check("configuration", "What is spooled is on this disk only, and is gone when it is.")
} as const satisfies Readonly<Record<string, { readonly group: Group; readonly why: string }>>

export type Code = keyof typeof catalogue
