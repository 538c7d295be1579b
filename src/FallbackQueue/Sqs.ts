/**
 * The fallback queue on Amazon SQS, or anything that speaks its JSON protocol.
 */
import { Buffer } from "node:buffer"
import * as Sqs from "@aws-sdk/client-sqs"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  FallbackQueue,
  type FallbackQueueError,
  type QueueEntry,
  type QueueLimits,
  type QueueMessage,
  type Service
} from "../FallbackQueue.ts"
import { type AwsAccess, awsClient } from "../internal/awsClient.ts"
import * as QueueId from "../internal/queueId.ts"
import { makeSharedCalls } from "../internal/sharedCalls.ts"
import {
  numberOf,
  payloadBytes,
  redrivePolicyOf,
  toBatchEntry,
  toMessages,
  toOutcomes,
  toResults
} from "../internal/sqsMessages.ts"
import {
  type Actions,
  type CreateOptions,
  type Provisioned,
  type ProvisionOptions,
  provision as provisionQueue,
  resolve
} from "../internal/sqsProvision.ts"
import { invalidQueueId, makeReporter } from "../internal/sqsReport.ts"
import * as SqsSize from "../internal/sqsSize.ts"

export type { CreateOptions, Difference, Provisioned } from "../internal/sqsProvision.ts"

/**
 * How to reach SQS. The region of a queue given by ARN wins; one given by URL keeps its path and is asked for at the
 * endpoint; a long poll gets its waiting time on top of the request's.
 */
export type ClientOptions = AwsAccess

export interface Options {
  /** Name, URL or ARN of a standard queue. */
  readonly queueId: string
  readonly client: ClientOptions
  /** What to create where nothing is; an existing queue is never changed. Absent: a missing queue is an error. */
  readonly create?: CreateOptions | undefined
  /** Told after every answered call: the operation and the requests AWS bills for it. */
  readonly onRequest?: ((operation: string, billedRequests: number) => void) | undefined
}

/** Enough for long polls and sends at once; a socket more than needed costs nothing, one less stalls a call. */
const maximumSockets = 64
const visible = "ApproximateNumberOfMessages"
const inFlight = "ApproximateNumberOfMessagesNotVisible"
const delayed = "ApproximateNumberOfMessagesDelayed"
/** What the deadline around a call adds to the SDK's own, so that the SDK's, which knows more, speaks first. */
const deadlineMarginMs = 500
/** What a queue has that was created without saying otherwise (API Reference, `CreateQueue`), seconds. */
const defaultRetentionSeconds = 345_600
const defaultVisibilitySeconds = 30
/** How long an interrupted long poll may take to hand back what arrived anyway. */
const handBackMs = 2_000
const longestWaitSeconds = 20

interface VisibilityChange {
  readonly ReceiptHandle: string
  readonly VisibilityTimeout: number
}

const makeClient = (client: ClientOptions, region: string, endpoint: string | undefined, requestTimeoutMs: number) =>
  new Sqs.SQSClient({
    ...awsClient({ ...client, region, endpoint, requestTimeoutMs }, maximumSockets),
    // Ours is per message: the SDK's fails the whole batch, stored messages and all.
    md5: false
  })

/** The SDK writes a body into its JSON character by character, in JavaScript; what is as large as a pack is better written whole. */
const sendCommand = (QueueUrl: string, entries: ReadonlyArray<QueueEntry>) => {
  const Entries = entries.map(toBatchEntry)
  const command = new Sqs.SendMessageBatchCommand({
    QueueUrl,
    Entries: Entries.map(({ Id }) => ({ Id, MessageBody: "" }))
  })
  command.middlewareStack.add(
    next => args => {
      // Never the empty bodies.
      if (typeof args.request !== "object" || args.request === null || !("body" in args.request)) {
        throw new Error("a request of the AWS SDK has no body to be set: it is not the pinned version")
      }
      args.request.body = Buffer.from(JSON.stringify({ QueueUrl, Entries }))
      return next(args)
    },
    // Behind the SDK's own serializer, before the length is taken and the request signed.
    { step: "build", priority: "high", name: "wholeJson" }
  )
  return command
}

/** Calls about a queue, which may not be there yet. `onNotFound` is told when an answer says so. */
const connect = (
  { client, onRequest, queueId }: Pick<Options, "client" | "onRequest" | "queueId">,
  onNotFound: () => void
) =>
  Effect.gen(function* () {
    const id = Either.getOrUndefined(QueueId.parse(queueId))
    const name = id?.name ?? queueId
    const region = id?._tag === "Arn" ? id.region : client.region
    // Without this the SDK asks its own idea of the endpoint, and warns for every call that the URL has another.
    const endpoint = client.endpoint ?? (id?._tag === "Url" ? id.origin : undefined)
    const open = (requestTimeoutMs: number): Effect.Effect<Sqs.SQSClient, never, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.sync(() => makeClient(client, region, endpoint, requestTimeoutMs)),
        opened => Effect.sync(() => opened.destroy())
      )
    const sending = yield* open(client.requestTimeoutMs)
    const { billed, failed } = makeReporter(name, onRequest, onNotFound)

    const deadlinePassed = (operation: string, ms: number): FallbackQueueError =>
      failed(operation, { name: "TimeoutError", message: `no complete answer within ${ms} ms` })

    const request = <Answer>(
      operation: string,
      send: (signal: AbortSignal) => Promise<Answer>
    ): Effect.Effect<Answer, FallbackQueueError> => {
      const duration = client.requestTimeoutMs + deadlineMarginMs
      return Effect.tryPromise({ try: send, catch: thrown => failed(operation, thrown) }).pipe(
        Effect.timeoutFail({ duration, onTimeout: () => deadlinePassed(operation, duration) })
      )
    }

    /** Calls whose payload is too small to count. */
    const small = <Answer>(operation: string, send: (signal: AbortSignal) => Promise<Answer>) =>
      Effect.tap(request(operation, send), () => Effect.sync(() => billed(operation, 0)))

    const attributesOf = (QueueUrl: string, AttributeNames: Array<Sqs.QueueAttributeName>) => {
      const command = new Sqs.GetQueueAttributesCommand({ QueueUrl, AttributeNames })
      const answer = small("GetQueueAttributes", abortSignal => sending.send(command, { abortSignal }))
      return Effect.map(answer, ({ Attributes }) => Attributes)
    }

    const urlOf = (operation: string, send: (signal: AbortSignal) => Promise<{ QueueUrl?: string | undefined }>) =>
      Effect.flatMap(small(operation, send), ({ QueueUrl }) => {
        if (QueueUrl !== undefined) return Effect.succeed(QueueId.urlAt(QueueUrl, client.endpoint))
        return Effect.fail(failed(operation, { name: "UnexpectedAnswer", message: "the answer names no queue" }))
      })

    const actions: Actions = {
      parse: text => Effect.mapError(QueueId.parse(text), message => invalidQueueId(name, message)),
      getQueueUrl: (QueueName, account) => {
        const owner = account === undefined ? {} : { QueueOwnerAWSAccountId: account }
        const command = new Sqs.GetQueueUrlCommand({ QueueName, ...owner })
        return urlOf("GetQueueUrl", abortSignal => sending.send(command, { abortSignal }))
      },
      createQueue: (QueueName, attributes) => {
        const command = new Sqs.CreateQueueCommand({ QueueName, Attributes: { ...attributes } })
        return urlOf("CreateQueue", abortSignal => sending.send(command, { abortSignal }))
      },
      getAttributes: url => Effect.map(attributesOf(url, ["All"]), attributes => attributes ?? {})
    }
    return { name, open, sending, billed, failed, deadlinePassed, request, small, attributesOf, actions }
  })

/** Creates the queue if it is not there; what is there stays as it is and is compared. Closes its client with the scope. */
export const provision = (
  options: Pick<Options, "client" | "queueId"> & ProvisionOptions
): Effect.Effect<Provisioned, FallbackQueueError, Scope.Scope> =>
  Effect.gen(function* () {
    const { actions } = yield* connect(options, () => undefined)
    return yield* provisionQueue(actions, yield* actions.parse(options.queueId), options)
  })

/**
 * Never fails: a queue that is missing or cannot be reached fails the calls that need it, and each call looks for it
 * again. Both SDK clients close with the scope.
 */
export const make = (options: Options): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { client, create } = options
    let knownUrl: string | undefined
    let knownLimits: QueueLimits | undefined
    const { actions, attributesOf, billed, deadlinePassed, failed, name, open, request, sending, small } =
      yield* connect(options, () => {
        knownUrl = undefined
        knownLimits = undefined
      })
    const receiving = yield* open(client.requestTimeoutMs + longestWaitSeconds * 1000)

    const find = Effect.flatMap(actions.parse(options.queueId), queue =>
      resolve(actions, queue, create, client.endpoint)
    )

    const queueUrl = Effect.suspend(() =>
      knownUrl !== undefined
        ? Effect.succeed(knownUrl)
        : Effect.tap(find, url => {
            knownUrl = url
          })
    )

    const limits = Effect.suspend(() =>
      knownLimits !== undefined ? Effect.succeed(knownLimits) : Effect.flatMap(queueUrl, readLimits)
    )

    const readLimits = (url: string): Effect.Effect<QueueLimits, FallbackQueueError> =>
      Effect.map(
        attributesOf(url, ["MaximumMessageSize", "MessageRetentionPeriod", "VisibilityTimeout", "RedrivePolicy"]),
        (attributes): QueueLimits => {
          const policy = redrivePolicyOf(attributes?.RedrivePolicy)
          knownLimits = {
            maximumMessageBytes: numberOf(attributes, "MaximumMessageSize", SqsSize.legacyMaximumMessageBytes),
            retentionSeconds: numberOf(attributes, "MessageRetentionPeriod", defaultRetentionSeconds),
            visibilitySeconds: numberOf(attributes, "VisibilityTimeout", defaultVisibilitySeconds),
            ...(policy === undefined ? {} : { maxReceiveCount: policy.maxReceiveCount })
          }
          return knownLimits
        }
      )

    const send = (entries: ReadonlyArray<QueueEntry>, QueueUrl: string) => {
      const command = sendCommand(QueueUrl, entries)
      return Effect.map(
        request("SendMessageBatch", abortSignal => sending.send(command, { abortSignal })),
        answer => {
          billed("SendMessageBatch", payloadBytes(entries))
          return toOutcomes(name, entries, answer)
        }
      )
    }

    const changeOne = (QueueUrl: string, { ReceiptHandle, VisibilityTimeout }: VisibilityChange) => {
      const command = new Sqs.ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout })
      const answer = small("ChangeMessageVisibility", abortSignal => sending.send(command, { abortSignal }))
      return Effect.map(answer, () => [Either.right(undefined)])
    }

    const changeMany = (QueueUrl: string, changes: ReadonlyArray<VisibilityChange>) => {
      const Entries = changes.map((change, index) => ({ Id: String(index), ...change }))
      const command = new Sqs.ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries })
      const operation = "ChangeMessageVisibilityBatch"
      const answer = small(operation, abortSignal => sending.send(command, { abortSignal }))
      return Effect.map(answer, read => toResults(name, operation, changes.length, read))
    }

    const changeVisibility = yield* makeSharedCalls(
      SqsSize.maximumBatchEntries,
      (changes: ReadonlyArray<VisibilityChange>) =>
        Effect.flatMap(queueUrl, url => {
          const [first] = changes
          return changes.length === 1 && first !== undefined ? changeOne(url, first) : changeMany(url, changes)
        })
    )

    const handBack = (QueueUrl: string, messages: ReadonlyArray<QueueMessage>) =>
      messages.length === 0
        ? Effect.void
        : changeMany(
            QueueUrl,
            messages.map(({ receiptHandle }) => ({ ReceiptHandle: receiptHandle, VisibilityTimeout: 0 }))
          )

    /**
     * A long poll that is given up may have been answered at that very moment. What arrived is handed back; what SQS put
     * into an answer nobody read stays invisible until its visibility timeout ends, and is lost by neither.
     */
    const receive: Service["receive"] = ({ max, waitSeconds, visibilitySeconds }) =>
      Effect.flatMap(queueUrl, QueueUrl =>
        Effect.uninterruptibleMask(restore =>
          Effect.suspend(() => {
            const abort = new AbortController()
            const command = new Sqs.ReceiveMessageCommand({
              QueueUrl,
              MaxNumberOfMessages: max,
              WaitTimeSeconds: waitSeconds,
              VisibilityTimeout: visibilitySeconds,
              MessageSystemAttributeNames: ["All"],
              MessageAttributeNames: ["All"]
            })
            const requestTimeout = waitSeconds * 1000 + client.requestTimeoutMs
            const answer = receiving.send(command, { abortSignal: abort.signal, requestTimeout }).then(
              ({ Messages }) => Either.right(toMessages(Messages)),
              (thrown: unknown) => Either.left(failed("ReceiveMessage", thrown))
            )
            const duration = requestTimeout + deadlineMarginMs
            const giveUp = Effect.suspend(() => {
              abort.abort()
              return Effect.promise(() => answer).pipe(
                Effect.flatMap(late =>
                  handBack(
                    QueueUrl,
                    Either.getOrElse(late, () => [])
                  )
                ),
                Effect.interruptible,
                Effect.timeout(handBackMs),
                Effect.ignore
              )
            })
            const onTimeout = () => deadlinePassed("ReceiveMessage", duration)
            return restore(
              Effect.timeoutFail(
                Effect.promise(() => answer),
                { duration, onTimeout }
              )
            ).pipe(
              Effect.onError(() => giveUp),
              Effect.flatten,
              Effect.map(messages => {
                billed("ReceiveMessage", payloadBytes(messages))
                return messages
              })
            )
          })
        )
      )

    const deleteOne = (QueueUrl: string, ReceiptHandle: string) => {
      const command = new Sqs.DeleteMessageCommand({ QueueUrl, ReceiptHandle })
      const answer = small("DeleteMessage", abortSignal => sending.send(command, { abortSignal }))
      return Effect.map(answer, () => [Either.right(undefined)])
    }

    const deleteMany = (QueueUrl: string, receiptHandles: ReadonlyArray<string>) => {
      const Entries = receiptHandles.map((ReceiptHandle, index) => ({ Id: String(index), ReceiptHandle }))
      const command = new Sqs.DeleteMessageBatchCommand({ QueueUrl, Entries })
      const answer = small("DeleteMessageBatch", abortSignal => sending.send(command, { abortSignal }))
      return Effect.map(answer, read => toResults(name, "DeleteMessageBatch", receiptHandles.length, read))
    }

    const deleteMessage = yield* makeSharedCalls(SqsSize.maximumBatchEntries, (receiptHandles: ReadonlyArray<string>) =>
      Effect.flatMap(queueUrl, url => {
        const [first] = receiptHandles
        return receiptHandles.length === 1 && first !== undefined
          ? deleteOne(url, first)
          : deleteMany(url, receiptHandles)
      })
    )

    return {
      name,
      limits,
      depth: Effect.map(
        Effect.flatMap(queueUrl, url => attributesOf(url, [visible, inFlight, delayed])),
        attributes => ({
          visible: numberOf(attributes, visible, 0),
          inFlight: numberOf(attributes, inFlight, 0),
          delayed: numberOf(attributes, delayed, 0)
        })
      ),
      send: entries =>
        entries.length === 0 ? Effect.succeed([]) : Effect.flatMap(queueUrl, url => send(entries, url)),
      receive,
      delete: deleteMessage,
      changeVisibility: (ReceiptHandle, VisibilityTimeout) => changeVisibility({ ReceiptHandle, VisibilityTimeout })
    }
  })

/** `make` as the layer of the one fallback queue. */
export const layer = (options: Options): Layer.Layer<FallbackQueue> => Layer.scoped(FallbackQueue, make(options))
