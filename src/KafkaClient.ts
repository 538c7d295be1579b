/**
 * Kafka as Spillway needs it: one Produce attempt with an outcome per batch, and metadata. Drivers: `KafkaClient/KafkaJs`
 * (real) and `KafkaClient/Memory` (scripted, for tests).
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"

/**
 * `Availability`: certainly not written, Kafka's fault. `Permanent`: certainly not written, the record's fault.
 * `Unknown`: it may be in Kafka (the attempt timed out, the connection broke after the bytes left, or the leader lost its
 * place after it had written them).
 */
export type FailureClass = "Availability" | "Permanent" | "Unknown"

/** Why a batch, or a call, failed. */
export class KafkaError extends Data.TaggedError("KafkaError")<{
  readonly class: FailureClass
  /** Kafka's error name (`NOT_LEADER_OR_FOLLOWER`) or ours (`CONNECTION_REFUSED`, `ATTEMPT_TIMEOUT`). */
  readonly reason: string
  /** Sending the same bytes again inside the deadline can help and cannot duplicate. */
  readonly retryable: boolean
  readonly message: string
  /** Batch indexes of the records the broker named as culprits (KIP-467), when it did. */
  readonly culprits?: ReadonlyArray<number>
  readonly cause?: unknown
}> {}

/** A finished record batch on its way to one partition. The same object is handed in again for a retry. */
export interface ProduceBatch {
  readonly topic: string
  readonly partition: number
  readonly recordCount: number
  readonly bytes: Uint8Array
  /**
   * Bytes right in front of `bytes`, in the same memory, that the client may write to: head and batch of a request are then
   * one piece.
   */
  readonly room?: number | undefined
  /** CRC-32C of everything behind the header, where somebody has worked it out already. */
  readonly bodyChecksum?: number | undefined
  /**
   * True: the client stamps producer id, epoch, sequence and the checksum into `bytes` (it need not be valid before).
   * False: the bytes are sent as they are.
   */
  readonly idempotent: boolean
  /** The client's own note about the stamp, kept between attempts of the same batch. */
  stamp?: BatchStamp | undefined
  /** Its time is over: an attempt that has not begun to send it by then must not. */
  readonly settled?: boolean
  /** Set by the client once an attempt ended as `Unknown`: from then on the batch may be in Kafka. */
  maybeWritten?: boolean
}

/** Producer id, epoch and first sequence written into a batch (KIP-98). */
export interface BatchStamp {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

/** What one attempt did to one batch. */
export type ProduceOutcome =
  | { readonly _tag: "Delivered"; readonly baseOffset: bigint }
  | { readonly _tag: "Failed"; readonly error: KafkaError }

export interface PartitionMetadata {
  readonly partition: number
  /** Broker id of the leader; -1 when there is none now. */
  readonly leader: number
  readonly replicas: ReadonlyArray<number>
  readonly inSyncReplicas: ReadonlyArray<number>
}

/** One topic as the cluster described it just now. */
export type TopicMetadata =
  | { readonly _tag: "Topic"; readonly topic: string; readonly partitions: ReadonlyArray<PartitionMetadata> }
  | { readonly _tag: "TopicFailed"; readonly topic: string; readonly error: KafkaError }

export class KafkaClient extends Context.Tag("spillway/KafkaClient")<
  KafkaClient,
  {
    /**
     * One attempt (no retries inside): outcomes in the order of `batches`, each settled for itself. At most one batch
     * per topic-partition. Never fails and never takes longer than `timeoutMs`.
     */
    readonly produce: (
      batches: ReadonlyArray<ProduceBatch>,
      timeoutMs: number
    ) => Effect.Effect<ReadonlyArray<ProduceOutcome>>
    /**
     * `produce` as plain code, for the record's way: no fiber per request. Calls `done` once, possibly before it returns. A
     * driver without it is asked through `produce`.
     */
    readonly send?: (
      batches: ReadonlyArray<ProduceBatch>,
      timeoutMs: number,
      done: (outcomes: ReadonlyArray<ProduceOutcome>) => void
    ) => void
    /** A large batch is on its way to that partition, whoever sent it. While a broker writes it, others for it wait. */
    readonly occupied?: (topic: string, partition: number) => boolean
    /** Fresh metadata from any broker that answers; leaders learnt here steer the following `produce` calls. */
    readonly metadata: (
      topics: ReadonlyArray<string>,
      timeoutMs: number
    ) => Effect.Effect<ReadonlyArray<TopicMetadata>, KafkaError>
  }
>() {}

/** The service behind the tag. */
export type Service = Context.Tag.Service<typeof KafkaClient>
