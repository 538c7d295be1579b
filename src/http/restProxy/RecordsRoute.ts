/**
 * The produce call of Confluent's REST Proxy, API v3: `POST /v3/clusters/{cluster_id}/topics/{topic}/records`, one record or
 * a stream of them, with a report for each in the same order.
 *
 * A body of a known length is answered as a whole, with a status that says how it went. One without is read as it comes, with
 * at most `window` records unanswered, and answered from the first outcome on, before it has ended: then with 207, as
 * nobody can know how the rest will go.
 */
import type { Outcome } from "../../Receipt.ts"
import type { Sink } from "../Answer.ts"
import { Exchange, type Respond } from "../Exchange.ts"
import * as RecordHeaders from "../RecordHeaders.ts"
import type { RequestHead } from "../RequestHead.ts"
import * as RequestTrace from "../RequestTrace.ts"
import { codingRefused, type Intake, publishing, type Route, unescape } from "../Route.ts"
import { Timeouts } from "../Timeouts.ts"
import { ConcatenatedJson } from "./ConcatenatedJson.ts"
import { Fault } from "./embedded.ts"
import * as RestAnswer from "./RestAnswer.ts"
import { type Report, read, reportOf } from "./v3Record.ts"

const contentType = "application/json"

/** Most records of a stream that wait for their outcome. */
export const window = 1000

/** A record's place among the reports. */
interface Slot {
  report: Report | undefined
}

interface Target {
  readonly clusterId: string
  readonly topic: string
  /** The name the sender gave the request. */
  readonly requestId: string | undefined
}

interface Shared {
  readonly timeouts: Timeouts
  readonly refuse: ReturnType<typeof RestAnswer.refuser>
}

class Produce extends Exchange {
  readonly maxBodyBytes: number
  readonly piece: ((bytes: Uint8Array) => Promise<void> | undefined) | undefined
  readonly #target: Target
  readonly #intake: Intake
  readonly #trace: RequestTrace.RequestTrace | undefined
  readonly #json: ConcatenatedJson
  /** Records whose report is not written, in order. */
  readonly #slots: Array<Slot> = []
  #count = 0
  /** Slots without a report. */
  #open = 0
  /** There will be no more records. */
  #ended = false
  /** The answer has begun. */
  #streaming = false
  #resume: (() => void) | undefined
  #sink: Sink | undefined
  #draining = false
  /** The body comes in pieces, rather than whole. */
  #inPieces = false

  constructor(target: Target, head: RequestHead, intake: Intake, shared: Shared, respond: Respond) {
    const trace = RequestTrace.begin(intake.tracing, target.topic, head)
    super(shared.timeouts, trace === undefined ? respond : RequestTrace.ending(trace, respond), shared.refuse)
    this.#trace = trace
    this.#target = target
    this.#intake = intake
    this.maxBodyBytes = intake.maxBodyBytes
    this.#json = new ConcatenatedJson(intake.maxBodyBytes)
    this.piece = head.header("content-length") === null ? bytes => this.#piece(bytes) : undefined
  }

  /** The whole body, or the end of one that came in pieces. */
  protected handle(body: Uint8Array): void {
    if (!this.#inPieces && !this.#all(body)) return
    if (!this.#json.empty) this.#fault(new Fault("", "not JSON: the body ends inside an object", true))
    if (this.#count === 0) this.#fault(new Fault("", "Request body is empty. Data is required."))
    this.#end()
  }

  /** False: it is refused as a whole. */
  #all(body: Uint8Array): boolean {
    const most = this.#intake.maxBatchRecords
    this.#json.push(body)
    const texts: Array<string> = []
    let next = this.#json.next()
    for (; typeof next === "string"; next = this.#json.next()) {
      texts.push(next)
      if (texts.length <= most) continue
      this.refuse("BodyTooLarge", `more than ${most} records (http.max_batch_records) in one request`)
      return false
    }
    for (const text of texts) this.#accept(text)
    if (next !== undefined) this.#fault(next)
    return true
  }

  override cutShort(): void {
    if (!this.#ended) this.#fault(new Fault("", "the body ended before its end", true))
    this.#end()
  }

  override late(): void {
    if (!this.#streaming) {
      super.late()
      return this.#end()
    }
    const text = "the stream made no progress within http.request_timeout"
    const report: Report = {
      status: 503,
      text: RestAnswer.errorText(50003, `${text}; the record may still become durable`),
      after: undefined
    }
    for (const slot of this.#slots) this.#fill(slot, report)
    this.#fault(new Fault("", text), { status: 408, code: 408 })
    this.#end()
  }

  #piece(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#ended) return undefined
    this.#inPieces = true
    try {
      this.#json.push(bytes)
      if (this.#drain()) return undefined
    } catch {
      this.#fault(new Fault("", "the request could not be handled"), { status: 500, code: 50002 })
      this.#end()
      return undefined
    }
    return new Promise(resolve => {
      this.#resume = resolve
    })
  }

  /** Takes the objects that are complete; false: there may be more, and no room for them. */
  #drain(): boolean {
    this.#draining = true
    try {
      while (!this.#ended) {
        if (this.#slots.length >= window) return false
        const text = this.#json.next()
        if (text === undefined) return true
        if (text instanceof Fault) {
          this.#fault(text)
          this.#end()
        } else this.#accept(text)
      }
      return true
    } finally {
      this.#draining = false
    }
  }

  #accept(text: string): void {
    const { clusterId, requestId, topic } = this.#target
    const { offer, retryAfter } = this.#intake
    const id = requestId === undefined ? undefined : RecordHeaders.idOf(requestId, this.#count)
    const produced = read(text, clusterId, topic, id, retryAfter, Date.now())
    const slot: Slot = { report: undefined }
    this.#slots.push(slot)
    this.#count++
    this.#open++
    if (produced instanceof Fault) {
      this.#fill(slot, reportOf(produced))
      return this.#settled()
    }
    offer(RequestTrace.carry(produced.record, this.#trace), (outcome: Outcome) => {
      this.#fill(slot, produced.report(outcome))
      // Nothing that comes later would fare better.
      if (outcome._tag === "PublishError" && outcome.reason === "Closed" && this.#inPieces) this.#end()
      this.#settled()
    })
  }

  /** The first report counts. */
  #fill(slot: Slot, report: Report): void {
    if (slot.report !== undefined) return
    slot.report = report
    this.#open--
  }

  /** A report that no record has, and the end of what is taken in. */
  #fault(fault: Fault, code?: RestAnswer.Code): void {
    if (this.#ended) return
    this.#slots.push({ report: reportOf(fault, code) })
    this.#count++
    this.#ended = true
  }

  #end(): void {
    this.#ended = true
    this.#release()
    this.#settled()
  }

  #release(): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  #settled(): void {
    if (this.#streaming) return this.#report()
    if (this.#ended) {
      if (this.#open === 0) this.#whole()
    } else if (this.#inPieces && this.#slots[0]?.report !== undefined) {
      this.#streaming = true
      const body = { start: (sink: Sink) => this.#begin(sink) }
      this.answer({ status: 207, headers: { "content-type": contentType }, body })
      if (!this.#ended) this.goOn()
    }
  }

  #whole(): void {
    const reports = this.#slots.flatMap(({ report }) => report ?? [])
    const after = reports.find(report => report.after !== undefined)?.after
    this.answer({
      status: RestAnswer.combined(reports.map(({ status }) => status)),
      headers: { "content-type": contentType, ...(after === undefined ? {} : { "retry-after": after }) },
      body: reports.map(({ text }) => text).join("\n")
    })
  }

  /** What to call when nobody reads the reports any more. */
  #begin(sink: Sink): () => void {
    this.#sink = sink
    this.#report()
    return () => {
      this.#sink = undefined
      this.over()
      // What was taken in goes its way, nothing further is.
      this.#ended = true
      this.#release()
    }
  }

  /** Writes what is known, in order. */
  #report(): void {
    for (let report = this.#slots[0]?.report; report !== undefined; report = this.#slots[0]?.report) {
      if (this.#sink === undefined) return
      this.#slots.shift()
      this.goOn()
      if (!this.#sink.write(`${report.text}\n`)) return
    }
    if (this.#ended && this.#slots.length === 0) this.#sink?.end()
    else if (this.#resume !== undefined && !this.#draining && this.#drain()) this.#release()
  }
}

const shape = /^(?:\/kafka)?\/v3\/clusters\/([^/]+)\/topics\/([^/]+)\/records$/

export const make = (intake: Intake): Route => {
  const refuse = RestAnswer.refuser(intake.retryAfter, contentType)
  const shared: Shared = { refuse, timeouts: new Timeouts(intake.requestTimeoutMs) }

  return path => {
    const [, clusterPart, topicPart] = path.endsWith("/records") ? (shape.exec(path) ?? []) : []
    if (clusterPart === undefined || topicPart === undefined) return undefined
    return publishing(unescape(topicPart), refuse, (topic, head, respond) => {
      const target = targetOf(unescape(clusterPart), topic, head)
      const [type = ""] = (head.header("content-type") ?? "").split(";", 1)
      const refused =
        codingRefused(head, refuse) ??
        (type.trim().toLowerCase() === contentType
          ? undefined
          : refuse("UnsupportedMediaType", `content-type: expected ${contentType}`)) ??
        (target instanceof Fault ? refuse("InvalidRecord", target.message) : undefined)
      if (refused === undefined && !(target instanceof Fault)) {
        return new Produce(target, head, intake, shared, respond)
      }
      if (refused !== undefined) respond(refused)
      return undefined
    })
  }
}

const targetOf = (clusterId: string | undefined, topic: string, head: RequestHead): Target | Fault => {
  if (clusterId === undefined) return new Fault("cluster_id", "badly escaped in the path")
  const requestId = RecordHeaders.requestId(head)
  return requestId === undefined || typeof requestId === "string"
    ? { clusterId, topic, requestId }
    : new Fault("", requestId.message)
}
