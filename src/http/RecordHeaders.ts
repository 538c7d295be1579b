/**
 * A record from a request of its own: the body is the value, request headers say the rest.
 */
import { Buffer } from "node:buffer"
import { PublishError } from "../Receipt.ts"
import type { ProducerRecord } from "../Record.ts"
import { decodeBase64 } from "./base64.ts"
import type { RequestHead } from "./RequestHead.ts"

const headerPrefix = "spillway-header-"
const ascii = /^\p{ASCII}*$/u
const digits = /^\d{1,16}$/

const invalid = (header: string, message: string): PublishError =>
  new PublishError({ reason: "InvalidRecord", field: header, message: `${header}: ${message}` })

/** A request header's text stands for its bytes, one each (RFC 9110, section 5.5): they are passed on as they came. */
const bytesOf = (text: string): string | Uint8Array => (ascii.test(text) ? text : Buffer.from(text, "latin1"))

const textOf = (text: string): string => (ascii.test(text) ? text : Buffer.from(text, "latin1").toString("utf8"))

interface Described {
  key?: string | Uint8Array
  partition?: number
  timestamp?: number
  headers?: Array<readonly [string, string | Uint8Array]>
}

/** Notes what one request header says; the error when it cannot be. */
const note = (described: Described, name: string, text: string): PublishError | undefined => {
  switch (name) {
    case "spillway-key":
    case "spillway-key-base64": {
      if (described.key !== undefined) return invalid(name, "the key is given twice")
      const key = name === "spillway-key" ? bytesOf(text) : decodeBase64(text)
      if (key === undefined) return invalid(name, "not base64")
      described.key = key
      return undefined
    }
    case idHeader:
      return undefined
    case "spillway-partition":
      if (!digits.test(text)) return invalid(name, `expected a partition number, got ${JSON.stringify(text)}`)
      described.partition = Number(text)
      return undefined
    case "spillway-timestamp":
      if (!digits.test(text)) return invalid(name, `expected milliseconds since the epoch, got ${JSON.stringify(text)}`)
      described.timestamp = Number(text)
      return undefined
    default:
      if (!name.startsWith(headerPrefix)) return invalid(name, "no such header")
      described.headers ??= []
      described.headers.push([name.slice(headerPrefix.length), bytesOf(text)])
      return undefined
  }
}

const idHeader = "spillway-id"

/** The name a sender gives a request, to be able to repeat it; `spillway-id` comes before `idempotency-key`. */
export const requestId = (head: RequestHead): string | PublishError | undefined => {
  const id = head.header(idHeader)
  const key = id === null ? head.header("idempotency-key") : null
  // A quoted text where a sender holds to the draft of that header (draft-ietf-httpapi-idempotency-key-header).
  const quoted = key !== null && /^"(?:[^"\\]|\\["\\])*"$/.test(key)
  const given = id ?? (quoted ? key.slice(1, -1).replaceAll(/\\(.)/g, "$1") : key)
  if (given === null) return undefined
  return given === "" ? invalid(id === null ? "idempotency-key" : idHeader, "empty") : textOf(given)
}

/** The id of a request's n-th record, where it has none of its own: the same when the request is sent again. */
export const idOf = (request: string, index: number): string => (index === 0 ? request : `${request}-${index}`)

/** The record, or what is wrong with its description. */
export const toRecord = (topic: string, head: RequestHead, value: Uint8Array): ProducerRecord | PublishError => {
  let described: Described | undefined
  for (const name of head.headerNames()) {
    if (!name.startsWith("spillway-")) continue
    described ??= {}
    const error = note(described, name, head.header(name) ?? "")
    if (error !== undefined) return error
  }
  const id = requestId(head)
  if (id instanceof PublishError) return id
  if (described === undefined && id === undefined) return { topic, value }
  return { topic, value, ...described, id }
}
