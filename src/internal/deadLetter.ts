/**
 * What one message of a dead-letter queue is: records with their history, a pointer to some, or nothing readable.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Claim, ClaimCheckError, Service as Claims } from "../ClaimCheck.ts"
import * as Envelope from "../Envelope.ts"
import type { QueueMessage } from "../FallbackQueue.ts"
import * as RecordBatch from "../RecordBatch.ts"
import * as ClaimPointer from "./claimPointer.ts"

/** An envelope and its records. */
export interface Opened {
  readonly envelope: Envelope.Envelope
  readonly records: ReadonlyArray<RecordBatch.ReadRecord>
}

export type Content =
  | { readonly _tag: "Records"; readonly envelopes: ReadonlyArray<Opened>; readonly claim?: Claim | undefined }
  /** The records lie in the claim check. */
  | { readonly _tag: "Claimed"; readonly claim: Claim }
  /** `claim`: where it points to, if that could be read. */
  | { readonly _tag: "Unreadable"; readonly why: string; readonly claim?: Claim | undefined }

export interface Letter {
  readonly message: QueueMessage
  readonly reason: string
  readonly errorClass: string
  /** What Kafka, or the reader of the message, had to say. */
  readonly error: string
  /** When it became a dead letter, ms since the epoch. */
  readonly at: number
  /** Undefined when it is not known, or not one. */
  readonly topic: string | undefined
  /** As far as is known. */
  readonly records: number
  readonly content: Content
}

/** Of messages that SQS's own redrive policy has moved: nobody has written a reason. */
export const movedBySqs = "MOVED_BY_SQS"

const recordsOf = (envelopes: ReadonlyArray<Opened>): number =>
  envelopes.reduce((sum, { records }) => sum + records.length, 0)

const topicOf = (envelopes: ReadonlyArray<Opened>): string | undefined => {
  const [first] = envelopes
  return envelopes.every(({ envelope }) => envelope.topic === first?.envelope.topic) ? first?.envelope.topic : undefined
}

const contentOf = (
  read: Either.Either<ReadonlyArray<Envelope.Envelope>, Envelope.PackError>,
  claim: { readonly claim?: Claim }
): Content => {
  if (Either.isLeft(read)) return { _tag: "Unreadable", why: read.left.message, ...claim }
  const envelopes: Array<Opened> = []
  for (const envelope of read.right) {
    const records = RecordBatch.records(envelope.batch)
    if (Either.isLeft(records)) return { _tag: "Unreadable", why: records.left.message, ...claim }
    envelopes.push({ envelope, records: records.right })
  }
  return { _tag: "Records", envelopes, ...claim }
}

/** The reason of a message that carries none: it came here by another way than ours. */
const unnamed = (error: Envelope.PackError | undefined): string => {
  if (error === undefined) return movedBySqs
  if (error.reason === "Foreign") return "FOREIGN_MESSAGE_BODY"
  return error.reason === "Corrupt" ? "CORRUPT_MESSAGE_BODY" : "UNSUPPORTED_VERSION"
}

const letterOf = (
  message: QueueMessage,
  content: Content,
  error: Envelope.PackError | undefined,
  records: number
): Letter => {
  const { attributes, sentAt } = message
  const at = Date.parse(attributes["spillway-last-failure"] ?? "")
  return {
    message,
    reason: attributes["spillway-reason"] ?? unnamed(error),
    errorClass: attributes["spillway-error-class"] ?? "",
    error: attributes["spillway-error"] ?? "",
    at: Number.isFinite(at) ? at : sentAt,
    topic: (content._tag === "Records" ? topicOf(content.envelopes) : undefined) ?? attributes["spillway-topic"],
    records,
    content
  }
}

/** Total: whatever the message, it is a letter. What it points to is not fetched. */
export const read = (message: QueueMessage): Effect.Effect<Letter> =>
  Effect.gen(function* () {
    if (ClaimPointer.isPointerBody(message.body)) {
      const pointer = ClaimPointer.fromBody(message.body)
      if (Either.isLeft(pointer)) {
        const { left } = pointer
        return letterOf(message, { _tag: "Unreadable", why: left.message }, left, 0)
      }
      const { claim, recordCount } = pointer.right
      return letterOf(message, { _tag: "Claimed", claim }, undefined, recordCount)
    }
    const pack = yield* Effect.either(Envelope.fromBody(message.body))
    const content = contentOf(pack, {})
    const error = Either.isLeft(pack) ? pack.left : undefined
    return letterOf(message, content, error, content._tag === "Records" ? recordsOf(content.envelopes) : 0)
  })

/**
 * The letter with the records it points to, or unreadable for good when they are gone. Fails when they cannot be had now.
 */
export const open = (letter: Letter, claims: Claims | undefined): Effect.Effect<Letter, ClaimCheckError> =>
  Effect.gen(function* () {
    if (letter.content._tag !== "Claimed") return letter
    const { claim } = letter.content
    if (claims === undefined) {
      const why = `its records lie in bucket ${claim.bucket}, and the producer has no claim_check`
      return { ...letter, content: { _tag: "Unreadable", why } as const }
    }
    const got = yield* Effect.either(claims.get(claim))
    if (Either.isLeft(got)) {
      const { message, reason } = got.left
      if (reason !== "NotFound" && reason !== "Corrupt") return yield* got.left
      return { ...letter, content: { _tag: "Unreadable", why: message, claim } as const }
    }
    const content = contentOf(yield* Effect.either(Envelope.expand(got.right)), { claim })
    if (content._tag !== "Records") return { ...letter, content }
    return { ...letter, content, topic: topicOf(content.envelopes), records: recordsOf(content.envelopes) }
  })
