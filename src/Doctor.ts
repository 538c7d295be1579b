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
import * as Envelope from "./Envelope.ts"
import * as Sqs from "./FallbackQueue/Sqs.ts"
import * as SqsInspection from "./FallbackQueue/sqsInspection.ts"
import type { FallbackQueueError, Service as Queue } from "./FallbackQueue.ts"
import { inspect as inspectDisk } from "./internal/doctor/disk.ts"
import {
  type BucketEvidence,
  type ClusterEvidence,
  denied,
  type Evidence,
  type Look,
  missing,
  type QueueEvidence,
  seen,
  unseen
} from "./internal/doctor/evidence.ts"
import { fewestReceives, redriveOf } from "./internal/doctor/queueRules.ts"
import * as KafkaInspection from "./KafkaClient/inspection.ts"

export { diagnose, groupOf, reachedNothing } from "./internal/doctor/diagnose.ts"
export type { Evidence } from "./internal/doctor/evidence.ts"
export { type Report, renderText, toJson } from "./internal/doctor/render.ts"
export type { Result, Severity } from "./internal/doctor/result.ts"

/** How long a probe that came back stays hidden while it is settled, seconds. */
const probeVisibilitySeconds = 5
const probeWaitSeconds = 2

/** A pack of no records: a retry daemon that gets it deletes it, and counts nothing. */
const probe = (): {
  readonly body: string
  readonly attributes: Readonly<Record<string, string>>
  readonly delaySeconds: 0
} => ({
  body: Envelope.bodyOf(Envelope.encode([])),
  attributes: { "spillway-probe": "doctor" },
  delaySeconds: 0
})

/** No valid character of a message: the entry is refused once the call has been allowed. */
const unsendable = { body: "\u0000", attributes: {}, delaySeconds: 0 }
const noReceiptHandle = "spillway-doctor"

type Call<A> = Effect.Effect<A, FallbackQueueError>

const lookOf = (error: FallbackQueueError): Look<never> => {
  if (error.reason === "NotFound") return missing
  return error.reason === "AccessDenied" ? denied(error.message) : unseen(error.message)
}

const tried = <A>(call: Call<A>): Effect.Effect<Look<true>> =>
  Effect.match(call, { onFailure: lookOf, onSuccess: () => seen<true>(true) })

/** A call that is meant to be refused for what it asks: whoever is told so was allowed to ask. */
const refused = <A>(call: Call<A>): Effect.Effect<Look<true>> =>
  Effect.match(call, {
    onFailure: error => (error.reason === "Invalid" ? seen<true>(true) : lookOf(error)),
    onSuccess: () => seen<true>(true)
  })

/** Only the sending of dead letters is needed, and nothing must be left behind where nobody deletes it. */
const tryDeadLetters = (queue: Queue): Effect.Effect<QueueEvidence["tried"]> =>
  Effect.map(
    refused(
      Effect.flatMap(queue.send([unsendable]), ([outcome]) =>
        outcome?._tag === "Refused" ? Effect.fail(outcome.error) : Effect.void
      )
    ),
    SendMessage => ({ SendMessage })
  )

/**
 * A real message is sent, as nothing else shows that a key may be used: one without records. If it comes back it is
 * deleted here; whatever else comes is handed back at once. If it does not, the retry daemon deletes it.
 */
const tryFallback = (queue: Queue, receives: boolean): Effect.Effect<QueueEvidence["tried"]> =>
  Effect.gen(function* () {
    const sent = yield* Effect.either(
      Effect.flatMap(queue.send([probe()]), ([outcome]) =>
        outcome?._tag === "Refused" ? Effect.fail(outcome.error) : Effect.succeed(outcome?.messageId)
      )
    )
    const SendMessage = sent._tag === "Right" ? seen<true>(true) : lookOf(sent.left)
    const low = unseen("each receive counts, and its redrive policy allows few")
    if (!receives) return { SendMessage, ReceiveMessage: low, ...(yield* withoutMessage(queue)) }
    const received = yield* Effect.either(
      queue.receive({ max: 10, waitSeconds: probeWaitSeconds, visibilitySeconds: probeVisibilitySeconds })
    )
    const ReceiveMessage = received._tag === "Right" ? seen<true>(true) : lookOf(received.left)
    const messages = received._tag === "Right" ? received.right : []
    const own = messages.filter(({ messageId }) => sent._tag === "Right" && messageId === sent.right)
    yield* Effect.forEach(
      messages.filter(message => !own.includes(message)),
      ({ receiptHandle }) => Effect.ignore(queue.changeVisibility(receiptHandle, 0)),
      { concurrency: "unbounded", discard: true }
    )
    const [mine] = own
    if (mine === undefined) return { SendMessage, ReceiveMessage, ...(yield* withoutMessage(queue)) }
    return {
      SendMessage,
      ReceiveMessage,
      ChangeMessageVisibility: yield* tried(queue.changeVisibility(mine.receiptHandle, probeVisibilitySeconds)),
      DeleteMessage: yield* tried(queue.delete(mine.receiptHandle))
    }
  })

const withoutMessage = (queue: Queue): Effect.Effect<QueueEvidence["tried"]> =>
  Effect.all({
    ChangeMessageVisibility: refused(queue.changeVisibility(noReceiptHandle, 0)),
    DeleteMessage: refused(queue.delete(noReceiptHandle))
  })

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
