/**
 * The produce calls of Confluent's REST Proxy, API v2: `POST /topics/{topic}` and `/topics/{topic}/partitions/{id}` with
 * records embedded as JSON or in base64. A request with a malformed record comes to nothing as a whole.
 */
import type { Outcome } from "../../Receipt.ts"
import type { ProducerRecord } from "../../Record.ts"
import type { Answer } from "../Answer.ts"
import { Exchange, type Respond } from "../Exchange.ts"
import * as JsonSource from "../jsonSource.ts"
import * as RecordHeaders from "../RecordHeaders.ts"
import type { RequestHead } from "../RequestHead.ts"
import * as RequestTrace from "../RequestTrace.ts"
import { codingRefused, type Intake, publishing, type Route, unescape } from "../Route.ts"
import { Timeouts } from "../Timeouts.ts"
import { bytesOf, Fault, type Format, isObject, kindOf, parse, partitionOf, unknownMember } from "./embedded.ts"
import * as RestAnswer from "./RestAnswer.ts"

const contentType = "application/vnd.kafka.v2+json"

/** API v1 writes the same requests. Binary is what is meant where a type names no embedded format. */
const type = /^application\/vnd\.kafka(?:\.(json|binary))?(?:\.v[12])?\+json$/

/** The embedded format, or why there is none. */
const formatOf = (head: RequestHead): Format | Fault => {
  const [given = ""] = (head.header("content-type") ?? "").split(";", 1)
  const [found, format] = type.exec(given.trim().toLowerCase()) ?? []
  if (found !== undefined) return format === "json" ? "JSON" : "BINARY"
  return new Fault(
    "content-type",
    "expected application/vnd.kafka.json.v2+json or application/vnd.kafka.binary.v2+json"
  )
}

const decoder = new TextDecoder("utf-8", { fatal: true })
const schemaMembers = ["key_schema", "key_schema_id", "value_schema", "value_schema_id"]

/** A request's records as their texts. */
const elementsOf = (body: Uint8Array): ReadonlyArray<string> | Fault => {
  let text: string
  try {
    text = decoder.decode(body)
  } catch {
    return new Fault("", "the body is not UTF-8", true)
  }
  const request = parse(text)
  if (request instanceof Fault) return request
  if (!isObject(request)) return new Fault("", `expected an object with records, got ${kindOf(request)}`)
  const unknown = unknownMember(request, "", ["records", ...schemaMembers])
  if (unknown !== undefined) return unknown
  const schema = schemaMembers.find(name => request[name] !== undefined && request[name] !== null)
  if (schema !== undefined) return new Fault(schema, "schemas are not supported here")
  const { records } = request
  if (!Array.isArray(records)) return new Fault("records", `expected an array, got ${kindOf(records)}`)
  if (records.length === 0) return new Fault("records", "may not be empty")
  return JsonSource.elements(JsonSource.member(text, "records") ?? "") ?? new Fault("records", "unreadable", true)
}

const recordOf = (
  text: string,
  index: number,
  topic: string,
  format: Format,
  partition: number | undefined
): ProducerRecord | Fault => {
  const field = `records[${index}]`
  const record = parse(text)
  if (record instanceof Fault) return record
  if (!isObject(record)) return new Fault(field, `expected an object, got ${kindOf(record)}`)
  const unknown = unknownMember(record, field, ["key", "value", "partition"])
  if (unknown !== undefined) return unknown
  if (record.value === undefined) return new Fault(`${field}.value`, "missing (a tombstone is null)")
  const key = bytesOf(format, record, text, "key", `${field}.key`)
  if (key instanceof Fault) return key
  const value = bytesOf(format, record, text, "value", `${field}.value`)
  if (value instanceof Fault) return value
  const own = partitionOf(record.partition, `${field}.partition`)
  if (own instanceof Fault) return own
  if (own !== undefined && partition !== undefined && own !== partition) {
    return new Fault(`${field}.partition`, `the path says ${partition}`)
  }
  return { topic, key, value, partition: own ?? partition }
}

interface Target {
  readonly topic: string
  readonly partition: number | undefined
  readonly format: Format
}

class Produce extends Exchange {
  readonly maxBodyBytes: number
  readonly #target: Target
  readonly #head: RequestHead
  readonly #intake: Intake
  readonly #trace: RequestTrace.RequestTrace | undefined

  constructor(target: Target, head: RequestHead, intake: Intake, shared: Shared, respond: Respond) {
    const trace = RequestTrace.begin(intake.tracing, target.topic, head)
    super(shared.timeouts, trace === undefined ? respond : RequestTrace.ending(trace, respond), shared.refuse)
    this.#trace = trace
    this.#target = target
    this.#head = head
    this.#intake = intake
    this.maxBodyBytes = intake.maxBodyBytes
  }

  protected handle(body: Uint8Array): void {
    const { maxBatchRecords, offer } = this.#intake
    const { format, partition, topic } = this.#target
    const elements = elementsOf(body)
    if (elements instanceof Fault) return this.#malformed(elements)
    if (elements.length > maxBatchRecords) {
      return this.refuse("BodyTooLarge", `more than ${maxBatchRecords} records (http.max_batch_records) in one request`)
    }
    const requestId = RecordHeaders.requestId(this.#head)
    if (requestId !== undefined && typeof requestId !== "string") return this.refuse("InvalidRecord", requestId.message)
    const records: Array<ProducerRecord> = []
    for (const [index, text] of elements.entries()) {
      const record = recordOf(text, index, topic, format, partition)
      if (record instanceof Fault) return this.#malformed(record)
      records.push(requestId === undefined ? record : { ...record, id: RecordHeaders.idOf(requestId, index) })
    }
    const outcomes = new Array<Outcome>(records.length)
    let left = records.length
    for (const [index, record] of records.entries()) {
      offer(RequestTrace.carry(record, this.#trace), outcome => {
        outcomes[index] = outcome
        if (--left === 0) this.answer(answerOf(outcomes, this.#intake.retryAfter))
      })
    }
  }

  #malformed({ message, syntax }: Fault): void {
    const { code, status } = syntax ? RestAnswer.malformed : RestAnswer.invalidPayload
    this.answer(RestAnswer.refusal({ contentType, status, code, message }))
  }
}

const offsetOf = (outcome: Outcome): string => {
  if (outcome._tag === "Receipt") {
    const { offset = null, partition = null } = outcome
    return `{"partition":${partition},"offset":${offset},"error_code":null,"error":null}`
  }
  const { code } = RestAnswer.codeOf(outcome)
  return `{"partition":null,"offset":null,"error_code":${code},"error":${JSON.stringify(outcome.message)}}`
}

const answerOf = (outcomes: ReadonlyArray<Outcome>, retryAfter: Intake["retryAfter"]): Answer => {
  const status = RestAnswer.combined(
    outcomes.map(outcome => {
      if (outcome._tag === "Receipt") return outcome.outcome === "delivered" ? 200 : 202
      return RestAnswer.codeOf(outcome).status
    })
  )
  let error = ""
  let after: string | undefined
  for (const outcome of outcomes) {
    if (outcome._tag === "Receipt") continue
    after ??= retryAfter(outcome.reason)
    // Where all have failed, clients look for the error of the whole.
    if (error !== "" || status === 207) continue
    error = `"error_code":${RestAnswer.codeOf(outcome).code},"message":${JSON.stringify(outcome.message)},`
  }
  const offsets = outcomes.map(offsetOf).join(",")
  return {
    status,
    headers: { "content-type": contentType, ...(after === undefined ? {} : { "retry-after": after }) },
    body: `{${error}"key_schema_id":null,"value_schema_id":null,"offsets":[${offsets}]}`
  }
}

interface Shared {
  readonly timeouts: Timeouts
  readonly refuse: ReturnType<typeof RestAnswer.refuser>
}

const shape = /^\/topics\/([^/]+)(?:\/partitions\/([^/]+))?$/

export const make = (intake: Intake): Route => {
  const refuse = RestAnswer.refuser(intake.retryAfter, contentType)
  const shared: Shared = { refuse, timeouts: new Timeouts(intake.requestTimeoutMs) }

  return path => {
    const [, topicPart, partitionPart] = path.startsWith("/topics/") ? (shape.exec(path) ?? []) : []
    if (topicPart === undefined) return undefined
    return publishing(unescape(topicPart), refuse, (topic, head, respond) => {
      const format = formatOf(head)
      const partition = partitionPart === undefined ? undefined : Number(partitionPart)
      const wrongPartition = partitionPart !== undefined && !/^\d{1,9}$/.test(partitionPart)
      const refused =
        codingRefused(head, refuse) ??
        (format instanceof Fault ? refuse("UnsupportedMediaType", format.message) : undefined) ??
        (wrongPartition
          ? RestAnswer.refusal({ contentType, ...RestAnswer.partitionNotFound, message: "Partition not found." })
          : undefined)
      if (refused === undefined && !(format instanceof Fault)) {
        return new Produce({ topic, partition, format }, head, intake, shared, respond)
      }
      if (refused !== undefined) respond(refused)
      return undefined
    })
  }
}
