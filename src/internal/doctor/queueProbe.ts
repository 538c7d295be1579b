/**
 * Tries every call a queue is needed for, through the queue that records use, without getting in their way.
 */
import * as Effect from "effect/Effect"
import * as Envelope from "../../Envelope.ts"
import type { FallbackQueueError, Service as Queue, QueueEntry } from "../../FallbackQueue.ts"
import { denied, type Look, missing, type QueueEvidence, seen, unseen } from "./evidence.ts"

/** How long a probe that came back stays hidden while it is settled, seconds. */
const probeVisibilitySeconds = 5
const probeWaitSeconds = 2

/** A pack of no records: a retry daemon that gets it deletes it, and counts nothing. */
export const probe = (): QueueEntry => ({
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
export const tryDeadLetters = (queue: Queue): Effect.Effect<QueueEvidence["tried"]> =>
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
export const tryFallback = (queue: Queue, receives: boolean): Effect.Effect<QueueEvidence["tried"]> =>
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
