/**
 * What is told of calls to SQS: what they cost, and what their failures mean.
 */
import type { FallbackQueueError } from "../FallbackQueue.ts"
import { classify, errorOf, factsOf } from "./sqsErrors.ts"
import * as SqsSize from "./sqsSize.ts"

/** Told apart from calls that can be repeated without harm. */
const stores = (operation: string): boolean => operation === "SendMessageBatch"

export interface Reporter {
  /** Counts an answered call by the payload it moved. */
  readonly billed: (operation: string, bytes: number) => void
  /** The error for anything thrown by a call. */
  readonly failed: (operation: string, thrown: unknown) => FallbackQueueError
}

/** `onNotFound` is told when an answer says that the queue is gone. */
export const makeReporter = (
  queue: string,
  onRequest: ((operation: string, billedRequests: number) => void) | undefined,
  onNotFound: () => void
): Reporter => {
  const billed = (operation: string, bytes: number): void => onRequest?.(operation, SqsSize.billedRequests(bytes))
  return {
    billed,
    failed: (operation, thrown) => {
      const facts = factsOf(thrown)
      if (facts.status > 0) billed(operation, 0)
      const error = errorOf(queue, operation, facts, classify(facts, stores(operation)))
      if (error.reason === "NotFound") onNotFound()
      return error
    }
  }
}

/** The queue id itself cannot be read: no call can be made. */
export const invalidQueueId = (queue: string, message: string): FallbackQueueError =>
  errorOf(
    queue,
    "GetQueueUrl",
    { name: "InvalidQueueId", code: "", status: 0, message },
    { reason: "Invalid", retryable: false }
  )
