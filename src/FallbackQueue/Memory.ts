/**
 * The fallback queue in memory, with the semantics of an SQS standard queue on Effect's Clock and faults on demand. For
 * tests and try-outs: nothing in it is durable.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  FallbackQueue,
  FallbackQueueError,
  type FallbackQueueReason,
  type QueueEntry,
  type QueueLimits,
  type QueueMessage,
  type SendOutcome,
  type Service
} from "../FallbackQueue.ts"
import { MemoryQueueState, type StoredMessage } from "../internal/memoryQueue.ts"
import { makeSignal } from "../internal/signal.ts"
import * as SqsSize from "../internal/sqsSize.ts"

export type { StoredMessage } from "../internal/memoryQueue.ts"

/** The calls that can be scripted and are counted. */
export type Operation = "send" | "receive" | "delete" | "changeVisibility" | "limits" | "depth"

/** What the next call of an operation does instead of succeeding. */
export type Fault =
  /** Fails as a whole; nothing happened. */
  | { readonly _tag: "Fail"; readonly reason: FallbackQueueReason }
  /** `send` only: these entries, by index, are refused; the others are stored. */
  | { readonly _tag: "Refuse"; readonly indexes: ReadonlyArray<number>; readonly reason: FallbackQueueReason }
  /** Never answers; nothing happened. */
  | { readonly _tag: "Hang" }
  /** It happened, but the answer is lost: `Unknown` for `send`, `Unavailable` for the others. */
  | { readonly _tag: "LoseReply" }
  /** Answers as usual. */
  | { readonly _tag: "Pass" }

export interface Options {
  readonly name?: string | undefined
  readonly maximumMessageBytes?: number | undefined
  readonly retentionSeconds?: number | undefined
  readonly visibilitySeconds?: number | undefined
  /** Moves a message to `target` instead of receiving it more than `maxReceiveCount` times. */
  readonly redrive?: { readonly maxReceiveCount: number; readonly target: MemoryQueue } | undefined
}

/** The queue, and what tests need to know and to break. */
export interface MemoryQueue extends Service {
  /** Calls so far, scripted ones included. */
  readonly calls: Readonly<Record<Operation, number>>
  /** The next calls of `operation`, one fault each. */
  readonly script: (operation: Operation, ...faults: ReadonlyArray<Fault>) => void
  /** Every call fails with `reason` until told `undefined`; scripted faults wait meanwhile. */
  readonly setDown: (reason: FallbackQueueReason | undefined) => void
  /** Everything stored and not expired, oldest first. */
  readonly messages: Effect.Effect<ReadonlyArray<StoredMessage>>
  /** Takes over a message from another queue, age and all. */
  readonly adopt: (message: StoredMessage) => void
}

/** Retention of a new SQS queue in Spillway: 14 days, in seconds. */
const defaultRetentionSeconds = 1_209_600
const defaultVisibilitySeconds = 30
const retryableReasons: ReadonlySet<FallbackQueueReason> = new Set(["Throttled", "Unavailable", "Unknown"])
const maximumVisibilitySeconds = 43_200
const maximumDelaySeconds = 900
const maximumWaitSeconds = 20
/** Characters SQS takes in bodies and attributes (API Reference, `SendMessage`). */
const invalidCharacters = /[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u

const within = (value: number, low: number, high: number): boolean =>
  Number.isInteger(value) && value >= low && value <= high

/** A queue of its own; starts no fiber and needs no scope. */
export const make = (options: Options = {}): MemoryQueue => {
  const name = options.name ?? "memory"
  const limits: QueueLimits = {
    maximumMessageBytes: options.maximumMessageBytes ?? SqsSize.maximumBatchBytes,
    retentionSeconds: options.retentionSeconds ?? defaultRetentionSeconds,
    visibilitySeconds: options.visibilitySeconds ?? defaultVisibilitySeconds,
    ...(options.redrive === undefined ? {} : { maxReceiveCount: options.redrive.maxReceiveCount })
  }
  const { redrive } = options
  const state = new MemoryQueueState(
    limits.retentionSeconds * 1000,
    redrive === undefined ? undefined : { maxReceiveCount: redrive.maxReceiveCount, take: redrive.target.adopt }
  )
  const calls = { send: 0, receive: 0, delete: 0, changeVisibility: 0, limits: 0, depth: 0 }
  const scripts = new Map<Operation, Array<Fault>>()
  let down: FallbackQueueReason | undefined
  const changed = makeSignal()

  const errorOf = (operation: Operation, reason: FallbackQueueReason, message: string): FallbackQueueError =>
    new FallbackQueueError({
      reason,
      operation,
      queue: name,
      message: `${operation} on ${name}: ${message}`,
      retryable: retryableReasons.has(reason)
    })

  const nextFault = (operation: Operation): Fault => {
    calls[operation]++
    if (down !== undefined) return { _tag: "Fail", reason: down }
    return scripts.get(operation)?.shift() ?? { _tag: "Pass" }
  }

  const apply = <A>(
    operation: Operation,
    fault: Fault,
    work: Effect.Effect<A, FallbackQueueError>
  ): Effect.Effect<A, FallbackQueueError> => {
    switch (fault._tag) {
      case "Fail":
        return Effect.fail(errorOf(operation, fault.reason, "scripted failure"))
      case "Hang":
        return Effect.never
      case "LoseReply":
        return Effect.flatMap(work, () =>
          Effect.fail(
            errorOf(operation, operation === "send" ? "Unknown" : "Unavailable", "scripted loss of the answer")
          )
        )
      case "Pass":
      case "Refuse":
        return work
    }
  }

  /** The next scripted fault of the operation, or the work as it is. */
  const call = <A>(
    operation: Operation,
    work: (fault: Fault) => Effect.Effect<A, FallbackQueueError>
  ): Effect.Effect<A, FallbackQueueError> =>
    Effect.suspend(() => {
      const fault = nextFault(operation)
      return apply(operation, fault, work(fault))
    })

  const refuseCall = (operation: Operation, message: string) => Effect.fail(errorOf(operation, "Invalid", message))

  const entryProblem = (entry: QueueEntry): string | undefined => {
    const attributes = Object.entries(entry.attributes)
    if (entry.body === "") return "the body is empty"
    if (invalidCharacters.test(entry.body)) return "the body has invalid characters"
    if (attributes.length > SqsSize.maximumAttributes) return "more than 10 attributes"
    if (attributes.some(([, value]) => value === "")) return "an attribute value is empty"
    if (attributes.some(([, value]) => invalidCharacters.test(value))) return "an attribute has invalid characters"
    if (!within(entry.delaySeconds, 0, maximumDelaySeconds)) return "the delay is not 0 to 900 seconds"
    return SqsSize.messageBytes(entry) > limits.maximumMessageBytes ? "the message is too large" : undefined
  }

  const store = (entries: ReadonlyArray<QueueEntry>, fault: Fault, now: number): ReadonlyArray<SendOutcome> => {
    const outcomes = entries.map((entry, index): SendOutcome => {
      if (fault._tag === "Refuse" && fault.indexes.includes(index)) {
        return { _tag: "Refused", error: errorOf("send", fault.reason, "scripted refusal") }
      }
      const problem = entryProblem(entry)
      return problem === undefined
        ? { _tag: "Stored", messageId: state.store(entry, now) }
        : { _tag: "Refused", error: errorOf("send", "Invalid", problem) }
    })
    changed.notify()
    return outcomes
  }

  /** Takes what is visible, or waits for the next message, the next visibility or the end, and looks again. */
  const poll = (max: number, visibilitySeconds: number, until: number): Effect.Effect<ReadonlyArray<QueueMessage>> =>
    Effect.flatMap(Clock.currentTimeMillis, now => {
      const messages = state.receive(max, visibilitySeconds, now)
      if (messages.length > 0 || now >= until) return Effect.succeed(messages)
      const wake = Math.min(until, state.nextVisibleAt() ?? until)
      // Whole milliseconds: a wait that rounds to zero would look again for ever.
      const waitMs = Math.max(1, Math.ceil(wake - now))
      return changed.wait.pipe(Effect.timeoutOption(waitMs), Effect.zipRight(poll(max, visibilitySeconds, until)))
    })

  const answerHandle = (operation: Operation, answer: string) =>
    answer === "Done" || answer === "Ignored" ? Effect.void : refuseCall(operation, answer)

  return {
    name,
    calls,
    script: (operation, ...faults) => {
      scripts.set(operation, [...(scripts.get(operation) ?? []), ...faults])
    },
    setDown: reason => {
      down = reason
    },
    messages: Effect.map(Clock.currentTimeMillis, now => state.snapshot(now)),
    adopt: message => {
      state.adopt(message)
      changed.notify()
    },
    limits: call("limits", () => Effect.succeed(limits)),
    depth: call("depth", () => Effect.map(Clock.currentTimeMillis, now => state.depth(now))),
    send: entries =>
      call("send", fault => {
        if (entries.length > SqsSize.maximumBatchEntries) return refuseCall("send", "more than 10 entries")
        const bytes = entries.reduce((sum, entry) => sum + SqsSize.messageBytes(entry), 0)
        if (bytes > SqsSize.maximumBatchBytes) return refuseCall("send", "the entries are too large together")
        return Effect.map(Clock.currentTimeMillis, now => store(entries, fault, now))
      }),
    receive: ({ max, waitSeconds, visibilitySeconds }) =>
      call("receive", () => {
        if (!within(max, 1, SqsSize.maximumBatchEntries)) return refuseCall("receive", "max is not 1 to 10")
        if (!within(waitSeconds, 0, maximumWaitSeconds)) return refuseCall("receive", "the wait is not 0 to 20 seconds")
        if (!within(visibilitySeconds, 0, maximumVisibilitySeconds)) {
          return refuseCall("receive", "the visibility timeout is not 0 to 43200 seconds")
        }
        return Effect.flatMap(Clock.currentTimeMillis, now => poll(max, visibilitySeconds, now + waitSeconds * 1000))
      }),
    delete: receiptHandle =>
      call("delete", () => Effect.suspend(() => answerHandle("delete", state.delete(receiptHandle)))),
    changeVisibility: (receiptHandle, seconds) =>
      call("changeVisibility", () => {
        if (!within(seconds, 0, maximumVisibilitySeconds)) {
          return refuseCall("changeVisibility", "the visibility timeout is not 0 to 43200 seconds")
        }
        return Effect.flatMap(Clock.currentTimeMillis, now => {
          const answer = state.changeVisibility(receiptHandle, seconds, now)
          changed.notify()
          return answerHandle("changeVisibility", answer)
        })
      })
  }
}

/** A queue as the layer of the one fallback queue; keep the queue itself to script it. */
export const layer = (queue: MemoryQueue = make()): Layer.Layer<FallbackQueue> => Layer.succeed(FallbackQueue, queue)
