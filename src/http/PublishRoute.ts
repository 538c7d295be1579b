/**
 * `POST /v1/topics/{topic}/records`: plain code, no Effect and no timer per request.
 */
import type { Outcome } from "../Receipt.ts"
import type { ProducerRecord } from "../Record.ts"
import * as Answer from "./Answer.ts"
import * as RecordHeaders from "./RecordHeaders.ts"
import * as RecordJson from "./RecordJson.ts"
import * as RequestBody from "./RequestBody.ts"
import { Timeouts } from "./Timeouts.ts"

export interface Options {
  readonly offer: (record: ProducerRecord, callback: (outcome: Outcome) => void) => void
  readonly maxBodyBytes: number
  /** From the request's first byte to the answer, ms. */
  readonly requestTimeoutMs: number
}

/** Most records in one request: what their results take is bounded, too. */
export const maximumRecords = 100_000

type Settle = (answer: Response) => void

const tooMany = () =>
  Answer.refuse("BodyTooLarge", `more than ${maximumRecords} records in one request; send them in several`)

const late = () =>
  Answer.refuse(
    "Timeout",
    "not settled within http.request_timeout: it may still become durable, so keep its id to retry"
  )

export const make = ({ maxBodyBytes, offer, requestTimeoutMs }: Options) => {
  const timeouts = new Timeouts(requestTimeoutMs)

  const one = (topic: string, request: Request, value: Uint8Array, settle: Settle): void => {
    const record = RecordHeaders.toRecord(topic, request.headers, value)
    if ("_tag" in record) return settle(Answer.single(record, undefined))
    offer(record, outcome => settle(Answer.single(outcome, record.id)))
  }

  const many = (entries: ReadonlyArray<RecordJson.Entry>, settle: Settle): void => {
    if (entries.length === 0) return settle(Answer.refuse("InvalidRecord", "no record in the body"))
    const results = new Answer.Results(entries.length)
    let left = entries.length
    entries.forEach(({ id, parsed }, index) => {
      const take = (outcome: Outcome) => {
        results.set(index, outcome, id)
        if (--left === 0) settle(results.answer())
      }
      if ("_tag" in parsed) take(parsed)
      else offer(parsed, take)
    })
  }

  const take = (topic: string, request: Request, body: Uint8Array | undefined, settle: Settle): void => {
    if (body === undefined) {
      return settle(Answer.refuse("BodyTooLarge", `the body is larger than http.max_body_bytes, ${maxBodyBytes} bytes`))
    }
    const type = request.headers.get("content-type")
    if (type?.startsWith("application/x-ndjson") === true) {
      const entries = RecordJson.lines(topic, body, maximumRecords)
      return entries === undefined ? settle(tooMany()) : many(entries, settle)
    }
    if (type?.startsWith("application/json") === true && RecordJson.isArray(body)) {
      const entries = RecordJson.array(topic, body, maximumRecords)
      if (typeof entries === "string") return settle(Answer.refuse("InvalidRecord", entries))
      return entries === undefined ? settle(tooMany()) : many(entries, settle)
    }
    one(topic, request, body, settle)
  }

  /** Always resolves. */
  return (topic: string, request: Request): Promise<Response> => {
    const coding = request.headers.get("content-encoding")
    if (coding !== null && coding !== "identity") {
      const message = `Content-Encoding ${coding}: send the body as it is`
      return Promise.resolve(Answer.refuse("UnsupportedMediaType", message, { "accept-encoding": "identity" }))
    }
    return new Promise(resolve => {
      const expire = () => resolve(late())
      const settle = (answer: Response) => {
        timeouts.done(expire)
        resolve(answer)
      }
      timeouts.begin(expire)
      RequestBody.read(request, maxBodyBytes).then(
        body => {
          try {
            take(topic, request, body, settle)
          } catch {
            settle(Answer.refuse("Internal", "the request could not be handled"))
          }
        },
        () => settle(Answer.refuse("BodyIncomplete", "the body ended before its end"))
      )
    })
  }
}
