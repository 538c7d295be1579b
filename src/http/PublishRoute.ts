/**
 * `POST /v1/topics/{topic}/records`: plain code, no Effect and no timer per request.
 */
import type { Outcome } from "../Receipt.ts"
import type { ProducerRecord } from "../Record.ts"
import type { Service as Tracing } from "../Tracing.ts"
import * as Answer from "./Answer.ts"
import { Exchange, type Receiver, type Respond } from "./Exchange.ts"
import * as RecordHeaders from "./RecordHeaders.ts"
import * as RecordJson from "./RecordJson.ts"
import type { RequestHead } from "./RequestHead.ts"
import * as RequestTrace from "./RequestTrace.ts"
import { Timeouts } from "./Timeouts.ts"

export interface Options {
  readonly offer: (record: ProducerRecord, callback: (outcome: Outcome) => void) => void
  readonly maxBodyBytes: number
  /** From the request's first byte to the answer, ms. */
  readonly requestTimeoutMs: number
  /** Undefined: records carry the trace of their request on, and nothing is told of it. */
  readonly tracing?: Tracing | undefined
}

/** Most records in one request: what their results take is bounded, too. */
export const maximumRecords = 100_000

const tooMany = () =>
  Answer.refuse("BodyTooLarge", `more than ${maximumRecords} records in one request; send them in several`)

class Publish extends Exchange {
  readonly maxBodyBytes: number
  readonly #topic: string
  readonly #head: RequestHead
  readonly #trace: RequestTrace.RequestTrace | undefined
  readonly #offer: Options["offer"]

  constructor(topic: string, head: RequestHead, options: Options, timeouts: Timeouts, respond: Respond) {
    const trace = RequestTrace.begin(options.tracing, topic, head)
    super(timeouts, trace === undefined ? respond : RequestTrace.ending(trace, respond))
    this.#topic = topic
    this.#head = head
    this.#trace = trace
    this.#offer = options.offer
    this.maxBodyBytes = options.maxBodyBytes
  }

  protected handle(body: Uint8Array): void {
    const type = this.#head.header("content-type")
    if (type?.startsWith("application/x-ndjson") === true) {
      const entries = RecordJson.lines(this.#topic, body, maximumRecords)
      return entries === undefined ? this.answer(tooMany()) : this.#many(entries)
    }
    if (type?.startsWith("application/json") === true && RecordJson.isArray(body)) {
      const entries = RecordJson.array(this.#topic, body, maximumRecords)
      if (typeof entries === "string") return this.answer(Answer.refuse("InvalidRecord", entries))
      return entries === undefined ? this.answer(tooMany()) : this.#many(entries)
    }
    this.#one(body)
  }

  #one(value: Uint8Array): void {
    const record = RecordHeaders.toRecord(this.#topic, this.#head, value)
    if ("_tag" in record) return this.answer(Answer.single(record, undefined))
    const { id } = record
    this.#offer(RequestTrace.carry(record, this.#trace), outcome => this.answer(Answer.single(outcome, id)))
  }

  #many(entries: ReadonlyArray<RecordJson.Entry>): void {
    if (entries.length === 0) return this.answer(Answer.refuse("InvalidRecord", "no record in the body"))
    const results = new Answer.Results(entries.length)
    let left = entries.length
    entries.forEach(({ id, parsed }, index) => {
      const take = (outcome: Outcome) => {
        results.set(index, outcome, id)
        if (--left === 0) this.answer(results.answer())
      }
      if ("_tag" in parsed) take(parsed)
      else this.#offer(RequestTrace.carry(parsed, this.#trace), take)
    })
  }
}

export const make = (options: Options) => {
  const timeouts = new Timeouts(options.requestTimeoutMs)

  /** Undefined when the request is answered without its body. */
  return (topic: string, head: RequestHead, respond: Respond): Receiver | undefined => {
    const coding = head.header("content-encoding")
    if (coding !== null && coding !== "identity") {
      const message = `Content-Encoding ${coding}: send the body as it is`
      respond(Answer.refuse("UnsupportedMediaType", message, { "accept-encoding": "identity" }))
      return undefined
    }
    return new Publish(topic, head, options, timeouts, respond)
  }
}
