/**
 * `POST /v1/topics/{topic}/records`: plain code, no Effect and no timer per request.
 */
import { type Outcome, PublishError } from "../Receipt.ts"
import * as Answer from "./Answer.ts"
import { Exchange, type Receiver, type Respond } from "./Exchange.ts"
import * as RecordHeaders from "./RecordHeaders.ts"
import * as RecordJson from "./RecordJson.ts"
import type { RequestHead } from "./RequestHead.ts"
import * as RequestTrace from "./RequestTrace.ts"
import { codingRefused, type Intake, publishing, type Route, unescape } from "./Route.ts"
import { Timeouts } from "./Timeouts.ts"

class Publish extends Exchange {
  readonly maxBodyBytes: number
  readonly #topic: string
  readonly #head: RequestHead
  readonly #trace: RequestTrace.RequestTrace | undefined
  readonly #options: Intake

  constructor(topic: string, head: RequestHead, options: Intake, shared: Shared, respond: Respond) {
    const trace = RequestTrace.begin(options.tracing, topic, head)
    super(shared.timeouts, trace === undefined ? respond : RequestTrace.ending(trace, respond), shared.refuse)
    this.#trace = trace
    this.#topic = topic
    this.#head = head
    this.#options = options
    this.maxBodyBytes = options.maxBodyBytes
  }

  protected handle(body: Uint8Array): void {
    const type = this.#head.header("content-type")
    const most = this.#options.maxBatchRecords
    if (type?.startsWith("application/x-ndjson") === true) {
      const entries = RecordJson.lines(this.#topic, body, most)
      return entries === undefined ? this.#tooMany() : this.#many(entries)
    }
    if (type?.startsWith("application/json") === true && RecordJson.isArray(body)) {
      const entries = RecordJson.array(this.#topic, body, most)
      if (typeof entries === "string") return this.refuse("InvalidRecord", entries)
      return entries === undefined ? this.#tooMany() : this.#many(entries)
    }
    this.#one(body)
  }

  #tooMany(): void {
    const most = `${this.#options.maxBatchRecords} records (http.max_batch_records)`
    this.refuse("BodyTooLarge", `more than ${most} in one request; send them in several`)
  }

  #one(value: Uint8Array): void {
    const { offer, retryAfter } = this.#options
    const record = RecordHeaders.toRecord(this.#topic, this.#head, value)
    if ("_tag" in record) return this.answer(Answer.single(record, undefined, retryAfter))
    const { id } = record
    offer(RequestTrace.carry(record, this.#trace), outcome => this.answer(Answer.single(outcome, id, retryAfter)))
  }

  #many(entries: ReadonlyArray<RecordJson.Entry>): void {
    if (entries.length === 0) return this.refuse("InvalidRecord", "no record in the body")
    const { offer, retryAfter } = this.#options
    const requestId = RecordHeaders.requestId(this.#head)
    if (requestId instanceof PublishError) return this.refuse("InvalidRecord", requestId.message)
    const results = new Answer.Results(entries.length, retryAfter)
    let left = entries.length
    entries.forEach(({ id: own, parsed }, index) => {
      const id = own ?? (requestId === undefined ? undefined : RecordHeaders.idOf(requestId, index))
      const take = (outcome: Outcome) => {
        results.set(index, outcome, id)
        if (--left === 0) this.answer(results.answer())
      }
      if ("_tag" in parsed) take(parsed)
      else offer(RequestTrace.carry(id === own ? parsed : { ...parsed, id }, this.#trace), take)
    })
  }
}

interface Shared {
  readonly timeouts: Timeouts
  readonly refuse: Answer.Refuse
}

const prefix = "/v1/topics/"
const suffix = "/records"

export const make = (options: Intake): Route => {
  const refuse = Answer.refuser(options.retryAfter)
  const shared = { refuse, timeouts: new Timeouts(options.requestTimeoutMs) }

  const open = (topic: string, head: RequestHead, respond: Respond): Receiver | undefined => {
    const refused = codingRefused(head, refuse)
    if (refused === undefined) return new Publish(topic, head, options, shared, respond)
    respond(refused)
    return undefined
  }

  return path => {
    if (!path.startsWith(prefix) || !path.endsWith(suffix)) return undefined
    const topic = path.slice(prefix.length, -suffix.length)
    if (topic === "" || topic.includes("/")) return undefined
    return publishing(unescape(topic), refuse, open)
  }
}
