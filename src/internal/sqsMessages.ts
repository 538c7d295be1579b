/**
 * Between the queue's words and those of the SQS API (API Reference, `SendMessageBatch` and `Message`).
 */
import { createHash } from "node:crypto"
import * as Either from "effect/Either"
import type { FallbackQueueError, QueueEntry, QueueMessage, SendOutcome } from "../FallbackQueue.ts"
import { classifyEntry, errorOf, type Verdict } from "./sqsErrors.ts"
import * as SqsSize from "./sqsSize.ts"

interface AttributeValue {
  readonly DataType?: string | undefined
  readonly StringValue?: string | undefined
}

interface ReceivedMessage {
  readonly MessageId?: string | undefined
  readonly ReceiptHandle?: string | undefined
  readonly MD5OfBody?: string | undefined
  readonly Body?: string | undefined
  readonly Attributes?: Partial<Record<string, string>> | undefined
  readonly MessageAttributes?: Readonly<Record<string, AttributeValue>> | undefined
}

interface FailedEntry {
  readonly Id?: string | undefined
  readonly Code?: string | undefined
  readonly Message?: string | undefined
  readonly SenderFault?: boolean | undefined
}

interface BatchAnswer {
  readonly Successful?:
    | ReadonlyArray<{
        readonly Id?: string | undefined
        readonly MessageId?: string | undefined
        readonly MD5OfMessageBody?: string | undefined
      }>
    | undefined
  readonly Failed?: ReadonlyArray<FailedEntry> | undefined
}

const md5 = (text: string): string => createHash("md5").update(text).digest("hex")

/** A whole number the API writes as text. */
export const numberOf = (
  attributes: Partial<Record<string, string>> | undefined,
  name: string,
  fallback: number
): number => {
  const value = Number(attributes?.[name] ?? fallback)
  return Number.isFinite(value) ? value : fallback
}

export interface RedrivePolicy {
  readonly maxReceiveCount: number
  /** ARN of the queue where SQS moves messages to. */
  readonly target: string
}

/** A redrive policy, which the API writes as JSON; undefined where there is none to be read. */
export const redrivePolicyOf = (text: string | undefined): RedrivePolicy | undefined => {
  try {
    const policy: unknown = JSON.parse(text ?? "null")
    if (typeof policy !== "object" || policy === null) return undefined
    const count = Number(Reflect.get(policy, "maxReceiveCount"))
    const target = String(Reflect.get(policy, "deadLetterTargetArn"))
    return Number.isInteger(count) && count > 0 ? { maxReceiveCount: count, target } : undefined
  } catch {
    return undefined
  }
}

const textsOf = (attributes: ReceivedMessage["MessageAttributes"]): Readonly<Record<string, string>> => {
  const texts: Record<string, string> = {}
  for (const [name, { StringValue }] of Object.entries(attributes ?? {})) {
    if (StringValue !== undefined) texts[name] = StringValue
  }
  return texts
}

/**
 * The messages of an answer. One that was damaged on the way is left out: it becomes visible again by itself, and the
 * others of the same answer are none the worse.
 */
export const toMessages = (received: ReadonlyArray<ReceivedMessage> | undefined): ReadonlyArray<QueueMessage> => {
  const messages: Array<QueueMessage> = []
  for (const { MessageId = "", ReceiptHandle, MD5OfBody, Body = "", Attributes, MessageAttributes } of received ?? []) {
    if (ReceiptHandle === undefined || (MD5OfBody !== undefined && MD5OfBody !== md5(Body))) continue
    messages.push({
      messageId: MessageId,
      receiptHandle: ReceiptHandle,
      body: Body,
      attributes: textsOf(MessageAttributes),
      receiveCount: numberOf(Attributes, "ApproximateReceiveCount", 1),
      sentAt: numberOf(Attributes, "SentTimestamp", 0)
    })
  }
  return messages
}

/** Bytes the messages of one call count for. */
export const payloadBytes = (messages: ReadonlyArray<Pick<QueueEntry, "body" | "attributes">>): number =>
  messages.reduce((sum, message) => sum + SqsSize.messageBytes(message), 0)

/** The entry as the API wants it; its id is its index. */
export const toBatchEntry = (entry: QueueEntry, index: number) => ({
  Id: String(index),
  MessageBody: entry.body,
  // Always written: left out, the queue's own default delay would apply.
  DelaySeconds: entry.delaySeconds,
  MessageAttributes: Object.fromEntries(
    Object.entries(entry.attributes).map(([name, StringValue]) => [
      name,
      { DataType: SqsSize.attributeType, StringValue }
    ])
  )
})

/** One result per entry of a batch that stores nothing. What the answer does not name can be asked again. */
export const toResults = (
  queue: string,
  operation: "DeleteMessageBatch" | "ChangeMessageVisibilityBatch",
  count: number,
  answer: {
    readonly Successful?: ReadonlyArray<{ readonly Id?: string | undefined }> | undefined
    readonly Failed?: ReadonlyArray<FailedEntry> | undefined
  }
): ReadonlyArray<Either.Either<void, FallbackQueueError>> => {
  const gone = new Set(answer.Successful?.map(({ Id }) => Id))
  const refused = new Map(answer.Failed?.map(entry => [entry.Id, entry]))
  return Array.from({ length: count }, (_, index) => {
    const id = String(index)
    if (gone.has(id)) return Either.right(undefined)
    const unnamed: FailedEntry = { Code: "MissingResult", Message: "the answer does not name this entry" }
    const { Code = "Unnamed", Message = "", SenderFault = false } = refused.get(id) ?? unnamed
    const facts = { name: Code, code: "", status: 0, message: Message }
    return Either.left(errorOf(queue, operation, facts, classifyEntry(Code, SenderFault)))
  })
}

const mayBeStored: Verdict = { reason: "Unknown", retryable: true }

/** One outcome per entry. What the answer does not name, or stored with another body, may or may not be there. */
export const toOutcomes = (
  queue: string,
  entries: ReadonlyArray<QueueEntry>,
  answer: BatchAnswer
): ReadonlyArray<SendOutcome> => {
  const stored = new Map(answer.Successful?.map(entry => [entry.Id, entry]))
  const refused = new Map(answer.Failed?.map(entry => [entry.Id, entry]))
  const refusal = (name: string, message: string, verdict: Verdict): SendOutcome => ({
    _tag: "Refused",
    error: errorOf(queue, "SendMessageBatch", { name, code: "", status: 0, message }, verdict)
  })
  return entries.map((entry, index) => {
    const failed = refused.get(String(index))
    if (failed !== undefined) {
      const { Code = "Unnamed", Message = "", SenderFault = false } = failed
      return refusal(Code, Message, classifyEntry(Code, SenderFault))
    }
    const success = stored.get(String(index))
    if (success === undefined) return refusal("MissingResult", "the answer does not name this entry", mayBeStored)
    const digest = success.MD5OfMessageBody
    if (digest !== undefined && digest !== md5(entry.body)) {
      return refusal("ChecksumMismatch", "another body was stored than the one sent", mayBeStored)
    }
    return { _tag: "Stored", messageId: success.MessageId ?? "" }
  })
}
