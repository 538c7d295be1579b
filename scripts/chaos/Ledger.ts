/**
 * What is known of every record, in a few bytes each: its answer, where it was seen, and what may explain a copy.
 */
import type { PublishResult } from "../quickstart/publishOverHttp.ts"

/** `pending`: sent, and not answered yet. */
const fates = ["pending", "delivered", "diverted", "spooled", "rejected", "refused"] as const
export type Standing = (typeof fates)[number]

/** Seen by the witness in front of SQS, in the spool of a process that was killed, or by the readers at the end. */
export const flag = {
  /** Stored in the fallback queue. */
  parked: 1,
  /** Parked with an error of class Unknown: it may be in Kafka as well. */
  unknown: 2,
  /** Stored again while an unread message with it was in the queue. */
  storedTwice: 4,
  /** A message with it was received more than once. */
  receivedAgain: 8,
  /** What was left of a message was stored anew. */
  reparked: 16,
  /** In the hands of a process that was killed: received, or in its spool while that could be drained. */
  held: 32,
  /** In the dead-letter queue. */
  dead: 64,
  /** Still in the fallback queue, or in a spool, at the end. */
  waiting: 128
} as const

const firstRoom = 1024

/** Records of one source, numbered from 0. Their ids are `<letter>-<number>`. */
export class Ledger {
  readonly letter: string
  readonly topic: string
  /** Records before this number may be missing from Kafka: their topic was deleted. */
  excusedBelow = 0
  count = 0
  #fate = new Uint8Array(firstRoom)
  #flags = new Uint8Array(firstRoom)
  #copies = new Uint8Array(firstRoom)
  /** ms since the run began. */
  #at = new Uint32Array(firstRoom)
  #ms = new Uint16Array(firstRoom)
  #partition = new Int16Array(firstRoom)
  #offset = new Float64Array(firstRoom)

  constructor(letter: string, topic: string) {
    this.letter = letter
    this.topic = topic
  }

  /** The number of a new record. */
  issue(at: number): number {
    const number = this.count++
    if (number >= this.#fate.length) this.#grow()
    this.#at[number] = at
    return number
  }

  idOf(number: number): string {
    return `${this.letter}-${number}`
  }

  answered(number: number, { fate, offset, partition }: PublishResult, ms: number): void {
    this.#fate[number] = fates.indexOf(fate)
    this.#ms[number] = Math.min(65_535, ms)
    this.#partition[number] = partition ?? -1
    this.#offset[number] = offset ?? -1
  }

  mark(number: number, bit: number): void {
    this.#flags[number] = (this.#flags[number] ?? 0) | bit
  }
  has(number: number, bit: number): boolean {
    return ((this.#flags[number] ?? 0) & bit) !== 0
  }
  found(number: number): void {
    this.#copies[number] = Math.min(255, (this.#copies[number] ?? 0) + 1)
  }

  standing(number: number): Standing {
    return fates[this.#fate[number] ?? 0] ?? "pending"
  }
  copies(number: number): number {
    return this.#copies[number] ?? 0
  }
  /** Where the answer said it is; undefined when it did not say. */
  place(number: number): { readonly partition: number; readonly offset: number } | undefined {
    const [partition = -1, offset = -1] = [this.#partition[number], this.#offset[number]]
    return partition < 0 || offset < 0 ? undefined : { partition, offset }
  }

  tally(): Record<Standing, number> {
    const sum = { pending: 0, delivered: 0, diverted: 0, spooled: 0, rejected: 0, refused: 0 }
    for (let number = 0; number < this.count; number++) sum[this.standing(number)]++
    return sum
  }

  /** Everything known of one record, for people. */
  describe(number: number): string {
    const seen = Object.entries(flag).flatMap(([name, bit]) => (this.has(number, bit) ? [name] : []))
    const place = this.place(number)
    const at = `sent at ${((this.#at[number] ?? 0) / 1000).toFixed(2)} s`
    const answer = `${this.standing(number)} after ${this.#ms[number] ?? 0} ms`
    const where = place === undefined ? "" : ` at ${place.partition}/${place.offset}`
    const marks = seen.length === 0 ? "" : `, ${seen.join(" ")}`
    return `${this.idOf(number)}: ${at}, ${answer}${where}, ${this.copies(number)} in Kafka${marks}`
  }

  #grow(): void {
    const length = this.#fate.length * 2
    const copy = <A extends { set(from: A): void }>(to: A, from: A): A => {
      to.set(from)
      return to
    }
    this.#fate = copy(new Uint8Array(length), this.#fate)
    this.#flags = copy(new Uint8Array(length), this.#flags)
    this.#copies = copy(new Uint8Array(length), this.#copies)
    this.#at = copy(new Uint32Array(length), this.#at)
    this.#ms = copy(new Uint16Array(length), this.#ms)
    this.#partition = copy(new Int16Array(length), this.#partition)
    this.#offset = copy(new Float64Array(length), this.#offset)
  }
}

export class Ledgers {
  readonly all: ReadonlyArray<Ledger>
  constructor(all: ReadonlyArray<Ledger>) {
    this.all = all
  }
  /** The record with this id; undefined when it is none of ours. */
  find(id: string): { readonly ledger: Ledger; readonly number: number } | undefined {
    const dash = id.indexOf("-")
    const ledger = this.all.find(({ letter }) => letter === id.slice(0, dash))
    const number = Number(id.slice(dash + 1))
    if (ledger === undefined || !Number.isSafeInteger(number) || number < 0) return undefined
    // A library's own records are heard of here before their answers arrive.
    while (ledger.count <= number) ledger.issue(0)
    return { ledger, number }
  }
}
