/**
 * What the retry daemon sends: parked batches as they are, small ones of the same partition merged into one.
 */
import * as Either from "effect/Either"
import type { Envelope } from "../Envelope.ts"
import * as RecordBatch from "../RecordBatch.ts"

/** One record batch to send, made of one envelope or several of the same partition. */
export interface Unit<E extends Envelope> {
  readonly topic: string
  readonly partition: number
  readonly envelopes: ReadonlyArray<E>
  readonly recordCount: number
  readonly bytes: Uint8Array
}

/** Batches smaller than this are merged, bytes: below it a request costs more than copying its records. */
const smallBytes = 64 * 1024

const single = <E extends Envelope>(envelope: E): Unit<E> => ({
  topic: envelope.topic,
  partition: envelope.partition,
  envelopes: [envelope],
  recordCount: envelope.recordCount,
  bytes: envelope.batch
})

/** Compressed ones are merged uncompressed: it is what the records take then that counts. */
const merge = <E extends Envelope>(envelopes: ReadonlyArray<E>, batchBytes: number): ReadonlyArray<Unit<E>> => {
  if (envelopes.length < 2) return envelopes.map(single)
  const units: Array<Unit<E>> = []
  let group: Array<E> = []
  let records: Array<RecordBatch.ReadRecord> = []
  let size = 0
  const close = () => {
    const [first, second] = group
    if (first === undefined) return
    const { partition, topic } = first
    if (second === undefined) units.push(single(first))
    else {
      const bytes = RecordBatch.fromRecords(records)
      units.push({ topic, partition, envelopes: group, recordCount: records.length, bytes })
    }
    group = []
    records = []
    size = 0
  }
  for (const envelope of envelopes) {
    const read = RecordBatch.records(envelope.batch)
    if (Either.isLeft(read)) return envelopes.map(single)
    const more = read.right.reduce((sum, { tail }) => sum + tail.length, 0)
    if (size + more > batchBytes) close()
    group.push(envelope)
    for (const record of read.right) records.push(record)
    size += more
  }
  close()
  return units
}

/**
 * Rounds to send one after the other. A round has at most one unit per topic-partition, and the order of a partition's
 * envelopes is kept from round to round.
 *
 * @param batchBytes most bytes of a merged batch
 */
export const rounds = <E extends Envelope>(
  envelopes: ReadonlyArray<E>,
  batchBytes: number
): ReadonlyArray<ReadonlyArray<Unit<E>>> => {
  const byPartition = new Map<string, Array<E>>()
  for (const envelope of envelopes) {
    const key = `${envelope.topic}-${envelope.partition}`
    const same = byPartition.get(key)
    if (same === undefined) byPartition.set(key, [envelope])
    else same.push(envelope)
  }
  const result: Array<Array<Unit<E>>> = []
  for (const queue of byPartition.values()) {
    const units: Array<Unit<E>> = []
    let group: Array<E> = []
    let size = 0
    for (const envelope of queue) {
      const small = envelope.batch.length < smallBytes
      if (group.length > 0 && (!small || size + envelope.batch.length > batchBytes)) {
        units.push(...merge(group, batchBytes))
        group = []
        size = 0
      }
      if (!small) units.push(single(envelope))
      else {
        group.push(envelope)
        size += envelope.batch.length
      }
    }
    units.push(...merge(group, batchBytes))
    units.forEach((unit, index) => {
      const round = result[index]
      if (round === undefined) result.push([unit])
      else round.push(unit)
    })
  }
  return result
}

/** The envelope's records one half each, or only those named and the rest; undefined for a single record. */
export const divide = <E extends Envelope>(
  envelope: E,
  culprits: ReadonlyArray<number> = []
): ReadonlyArray<E> | undefined => {
  const read = RecordBatch.records(envelope.batch)
  if (Either.isLeft(read) || read.right.length < 2) return undefined
  const records = read.right
  const named = new Set(culprits)
  const groups =
    named.size > 0 && named.size < records.length
      ? [records.filter((_, index) => named.has(index)), records.filter((_, index) => !named.has(index))]
      : [records.slice(0, records.length >> 1), records.slice(records.length >> 1)]
  return groups.map(group => ({ ...envelope, recordCount: group.length, batch: RecordBatch.fromRecords(group) }))
}
