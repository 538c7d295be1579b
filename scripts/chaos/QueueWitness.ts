/**
 * Sees every SQS call from the proxy's place and keeps what can explain a copy in Kafka: which record was parked with an
 * unknown end, stored twice, received twice, or in the hands of a process that was ended.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Envelope from "../../src/Envelope.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import { type Call, objectsIn } from "../../src/testing/SqsProxy.ts"
import { flag, type Ledger, type Ledgers } from "./Ledger.ts"

interface Held {
  readonly ledger: Ledger
  readonly number: number
}

interface Message {
  readonly records: ReadonlyArray<Held>
  readonly handles: Array<string>
  receives: number
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

export interface ParkedRecord {
  readonly id: string
  /** `Class:REASON` of the envelope it is in. */
  readonly error: string
}

/** Ids of the records in envelopes, and why they were parked. */
export const recordsOf = (envelopes: ReadonlyArray<Envelope.Envelope>): ReadonlyArray<ParkedRecord> =>
  envelopes.flatMap(({ batch, lastError }) =>
    Either.getOrThrow(RecordBatch.records(batch)).map(record => ({
      id: RecordBatch.idOf(record, "spillway-id") ?? "",
      error: lastError
    }))
  )

/** The same of a message body. */
export const recordsIn = async (body: string): Promise<ReadonlyArray<ParkedRecord>> =>
  recordsOf(await Effect.runPromise(Envelope.fromBody(body)))

export class QueueWitness {
  /** `performance.now()` of the first store since it was last set to undefined. */
  firstStoreAt: number | undefined
  readonly #ledgers: Ledgers
  readonly #log: (line: string) => void
  readonly #messages = new Map<string, Message>()
  readonly #handles = new Map<string, string>()
  /** Messages that hold a record, for records in more than none. */
  readonly #holders = new Map<string, Set<string>>()
  /** Bodies are read one call after the other, as they came. */
  #turn: Promise<void> = Promise.resolve()

  constructor(ledgers: Ledgers, log: (line: string) => void) {
    this.#ledgers = ledgers
    this.#log = log
  }

  /** To be told every call of the proxy. */
  onCall(call: Call): void {
    if (call.operation === "SendMessageBatch" && objectsIn(call.answer, "Successful").length > 0) {
      if (!isDeadLetters(call)) this.firstStoreAt ??= performance.now()
    }
    this.#turn = this.#turn
      .then(() => this.#read(call))
      .catch((error: unknown) => this.#log(`unreadable ${call.operation}: ${String(error)}`))
  }

  /** Resolves when everything seen so far is read. */
  idle(): Promise<void> {
    return this.#turn
  }

  /** Records now in messages that are not deleted. */
  get parked(): number {
    return this.#holders.size
  }

  /** A process that had received of these ledgers was ended. */
  async ended(ledgers: ReadonlyArray<Ledger>): Promise<void> {
    await this.#turn
    for (const { receives, records } of this.#messages.values()) {
      if (receives === 0) continue
      for (const { ledger, number } of records) if (ledgers.includes(ledger)) ledger.mark(number, flag.held)
    }
  }

  async #read(call: Call): Promise<void> {
    switch (call.operation) {
      case "SendMessageBatch":
        return this.#sent(call)
      case "ReceiveMessage":
        return this.#received(call)
      case "DeleteMessage":
        if (call.status === 200) this.#deleted(text(call.request.ReceiptHandle))
        return
      case "DeleteMessageBatch": {
        const gone = new Set(objectsIn(call.answer, "Successful").map(({ Id }) => Id))
        for (const entry of objectsIn(call.request, "Entries")) {
          if (gone.has(entry.Id)) this.#deleted(text(entry.ReceiptHandle))
        }
      }
    }
  }

  async #sent(call: Call): Promise<void> {
    const bodies = new Map(objectsIn(call.request, "Entries").map(entry => [entry.Id, text(entry.MessageBody)]))
    for (const stored of objectsIn(call.answer, "Successful")) {
      const id = text(stored.MessageId)
      const parked = await recordsIn(bodies.get(stored.Id) ?? "")
      const records: Array<Held> = []
      for (const { error, id: recordId } of parked) {
        const found = this.#ledgers.find(recordId)
        if (found === undefined) continue
        const { ledger, number } = found
        if (isDeadLetters(call)) {
          ledger.mark(number, flag.dead)
          continue
        }
        records.push(found)
        const holders = this.#holders.get(recordId) ?? new Set()
        for (const other of holders) {
          ledger.mark(number, (this.#messages.get(other)?.receives ?? 0) === 0 ? flag.storedTwice : flag.reparked)
        }
        ledger.mark(number, flag.parked)
        if (error.startsWith("Unknown")) ledger.mark(number, flag.unknown)
        holders.add(id)
        this.#holders.set(recordId, holders)
      }
      const [first] = parked
      const where = isDeadLetters(call) ? "dead" : "stored"
      this.#log(`${where} ${id} ${parked.length} from ${first?.id} ${first?.error}`)
      if (!isDeadLetters(call)) this.#messages.set(id, { records, handles: [], receives: 0 })
    }
    for (const failed of objectsIn(call.answer, "Failed")) this.#log(`refused ${text(failed.Code)}`)
  }

  #received(call: Call): void {
    for (const received of objectsIn(call.answer, "Messages")) {
      const id = text(received.MessageId)
      const handle = text(received.ReceiptHandle)
      const message = this.#messages.get(id)
      this.#log(`received ${id}${message === undefined ? ", which nobody stored" : ""}`)
      if (message === undefined) continue
      message.receives++
      message.handles.push(handle)
      this.#handles.set(handle, id)
      if (message.receives > 1) {
        for (const { ledger, number } of message.records) ledger.mark(number, flag.receivedAgain)
      }
    }
  }

  #deleted(handle: string): void {
    const id = this.#handles.get(handle)
    const message = id === undefined ? undefined : this.#messages.get(id)
    if (id === undefined || message === undefined) return
    this.#log(`deleted ${id}`)
    this.#messages.delete(id)
    for (const each of message.handles) this.#handles.delete(each)
    for (const { ledger, number } of message.records) {
      const recordId = ledger.idOf(number)
      const holders = this.#holders.get(recordId)
      holders?.delete(id)
      if (holders?.size === 0) this.#holders.delete(recordId)
    }
  }
}

const isDeadLetters = ({ request }: Call): boolean => text(request.QueueUrl).endsWith("-dlq")
