/**
 * What one message of the fallback queue holds: a pack, a pointer to one, a record parked by gosoline, or nothing readable.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Claim, ClaimCheckError, Service as Claims } from "../ClaimCheck.ts"
import type { Cause } from "../DeadLetterQueue.ts"
import * as Envelope from "../Envelope.ts"
import type { QueueMessage } from "../FallbackQueue.ts"
import * as RecordBatch from "../RecordBatch.ts"
import { BatchBuilder, IdHeader } from "./batchBuilder.ts"
import { BufferPool } from "./bufferPool.ts"
import * as ClaimPointer from "./claimPointer.ts"
import { type Unmarshaller, unmarshal } from "./gosoline.ts"
import { longestVisibilitySeconds } from "./visibility.ts"

export type Content =
  | {
      readonly _tag: "Envelopes"
      readonly envelopes: ReadonlyArray<Envelope.Envelope>
      /** The object they were in. */
      readonly claim?: Claim
    }
  /** Due in so many seconds, or not before the longest visibility timeout is over. */
  | { readonly _tag: "Early"; readonly seconds: number }
  /** Another instance can read it: one of a newer version, or one with a claim check. */
  | { readonly _tag: "ForOthers"; readonly warning?: string }
  /** For good. `records` are in it as far as is known. */
  | { readonly _tag: "Unreadable"; readonly cause: Cause; readonly records: number }
  /** The object with its records cannot be had now. */
  | { readonly _tag: "Withheld"; readonly error: ClaimCheckError; readonly records: number }

export interface ReadOptions {
  /** Where pointers lead; without it they are left to an instance that has one. */
  readonly claims?: Claims | undefined
  /** Topic of messages that name none (gosoline's). */
  readonly topic: string
  readonly idHeader: string
  readonly unmarshaller: Unmarshaller
}

const unreadable = (reason: string, message: string, records = 0): Content => ({
  _tag: "Unreadable",
  cause: { reason, errorClass: "Permanent", message },
  records
})

/** A record of gosoline's as if it had been parked by us. */
const adopted = (
  { messageId, sentAt }: QueueMessage,
  { idHeader, topic, unmarshaller }: ReadOptions,
  body: string
): Content => {
  const read = unmarshal(unmarshaller, body, { topic })
  if (read._tag === "Malformed") return unreadable("FOREIGN_MESSAGE_BODY", read.reason)
  const builder = new BatchBuilder(new BufferPool(0), new IdHeader(idHeader), 0, sentAt)
  // Its message id identifies it on every further receive, as a random one would not.
  const record = { key: read.key, value: read.value, headers: read.headers, id: messageId }
  builder.append(record, sentAt, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  const envelope: Envelope.Envelope = {
    topic: read.topic,
    partition: -1,
    partitionCount: 0,
    partitionFixed: false,
    attempts: 0,
    firstFailureAt: sentAt,
    notBefore: 0,
    lastError: "",
    origin: "",
    traceParent: "",
    recordCount: 1,
    batch: RecordBatch.parkable(builder.finish().bytes)
  }
  return { _tag: "Envelopes", envelopes: [envelope] }
}

/** A message that is no pack of ours this build can read. */
const noPack = (message: QueueMessage, options: ReadOptions, error: Envelope.PackError): Content => {
  if (error.reason === "Foreign") return adopted(message, options, message.body)
  if (error.reason === "UnsupportedVersion") return { _tag: "ForOthers" }
  return unreadable("CORRUPT_MESSAGE_BODY", error.message)
}

const early = (due: number, now: number): Content => ({
  _tag: "Early",
  seconds: Math.min(Math.ceil((due - now) / 1000), longestVisibilitySeconds)
})

const lost = (error: ClaimCheckError, records: number): Content => {
  if (error.reason === "NotFound") return unreadable("CLAIM_NOT_FOUND", error.message, records)
  if (error.reason === "Corrupt") return unreadable("CLAIM_CORRUPT", error.message, records)
  return { _tag: "Withheld", error, records }
}

/** Reads a message, and what it points to once that is due. */
export const readMessage = (message: QueueMessage, options: ReadOptions): Effect.Effect<Content> =>
  Effect.gen(function* () {
    if (!ClaimPointer.isPointerBody(message.body)) {
      return yield* readPack(message, options, Envelope.fromBody(message.body))
    }
    const pointer = ClaimPointer.fromBody(message.body)
    if (Either.isLeft(pointer)) return noPack(message, options, pointer.left)
    const { claim, notBefore, recordCount } = pointer.right
    if (options.claims === undefined) {
      const warning = `points to ${claim.key} in bucket ${claim.bucket}, and no claim check is configured`
      return { _tag: "ForOthers", warning }
    }
    const now = yield* Clock.currentTimeMillis
    if (notBefore > now) return early(notBefore, now)
    const pack = yield* Effect.either(options.claims.get(claim))
    if (Either.isLeft(pack)) return lost(pack.left, recordCount)
    return yield* readPack(message, options, Envelope.expand(pack.right), claim)
  })

const readPack = (
  message: QueueMessage,
  options: ReadOptions,
  pack: Effect.Effect<ReadonlyArray<Envelope.Envelope>, Envelope.PackError>,
  claim?: Claim
): Effect.Effect<Content> =>
  Effect.gen(function* () {
    const read = yield* Effect.either(pack)
    if (Either.isLeft(read)) return noPack(message, options, read.left)
    const envelopes = read.right
    // The pack's own checksum covers the records, and Kafka checks each batch's: see `replay` for one it refuses.
    if (envelopes.some(({ batch }) => Either.isLeft(RecordBatch.header(batch)))) {
      return unreadable("CORRUPT_MESSAGE_BODY", "a record batch in it is broken")
    }
    const due = Math.max(...envelopes.map(({ notBefore }) => notBefore))
    const now = yield* Clock.currentTimeMillis
    if (due > now) return early(due, now)
    return { _tag: "Envelopes", envelopes, ...(claim === undefined ? {} : { claim }) }
  })
