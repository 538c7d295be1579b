/**
 * The account: every published id must be in Kafka or in the dead-letter queue, whatever the service says of itself.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Envelope from "../../src/Envelope.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import { eventually } from "../../test/support/eventually.ts"
import type { Fauxqs } from "../../test/support/Fauxqs.ts"
import type { KafkaCluster } from "../../test/support/KafkaCluster.ts"
import { readAll } from "../../test/support/KafkaJsReader.ts"
import { headerText } from "../../test/support/StoredRecord.ts"
import { deadLetterQueue, queue, topic } from "./configuration.ts"
import type { Answered, Load } from "./Load.ts"

export interface DeadLetter {
  readonly id: string
  readonly reason: string
  readonly message: string
}

const idHeader = "spillway-id"
const readDeadlineMs = 60_000

const messagesOf = (sqs: Fauxqs, name: string) => {
  const { delayed, inflight, ready } = sqs.server().inspectQueue(name)?.messages ?? {
    delayed: [],
    inflight: [],
    ready: []
  }
  return [...ready, ...delayed, ...inflight.map(({ message }) => message)]
}

/** Messages in the fallback queue: waiting, delayed or being replayed. */
export const parkedMessages = (sqs: Fauxqs): number => messagesOf(sqs, queue).length

/** Every record in the dead-letter queue, from the message bodies themselves. */
export const deadLetters = async (sqs: Fauxqs): Promise<ReadonlyArray<DeadLetter>> => {
  const found: Array<DeadLetter> = []
  for (const { body, messageAttributes } of messagesOf(sqs, deadLetterQueue)) {
    const attribute = (name: string) => messageAttributes[name]?.StringValue ?? "?"
    for (const { batch } of await Effect.runPromise(Envelope.fromBody(body))) {
      for (const record of Either.getOrThrow(RecordBatch.records(batch))) {
        const id = RecordBatch.idOf(record, idHeader) ?? ""
        found.push({ id, reason: attribute("spillway-reason"), message: attribute("spillway-error") })
      }
    }
  }
  return found
}

export interface Account {
  /** Published records found in Kafka, each once. */
  readonly inKafka: number
  /** Published records found in the dead-letter queue. */
  readonly deadLettered: number
  /** Published and nowhere. */
  readonly lost: ReadonlyArray<string>
  /** Copies beyond the first, of any record. */
  readonly duplicated: number
  /** In Kafka although the publisher got no answer that says so. */
  readonly unanswered: number
  /** Records in the topic, copies included. */
  readonly stored: number
}

/** Compares what was answered with what is there: `stored` are the ids in the topic, copies included. */
export const compare = (
  answers: Iterable<readonly [id: string, answered: Pick<Answered, "fate">]>,
  stored: ReadonlyArray<string>,
  dead: ReadonlySet<string>
): Account => {
  const kept = new Set(stored)
  const lost: Array<string> = []
  let inKafka = 0
  let deadLettered = 0
  let unanswered = 0
  for (const [id, { fate }] of answers) {
    if (fate === "refused" || fate === "rejected") {
      if (kept.has(id)) unanswered++
    } else if (kept.has(id)) inKafka++
    else if (dead.has(id)) deadLettered++
    else lost.push(id)
  }
  return { inKafka, deadLettered, lost, duplicated: stored.length - kept.size, unanswered, stored: stored.length }
}

export const account = async (cluster: KafkaCluster, sqs: Fauxqs, load: Load): Promise<Account> => {
  // Again where the group coordinator is still loading after the broker's restart.
  const records = await eventually(`the records of ${topic}`, readDeadlineMs, () => readAll(cluster, topic), {
    everyMs: 500
  })
  const dead = new Set((await deadLetters(sqs)).map(({ id }) => id))
  return compare(
    load.answers,
    records.map(record => headerText(record, idHeader) ?? ""),
    dead
  )
}
