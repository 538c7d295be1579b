/**
 * Checks a deployment against what keeps records: looks at the Kafka clusters, queues and buckets a configuration names,
 * and says what is wrong with them, why it matters and how to mend it. Nothing is created and no record is written; what
 * is tried is in docs/operations/doctor.md.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as AppConfig from "./AppConfig.ts"
import * as S3Inspection from "./ClaimCheck/s3Inspection.ts"
import { kafkaOptions } from "./Drivers.ts"
import * as Sqs from "./FallbackQueue/Sqs.ts"
import * as SqsInspection from "./FallbackQueue/sqsInspection.ts"
import { inspect as inspectDisk } from "./internal/doctor/disk.ts"
import {
  type BucketEvidence,
  type ClusterEvidence,
  type Evidence,
  missing,
  type QueueEvidence,
  unseen
} from "./internal/doctor/evidence.ts"
import { tryDeadLetters, tryFallback } from "./internal/doctor/queueProbe.ts"
import { fewestReceives, redriveOf } from "./internal/doctor/queueRules.ts"
import * as KafkaInspection from "./KafkaClient/inspection.ts"

export { diagnose, groupOf, reachedNothing } from "./internal/doctor/diagnose.ts"
export type { Evidence } from "./internal/doctor/evidence.ts"
export { type Report, renderText, toJson } from "./internal/doctor/render.ts"
export type { Result, Severity } from "./internal/doctor/result.ts"

const look = <A>(find: () => Promise<A>): Effect.Effect<A> => Effect.promise(find)

const inspectQueue = (
  config: AppConfig.AppConfig,
  { client: name, queueId, role }: Pick<QueueEvidence, "client" | "queueId" | "role">,
  now: () => number
): Effect.Effect<QueueEvidence, never, Scope.Scope> =>
  Effect.gen(function* () {
    const client = config.sqsClients[name]
    const base = { client: name, queueId, role }
    if (client === undefined) return { ...base, attributes: missing, clock: unseen("no client"), tried: {} }
    const { attributes, clock } = yield* look(() => SqsInspection.inspect(queueId, client, now))
    if (attributes._tag === "Missing" || attributes._tag === "Unseen") return { ...base, attributes, clock, tried: {} }
    const queue = yield* Sqs.make({ queueId, client })
    const redrive = attributes._tag === "Seen" ? redriveOf(attributes.value) : undefined
    // Each receive counts against a redrive policy.
    const receives = redrive === undefined || (redrive !== "Unreadable" && redrive.maxReceiveCount >= fewestReceives)
    const found = yield* role === "fallback" ? tryFallback(queue, receives) : tryDeadLetters(queue)
    return { ...base, attributes, clock, tried: found }
  })

/** The queues, each once. */
const queuesOf = ({ producers }: AppConfig.AppConfig) => {
  const queues = new Map<string, Pick<QueueEvidence, "client" | "queueId" | "role">>()
  for (const { retry } of Object.values(producers)) {
    if (!retry.enabled) continue
    const { clientName: client, deadLetterQueueId, queueId } = retry
    queues.set(`${client} ${queueId}`, { client, queueId, role: "fallback" })
    queues.set(`${client} ${deadLetterQueueId}`, { client, queueId: deadLetterQueueId, role: "dead letters" })
  }
  return Array.from(queues.values())
}

const bucketsOf = ({ producers }: AppConfig.AppConfig) => {
  const buckets = new Map<string, Pick<BucketEvidence, "bucket" | "client" | "prefix">>()
  for (const { retry } of Object.values(producers)) {
    if (!retry.enabled || retry.claimCheck === undefined) continue
    const { bucket, clientName: client, prefix } = retry.claimCheck
    buckets.set(`${client} ${bucket} ${prefix}`, { bucket, client, prefix })
  }
  return Array.from(buckets.values())
}

const clustersOf = (config: AppConfig.AppConfig, now: () => number): ReadonlyArray<() => Promise<ClusterEvidence>> => {
  const used = new Map<string, Set<string>>()
  for (const { output: name } of Object.values(config.producers)) {
    const output = config.outputs[name]
    if (output === undefined) continue
    const topics = used.get(output.connection) ?? new Set()
    used.set(output.connection, topics.add(output.topic))
  }
  return Array.from(used).flatMap(([name, topics]) => {
    const connection = config.kafkaConnections[name]
    if (connection === undefined) return []
    const options = { ...kafkaOptions(connection), topics: Array.from(topics), now }
    return [() => KafkaInspection.inspect(name, options)]
  })
}

/** Looks at everything at once. What cannot be seen is part of the evidence: this never fails. */
export const examine = (config: AppConfig.AppConfig): Effect.Effect<Evidence> =>
  Effect.scoped(
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const now = () => clock.unsafeCurrentTimeMillis()
      const all = { concurrency: "unbounded" } as const
      const { spool } = config
      const gathered = yield* Effect.all(
        {
          clusters: Effect.forEach(clustersOf(config, now), look, all),
          queues: Effect.forEach(queuesOf(config), queue => inspectQueue(config, queue, now), all),
          buckets: Effect.forEach(
            bucketsOf(config),
            place => {
              const client = config.s3Clients[place.client]
              return client === undefined
                ? Effect.succeed({ ...place, tried: {}, lifecycle: missing, versioned: missing })
                : look(() => S3Inspection.inspect(place, client, crypto.randomUUID()))
            },
            all
          ),
          disk: spool === undefined ? Effect.succeed(undefined) : look(() => inspectDisk(spool.path))
        },
        all
      )
      return { config, now: now(), ...gathered }
    })
  )
