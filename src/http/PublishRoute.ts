/**
 * `POST /v1/topics/{topic}/records`: plain code, no Effect and no timer per request.
 */
import type { Outcome } from "../Receipt.ts"
import type { ProducerRecord } from "../Record.ts"
import * as Answer from "./Answer.ts"
import * as RecordHeaders from "./RecordHeaders.ts"
import * as RecordJson from "./RecordJson.ts"
import * as RequestBody from "./RequestBody.ts"
import { Timed, Timeouts } from "./Timeouts.ts"

export interface Options {
  readonly offer: (record: ProducerRecord, callback: (outcome: Outcome) => void) => void
  readonly maxBodyBytes: number
  /** From the request's first byte to the answer, ms. */
  readonly requestTimeoutMs: number
}

/** Most records in one request: what their results take is bounded, too. */
export const maximumRecords = 100_000

const tooMany = () =>
  Answer.refuse("BodyTooLarge", `more than ${maximumRecords} records in one request; send them in several`)

const late = () =>
  Answer.refuse(
    "Timeout",
    "not settled within http.request_timeout: it may still become durable, so keep its id to retry"
  )

/** One request until its answer. */
class Exchange extends Timed {
  readonly request: Request
  readonly topic: string
  readonly #resolve: (answer: Response) => void
  readonly #timeouts: Timeouts

  constructor(topic: string, request: Request, timeouts: Timeouts, resolve: (answer: Response) => void) {
    super()
    this.topic = topic
    this.request = request
    this.#timeouts = timeouts
    this.#resolve = resolve
    timeouts.begin(this)
  }

  settle(answer: Response): void {
    this.#timeouts.done(this)
    this.#resolve(answer)
  }

  late(): void {
    this.#resolve(late())
  }
}

export const make = ({ maxBodyBytes, offer, requestTimeoutMs }: Options) => {
  const timeouts = new Timeouts(requestTimeoutMs)

  const one = (exchange: Exchange, value: Uint8Array): void => {
    const record = RecordHeaders.toRecord(exchange.topic, exchange.request.headers, value)
    if ("_tag" in record) return exchange.settle(Answer.single(record, undefined))
    offer(record, outcome => exchange.settle(Answer.single(outcome, record.id)))
  }

  const many = (exchange: Exchange, entries: ReadonlyArray<RecordJson.Entry>): void => {
    if (entries.length === 0) return exchange.settle(Answer.refuse("InvalidRecord", "no record in the body"))
    const results = new Answer.Results(entries.length)
    let left = entries.length
    entries.forEach(({ id, parsed }, index) => {
      const take = (outcome: Outcome) => {
        results.set(index, outcome, id)
        if (--left === 0) exchange.settle(results.answer())
      }
      if ("_tag" in parsed) take(parsed)
      else offer(parsed, take)
    })
  }

  const take = (exchange: Exchange, body: Uint8Array | undefined): void => {
    if (body === undefined || body.length > maxBodyBytes) {
      const message = `the body is larger than http.max_body_bytes, ${maxBodyBytes} bytes`
      return exchange.settle(Answer.refuse("BodyTooLarge", message))
    }
    const { request, topic } = exchange
    const type = request.headers.get("content-type")
    if (type?.startsWith("application/x-ndjson") === true) {
      const entries = RecordJson.lines(topic, body, maximumRecords)
      return entries === undefined ? exchange.settle(tooMany()) : many(exchange, entries)
    }
    if (type?.startsWith("application/json") === true && RecordJson.isArray(body)) {
      const entries = RecordJson.array(topic, body, maximumRecords)
      if (typeof entries === "string") return exchange.settle(Answer.refuse("InvalidRecord", entries))
      return entries === undefined ? exchange.settle(tooMany()) : many(exchange, entries)
    }
    one(exchange, body)
  }

  /** Always resolves. */
  return (topic: string, request: Request): Promise<Response> => {
    const coding = request.headers.get("content-encoding")
    if (coding !== null && coding !== "identity") {
      const message = `Content-Encoding ${coding}: send the body as it is`
      return Promise.resolve(Answer.refuse("UnsupportedMediaType", message, { "accept-encoding": "identity" }))
    }
    return new Promise(resolve => {
      const exchange = new Exchange(topic, request, timeouts, resolve)
      RequestBody.read(request, maxBodyBytes).then(
        body => {
          try {
            take(exchange, body)
          } catch {
            exchange.settle(Answer.refuse("Internal", "the request could not be handled"))
          }
        },
        () => exchange.settle(Answer.refuse("BodyIncomplete", "the body ended before its end"))
      )
    })
  }
}
