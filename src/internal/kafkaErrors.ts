/**
 * Every way Kafka, or the connection to it, can fail a call, mapped to what it means for a record. Total: what is not
 * in the table counts as Availability.
 *
 * @see https://kafka.apache.org/protocol#protocol_error_codes
 */
import { type FailureClass, KafkaError } from "../KafkaClient.ts"

interface Row {
  readonly reason: string
  readonly class: FailureClass
  readonly retryable: boolean
}

const available = (reason: string, retryable = true): Row => ({ reason, class: "Availability", retryable })
const permanent = (reason: string, retryable = false): Row => ({ reason, class: "Permanent", retryable })
const unknown = (reason: string): Row => ({ reason, class: "Unknown", retryable: false })

/** Error codes a produce, metadata or producer-id answer can carry. Code 46 is not here: it means "already written". */
export const byCode: ReadonlyMap<number, Row> = new Map<number, Row>([
  [-1, unknown("UNKNOWN_SERVER_ERROR")],
  [2, available("CORRUPT_MESSAGE")],
  // A topic created a moment ago is unknown to some brokers for a while: worth the rest of the deadline.
  [3, permanent("UNKNOWN_TOPIC_OR_PARTITION", true)],
  [5, available("LEADER_NOT_AVAILABLE")],
  [6, available("NOT_LEADER_OR_FOLLOWER")],
  // The leader wrote the batch, its replicas have not confirmed it.
  [7, unknown("REQUEST_TIMED_OUT")],
  [8, available("BROKER_NOT_AVAILABLE")],
  [9, available("REPLICA_NOT_AVAILABLE")],
  [10, permanent("MESSAGE_TOO_LARGE")],
  [13, unknown("NETWORK_EXCEPTION")],
  [14, available("COORDINATOR_LOAD_IN_PROGRESS")],
  [15, available("COORDINATOR_NOT_AVAILABLE")],
  [16, available("NOT_COORDINATOR")],
  [17, permanent("INVALID_TOPIC_EXCEPTION")],
  [18, permanent("RECORD_LIST_TOO_LARGE")],
  [19, available("NOT_ENOUGH_REPLICAS")],
  [20, unknown("NOT_ENOUGH_REPLICAS_AFTER_APPEND")],
  [21, available("INVALID_REQUIRED_ACKS", false)],
  [29, permanent("TOPIC_AUTHORIZATION_FAILED")],
  [31, permanent("CLUSTER_AUTHORIZATION_FAILED")],
  [32, permanent("INVALID_TIMESTAMP")],
  [33, available("UNSUPPORTED_SASL_MECHANISM", false)],
  [34, available("ILLEGAL_SASL_STATE", false)],
  [35, available("UNSUPPORTED_VERSION", false)],
  [42, available("INVALID_REQUEST", false)],
  [43, permanent("UNSUPPORTED_FOR_MESSAGE_FORMAT")],
  [44, permanent("POLICY_VIOLATION")],
  [45, available("OUT_OF_ORDER_SEQUENCE_NUMBER")],
  [47, available("INVALID_PRODUCER_EPOCH")],
  [51, available("CONCURRENT_TRANSACTIONS")],
  [53, permanent("TRANSACTIONAL_ID_AUTHORIZATION_FAILED")],
  [56, available("KAFKA_STORAGE_ERROR")],
  [58, available("SASL_AUTHENTICATION_FAILED", false)],
  [59, available("UNKNOWN_PRODUCER_ID")],
  [72, available("LISTENER_NOT_FOUND")],
  [74, available("FENCED_LEADER_EPOCH")],
  [75, available("UNKNOWN_LEADER_EPOCH")],
  [76, permanent("UNSUPPORTED_COMPRESSION_TYPE")],
  [87, permanent("INVALID_RECORD")],
  [89, available("THROTTLING_QUOTA_EXCEEDED")],
  [90, available("PRODUCER_FENCED")],
  [100, available("UNKNOWN_TOPIC_ID")]
])

/** `DUPLICATE_SEQUENCE_NUMBER`: the broker has this very batch already, so it is delivered. */
export const duplicateSequence = 46

/** The answers that ask for a new producer epoch (KIP-360). */
export const asksForNewEpoch = (code: number): boolean => code === 45 || code === 47 || code === 59 || code === 90

/** What the broker said beside the code, and whether the batch can be sent again without duplicating. */
export interface CodeDetails {
  readonly message?: string | null
  readonly culprits?: ReadonlyArray<number>
  readonly idempotent?: boolean
  /**
   * The answer names an offset although it is an error: the leader wrote the batch and lost its place before the replicas
   * had confirmed (`DelayedProduce` in Kafka's server). The next leader may have it.
   */
  readonly appended?: boolean
}

export const fromCode = (
  code: number,
  { message, culprits = [], idempotent = false, appended = false }: CodeDetails = {}
): KafkaError => {
  const row = byCode.get(code) ?? available(`ERROR_${code}`)
  const unsure = row.class === "Unknown" || (appended && row.class === "Availability")
  return new KafkaError({
    ...row,
    class: unsure ? "Unknown" : row.class,
    retryable: unsure ? idempotent : row.retryable,
    message: message ?? `Kafka answered ${row.reason} (${code})`,
    ...(culprits.length === 0 ? {} : { culprits })
  })
}

const connectionReasons: ReadonlyMap<string, string> = new Map([
  ["ECONNREFUSED", "CONNECTION_REFUSED"],
  ["ENOTFOUND", "HOST_NOT_FOUND"],
  ["EAI_AGAIN", "HOST_NOT_FOUND"],
  ["ETIMEDOUT", "CONNECTION_TIMEOUT"],
  ["EHOSTUNREACH", "HOST_UNREACHABLE"],
  ["ENETUNREACH", "HOST_UNREACHABLE"],
  ["ECONNRESET", "CONNECTION_CLOSED"],
  ["EPIPE", "CONNECTION_CLOSED"]
])

const textOf = (value: unknown, member: string): string => {
  const found: unknown = typeof value === "object" && value !== null ? Reflect.get(value, member) : undefined
  return typeof found === "string" ? found : ""
}

/**
 * Anything thrown by a connection. kafkajs marks refused connections as not retriable, so its own `retriable` flag is
 * never looked at.
 *
 * @param written whether bytes of the request may have left: then nobody knows whether Kafka has them
 * @param idempotent whether sending the same bytes again cannot duplicate
 */
export const fromThrown = (cause: unknown, written: boolean, idempotent: boolean): KafkaError => {
  const text = textOf(cause, "message") || String(cause)
  const name = textOf(cause, "name")
  if (name === "KafkaJSSASLAuthenticationError" || textOf(cause, "type").includes("SASL")) {
    return new KafkaError({
      class: "Availability",
      reason: "AUTHENTICATION_FAILED",
      retryable: false,
      message: text,
      cause
    })
  }
  const code = textOf(cause, "code") || [...connectionReasons.keys()].find(known => text.includes(known)) || ""
  const reason = /certificate|self.signed|SSL|TLS/i.test(`${code} ${text}`)
    ? "TLS_FAILED"
    : (connectionReasons.get(code) ?? (/timeout|timed out/i.test(text) ? "CONNECTION_TIMEOUT" : "CONNECTION_CLOSED"))
  return written
    ? new KafkaError({ class: "Unknown", reason, retryable: idempotent, message: text, cause })
    : new KafkaError({ class: "Availability", reason, retryable: true, message: text, cause })
}

/** No answer in time. */
export const attemptTimeout = (written: boolean, idempotent: boolean, timeoutMs: number): KafkaError =>
  new KafkaError({
    class: written ? "Unknown" : "Availability",
    reason: "ATTEMPT_TIMEOUT",
    retryable: !written || idempotent,
    message: `no answer from Kafka within ${timeoutMs} ms`
  })

/** The cluster names no leader for the partition, or the partition is not known at all. */
export const noLeader = (topic: string, partition: number): KafkaError =>
  new KafkaError({ ...available("LEADER_NOT_AVAILABLE"), message: `no leader is known for ${topic}-${partition}` })

/** The broker answered the request but not for this partition. */
export const unanswered = (idempotent: boolean): KafkaError =>
  new KafkaError({
    class: "Unknown",
    reason: "PARTITION_UNANSWERED",
    retryable: idempotent,
    message: "Kafka's answer does not mention the partition"
  })

const divisible: ReadonlySet<string> = new Set([
  "MESSAGE_TOO_LARGE",
  "RECORD_LIST_TOO_LARGE",
  "INVALID_RECORD",
  "INVALID_TIMESTAMP",
  "CORRUPT_MESSAGE"
])

/** Refusals of a whole batch that a smaller one, or one without the record at fault, may escape. */
export const isDivisible = (reason: string): boolean => divisible.has(reason)
