/**
 * A diverted record batch with what is needed to replay it, and the pack: many envelopes in one SQS message body.
 */
import * as Data from "effect/Data"

/** One parked record batch. */
export interface Envelope {
  readonly topic: string
  /** -1: no partition was known; one is chosen at replay. */
  readonly partition: number
  /** How many partitions the topic had when `partition` was chosen; 0 when unknown. */
  readonly partitionCount: number
  /** True when the caller fixed the partition: it is kept even if the partition count changes. */
  readonly partitionFixed: boolean
  /** Times Kafka was there and refused these records in the retry daemon. */
  readonly attempts: number
  /** ms since the epoch. */
  readonly firstFailureAt: number
  /** Not replayed before this time, ms since the epoch; 0 for at once. */
  readonly notBefore: number
  /** `{class}:{reason}` of the last failure, e.g. `Availability:CONNECTION_REFUSED`. */
  readonly lastError: string
  /** The instance that parked it. */
  readonly origin: string
  /** W3C traceparent of the publish, empty when there was none. */
  readonly traceParent: string
  readonly recordCount: number
  /** Kafka v2 record batch without producer id; CRC valid. */
  readonly batch: Uint8Array
}

/** The body is not a pack this version can read. `foreign`: it does not claim to be a pack at all. */
export class PackError extends Data.TaggedError("PackError")<{
  readonly reason: "Foreign" | "Corrupt" | "UnsupportedVersion"
  readonly message: string
}> {}
