/**
 * What `doctor` has seen of a deployment: plain facts, gathered by `Doctor` and judged by the rules beside this file.
 */
import type { AppConfig } from "../../AppConfig.ts"
import type { PartitionMetadata } from "../../KafkaClient.ts"

/** What became of looking at one thing. `Unseen`: unreachable, or an answer that says nothing of the thing itself. */
export type Look<A> =
  | { readonly _tag: "Seen"; readonly value: A }
  | { readonly _tag: "Missing" }
  | { readonly _tag: "Denied"; readonly message: string }
  | { readonly _tag: "Unseen"; readonly message: string }

export const seen = <A>(value: A): Look<A> => ({ _tag: "Seen", value })
export const missing: Look<never> = { _tag: "Missing" }
export const denied = (message: string): Look<never> => ({ _tag: "Denied", message })
export const unseen = (message: string): Look<never> => ({ _tag: "Unseen", message })

/** Names and effective values, as a broker or SQS writes them. */
export type Settings = Readonly<Record<string, string>>

/** Another clock against ours. Positive: theirs is ahead. Good to `withinMs` either way. */
export interface ClockReading {
  readonly skewMs: number
  readonly withinMs: number
}

/** The newest version of a request that both sides speak; undefined: none. */
export interface SpokenVersions {
  readonly produce: number | undefined
  readonly metadata: number | undefined
  readonly initProducerId: number | undefined
}

export interface BrokerEvidence {
  readonly id: number
  /** As the cluster advertises it. */
  readonly address: string
  /** By a connection made there, with TLS and SASL. */
  readonly link: Look<{
    readonly versions: SpokenVersions
    /** With TLS, where the runtime shows it: when the broker's certificate ends, ms since the epoch. */
    readonly certificateEndsAt: number | undefined
  }>
  readonly settings: Look<Settings>
}

export interface TopicEvidence {
  readonly topic: string
  readonly partitions: Look<ReadonlyArray<PartitionMetadata>>
  readonly settings: Look<Settings>
  /** By a Produce request for a partition that no topic has: authorised before it is refused, and nothing is written. */
  readonly write: Look<true>
}

export interface ClusterEvidence {
  readonly connection: string
  readonly seeds: ReadonlyArray<{ readonly address: string; readonly link: Look<unknown> }>
  readonly cluster: Look<{
    readonly brokers: ReadonlyArray<BrokerEvidence>
    readonly topics: ReadonlyArray<TopicEvidence>
    /** False: the cluster refuses to give a producer id. */
    readonly idempotence: Look<boolean>
    /** The active controller's clock (KRaft). */
    readonly clock: Look<ClockReading>
  }>
}

export interface QueueEvidence {
  /** Names the SQS client of the configuration. */
  readonly client: string
  readonly queueId: string
  readonly role: "fallback" | "dead letters"
  readonly attributes: Look<Settings>
  /** By operation (`SendMessage`): tried. */
  readonly tried: Readonly<Record<string, Look<true>>>
  readonly clock: Look<ClockReading>
}

/** One rule of a bucket's lifecycle, as far as it concerns us. */
export interface LifecycleRule {
  readonly id: string
  readonly prefix: string
  readonly expirationDays: number | undefined
  readonly abortUploadDays: number | undefined
  readonly noncurrentDays: number | undefined
}

export interface BucketEvidence {
  /** Names the S3 client of the configuration. */
  readonly client: string
  readonly bucket: string
  readonly prefix: string
  readonly tried: Readonly<Record<string, Look<true>>>
  /** Enabled rules that are not bound to tags or sizes. */
  readonly lifecycle: Look<ReadonlyArray<LifecycleRule>>
  readonly versioned: Look<boolean>
}

/** Where the spool's file is or will be. */
export interface DiskEvidence {
  /** `ext4`, `tmpfs`, `overlay`. */
  readonly fileSystem: string
  readonly device: string
  /** The block device's model where the system tells. */
  readonly model: string
  readonly freeBytes: number
}

export interface Evidence {
  readonly config: AppConfig
  /** When it was gathered, ms since the epoch. */
  readonly now: number
  readonly clusters: ReadonlyArray<ClusterEvidence>
  readonly queues: ReadonlyArray<QueueEvidence>
  readonly buckets: ReadonlyArray<BucketEvidence>
  /** Absent: no spool is configured. */
  readonly disk: Look<DiskEvidence> | undefined
}
