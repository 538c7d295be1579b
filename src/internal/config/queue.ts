/**
 * What a configuration must ask of its SQS queue ids.
 */
import * as Either from "effect/Either"
import * as QueueId from "../queueId.ts"

/** Put behind a queue's name to name its dead-letter queue. */
const deadLetterSuffix = "-dlq"

/** Longest queue name (AWS, "Amazon SQS message quotas"). */
const longestName = 80

/** What is wrong with a queue id; undefined when nothing is. `derives`: a dead-letter queue will be named after it. */
export const queueFault = (id: string, derives: boolean): string | undefined => {
  // The parser repeats the id; before an @ stand credentials.
  if (id.includes("@")) return "a queue is given by name, URL or ARN, without credentials"
  const parsed = QueueId.parse(id)
  if (Either.isLeft(parsed)) return parsed.left
  return derives && parsed.right.name.length + deadLetterSuffix.length > longestName
    ? `is too long for a dead-letter queue named ${deadLetterSuffix} behind it: give dead_letter_queue_id`
    : undefined
}

/** The queue for dead letters beside a queue, where none is given. */
export const deadLetterQueueOf = (id: string): string => `${id}${deadLetterSuffix}`

/** True when both ids can be one queue: names are compared, and the account or address where both give one. */
export const sameQueue = (a: string, b: string): boolean => {
  const one = QueueId.parse(a)
  const other = QueueId.parse(b)
  if (Either.isLeft(one) || Either.isLeft(other) || one.right.name !== other.right.name) return false
  return one.right._tag !== other.right._tag || a === b
}
