/**
 * Taking a batch apart after Kafka refused it as a whole for the sake of some of its records.
 */
import * as Either from "effect/Either"
import type { KafkaError } from "../KafkaClient.ts"
import * as RecordBatch from "../RecordBatch.ts"
import { writeChecksum } from "./batchLayout.ts"
import { isDivisible } from "./kafkaErrors.ts"
import { Batch } from "./lane.ts"

export interface Split {
  /** The records at fault, when the broker named them. */
  readonly rejected: Batch | undefined
  /** What to send again. */
  readonly parts: ReadonlyArray<Batch>
}

/** Undefined when the refusal stands for every record of the batch. */
export const split = (batch: Batch, error: KafkaError): Split | undefined => {
  if (batch.recordCount < 2 || !isDivisible(error.reason)) return undefined
  writeChecksum(batch.bytes)
  const read = RecordBatch.records(batch.bytes)
  if (Either.isLeft(read)) return undefined
  const records = read.right
  const part = (places: ReadonlyArray<number>): Batch =>
    new Batch(batch.lane, {
      bytes: RecordBatch.fromRecords(places.flatMap(place => records[place] ?? [])),
      room: 0,
      buffer: undefined,
      callbacks: places.map(place => batch.callbacks[place] ?? (() => undefined)),
      indexes: places.map(place => batch.indexes[place] ?? 0),
      idAt: position => batch.idAt(places[position] ?? 0),
      openedAt: batch.openedAt,
      deadline: batch.deadline,
      partitionFixed: batch.partitionFixed,
      traces: batch.traces?.flatMap(({ context, index }) => {
        const place = places.indexOf(index)
        return place < 0 ? [] : [{ context, index: place }]
      })
    })
  const all = records.map((_, index) => index)
  const culprits = new Set(error.culprits?.filter(index => index >= 0 && index < records.length))
  if (culprits.size > 0 && culprits.size < records.length) {
    return {
      rejected: part(all.filter(index => culprits.has(index))),
      parts: [part(all.filter(index => !culprits.has(index)))]
    }
  }
  const half = records.length >> 1
  return { rejected: undefined, parts: [part(all.slice(0, half)), part(all.slice(half))] }
}
