/**
 * The state of an SQS standard queue in memory: delay, visibility, receipt handles, receive counts, retention, redrive.
 * Plain code; whoever calls brings the time.
 */
import type { QueueDepth, QueueEntry, QueueMessage } from "../FallbackQueue.ts"

interface Stored {
  readonly messageId: string
  readonly body: string
  readonly attributes: Readonly<Record<string, string>>
  readonly sentAt: number
  visibleAt: number
  receiveCount: number
}

/** A message as it lies in the queue, for tests to look at. */
export interface StoredMessage {
  readonly messageId: string
  readonly body: string
  readonly attributes: Readonly<Record<string, string>>
  readonly sentAt: number
  /** Not received before this time: its delay or its visibility timeout, ms since the epoch. */
  readonly visibleAt: number
  readonly receiveCount: number
}

/** What SQS answers to a receipt handle. */
export type HandleAnswer = "Done" | "Ignored" | "NotInFlight" | "InvalidHandle"

/** SQS moves a message here instead of receiving it once more. */
export interface Redrive {
  readonly maxReceiveCount: number
  readonly take: (message: StoredMessage) => void
}

/** A handle names the receive it came from, so that an older one is known as such. */
const handlePattern = /^(.+)#(\d+)$/

export class MemoryQueueState {
  readonly #retentionMs: number
  readonly #redrive: Redrive | undefined
  readonly #messages = new Map<string, Stored>()
  #sequence = 0

  constructor(retentionMs: number, redrive: Redrive | undefined) {
    this.#retentionMs = retentionMs
    this.#redrive = redrive
  }

  store(entry: QueueEntry, now: number): string {
    const messageId = `message-${++this.#sequence}`
    const { body, attributes } = entry
    const visibleAt = now + entry.delaySeconds * 1000
    this.#messages.set(messageId, { messageId, body, attributes, sentAt: now, visibleAt, receiveCount: 0 })
    return messageId
  }

  /** A message moved here from another queue keeps its age, as in SQS. */
  adopt(message: StoredMessage): void {
    const messageId = `message-${++this.#sequence}`
    this.#messages.set(messageId, { ...message, messageId, visibleAt: 0, receiveCount: 0 })
  }

  receive(max: number, visibilitySeconds: number, now: number): ReadonlyArray<QueueMessage> {
    this.#expire(now)
    const received: Array<QueueMessage> = []
    for (const message of this.#messages.values()) {
      if (received.length === max) break
      if (message.visibleAt > now) continue
      if (this.#redrive !== undefined && message.receiveCount >= this.#redrive.maxReceiveCount) {
        this.#messages.delete(message.messageId)
        this.#redrive.take(message)
        continue
      }
      message.receiveCount++
      message.visibleAt = now + visibilitySeconds * 1000
      const { messageId, body, attributes, receiveCount, sentAt } = message
      received.push({
        messageId,
        receiptHandle: `${messageId}#${receiveCount}`,
        body,
        attributes,
        receiveCount,
        sentAt
      })
    }
    return received
  }

  /** As SQS: an older handle is accepted and does nothing, and so is that of a message deleted already. */
  delete(receiptHandle: string): HandleAnswer {
    const found = this.#find(receiptHandle)
    if (typeof found === "string") return found === "NotInFlight" ? "Ignored" : found
    this.#messages.delete(found.messageId)
    return "Done"
  }

  changeVisibility(receiptHandle: string, seconds: number, now: number): HandleAnswer {
    this.#expire(now)
    const found = this.#find(receiptHandle)
    if (typeof found === "string") return found
    if (found.visibleAt <= now) return "NotInFlight"
    found.visibleAt = now + seconds * 1000
    return "Done"
  }

  /** When a message next becomes visible; undefined when nothing is waiting to. */
  nextVisibleAt(): number | undefined {
    let next: number | undefined
    for (const { visibleAt } of this.#messages.values()) {
      if (next === undefined || visibleAt < next) next = visibleAt
    }
    return next
  }

  depth(now: number): QueueDepth {
    this.#expire(now)
    const depth = { visible: 0, inFlight: 0, delayed: 0 }
    for (const message of this.#messages.values()) {
      if (message.visibleAt <= now) depth.visible++
      else if (message.receiveCount > 0) depth.inFlight++
      else depth.delayed++
    }
    return depth
  }

  snapshot(now: number): ReadonlyArray<StoredMessage> {
    this.#expire(now)
    return Array.from(this.#messages.values(), message => ({ ...message }))
  }

  #find(receiptHandle: string): Stored | Exclude<HandleAnswer, "Done"> {
    const [, messageId, receive] = handlePattern.exec(receiptHandle) ?? []
    if (messageId === undefined) return "InvalidHandle"
    const message = this.#messages.get(messageId)
    if (message === undefined) return "NotInFlight"
    return message.receiveCount === Number(receive) ? message : "Ignored"
  }

  #expire(now: number): void {
    for (const message of this.#messages.values()) {
      if (message.sentAt + this.#retentionMs <= now) this.#messages.delete(message.messageId)
    }
  }
}
