/**
 * Idempotent producing (KIP-98, KIP-360) for a client that keeps one batch in flight per partition: which producer id,
 * epoch and sequence a batch carries, and when a partition needs a new epoch.
 */
import type { BatchStamp, ProduceBatch } from "../KafkaClient.ts"
import { stamp } from "./batchLayout.ts"

interface PartitionSequence {
  producerId: bigint
  epoch: number
  /** First sequence of the next batch. */
  next: number
  /** The batch that carries the newest sequences and has no final answer yet. */
  unsettled: ProduceBatch | undefined
}

const maximumEpoch = 32_766
/** From here on a new producer id is asked for. What is under way until there is one may need some epochs more. */
const exhaustedEpoch = 32_700
/** Sequences wrap at 2^31 - 1 (DefaultRecordBatch.incrementSequence in Kafka's client). */
const sequenceLimit = 2 ** 31

export class ProducerIdentity {
  readonly #producerId: bigint
  readonly #startEpoch: number
  readonly #topics = new Map<string, Map<number, PartitionSequence>>()
  /**
   * Set shortly before the last epoch: the owner must ask for a new producer id. Not later: a batch stamped with an epoch
   * and sequences used before would pass for a copy of the earlier one.
   */
  exhausted = false

  constructor(producerId: bigint, epoch: number) {
    this.#producerId = producerId
    this.#startEpoch = epoch
  }

  /**
   * Stamps a batch before an attempt. A batch that kept its stamp from an earlier attempt is left as it is, so that the
   * broker recognises it. A fresh batch behind one whose fate is unknown starts a new epoch: the gap or overlap in
   * sequences would otherwise be refused for ever, and the new epoch fences the old batch if it is still on its way.
   */
  stamp(batch: ProduceBatch): void {
    const state = this.#state(batch)
    if (batch.stamp !== undefined && batch.stamp.producerId === state.producerId && batch.stamp.epoch === state.epoch) {
      return
    }
    if (state.unsettled !== undefined) this.#newEpoch(state)
    const given: BatchStamp = { producerId: state.producerId, epoch: state.epoch, sequence: state.next }
    stamp(batch.bytes, given.producerId, given.epoch, given.sequence, batch.bodyChecksum)
    batch.stamp = given
    state.next = (state.next + batch.recordCount) % sequenceLimit
    state.unsettled = batch
  }

  /** The broker has the batch. */
  delivered(batch: ProduceBatch): void {
    const state = this.#state(batch)
    if (state.unsettled === batch) state.unsettled = undefined
  }

  /** The broker certainly does not have the batch: its sequences are free again. */
  refused(batch: ProduceBatch): void {
    const state = this.#state(batch)
    if (state.unsettled !== batch || batch.stamp === undefined || batch.maybeWritten === true) return
    state.next = batch.stamp.sequence
    state.unsettled = undefined
    batch.stamp = undefined
  }

  /** The broker asked for a new epoch. */
  fenced(batch: ProduceBatch): void {
    const state = this.#state(batch)
    // A late answer about a batch that was given up must not touch the epoch of the one behind it.
    if (state.unsettled !== batch) return
    batch.stamp = undefined
    this.#newEpoch(state)
  }

  #newEpoch(state: PartitionSequence): void {
    state.unsettled = undefined
    state.next = 0
    if (state.epoch < maximumEpoch) state.epoch++
    if (state.epoch >= exhaustedEpoch) this.exhausted = true
  }

  #state({ partition, topic }: ProduceBatch): PartitionSequence {
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) {
      partitions = new Map()
      this.#topics.set(topic, partitions)
    }
    let state = partitions.get(partition)
    if (state === undefined) {
      state = { producerId: this.#producerId, epoch: this.#startEpoch, next: 0, unsettled: undefined }
      partitions.set(partition, state)
    }
    return state
  }
}
