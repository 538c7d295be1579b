/**
 * What the fallback queue and its dead-letter queue must be like.
 */
import * as Either from "effect/Either"
import type { AppConfig, ProducerConfig } from "../../AppConfig.ts"
import * as Envelope from "../../Envelope.ts"
import { formatDuration, formatSize } from "../config/units.ts"
import * as QueueId from "../queueId.ts"
import { createdRetentionSeconds } from "../sqsProvision.ts"
import { maximumBatchBytes } from "../sqsSize.ts"
import type { Code } from "./catalogue.ts"
import type { QueueEvidence, Settings } from "./evidence.ts"
import { judgeClock } from "./kafkaRules.ts"
import { type Result, Results } from "./result.ts"

/** Fewer receives than this can be used up by outages and hand-backs alone. */
export const fewestReceives = 100
const enoughReceives = 1000
/** A shorter retention is no fallback: a weekend without the service loses records. */
const shortestRetentionSeconds = 86_400
/** What a message takes beside its body: the attributes Spillway writes, generously, bytes. */
const attributeRoomBytes = 2048

const set = (evidence: QueueEvidence, attributes: Readonly<Record<string, string>>): string =>
  `aws sqs set-queue-attributes --queue-url <${nameOf(evidence)}> --attributes '${JSON.stringify(attributes)}'`

const nameOf = ({ attributes, queueId }: QueueEvidence): string =>
  attributes._tag === "Seen" ? (attributes.value.QueueArn?.split(":").at(-1) ?? queueId) : queueId

/** Undefined: the server does not tell, as some stand-ins for SQS do not. */
const numberIn = (settings: Settings, name: string): number | undefined => {
  const text = settings[name]
  return text === undefined || Number.isNaN(Number(text)) ? undefined : Number(text)
}

const untold = (results: Results, code: Code, name: string): void =>
  results.unchecked(code, `could not check ${name} because the server does not tell it`)

interface Redrive {
  readonly target: string
  readonly maxReceiveCount: number
}

/** Undefined: SQS moves nothing by itself. `Unreadable` is what SQS itself never writes. */
export const redriveOf = ({ RedrivePolicy }: Settings): Redrive | "Unreadable" | undefined => {
  if (RedrivePolicy === undefined || RedrivePolicy === "") return undefined
  try {
    const policy: unknown = JSON.parse(RedrivePolicy)
    if (typeof policy !== "object" || policy === null) return "Unreadable"
    const target = "deadLetterTargetArn" in policy ? String(policy.deadLetterTargetArn) : ""
    const maxReceiveCount = "maxReceiveCount" in policy ? Number(policy.maxReceiveCount) : Number.NaN
    return Number.isInteger(maxReceiveCount) && target !== "" ? { target, maxReceiveCount } : "Unreadable"
  } catch {
    return "Unreadable"
  }
}

/** The producers that use a queue in its role. */
const usersOf = (evidence: QueueEvidence, config: AppConfig): ReadonlyArray<ProducerConfig> =>
  Object.values(config.producers).filter(({ retry }) => {
    if (!retry.enabled || retry.clientName !== evidence.client) return false
    return evidence.queueId === (evidence.role === "fallback" ? retry.queueId : retry.deadLetterQueueId)
  })

export const queueRules = (
  evidence: QueueEvidence,
  config: AppConfig,
  all: ReadonlyArray<QueueEvidence>
): ReadonlyArray<Result> => {
  const results = new Results(`queue ${nameOf(evidence)}`)
  const users = usersOf(evidence, config)
  const { attributes, role } = evidence
  if (attributes._tag === "Missing") {
    const created = users.some(({ retry }) => retry.create)
    const what = `there is no such queue${role === "fallback" ? "" : " for dead letters"}`
    const fix = `aws sqs create-queue --queue-name ${nameOf(evidence)} --attributes '{"MessageRetentionPeriod":"${createdRetentionSeconds}"}'`
    if (created) results.info("queue-exists", `${what}; it is created at first use (retry.create)`, "")
    else results.error("queue-exists", what, `${fix}, or retry.create: true`)
    return results.list
  }
  if (attributes._tag === "Unseen") {
    const fix = `check cloud.aws.sqs.clients.${evidence.client} and the network`
    results.error("queue-reachable", `it cannot be looked at: ${attributes.message}`, fix)
    return results.list
  }
  const settings = attributes._tag === "Seen" ? attributes.value : undefined
  if (attributes._tag === "Denied") {
    const fix = `allow sqs:GetQueueAttributes and sqs:GetQueueUrl on ${nameOf(evidence)} to this role`
    results.error("queue-access", `its attributes cannot be read: ${attributes.message}`, fix)
  } else results.ok("queue-exists", role === "fallback" ? "the fallback queue" : "for dead letters")
  accessRules(results, evidence)
  clockRule(results, evidence, all)
  if (settings === undefined) return results.list
  encryption(results, evidence, settings)
  if (role === "fallback") {
    retention(results, evidence, settings, users)
    redrive(results, evidence, settings, users)
    size(results, evidence, settings, users, config)
    if ((numberIn(settings, "DelaySeconds") ?? 0) > 0) {
      const what = `DelaySeconds is ${settings.DelaySeconds}`
      results.info("queue-delay", what, set(evidence, { DelaySeconds: "0" }))
    } else results.ok("queue-delay", "no delay of its own")
  } else deadLetters(results, evidence, settings, users, all)
  return results.list
}

/** Once for each client: its queues share SQS's clock. */
const clockRule = (results: Results, evidence: QueueEvidence, all: ReadonlyArray<QueueEvidence>): void => {
  const same = all.filter(
    ({ attributes, client }) =>
      client === evidence.client && (attributes._tag === "Seen" || attributes._tag === "Denied")
  )
  if ((same.find(({ clock }) => clock._tag === "Seen") ?? same[0]) !== evidence) return
  const reading = results.value(evidence.clock, ["aws-clock"], "SQS's clock")
  if (reading !== undefined) judgeClock(results, "aws-clock", reading, "SQS's")
}

const accessRules = (results: Results, evidence: QueueEvidence): void => {
  for (const [operation, look] of Object.entries(evidence.tried)) {
    if (look._tag === "Denied") {
      const fix = `allow sqs:${operation} on ${nameOf(evidence)} to this role, and kms:GenerateDataKey and kms:Decrypt where a KMS key encrypts it`
      results.error("queue-access", `${operation} is denied: ${look.message}`, fix)
    } else if (results.value(look, ["queue-access"], `whether ${operation} is allowed`) !== undefined) {
      results.ok("queue-access", `${operation} is allowed`)
    }
  }
}

const encryption = (results: Results, evidence: QueueEvidence, settings: Settings): void => {
  const { KmsMasterKeyId, Policy = "", SqsManagedSseEnabled } = settings
  const key = KmsMasterKeyId === undefined || KmsMasterKeyId === "" ? undefined : KmsMasterKeyId
  if (key !== undefined) results.ok("queue-encryption", `encrypted with ${key}`)
  else if (SqsManagedSseEnabled === "true") results.ok("queue-encryption", "encrypted with SQS's own key")
  else {
    const fix = set(evidence, { SqsManagedSseEnabled: "true" })
    results.info("queue-encryption", "not encrypted at rest", fix)
  }
  if (evidence.role !== "fallback") return
  if (/"Deny"/.test(Policy) && /sqs:(PurgeQueue|\*)/i.test(Policy)) {
    return results.ok("queue-purge", "purging is denied by the queue's policy")
  }
  const what = "the queue's policy does not deny purging it"
  results.info("queue-purge", what, "deny sqs:PurgeQueue and sqs:DeleteQueue: docs/operations/fallback-queue.md")
}

const days = (seconds: number): string => formatDuration(seconds * 1000)

const retention = (
  results: Results,
  evidence: QueueEvidence,
  settings: Settings,
  users: ReadonlyArray<ProducerConfig>
): void => {
  const seconds = numberIn(settings, "MessageRetentionPeriod")
  if (seconds === undefined) return untold(results, "queue-retention", "MessageRetentionPeriod")
  const attempts = Math.max(0, ...users.map(({ retry }) => (retry.afterMs * retry.maxAttempts) / 1000))
  const what = `MessageRetentionPeriod is ${days(seconds)}`
  const fix = set(evidence, { MessageRetentionPeriod: String(createdRetentionSeconds) })
  if (seconds < Math.max(shortestRetentionSeconds, attempts)) results.error("queue-retention", what, fix)
  else if (seconds < createdRetentionSeconds) results.warning("queue-retention", `${what} of 14 days possible`, fix)
  else results.ok("queue-retention", what)
}

const redrive = (
  results: Results,
  evidence: QueueEvidence,
  settings: Settings,
  users: ReadonlyArray<ProducerConfig>
): void => {
  const policy = redriveOf(settings)
  if (policy === undefined) return results.ok("max-receive-count", "no redrive policy")
  if (policy === "Unreadable") {
    const why = `its RedrivePolicy is ${settings.RedrivePolicy}`
    return results.unchecked("max-receive-count", `could not check when SQS moves messages because ${why}`)
  }
  const { maxReceiveCount, target } = policy
  const what = `its redrive policy moves messages away after ${maxReceiveCount} receives`
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: target, maxReceiveCount: enoughReceives })
  const fix = set(evidence, { RedrivePolicy })
  if (maxReceiveCount < fewestReceives) results.error("max-receive-count", what, fix)
  else if (maxReceiveCount < enoughReceives) results.warning("max-receive-count", what, fix)
  else results.ok("max-receive-count", what)
  const meant = users.flatMap(({ retry }) => (retry.enabled ? [retry.deadLetterQueueId] : []))
  const name = target.split(":").at(-1)
  if (meant.some(id => Either.getOrUndefined(QueueId.parse(id))?.name === name)) {
    return results.ok("redrive-target", "its redrive policy leads to the dead-letter queue of the configuration")
  }
  const elsewhere = `its redrive policy leads to ${target}, dead letters go to ${[...new Set(meant)].join(", ")}`
  results.warning("redrive-target", elsewhere, "use one dead-letter queue for both, or watch both")
}

const size = (
  results: Results,
  evidence: QueueEvidence,
  settings: Settings,
  users: ReadonlyArray<ProducerConfig>,
  config: AppConfig
): void => {
  const limit = numberIn(settings, "MaximumMessageSize")
  if (limit === undefined) return untold(results, "message-size", "MaximumMessageSize")
  const raise = set(evidence, { MaximumMessageSize: String(maximumBatchBytes) })
  const outputs = users.flatMap(({ name, output, retry }) => {
    const found = config.outputs[output]
    return found === undefined || retry.claimCheck !== undefined ? [] : [{ name, bytes: found.maxRecordBytes }]
  })
  const over = outputs.filter(({ bytes }) => Envelope.bodyLength(bytes) + attributeRoomBytes > limit)
  const text = `MaximumMessageSize is ${formatSize(limit)}`
  const [first] = over
  if (first !== undefined) {
    const room = Math.max(0, Math.floor(((limit - attributeRoomBytes) * 3) / 4))
    const what = `${text}, and a record of ${formatSize(first.bytes)} that does not compress fits into no message`
    const fix = `add stream.producer.${first.name}.retry.claim_check, or max_record_bytes: ${room}${limit < maximumBatchBytes ? `, or ${raise}` : ""}`
    // With a spool it has a place, if only on this host's disk.
    if (config.spool === undefined) results.warning("message-size", what, fix)
    else results.info("message-size", `${what}: only the spool takes it`, fix)
  } else if (limit < maximumBatchBytes) {
    results.info("message-size", `${text}: more messages than needed`, raise)
  } else results.ok("message-size", text)
}

const deadLetters = (
  results: Results,
  evidence: QueueEvidence,
  settings: Settings,
  users: ReadonlyArray<ProducerConfig>,
  all: ReadonlyArray<QueueEvidence>
): void => {
  const own = numberIn(settings, "MessageRetentionPeriod")
  if (own === undefined) return untold(results, "dead-letter-retention", "MessageRetentionPeriod")
  const sources = all.filter(
    ({ client, queueId, role }) =>
      role === "fallback" &&
      client === evidence.client &&
      users.some(({ retry }) => retry.enabled && retry.queueId === queueId)
  )
  let longest = 0
  let moves = false
  for (const { attributes } of sources) {
    if (attributes._tag !== "Seen") continue
    longest = Math.max(longest, numberIn(attributes.value, "MessageRetentionPeriod") ?? 0)
    moves ||= redriveOf(attributes.value) !== undefined
  }
  const what = `MessageRetentionPeriod is ${days(own)}`
  const fix = set(evidence, { MessageRetentionPeriod: String(createdRetentionSeconds) })
  if (own >= longest) return results.ok("dead-letter-retention", what)
  const shorter = `${what}, that of the queue before it ${days(longest)}`
  // Dead letters that Spillway makes are new messages; only those that SQS moves keep their age.
  if (moves) results.error("dead-letter-retention", shorter, fix)
  else results.warning("dead-letter-retention", shorter, fix)
}
