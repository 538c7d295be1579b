/**
 * Where records go that Kafka will not take however often it is asked, with their history and the reason.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ClaimCheckError, Service as Claims } from "./ClaimCheck.ts"
import * as Envelope from "./Envelope.ts"
import { FallbackQueueError, type Service as Queue, type QueueMessage } from "./FallbackQueue.ts"
import { store as storeClaim } from "./internal/claims.ts"
import { joined, lengthOf } from "./internal/slices.ts"
import { attributeBytes, maximumBatchBytes } from "./internal/sqsSize.ts"

/** Why a record is here. */
export interface Cause {
  /**
   * Kafka's error name, `MAX_ATTEMPTS`, `CORRUPT_MESSAGE_BODY`, `FOREIGN_MESSAGE_BODY`, or of a pointer whose object is
   * gone or damaged: `CLAIM_NOT_FOUND`, `CLAIM_CORRUPT`.
   */
  readonly reason: string
  readonly errorClass: string
  readonly message: string
}

export interface Service {
  readonly name: string
  /** Stores a record batch. Once this succeeds it is durable there. */
  readonly put: (
    envelope: Envelope.Envelope,
    firstId: string,
    cause: Cause
  ) => Effect.Effect<void, FallbackQueueError | ClaimCheckError>
  /** Stores what is left of a dead letter of which the rest has gone elsewhere, with the attributes it had. */
  readonly keep: (
    envelope: Envelope.Envelope,
    firstId: string,
    attributes: Readonly<Record<string, string>>
  ) => Effect.Effect<void, FallbackQueueError | ClaimCheckError>
  /** Stores a message of the fallback queue that cannot be read, its body untouched. */
  readonly putMessage: (message: QueueMessage, cause: Cause) => Effect.Effect<void, FallbackQueueError>
}

export class DeadLetterQueue extends Context.Tag("spillway/DeadLetterQueue")<DeadLetterQueue, Service>() {}

/** SQS refuses control characters in attributes; what a broker or a stranger wrote may hold some. */
const readable = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?").slice(0, 512) || "-"

const iso = (ms: number): string => new Date(ms).toISOString()

/** How long a record that needs the claim check may take to get there, ms; a large one gets more, by its size. */
const claimBudgetMs = 10_000

/** `claims` takes the records no message of `queue` can hold; without it they cannot become dead letters. */
export const make = (queue: Queue, claims?: Claims): Service => {
  const send = (body: string, attributes: Readonly<Record<string, string>>) =>
    Effect.flatMap(queue.send([{ body, attributes, delaySeconds: 0 }]), ([outcome]) => {
      if (outcome?._tag === "Stored") return Effect.void
      const error = outcome?._tag === "Refused" ? outcome.error : undefined
      return Effect.fail(
        error ??
          new FallbackQueueError({
            reason: "Unknown",
            queue: queue.name,
            operation: "SendMessageBatch",
            message: "SQS's answer does not mention the entry",
            retryable: true
          })
      )
    })
  const why = (cause: Cause) => ({
    "spillway-reason": readable(cause.reason),
    "spillway-error-class": readable(cause.errorClass),
    "spillway-error": readable(cause.message)
  })
  const store = (buried: Envelope.Envelope, attributes: Readonly<Record<string, string>>) =>
    Effect.gen(function* () {
      const pack = yield* Envelope.packed([buried])
      const bytes = Envelope.bodyLength(lengthOf(pack)) + attributeBytes(attributes)
      if (claims === undefined || bytes <= Math.min((yield* queue.limits).maximumMessageBytes, maximumBatchBytes)) {
        return yield* send(Envelope.bodyOf(joined(pack)), attributes)
      }
      const error = yield* storeClaim(claims, buried, pack, claimBudgetMs, body =>
        Effect.match(send(body, attributes), {
          onSuccess: () => ({ error: undefined, maybeStored: false }),
          onFailure: error => ({ error, maybeStored: error.reason === "Unknown" })
        })
      )
      if (error !== undefined) return yield* error
    })
  return {
    name: queue.name,
    put: (envelope, firstId, cause) =>
      Effect.flatMap(Clock.currentTimeMillis, now =>
        store(
          { ...envelope, lastError: `${cause.errorClass}:${cause.reason}`, notBefore: 0 },
          {
            "spillway-version": String(Envelope.packVersion),
            "spillway-topic": readable(envelope.topic),
            "spillway-records": String(envelope.recordCount),
            "spillway-first-id": readable(firstId),
            "spillway-attempts": String(envelope.attempts),
            "spillway-first-failure": iso(envelope.firstFailureAt),
            "spillway-last-failure": iso(now),
            ...why(cause)
          }
        )
      ),
    keep: (envelope, firstId, attributes) =>
      store(envelope, {
        ...attributes,
        "spillway-topic": readable(envelope.topic),
        "spillway-records": String(envelope.recordCount),
        "spillway-first-id": readable(firstId)
      }),
    putMessage: (message, cause) =>
      send(message.body, { ...why(cause), "spillway-message-id": readable(message.messageId) })
  }
}
