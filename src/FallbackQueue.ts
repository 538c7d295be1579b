/**
 * A durable queue for what Kafka would not take. Drivers: `FallbackQueue/Sqs` (real) and `FallbackQueue/Memory` (tests).
 * The queue moves opaque message bodies; what is in them is `Envelope`'s business.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"

/**
 * `NotFound`, `AccessDenied`, `Throttled`, `Unavailable` (unreachable, 5xx, timeout), `Invalid` (the service refused the
 * request itself), `Unknown` (it may have been stored: timeout or broken connection after the bytes left, MD5 mismatch).
 */
export type FallbackQueueReason = "NotFound" | "AccessDenied" | "Throttled" | "Unavailable" | "Invalid" | "Unknown"

export class FallbackQueueError extends Data.TaggedError("FallbackQueueError")<{
  readonly reason: FallbackQueueReason
  readonly queue: string
  readonly operation: string
  readonly message: string
  /** Trying the same call again later can succeed. */
  readonly retryable: boolean
  readonly cause?: unknown
}> {}

/** One message to store. */
export interface QueueEntry {
  /** Text of valid XML characters (base64 in practice). */
  readonly body: string
  /** Readable String attributes, at most 10, values not empty. */
  readonly attributes: Readonly<Record<string, string>>
  /** Seconds before it may be received, 0 to 900. */
  readonly delaySeconds: number
}

/** What became of one entry of a `send`. */
export type SendOutcome =
  | { readonly _tag: "Stored"; readonly messageId: string }
  | { readonly _tag: "Refused"; readonly error: FallbackQueueError }

/** One received message; invisible to others until its visibility timeout ends. */
export interface QueueMessage {
  readonly messageId: string
  readonly receiptHandle: string
  readonly body: string
  readonly attributes: Readonly<Record<string, string>>
  /** Times it was received, this one included. */
  readonly receiveCount: number
  /** When it was first stored, ms since the epoch. */
  readonly sentAt: number
}

/** Limits and policy of the queue, read from it. */
export interface QueueLimits {
  /** Largest message: body and attributes together, bytes. */
  readonly maximumMessageBytes: number
  readonly retentionSeconds: number
  readonly visibilitySeconds: number
  /** Receives after which SQS itself moves a message away; absent where the queue has no redrive policy. */
  readonly maxReceiveCount?: number
}

/** Approximate numbers, as SQS counts. */
export interface QueueDepth {
  readonly visible: number
  readonly inFlight: number
  readonly delayed: number
}

export interface Service {
  /** Name for people: logs, metrics, health. */
  readonly name: string
  /** Read from the queue at first use, then kept until the queue turns out to be gone. */
  readonly limits: Effect.Effect<QueueLimits, FallbackQueueError>
  /** Asked for each time: also the readiness probe. */
  readonly depth: Effect.Effect<QueueDepth, FallbackQueueError>
  /**
   * One call: at most 10 entries and `maximumMessageBytes` (and 1 MiB) in total. Outcomes in the order of `entries`;
   * fails only when the call as a whole failed.
   */
  readonly send: (entries: ReadonlyArray<QueueEntry>) => Effect.Effect<ReadonlyArray<SendOutcome>, FallbackQueueError>
  /** Long poll: at most `max` (1 to 10) messages, waiting up to `waitSeconds` (0 to 20). */
  readonly receive: (options: {
    readonly max: number
    readonly waitSeconds: number
    readonly visibilitySeconds: number
  }) => Effect.Effect<ReadonlyArray<QueueMessage>, FallbackQueueError>
  readonly delete: (receiptHandle: string) => Effect.Effect<void, FallbackQueueError>
  /** 0 hands it back at once; at most 43200. */
  readonly changeVisibility: (receiptHandle: string, seconds: number) => Effect.Effect<void, FallbackQueueError>
}

export class FallbackQueue extends Context.Tag("spillway/FallbackQueue")<FallbackQueue, Service>() {}
