/**
 * Dead letters as something to work with: what lies in a dead-letter queue, why, and the way back or out. Nothing here
 * needs Kafka: redriven records go to the fallback queue, from where the retry daemon replays them.
 *
 * SQS has no other way to look at messages than to receive them. They are held (hidden from others) while this looks, and
 * handed back when it is done, also when it is interrupted. Every look counts as a receive of every message.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type * as AppConfig from "./AppConfig.ts"
import type { ClaimCheckError, Service as Claims } from "./ClaimCheck.ts"
import * as DeadLetterQueue from "./DeadLetterQueue.ts"
import type { FallbackQueueError, Service as Queue, QueueDepth } from "./FallbackQueue.ts"
import { type Letter, open, read } from "./internal/deadLetter.ts"
import { makeDismiss } from "./internal/dismissal.ts"
import type { Drivers } from "./internal/drivers.ts"
import { claimsOf } from "./internal/fallback.ts"
import { type Filter, matchesWhole, matching, mayMatch, needsRecords } from "./internal/letterFilter.ts"
import { type DeadRecord, itemsOf, type UnreadableLetter } from "./internal/letterItems.ts"
import { type Look, look } from "./internal/queueLook.ts"
import { type Redriven, type RedriveOptions, redrive } from "./internal/redrive.ts"

export type { Filter } from "./internal/letterFilter.ts"
export { type DeadRecord, type Json, toJson, type UnreadableLetter } from "./internal/letterItems.ts"
export type { Redriven, RedriveOptions } from "./internal/redrive.ts"

/** Dead letters of one topic and one reason. */
export interface Group {
  /** Undefined: it cannot be told. */
  readonly topic: string | undefined
  readonly reason: string
  readonly messages: number
  readonly records: number
  /** When the first and the last of them became one, ms since the epoch. */
  readonly oldest: number
  readonly newest: number
  /** What was said of the newest. */
  readonly error: string
}

export interface Summary {
  readonly queue: string
  /** Messages looked at. */
  readonly seen: number
  /** Those that were meant, and their records. */
  readonly messages: number
  readonly records: number
  /** Meant, and not readable as records. */
  readonly unreadable: number
  /** Most records first. */
  readonly groups: ReadonlyArray<Group>
  /** The whole queue was looked at; otherwise there is more. */
  readonly complete: boolean
  /** As SQS said before the look; `inFlight` are those that others hold. */
  readonly depth: QueueDepth
  /** SQS deletes the first of the messages that are meant at this time, ms since the epoch; undefined when there is none. */
  readonly expiresAt: number | undefined
  /** The queue has a redrive policy: SQS moves a message away that was looked at so often. */
  readonly maxReceiveCount: number | undefined
  /** How often the message that was received most often was. */
  readonly receives: number
}

export interface Peeked {
  readonly items: ReadonlyArray<DeadRecord | UnreadableLetter>
  readonly seen: number
  readonly complete: boolean
}

/** What was deleted, in records unless named otherwise. */
export interface Purged {
  /** Messages looked at. */
  seen: number
  messages: number
  /** As far as is known: what cannot be read counts by what was written beside it. */
  records: number
  /** Not meant, but in a message with some that were: stored anew. */
  kept: number
  /** Messages that were meant and could not be dealt with: still there. */
  failed: number
  complete: boolean
  /** Why something failed; empty when nothing did. */
  fault: string
}

export interface Service {
  /** The name of the dead-letter queue. */
  readonly queue: string
  /** What lies there. Records in the claim check are fetched only where a key or an id is asked for. */
  readonly list: (options: {
    readonly filter: Filter
    /** Messages to be looked at at most; 10 000 by default. */
    readonly maxMessages?: number | undefined
    readonly onProgress?: ((seen: number) => void) | undefined
  }) => Effect.Effect<Summary, FallbackQueueError>
  /** Some of what lies there, decoded; in no order. Fewer than asked for when they are large: 64 MiB of records are enough. */
  readonly peek: (options: {
    readonly filter: Filter
    /** 10 by default. */
    readonly maxRecords?: number | undefined
  }) => Effect.Effect<Peeked, FallbackQueueError>
  /**
   * Back to the fallback queue, for the retry daemon to replay. Stored there first, deleted here after: killed in between,
   * records are in both, and redriving again sends them twice under the same id.
   */
  readonly redrive: (options: RedriveOptions) => Effect.Effect<Redriven, FallbackQueueError>
  /** Deletes, for ever. */
  readonly purge: (options: {
    readonly filter: Filter
    /** Only look. */
    readonly dryRun?: boolean | undefined
    readonly onProgress?: ((sofar: Readonly<Purged>) => void) | undefined
  }) => Effect.Effect<Purged, FallbackQueueError>
}

export class DeadLetters extends Context.Tag("spillway/DeadLetters")<DeadLetters, Service>() {}

export interface Options {
  readonly queue: Queue
  /** The fallback queue. */
  readonly target: Queue
  readonly claims?: Claims | undefined
  readonly idHeader: string
  /** How long messages stay hidden when the process that looks is killed, s. */
  readonly visibilitySeconds: number
}

/** Messages held at the same time at most: SQS lets 120 000 of a queue be in flight. */
const mostHeld = 100_000
const defaultMessages = 10_000
const defaultRecords = 10
/** Records of a peek are in memory at the same time: once there are so many bytes of them, no further one is added. */
const mostPeekedBytes = 64 * 1024 * 1024

const bytesOf = (item: DeadRecord | UnreadableLetter): number =>
  item._tag === "Unreadable"
    ? 0
    : item.headers.reduce(
        (sum, [name, value]) => sum + name.length + (value?.length ?? 0),
        (item.key?.length ?? 0) + (item.value?.length ?? 0)
      )

export const make = (options: Options): Service => {
  const { claims, idHeader, queue, target, visibilitySeconds } = options
  const deadLetters = DeadLetterQueue.make(queue, claims)
  const dismiss = makeDismiss({ deadLetters, claims, idHeader })
  const looking = <A, E>(maxMessages: number, use: (look: Look) => Effect.Effect<A, E>) =>
    look(queue, { visibilitySeconds, maxMessages: Math.min(maxMessages, mostHeld) }, use)

  /** Calls back for every letter that may be meant, until there is none or `more` says no. */
  const each = <E>(
    { next }: Look,
    filter: Filter,
    visit: (letter: Letter) => Effect.Effect<void, E>,
    more: () => boolean = () => true
  ) =>
    Effect.gen(function* () {
      while (more()) {
        const messages = yield* next
        if (messages.length === 0) return
        for (const message of messages) {
          const letter = yield* read(message)
          if (mayMatch(filter, letter)) yield* visit(letter)
        }
      }
    })

  /** With its records, if those are needed; what cannot be had now is as good as unreadable. */
  const opened = (letter: Letter, needed: boolean): Effect.Effect<Letter> =>
    !needed
      ? Effect.succeed(letter)
      : Effect.catchAll(open(letter, claims), ({ message }) =>
          Effect.succeed({ ...letter, content: { _tag: "Unreadable", why: message } as const })
        )

  /** Records that are meant, by envelope; undefined: the letter as a whole, or none of it. */
  const meant = ({ content }: Letter, filter: Filter) =>
    content._tag === "Records" ? content.envelopes.map(one => matching(filter, one, idHeader)) : undefined

  const sum = (positions: ReadonlyArray<ReadonlyArray<number>>): number =>
    positions.reduce((all, { length }) => all + length, 0)

  return {
    queue: queue.name,
    list: ({ filter, maxMessages = defaultMessages, onProgress }) =>
      Effect.gen(function* () {
        const { maxReceiveCount, retentionSeconds } = yield* queue.limits
        const depth = yield* queue.depth
        return yield* looking(maxMessages, looked =>
          Effect.gen(function* () {
            const groups = new Map<string, { -readonly [Member in keyof Group]: Group[Member] }>()
            let messages = 0
            let unreadable = 0
            let oldestSent = Number.POSITIVE_INFINITY
            const add = (letter: Letter, topic: string | undefined, records: number) => {
              const { at, error, reason } = letter
              const name = JSON.stringify([topic, reason])
              const group = groups.get(name)
              if (group === undefined) {
                groups.set(name, { topic, reason, messages: 1, records, oldest: at, newest: at, error })
                return
              }
              group.messages++
              group.records += records
              if (at >= group.newest) group.error = error
              group.oldest = Math.min(group.oldest, at)
              group.newest = Math.max(group.newest, at)
            }
            yield* each(looked, filter, found =>
              Effect.gen(function* () {
                const letter = yield* opened(found, needsRecords(filter))
                onProgress?.(looked.seen())
                const positions = meant(letter, filter)
                const records = positions === undefined ? letter.records : sum(positions)
                if (positions === undefined ? !matchesWhole(filter, letter) : records === 0) return
                messages++
                if (letter.content._tag === "Unreadable") unreadable++
                oldestSent = Math.min(oldestSent, letter.message.sentAt)
                if (letter.content._tag !== "Records") return add(letter, letter.topic, records)
                const byTopic = new Map<string, number>()
                letter.content.envelopes.forEach(({ envelope: { topic } }, index) => {
                  byTopic.set(topic, (byTopic.get(topic) ?? 0) + (positions?.[index]?.length ?? 0))
                })
                for (const [topic, count] of byTopic) if (count > 0) add(letter, topic, count)
              })
            )
            const sorted = Array.from(groups.values()).sort((a, b) => b.records - a.records || b.messages - a.messages)
            return {
              queue: queue.name,
              seen: looked.seen(),
              messages,
              records: sorted.reduce((all, { records }) => all + records, 0),
              unreadable,
              groups: sorted,
              complete: looked.complete(),
              depth,
              expiresAt: messages === 0 ? undefined : oldestSent + retentionSeconds * 1000,
              maxReceiveCount,
              receives: looked.receives()
            }
          })
        )
      }),
    peek: ({ filter, maxRecords = defaultRecords }) =>
      looking(mostHeld, looked =>
        Effect.gen(function* () {
          const items: Array<DeadRecord | UnreadableLetter> = []
          let bytes = 0
          const room = () => (bytes < mostPeekedBytes ? maxRecords - items.length : 0)
          const visit = (found: Letter) =>
            Effect.gen(function* () {
              if (room() <= 0) return
              const letter = yield* opened(found, true)
              const positions = meant(letter, filter)
              if (positions === undefined && !matchesWhole(filter, letter)) return
              for (const item of itemsOf(letter, positions, idHeader)) {
                if (room() <= 0) return
                items.push(item)
                bytes += bytesOf(item)
              }
            })
          yield* each(looked, filter, visit, () => room() > 0)
          return { items, seen: looked.seen(), complete: looked.complete() }
        })
      ),
    redrive: redriveOptions =>
      looking(mostHeld, looked => redrive({ target, claims, dismiss, idHeader }, looked, redriveOptions)),
    purge: ({ dryRun = false, filter, onProgress }) =>
      looking(mostHeld, looked =>
        Effect.gen(function* () {
          const done: Purged = { seen: 0, messages: 0, records: 0, kept: 0, failed: 0, complete: false, fault: "" }
          const tell = () => {
            done.seen = looked.seen()
            done.complete = looked.complete()
            onProgress?.(done)
          }
          const fail = ({ message }: FallbackQueueError | ClaimCheckError) => {
            done.failed++
            if (done.fault === "") done.fault = message
          }
          const visit = (found: Letter) =>
            Effect.gen(function* () {
              const tried = yield* Effect.either(needsRecords(filter) ? open(found, claims) : Effect.succeed(found))
              if (Either.isLeft(tried)) return fail(tried.left)
              const letter = tried.right
              const positions = meant(letter, filter)
              const records = positions === undefined ? letter.records : sum(positions)
              if (positions === undefined ? !matchesWhole(filter, letter) : records === 0) return
              const end = dismiss(
                looked,
                letter,
                positions?.map(some => new Set(some))
              )
              yield* Effect.match(dryRun ? Effect.succeed(letter.records - records) : end, {
                onSuccess: kept => {
                  done.messages++
                  done.records += records
                  done.kept += kept
                },
                onFailure: fail
              })
              tell()
            })
          yield* each(looked, filter, visit)
          tell()
          return done
        })
      )
  }
}

/**
 * The dead letters of a producer.
 *
 * @param queueId another dead-letter queue than the producer's own, e.g. one it had before
 */
export const forProducer = (
  drivers: Drivers,
  config: AppConfig.AppConfig,
  producer: AppConfig.ProducerConfig & { readonly retry: { readonly enabled: true } },
  queueId: string = producer.retry.deadLetterQueueId
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { retry } = producer
    const client = config.sqsClients[retry.clientName]
    const output = config.outputs[producer.output]
    if (client === undefined || output === undefined) {
      return yield* Effect.dieMessage(`producer ${producer.name} names what is not configured`)
    }
    const connect = (id: string) =>
      drivers.queue({ queueId: id, client, create: undefined, onRequest: () => undefined })
    return make({
      queue: yield* connect(queueId),
      target: yield* connect(retry.queueId),
      claims: yield* claimsOf(drivers, config, retry.claimCheck),
      idHeader: output.idHeader,
      visibilitySeconds: Math.ceil(retry.visibilityTimeoutMs / 1000)
    })
  })
