/**
 * The record ids a queue holds, read from the message bodies themselves: an account that does not ask Spillway.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { FauxqsServer } from "fauxqs"
import * as Envelope from "../../src/Envelope.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"

export interface Parked {
  readonly ids: ReadonlyArray<string>
  /** Messages that are received and not handed back. */
  readonly invisible: number
}

/** @param endpoint of a fauxqs, in whichever process */
export const parkedIds = async (endpoint: string, queue: string): Promise<Parked> => {
  const response = await fetch(`${endpoint}/_fauxqs/queues/${queue}`)
  if (!response.ok) throw new Error(`there is no queue ${queue}`)
  const { messages }: NonNullable<ReturnType<FauxqsServer["inspectQueue"]>> = await response.json()
  const ids: Array<string> = []
  const { delayed, inflight, ready } = messages
  for (const { body } of [...ready, ...delayed, ...inflight.map(({ message }) => message)]) {
    for (const { batch } of await Effect.runPromise(Envelope.fromBody(body))) {
      for (const record of Either.getOrThrow(RecordBatch.records(batch))) {
        ids.push(RecordBatch.idOf(record, "spillway-id") ?? "")
      }
    }
  }
  return { ids, invisible: inflight.length }
}
