/**
 * What a topic must be like for records that arrive late, twice, and once only after an outage.
 */
import type { OutputConfig, RetryConfig } from "../../AppConfig.ts"
import { headerBytes } from "../batchLayout.ts"
import { formatDuration, formatSize } from "../config/units.ts"
import type { BrokerEvidence, Settings, TopicEvidence } from "./evidence.ts"
import { describeHint } from "./kafkaRules.ts"
import { type Result, Results } from "./result.ts"

const hour = 3_600_000

export interface TopicSurroundings {
  readonly bootstrap: string
  readonly brokers: ReadonlyArray<BrokerEvidence>
  readonly output: OutputConfig
  readonly retry: RetryConfig | undefined
  /** How long a record may wait in the fallback queue before it must be stored anew, ms; undefined: it has none. */
  readonly queueRetentionMs: number | undefined
  /** How far this host's clock is ahead of Kafka's, ms; undefined: not known. */
  readonly aheadMs: number | undefined
}

const alter = ({ bootstrap, output }: TopicSurroundings, config: string): string =>
  `kafka-configs.sh --bootstrap-server ${bootstrap} --alter --entity-type topics --entity-name ${output.topic} --add-config ${config}`

const describeTopic = ({ bootstrap, output }: TopicSurroundings): string =>
  `kafka-topics.sh --bootstrap-server ${bootstrap} --describe --topic ${output.topic}`

/** What a setting is worth as a number; undefined when the broker does not know it. -1 and the largest long: no bound. */
const numberIn = (settings: Settings, name: string): number | undefined => {
  const text = settings[name]
  if (text === undefined || text === "") return undefined
  const value = Number(text)
  if (!Number.isFinite(value)) return undefined
  return value < 0 || value >= 2 ** 62 ? Number.POSITIVE_INFINITY : value
}

export const topicRules = (evidence: TopicEvidence, around: TopicSurroundings): ReadonlyArray<Result> => {
  const results = new Results(`topic ${evidence.topic}`)
  const { brokers, output } = around
  if (evidence.partitions._tag === "Missing") {
    const factor = Math.min(3, Math.max(1, brokers.length))
    const fix = `kafka-topics.sh --bootstrap-server ${around.bootstrap} --create --topic ${output.topic} --partitions 6 --replication-factor ${factor}`
    results.error("topic-exists", `the cluster has no topic ${output.topic}`, fix)
    return results.list
  }
  if (evidence.partitions._tag === "Denied") {
    results.error("topic-access", `Describe is denied: ${evidence.partitions.message}`, access(around, "Describe"))
    return results.list
  }
  const partitions = results.value(evidence.partitions, ["topic-exists"], "the topic")
  if (partitions === undefined) return results.list
  results.ok("topic-exists", `${partitions.length} partition${partitions.length === 1 ? "" : "s"}`)
  if (evidence.write._tag === "Denied") {
    results.error("topic-access", `Write is denied: ${evidence.write.message}`, access(around, "Write"))
  } else if (results.value(evidence.write, ["topic-access"], "whether records may be written") !== undefined) {
    results.ok("topic-access", "records may be written")
  }
  compression(results, around)
  const settings = results.value(evidence.settings, ["topic-settings"], "the topic's settings", describeHint)
  replicas(results, partitions, settings, around)
  if (settings === undefined) return results.list
  cleanup(results, settings, around)
  size(results, settings, around)
  ages(results, settings, around)
  return results.list
}

const access = ({ bootstrap, output }: TopicSurroundings, operation: string): string =>
  `kafka-acls.sh --bootstrap-server ${bootstrap} --add --allow-principal User:<name> --operation ${operation} --topic ${output.topic}`

const compression = (results: Results, { brokers, output }: TopicSurroundings): void => {
  if (output.compression !== "zstd") return
  const old = brokers.filter(({ link }) => link._tag === "Seen" && (link.value.versions.produce ?? 0) < 7)
  if (old[0] === undefined) return results.ok("compression-version", "the brokers take zstd")
  const what = `broker ${old[0].id} is too old for zstd`
  results.error("compression-version", what, `set stream.output.${output.name}.compression: gzip`)
}

const replicas = (
  results: Results,
  partitions: Extract<TopicEvidence["partitions"], { _tag: "Seen" }>["value"],
  settings: Settings | undefined,
  around: TopicSurroundings
): void => {
  const { brokers } = around
  const factor = Math.min(...partitions.map(({ replicas: all }) => all.length))
  if (brokers.length > 1 && factor < 3) {
    const what = `replication factor ${factor} on ${brokers.length} brokers`
    const fix = `kafka-reassign-partitions.sh --bootstrap-server ${around.bootstrap} --reassignment-json-file <three replicas for each partition> --execute`
    if (factor < 2) results.error("replication-factor", what, fix)
    else if (brokers.length > 2) results.warning("replication-factor", what, fix)
    else results.ok("replication-factor", what)
  } else if (brokers.length > 1) results.ok("replication-factor", `replication factor ${factor}`)

  const offline = partitions.filter(({ leader }) => leader < 0).map(({ partition }) => partition)
  if (offline.length > 0) {
    const what = `partition${offline.length === 1 ? "" : "s"} ${offline.join(", ")} without a leader`
    results.error("partitions-online", what, `bring the brokers of their replicas back: ${describeTopic(around)}`)
  } else results.ok("partitions-online", "every partition has a leader")

  const least = settings === undefined ? undefined : numberIn(settings, "min.insync.replicas")
  const behind = partitions.filter(one => one.leader >= 0 && one.inSyncReplicas.length < one.replicas.length)
  const closed = behind.filter(one => least !== undefined && one.inSyncReplicas.length < least)
  const list = (some: typeof behind) => some.map(({ partition }) => partition).join(", ")
  if (closed.length > 0) {
    const what = `partitions ${list(closed)} have fewer replicas in sync than min.insync.replicas ${least}: they take no records now`
    results.error("in-sync-replicas", what, `bring the brokers behind back: ${describeTopic(around)}`)
  } else if (behind.length > 0) {
    const what = `replicas of partitions ${list(behind)} are behind`
    results.warning("in-sync-replicas", what, `look at the brokers behind: ${describeTopic(around)}`)
  } else results.ok("in-sync-replicas", "every replica is in sync")

  if (settings === undefined || least === undefined) return
  const both = `min.insync.replicas ${least} with replication factor ${factor}`
  const set = alter(around, `min.insync.replicas=${Math.max(1, Math.min(2, factor - 1))}`)
  const good = factor === 2 ? "raise the replication factor to 3 and set min.insync.replicas=2" : set
  if (least > factor) {
    results.error("min-insync-replicas", `${both}: Kafka takes no record`, good)
  } else if (factor > 1 && least === factor) {
    results.warning("min-insync-replicas", `${both}: one broker away stops all writing`, good)
  } else if (factor > 1 && least === 1) {
    const what = `${both}: a record is delivered once the leader alone has it, and lost with it`
    results.error("min-insync-replicas", what, good)
  } else results.ok("min-insync-replicas", both)

  if (settings["unclean.leader.election.enable"] === "true") {
    const fix = alter(around, "unclean.leader.election.enable=false")
    results.error("unclean-election", "unclean.leader.election.enable is true", fix)
  } else results.ok("unclean-election", "only replicas in sync become leaders")
}

const cleanup = (results: Results, settings: Settings, around: TopicSurroundings): void => {
  const policy = settings["cleanup.policy"] ?? ""
  const what = `cleanup.policy is ${policy}`
  if (/\bcompact\b/.test(policy)) results.error("cleanup-policy", what, alter(around, "cleanup.policy=delete"))
  else results.ok("cleanup-policy", what)
}

const size = (results: Results, settings: Settings, around: TopicSurroundings): void => {
  const limit = numberIn(settings, "max.message.bytes")
  if (limit === undefined) return
  const { batchBytes, maxRecordBytes, name } = around.output
  const needed = maxRecordBytes + headerBytes
  const key = `stream.output.${name}`
  const text = `max.message.bytes is ${limit}`
  const raise = alter(around, `max.message.bytes=${Math.max(needed, batchBytes)}`)
  if (needed > limit + headerBytes) {
    const what = `${text}, and the largest record accepted takes ${needed} (uncompressed)`
    results.error(
      "max-message-bytes",
      what,
      `${raise}, or ${key}.max_record_bytes: ${Math.max(0, limit - headerBytes)}`
    )
  } else if (batchBytes > limit) {
    const what = `${text}, and batches are filled up to ${batchBytes}: each is refused, taken apart and sent again`
    results.warning("max-message-bytes", what, `${raise}, or ${key}.batch_bytes: ${limit}`)
  } else if (needed > limit) {
    // Both are 1 MiB by default, and Kafka counts the batch's header.
    const what = `${text}, and records of the last ${needed - limit} bytes below max_record_bytes do not fit`
    results.info("max-message-bytes", what, `${raise}, or ${key}.max_record_bytes: ${limit - headerBytes}`)
  } else results.ok("max-message-bytes", `${text}, enough for ${formatSize(maxRecordBytes)}`)
}

/** What the age of a replayed record meets. */
const ages = (results: Results, settings: Settings, around: TopicSurroundings): void => {
  const { queueRetentionMs, retry } = around
  const appends = settings["message.timestamp.type"] === "LogAppendTime"
  if (appends) {
    const fix = alter(around, "message.timestamp.type=CreateTime")
    results.info("timestamp-type", "message.timestamp.type is LogAppendTime", fix)
  } else results.ok("timestamp-type", "records keep their own time")
  const future = numberIn(settings, "message.timestamp.after.max.ms")
  if (!appends && future !== undefined && around.aheadMs !== undefined && around.aheadMs > future) {
    const what = `message.timestamp.after.max.ms is ${formatDuration(future)}, and this host's clock is ${formatDuration(Math.round(around.aheadMs))} ahead: every record is refused`
    results.error("timestamp-bounds", what, "keep both clocks in step with NTP")
  }
  // Appended at the time of the replay, a record is new.
  if (appends || retry?.enabled !== true || queueRetentionMs === undefined) return
  // Even without any further outage a record may be so old when its last attempt comes.
  const attempts = Math.max(hour, retry.afterMs * retry.maxAttempts)
  const judge = (code: "topic-retention" | "timestamp-bounds", name: string, fate: string) => {
    const limit = numberIn(settings, name)
    if (limit === undefined) return
    const text = `${name} is ${Number.isFinite(limit) ? formatDuration(limit) : "unlimited"}`
    const raise = alter(around, `${name}=${queueRetentionMs}`)
    if (limit <= attempts) {
      const what = `${text}, and retries alone take up to ${formatDuration(attempts)}: ${fate}`
      results.error(code, what, raise)
    } else if (limit < queueRetentionMs) {
      const what = `${text}, and the queue keeps records for ${formatDuration(queueRetentionMs)}: after an outage longer than the first ${fate}`
      results.warning(code, what, raise)
    } else results.ok(code, text)
  }
  judge("topic-retention", "retention.ms", "replayed records are deleted unread")
  judge("timestamp-bounds", "message.timestamp.before.max.ms", "replayed records are refused")
  // Before Kafka 3.6 one setting bounds both sides.
  if (settings["message.timestamp.before.max.ms"] === undefined) {
    judge("timestamp-bounds", "message.timestamp.difference.max.ms", "replayed records are refused")
  }
}
