/**
 * What became of one record: a `Receipt` when it is durable, a `PublishError` when it is not. There is no third case.
 */
import * as Data from "effect/Data"

/** Where a durable record is: in Kafka, in the fallback queue, or on this host's disk. */
export type Durability = "delivered" | "diverted" | "spooled"

/** What all records of one record batch share once it is durable. Receipts point at it instead of copying it. */
export interface Settlement {
  readonly outcome: Durability
  readonly topic: string
  /** -1 when the record was parked before the topic's partitions were known. */
  readonly partition: number
  /** Offset of the batch's first record; -1n unless delivered. */
  readonly baseOffset: bigint
  /** The id of the n-th record of the batch. */
  readonly idAt: (index: number) => string
}

/** A durable record. Fields are read from the batch it travelled in, on demand. */
export class Receipt {
  readonly _tag = "Receipt"
  readonly #settlement: Settlement
  readonly #index: number

  constructor(settlement: Settlement, index: number) {
    this.#settlement = settlement
    this.#index = index
  }

  /** What it has in common with the other records of its batch: the same object for each of them. */
  get settlement(): Settlement {
    return this.#settlement
  }
  /** Which of its batch's records it is, from 0. */
  get index(): number {
    return this.#index
  }

  get outcome(): Durability {
    return this.#settlement.outcome
  }
  get id(): string {
    return this.#settlement.idAt(this.#index)
  }
  get topic(): string {
    return this.#settlement.topic
  }
  /** Undefined while no partition is chosen (parked before Kafka was ever seen). */
  get partition(): number | undefined {
    return this.#settlement.partition < 0 ? undefined : this.#settlement.partition
  }
  /** Known for delivered records, unless Kafka answered that it already had the batch without naming the offset. */
  get offset(): bigint | undefined {
    return this.#settlement.baseOffset < 0n ? undefined : this.#settlement.baseOffset + BigInt(this.#index)
  }

  toJSON(): { id: string; outcome: Durability; topic: string; partition?: number; offset?: string } {
    const { partition, offset } = this
    return {
      id: this.id,
      outcome: this.outcome,
      topic: this.topic,
      ...(partition === undefined ? {} : { partition }),
      ...(offset === undefined ? {} : { offset: offset.toString() })
    }
  }
}

/**
 * Why a record is not durable.
 *
 * Rejected, a fault of the record itself: `InvalidRecord`, `RecordTooLarge`, `UnknownTopic`, `NotAuthorized`,
 * `EncodingFailed`. Failed, not the record's fault: `Overloaded` (no room within the bound, in the buffer or below the
 * backlog's limit), `Closed` (shutting down), `FallbackUnavailable` (Kafka and the fallback both refused in time).
 */
export type PublishErrorReason =
  | "InvalidRecord"
  | "RecordTooLarge"
  | "UnknownTopic"
  | "NotAuthorized"
  | "EncodingFailed"
  | "Overloaded"
  | "Closed"
  | "FallbackUnavailable"

const rejections: ReadonlySet<PublishErrorReason> = new Set([
  "InvalidRecord",
  "RecordTooLarge",
  "UnknownTopic",
  "NotAuthorized",
  "EncodingFailed"
])

/** A record that is not durable anywhere Spillway answers for. One instance may be shared by a whole batch. */
export class PublishError extends Data.TaggedError("PublishError")<{
  readonly reason: PublishErrorReason
  readonly message: string
  /** The member of the record at fault, as a path (`key`, `headers[2]`). */
  readonly field?: string
  readonly cause?: unknown
}> {
  /** True for a permanent fault of the record: sending it again unchanged cannot succeed. */
  get rejected(): boolean {
    return rejections.has(this.reason)
  }
  get retryable(): boolean {
    return !this.rejected
  }
}

/** Per record: durable, or not and why. */
export type Outcome = Receipt | PublishError
