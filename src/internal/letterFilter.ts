/**
 * Which dead letters are meant. Everything that is given must hold.
 */
import * as RecordBatch from "../RecordBatch.ts"
import type { Letter, Opened } from "./deadLetter.ts"

export interface Filter {
  readonly topic?: string | undefined
  readonly reason?: string | undefined
  /** Dead since before this time, ms since the epoch. */
  readonly before?: number | undefined
  /** Dead since this time or later, ms since the epoch. */
  readonly after?: number | undefined
  readonly key?: Uint8Array | undefined
  /** The record id. */
  readonly id?: string | undefined
}

/** Whether the records themselves must be looked at. */
export const needsRecords = ({ id, key }: Filter): boolean => id !== undefined || key !== undefined

/** What can be told without the records: false when none of them can be meant. */
export const mayMatch = (filter: Filter, letter: Letter): boolean =>
  (filter.reason === undefined || filter.reason === letter.reason) &&
  (filter.before === undefined || letter.at < filter.before) &&
  (filter.after === undefined || letter.at >= filter.after) &&
  (filter.topic === undefined || letter.content._tag === "Records" || filter.topic === letter.topic)

/** Whether a letter without readable records is meant: those of unknown topic are by no topic. */
export const matchesWhole = (filter: Filter, letter: Letter): boolean =>
  !needsRecords(filter) && mayMatch(filter, letter)

const sameBytes = (a: Uint8Array, b: Uint8Array | null): boolean => b !== null && Buffer.compare(a, b) === 0

/** Positions of the records that are meant, of a letter that `mayMatch`. */
export const matching = (filter: Filter, { envelope, records }: Opened, idHeader: string): ReadonlyArray<number> => {
  const { id, key, topic } = filter
  if (topic !== undefined && envelope.topic !== topic) return []
  return records.flatMap((record, position) =>
    (key === undefined || sameBytes(key, record.key)) && (id === undefined || RecordBatch.idOf(record, idHeader) === id)
      ? [position]
      : []
  )
}
