/**
 * The records on their way to one partition: the batch being written, those waiting, and the one in flight. At most one
 * is in flight per partition, which keeps order through retries and makes a sequence gap impossible to miss.
 */
import type { Permit } from "../CircuitBreaker.ts"
import type { BatchStamp, KafkaError, ProduceBatch } from "../KafkaClient.ts"
import { type Outcome, type PublishError, Receipt, type Settlement } from "../Receipt.ts"
import type { BatchBuilder, Callback, Trace } from "./batchBuilder.ts"
import { headerBytes } from "./batchLayout.ts"
import { largeBatchBytes } from "./bodyChecksum.ts"

/** A closed batch. It has exactly one owner until `settled`. */
export class Batch implements ProduceBatch {
  readonly topic: string
  readonly partition: number
  readonly recordCount: number
  readonly idempotent = true
  readonly lane: Lane
  readonly callbacks: ReadonlyArray<Callback>
  /** What each callback is told beside the outcome; a place left out is 0. */
  readonly indexes: ReadonlyArray<number>
  readonly idAt: (index: number) => string
  /** ms since the epoch: when its first record was accepted, and until when Kafka may be tried. */
  readonly openedAt: number
  readonly deadline: number
  /** A caller fixed the partition of one of its records. */
  readonly partitionFixed: boolean
  /** The sampled traces its records belong to. */
  readonly traces: ReadonlyArray<Trace> | undefined
  bytes: Uint8Array
  bodyChecksum: number | undefined
  /** Bytes of the builder's memory in front of them, for the head of a request. */
  room: number
  /** The pooled buffer behind `bytes`; undefined when it must not be reused. */
  buffer: Buffer | undefined
  stamp: BatchStamp | undefined
  maybeWritten = false
  permit: Permit | undefined
  sentAt = 0
  lastError: KafkaError | undefined
  /** An attempt is under way: its bytes may leave at any moment. */
  attempting = false
  /** It was handed on, or its records are settled: a late answer changes nothing. */
  settled = false
  /** Bytes its records take of the buffer budget. */
  readonly budgetBytes: number
  /** Records whose outcome is not known yet. */
  unsettled: number

  constructor(
    lane: Lane,
    parts: {
      readonly bytes: Uint8Array
      readonly room: number
      readonly buffer: Buffer | undefined
      readonly callbacks: ReadonlyArray<Callback>
      readonly indexes: ReadonlyArray<number>
      readonly idAt: (index: number) => string
      readonly openedAt: number
      readonly deadline: number
      readonly partitionFixed: boolean
      readonly traces: ReadonlyArray<Trace> | undefined
    }
  ) {
    this.lane = lane
    this.topic = lane.topic
    this.partition = lane.partition
    this.recordCount = parts.callbacks.length
    this.unsettled = this.recordCount
    this.bytes = parts.bytes
    this.room = parts.room
    this.budgetBytes = parts.bytes.length - headerBytes
    this.buffer = parts.buffer
    this.callbacks = parts.callbacks
    this.indexes = parts.indexes
    this.idAt = parts.idAt
    this.openedAt = parts.openedAt
    this.deadline = parts.deadline
    this.partitionFixed = parts.partitionFixed
    this.traces = parts.traces
  }

  /** Tells callers that their records are durable: all of them, or those from `from` up to `to`. */
  succeed(outcome: Settlement["outcome"], baseOffset: bigint, from = 0, to = this.recordCount): void {
    const { idAt, partition, topic } = this
    const settlement: Settlement = { outcome, topic, partition, baseOffset, idAt }
    const { callbacks, indexes } = this
    for (let i = from; i < to; i++) tell(callbacks[i], indexes[i], new Receipt(settlement, i))
  }

  /** Tells callers that their records are not durable: all of them, or those from `from` up to `to`. */
  fail(error: PublishError, from = 0, to = this.recordCount): void {
    const { callbacks, indexes } = this
    for (let i = from; i < to; i++) tell(callbacks[i], indexes[i], error)
  }
}

/** A callback that throws must not keep its neighbours from being told; the fault is shown where uncaught ones go. */
export const tell = (callback: Callback | undefined, index = 0, outcome: Outcome): void => {
  try {
    callback?.(outcome, index)
  } catch (cause) {
    queueMicrotask(() => {
      throw cause
    })
  }
}

/** One partition of one topic; partition -1 holds records until the topic's partitions are known. */
export class Lane {
  readonly topic: string
  readonly partition: number
  readonly queue: Array<Batch> = []
  builder: BatchBuilder | undefined
  openedAt = 0
  partitionFixed = false
  inFlight: Batch | undefined
  /** Broker id of the leader; -1 when not known. */
  leader = -1
  /** Bytes handed to Kafka so far, for the `least_bytes` balancer. */
  sentBytes = 0
  /** Size of the last batch: the next one's buffer is taken in that size. */
  lastSize = 0
  /** The newest batch failed: what is queued behind it fails with it, if its time is up. */
  stalled = false

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  /** Records of the batch being written. */
  get writing(): number {
    // A builder without records is left by one that was too large; the next record may have it.
    return this.builder?.count ?? 0
  }

  get empty(): boolean {
    return this.writing === 0 && this.queue.length === 0 && this.inFlight === undefined
  }

  /** What comes now would wait for a large batch. */
  get behindLarge(): boolean {
    const last = this.queue[this.queue.length - 1] ?? this.inFlight
    return last !== undefined && last.bytes.length >= largeBatchBytes
  }

  /** When the oldest record in it was accepted, ms since the epoch; infinity while it is empty. */
  get oldestAt(): number {
    const never = Number.POSITIVE_INFINITY
    const open = this.writing === 0 ? never : this.openedAt
    return Math.min(open, this.inFlight?.openedAt ?? never, this.queue[0]?.openedAt ?? never)
  }

  /** Closes the batch being written and queues it. */
  seal(writeTimeoutMs: number): void {
    const builder = this.builder
    if (builder === undefined || builder.count === 0) return
    const { buffer, bytes, room } = builder.finish()
    // One small batch among large ones would have the next one grow from its size.
    this.lastSize = Math.max(bytes.length, this.lastSize >> 1)
    this.queue.push(
      new Batch(this, {
        bytes,
        room,
        buffer,
        callbacks: builder.callbacks,
        indexes: builder.indexes,
        idAt: builder.idAt,
        openedAt: this.openedAt,
        deadline: this.openedAt + writeTimeoutMs,
        partitionFixed: this.partitionFixed,
        traces: builder.traces
      })
    )
    this.builder = undefined
    this.partitionFixed = false
  }
}
