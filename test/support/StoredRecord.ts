/**
 * A record as a reader found it in Kafka, in the same shape whichever reader it was.
 */
export interface StoredRecord {
  readonly partition: number
  readonly offset: bigint
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** In stored order, except that kafkajs groups headers of the same name. */
  readonly headers: ReadonlyArray<readonly [name: string, value: Uint8Array | null]>
  /** Milliseconds since the epoch. */
  readonly timestamp: number
}

export const byPosition = (a: StoredRecord, b: StoredRecord): number =>
  a.partition - b.partition || (a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0)

/** The value of the first header of that name as text; undefined when there is none or it is null. */
export const headerText = (record: StoredRecord, name: string): string | undefined => {
  const value = record.headers.find(header => header[0] === name)?.[1]
  return value === undefined || value === null ? undefined : Buffer.from(value).toString("utf8")
}
