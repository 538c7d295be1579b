/**
 * The last resort: a file on this host for record batches that neither Kafka nor the fallback queue takes. The adapter is
 * `Spool/Sqlite`.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type { Envelope } from "./Envelope.ts"

/**
 * `Full`: the bound or the disk is reached. `Unwritable`: the directory is missing, read-only or not ours, or the disk
 * fails. `Locked`: another process has the file open. `Corrupt`: it is no spool, one of a newer version, or broken.
 */
export type SpoolReason = "Full" | "Unwritable" | "Locked" | "Corrupt"

export class SpoolError extends Data.TaggedError("SpoolError")<{
  readonly reason: SpoolReason
  readonly path: string
  readonly message: string
  /** It can pass without anybody changing the file itself: room, rights, the other process's end. */
  readonly retryable: boolean
  readonly cause?: unknown
}> {}

/** A spooled record batch. */
export interface Entry {
  /** Grows from the oldest to the newest. */
  readonly id: number
  readonly envelope: Envelope
  /** ms since the epoch. */
  readonly storedAt: number
}

/** What lies in the spool of one topic. */
export interface TopicStatus {
  readonly topic: string
  readonly batches: number
  readonly records: number
}

export interface Status {
  readonly path: string
  /** What lies in it, as far as the file could be opened. */
  readonly batches: number
  readonly records: number
  /** Of the batches, encoded. The file is somewhat larger. */
  readonly bytes: number
  /** Nothing more is taken in beyond this size of the file; its log adds a few MiB. */
  readonly maxBytes: number
  readonly topics: ReadonlyArray<TopicStatus>
  /** When the oldest batch was stored, ms since the epoch; undefined when it is empty. */
  readonly oldestAt: number | undefined
  /** Records that were found broken, or written by a newer version; they stay where they are. */
  readonly unreadable: number
  /** Why nothing could be stored when it was last tried, as `{reason}: {message}`; empty when it can. */
  readonly fault: string
}

export interface Service {
  readonly path: string
  /** Stores all of them in one transaction, or none. Succeeds once they are on the disk (fsync). */
  readonly put: (envelopes: ReadonlyArray<Envelope>) => Effect.Effect<void, SpoolError>
  /** The oldest batches of a topic that `skip` lets pass, at most `batches` and about `bytes`. They stay in the spool. */
  readonly oldest: (
    topic: string,
    limits: { readonly batches: number; readonly bytes: number; readonly skip: ReadonlySet<number> }
  ) => Effect.Effect<ReadonlyArray<Entry>, SpoolError>
  /** In one transaction: removes `ids`, which are settled, and stores what is left of them. The new ids, in order. */
  readonly settle: (
    ids: ReadonlyArray<number>,
    left: ReadonlyArray<Envelope>
  ) => Effect.Effect<ReadonlyArray<number>, SpoolError>
  /** Opens the file when it is not open: at the start, or after a fault. */
  readonly probe: Effect.Effect<void, SpoolError>
  readonly status: () => Status
}

export class Spool extends Context.Tag("spillway/Spool")<Spool, Service>() {}
