/**
 * Makes durable elsewhere what Kafka would not take in time: collects for a few milliseconds, packs many record batches
 * into few messages, stores them, and only then says so.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Envelope } from "./Envelope.ts"
import type { PublishError } from "./Receipt.ts"

/** One record batch to park. */
export interface Parcel {
  readonly envelope: Envelope
  /** For the message's readable attributes. */
  readonly firstId: string
  /** Told exactly once: undefined when it is durable, else why it is not. */
  readonly settle: (error: PublishError | undefined) => void
}

/** What it is doing, for health and metrics. */
export interface Status {
  /** `up`; `down` since the last send failed as a whole. */
  readonly state: "up" | "down"
  /** Empty while up. */
  readonly reason: string
  /** Record batches and bytes not yet durable. */
  readonly pending: number
  readonly pendingBytes: number
}

export interface Service {
  /** Takes the batch over. Never waits: the Producer's buffer bounds what can be here. */
  readonly divert: (parcel: Parcel) => void
  readonly status: () => Status
  /** Waits until nothing is pending. */
  readonly drained: Effect.Effect<void>
  /** The loop to be supervised. */
  readonly run: Effect.Effect<never>
}

export class FallbackWriter extends Context.Tag("spillway/FallbackWriter")<FallbackWriter, Service>() {}
