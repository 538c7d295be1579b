/**
 * Finds a queue's URL, and creates the queue and its dead-letter queue where that is wanted and nothing is there. An
 * existing queue is never changed.
 */
import * as Effect from "effect/Effect"
import type { FallbackQueueError } from "../FallbackQueue.ts"
import * as QueueId from "./queueId.ts"
import { redrivePolicyOf } from "./sqsMessages.ts"
import * as SqsSize from "./sqsSize.ts"

/** What to create where nothing is. */
export interface CreateOptions {
  /** The queue the redrive policy points to, created too; without it there is no redrive policy. */
  readonly deadLetterQueueId?: string | undefined
  /** Receives before SQS itself moves a message there: a far safety net, not the retry policy. 1000 by default. */
  readonly maxReceiveCount?: number | undefined
  /** Queue attributes that add to or replace the defaults (retention 14 days, largest message 1 MiB). */
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

type Call<Answer> = Effect.Effect<Answer, FallbackQueueError>

/** The SQS actions needed. */
export interface Actions {
  readonly getQueueUrl: (name: string, account: string | undefined) => Call<string>
  readonly createQueue: (name: string, attributes: Readonly<Record<string, string>>) => Call<string>
  /** All of them. */
  readonly getAttributes: (url: string) => Call<Partial<Record<string, string>>>
  /** Reads a queue id; fails with `Invalid`. */
  readonly parse: (queueId: string) => Call<QueueId.QueueId>
}

/** Retention of what is created here: the longest SQS offers, 14 days in seconds. */
export const createdRetentionSeconds = 1_209_600
/** `maxReceiveCount` of what is created here: the largest SQS accepts. */
export const defaultMaxReceiveCount = 1000

const refused = (error: FallbackQueueError): boolean => error.reason === "Invalid"
const missing = (error: FallbackQueueError): boolean => error.reason === "NotFound"

const lookUp = (actions: Actions, queue: QueueId.QueueId): Call<string> =>
  actions.getQueueUrl(queue.name, queue._tag === "Arn" ? queue.account : undefined)

const createQueue = (
  actions: Actions,
  queue: QueueId.QueueId,
  given: Readonly<Record<string, string>>
): Call<string> => {
  const attempt = (maximumMessageBytes: number): Call<string> =>
    actions.createQueue(queue.name, {
      MessageRetentionPeriod: String(createdRetentionSeconds),
      MaximumMessageSize: String(maximumMessageBytes),
      ...given
    })
  return attempt(SqsSize.maximumBatchBytes).pipe(
    Effect.catchIf(refused, () => attempt(SqsSize.legacyMaximumMessageBytes)),
    // Somebody else may have created it meanwhile, with other attributes: then it is used as it is.
    Effect.catchIf(refused, error => Effect.mapError(lookUp(actions, queue), () => error))
  )
}

const lookUpOrCreate = (
  actions: Actions,
  queue: QueueId.QueueId,
  attributes: Call<Readonly<Record<string, string>>>
): Call<string> =>
  Effect.catchIf(lookUp(actions, queue), missing, () =>
    Effect.flatMap(attributes, given => createQueue(actions, queue, given))
  )

const redrivePolicy = (actions: Actions, create: CreateOptions): Call<Readonly<Record<string, string>>> =>
  create.deadLetterQueueId === undefined
    ? Effect.succeed({})
    : actions.parse(create.deadLetterQueueId).pipe(
        Effect.flatMap(queue => lookUpOrCreate(actions, queue, Effect.succeed({}))),
        Effect.flatMap(actions.getAttributes),
        Effect.map(({ QueueArn: deadLetterTargetArn = "" }) => {
          const maxReceiveCount = create.maxReceiveCount ?? defaultMaxReceiveCount
          return { RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount }) }
        })
      )

/** The URL to use in requests. With `create`, what is missing exists afterwards; doing it again changes nothing. */
export const resolve = (
  actions: Actions,
  queue: QueueId.QueueId,
  create: CreateOptions | undefined,
  endpoint: string | undefined
): Call<string> => {
  if (create !== undefined) {
    const policy = redrivePolicy(actions, create)
    return lookUpOrCreate(
      actions,
      queue,
      Effect.map(policy, redrive => ({ ...redrive, ...create.attributes }))
    )
  }
  return queue._tag === "Url"
    ? Effect.succeed(QueueId.urlAt(queue.origin + queue.path, endpoint))
    : lookUp(actions, queue)
}

export interface ProvisionOptions {
  /** The dead-letter queue behind it; undefined: it is one itself. */
  readonly deadLetterQueueId: string | undefined
  /** Only look. */
  readonly dryRun: boolean
}

/** A setting of a queue that is not as it should be. */
export interface Difference {
  /** SQS's name of it. */
  readonly attribute: string
  readonly is: string
  readonly shouldBe: string
  /** What may come of it. */
  readonly why: string
}

export interface Provisioned {
  readonly queue: string
  /** `missing`: it would have been created. */
  readonly state: "exists" | "created" | "missing"
  readonly differences: ReadonlyArray<Difference>
}

/** What of a queue's attributes is not as docs/operations/fallback-queue.md and dead-letters.md say. */
export const differencesOf = (
  attributes: Partial<Record<string, string>>,
  deadLetterQueue: QueueId.QueueId | undefined
): ReadonlyArray<Difference> => {
  const differences: Array<Difference> = []
  const atLeast = (attribute: string, wanted: number, why: string) => {
    const is = attributes[attribute]
    if (is !== undefined && Number(is) < wanted) differences.push({ attribute, is, shouldBe: String(wanted), why })
  }
  atLeast(
    "MessageRetentionPeriod",
    createdRetentionSeconds,
    deadLetterQueue === undefined
      ? "SQS deletes dead letters that are older, seconds"
      : "an outage of the service that lasts longer loses records, seconds"
  )
  atLeast("MaximumMessageSize", SqsSize.maximumBatchBytes, "larger records need a claim check, bytes")
  const policy = redrivePolicyOf(attributes.RedrivePolicy)
  if (policy === undefined) return differences
  const differs = (is: string, shouldBe: string, why: string) =>
    differences.push({ attribute: "RedrivePolicy", is, shouldBe, why })
  if (deadLetterQueue === undefined) {
    differs(
      `maxReceiveCount ${policy.maxReceiveCount}`,
      "none",
      "SQS moves dead letters away that were looked at so often"
    )
    return differences
  }
  if (policy.maxReceiveCount < defaultMaxReceiveCount) {
    const why = "SQS moves records away because Kafka was away for long: receives are not attempts"
    differs(`maxReceiveCount ${policy.maxReceiveCount}`, `none, or ${defaultMaxReceiveCount}`, why)
  }
  const target = policy.target.split(":").at(-1) ?? ""
  if (target !== deadLetterQueue.name) {
    differs(`to ${target}`, `to ${deadLetterQueue.name}`, "what SQS moves there is no dead letter to Spillway")
  }
  return differences
}

/** Looks for the queue, and creates it unless it is there or nothing shall be done. */
export const provision = (
  actions: Actions,
  queue: QueueId.QueueId,
  { deadLetterQueueId, dryRun }: ProvisionOptions
): Call<Provisioned> =>
  Effect.gen(function* () {
    const deadLetterQueue = deadLetterQueueId === undefined ? undefined : yield* actions.parse(deadLetterQueueId)
    const found = yield* Effect.catchIf(lookUp(actions, queue), missing, () => Effect.succeed(undefined))
    if (found === undefined && dryRun) return { queue: queue.name, state: "missing", differences: [] } as const
    const url = found ?? (yield* resolve(actions, queue, { deadLetterQueueId }, undefined))
    const differences = differencesOf(yield* actions.getAttributes(url), deadLetterQueue)
    return { queue: queue.name, state: found === undefined ? "created" : "exists", differences } as const
  })
