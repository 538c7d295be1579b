/**
 * A broker that keeps a log per partition, checks what it is sent as Kafka does, and misbehaves by seeded choice.
 */
import * as Either from "effect/Either"
import { type Random, seeded } from "../../scripts/chaos/random.ts"
import { readHeader } from "../../src/internal/batchLayout.ts"
import { largeBatchBytes } from "../../src/internal/bodyChecksum.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import * as Protocol from "./brokerProtocol.ts"

export const faults = [
  /** The connection closes in the middle of the request. */
  "Cut",
  /** It closes before anything is appended. */
  "Dropped",
  /** It closes where the answer would come: everything is appended. */
  "AnswerLost",
  "NotLeader",
  /** Not the leader any more, when it had appended everything. */
  "LeadershipLost",
  "Slow",
  /** Appended, and answered, once the producer has given up. */
  "Stalled"
] as const

type Fault = (typeof faults)[number]

export interface WildBroker {
  /** `host:port` */
  readonly address: string
  /** The records' names by partition and offset. */
  readonly log: ReadonlyArray<ReadonlyArray<string>>
  /** What came that no producer may send, and no connection make of it. */
  readonly complaints: ReadonlyArray<string>
  /** The faults a large request has met. */
  readonly met: ReadonlySet<Fault>
  /** No faults from now on; Produce requests are answered once so many are here at the same time. */
  readonly behave: (together: number) => void
  readonly stop: () => Promise<void>
}

export interface WildBrokerOptions {
  readonly seed: number
  readonly topic: string
  readonly partitions: number
  /** The name of the record with that value; undefined: it is not one that was offered. */
  readonly nameOf: (value: Uint8Array | null) => string | undefined
  /** How long a slow answer and a stalled one take, ms. */
  readonly slowMs: number
  readonly stalledMs: number
}

/** Longest an answer without a fault takes, ms. */
const usualMs = { small: 4, large: 40 } as const
/** Share of the small requests that meet a fault. Half of the large ones do, and meet each in turn. */
const faultyShare = 0.06
/** The newest batches of a producer that a broker knows again, as Kafka's does. */
const rememberedBatches = 5

const none = 0
const corruptMessage = 2
const notLeader = 6
const outOfOrderSequence = 45
const invalidProducerEpoch = 47

/** What a partition knows of its one producer. */
interface Sequences {
  readonly epoch: number
  next: number
  readonly newest: Array<{ readonly first: number; readonly count: number; readonly offset: number }>
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** One partition's records, and the checks of Kafka's `ProducerAppendInfo`. */
class Log {
  readonly names: Array<string> = []
  readonly #partition: number
  readonly #complain: (about: string) => void
  readonly #nameOf: WildBrokerOptions["nameOf"]
  #sequences: Sequences | undefined

  constructor(partition: number, nameOf: WildBrokerOptions["nameOf"], complain: (about: string) => void) {
    this.#partition = partition
    this.#nameOf = nameOf
    this.#complain = complain
  }

  append(batch: Buffer): Protocol.Told {
    const partition = this.#partition
    const refused = (errorCode: number) => ({ partition, errorCode, offset: -1n })
    const records = RecordBatch.records(batch)
    if (Either.isLeft(records)) {
      this.#complain(`partition ${partition}: ${records.left.message}`)
      return refused(corruptMessage)
    }
    const { baseSequence, count, producerEpoch, producerId } = readHeader(batch)
    if (producerId < 0n) this.#complain(`partition ${partition}: a batch without a producer id`)
    const known = this.#sequences
    if (known !== undefined && producerEpoch < known.epoch) return refused(invalidProducerEpoch)
    const same = known?.epoch === producerEpoch ? known : { epoch: producerEpoch, next: 0, newest: [] }
    const copy = same.newest.find(({ first, count: records }) => first === baseSequence && records === count)
    if (copy !== undefined) return { partition, errorCode: none, offset: BigInt(copy.offset) }
    if (baseSequence !== same.next) {
      if (baseSequence > same.next) {
        this.#complain(`partition ${partition}: sequence ${baseSequence} of epoch ${producerEpoch} behind ${same.next}`)
      }
      return refused(outOfOrderSequence)
    }
    const offset = this.names.length
    same.next += count
    same.newest.push({ first: baseSequence, count, offset })
    if (same.newest.length > rememberedBatches) same.newest.shift()
    this.#sequences = same
    for (const { value } of records.right) {
      const name = this.#nameOf(value)
      if (name === undefined) this.#complain(`partition ${partition}: a record nobody offered`)
      this.names.push(name ?? "")
    }
    return { partition, errorCode: none, offset: BigInt(offset) }
  }
}

/** Which faults requests meet. */
class Faults {
  readonly met = new Set<Fault>()
  readonly #random: Random
  #forLarge: Array<Fault | undefined> = []

  constructor(random: Random) {
    this.#random = random
  }

  draw(large: boolean): Fault | undefined {
    if (!large) return this.#random.next() < faultyShare ? this.#random.pick(faults) : undefined
    if (this.#forLarge.length === 0) {
      this.#forLarge = [...this.#random.shuffled([...faults, ...faults.map(() => undefined)])]
    }
    const drawn = this.#forLarge.pop()
    if (drawn !== undefined) this.met.add(drawn)
    return drawn
  }
}

/** Requests that get their answers once enough of them are here. */
class Gathering {
  readonly whole: Promise<void>
  #end: () => void = () => undefined
  #missing: number

  constructor(together: number) {
    this.#missing = together
    this.whole = new Promise(resolve => {
      this.#end = resolve
    })
  }

  join(): void {
    if (--this.#missing === 0) this.#end()
  }
  end(): void {
    this.#end()
  }
}

export const start = async (options: WildBrokerOptions): Promise<WildBroker> => {
  const { nameOf, partitions, seed, slowMs, stalledMs, topic } = options
  const random = seeded(seed)
  const drawn = new Faults(random)
  const complaints: Array<string> = []
  const complain = (about: string) => void complaints.push(about)
  const logs = Array.from({ length: partitions }, (_, partition) => new Log(partition, nameOf, complain))
  let gathering: Gathering | undefined

  const appended = (request: Buffer): ReadonlyArray<Protocol.Told> =>
    Protocol.batchesOf(request).map(
      ([partition, batch]) => logs[partition]?.append(batch) ?? { partition, errorCode: 3, offset: -1n }
    )

  /** Undefined: the connection is closed. */
  const produced = async (
    request: Buffer,
    fault: Fault | undefined
  ): Promise<ReadonlyArray<Protocol.Told> | undefined> => {
    if (fault === "Slow") await pause(slowMs)
    else if (fault === "Stalled") await pause(stalledMs)
    else await pause(random.whole(0, request.length >= largeBatchBytes ? usualMs.large : usualMs.small))
    if (fault === "Cut" || fault === "Dropped") return undefined
    if (fault === "NotLeader") {
      return Protocol.batchesOf(request).map(([partition]) => ({ partition, errorCode: notLeader, offset: -1n }))
    }
    const told = appended(request)
    if (fault === "AnswerLost") return undefined
    if (fault !== "LeadershipLost") return told
    return told.map(one => (one.errorCode === none ? { ...one, errorCode: notLeader } : one))
  }

  const { address, stop } = await Protocol.listen((socket, port) => {
    const requests = new Protocol.Requests()
    const answer = (request: Buffer, told: ReadonlyArray<Protocol.Told> | undefined) => {
      const cluster = { port, topic, partitions, throttleMs: 0 }
      const bytes = told === undefined ? undefined : Protocol.answer(request, cluster, told)
      if (bytes === undefined) socket.destroy()
      else if (!socket.destroyed) socket.write(bytes)
    }
    /** One after the other, as Kafka does with those of a connection. */
    let last = Promise.resolve()
    /** What a large request meets is settled when it begins. */
    let coming: { readonly fault: Fault | undefined; readonly cutAt: number } | undefined
    const begin = (bytes: number) => ({
      fault: gathering === undefined ? drawn.draw(bytes >= largeBatchBytes) : undefined,
      cutAt: random.whole(1, bytes)
    })
    socket.on("data", (chunk: Buffer) => {
      for (const request of requests.push(chunk)) {
        if (!Protocol.isProduce(request)) {
          last = last.then(() => answer(request, []))
          continue
        }
        const { fault } = coming ?? begin(request.length)
        coming = undefined
        const gathered = gathering
        gathered?.join()
        last = last.then(async () => {
          await gathered?.whole
          answer(request, await produced(request, fault))
        })
      }
      if (requests.expected >= largeBatchBytes) coming ??= begin(requests.expected)
      if (coming?.fault === "Cut" && requests.held >= coming.cutAt) socket.destroy()
    })
  })

  return {
    address,
    log: logs.map(({ names }) => names),
    complaints,
    met: drawn.met,
    behave: together => {
      gathering?.end()
      gathering = new Gathering(together)
    },
    stop: async () => {
      gathering?.end()
      await stop()
    }
  }
}
