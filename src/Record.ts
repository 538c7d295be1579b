/**
 * The record a caller hands to Spillway, in Kafka's own words.
 */

/** A header value; `null` and the empty string are different things in Kafka and stay so here. */
export type HeaderValue = Uint8Array | string | null

/** Headers as pairs: names may repeat, order is kept. */
export type Headers = ReadonlyArray<readonly [name: string, value: HeaderValue]>

/** One record to publish. Strings are written as UTF-8. */
export interface ProducerRecord {
  readonly topic: string
  /** Decides the partition unless `partition` is given. Absent and `null` mean "no key". */
  readonly key?: Uint8Array | string | null | undefined
  /** `null` is a tombstone. */
  readonly value: Uint8Array | string | null
  readonly headers?: Headers | undefined
  /** Milliseconds since the epoch; now when absent. */
  readonly timestamp?: number | undefined
  /** A fixed partition; chosen by the balancer when absent. */
  readonly partition?: number | undefined
  /** The record id consumers deduplicate on; a UUIDv7 when absent. */
  readonly id?: string | undefined
}
