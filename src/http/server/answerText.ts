/**
 * An answer as it goes over the wire (RFC 9112), in one text of single bytes where it can be.
 */
import { Buffer } from "node:buffer"
import { STATUS_CODES } from "node:http"
import type { Answer } from "../Answer.ts"

const ascii = /^\p{ASCII}*$/u
/** What a header's value may hold: no line break, above all. */
const fieldValue = /^[\t\x20-\x7e]*$/

let dateAt = 0
let dateLine = ""

/** The header every answer has, made anew at most once a second. */
const date = (): string => {
  const now = Date.now()
  const second = now - (now % 1000)
  if (second !== dateAt) {
    dateAt = second
    dateLine = `date: ${new Date(second).toUTCString()}\r\n`
  }
  return dateLine
}

/** Many answers share their headers. */
const written = new WeakMap<Answer["headers"], string>()

const headersText = (headers: Answer["headers"]): string => {
  const known = written.get(headers)
  if (known !== undefined) return known
  let text = ""
  for (const [name, value] of Object.entries(headers)) {
    if (!fieldValue.test(value)) throw new Error(`a header's value holds what no header may: ${name}`)
    text += `${name}: ${value}\r\n`
  }
  written.set(headers, text)
  return text
}

const statusLines = new Map<number, string>()

const statusLine = (status: number): string => {
  const known = statusLines.get(status)
  if (known !== undefined) return known
  const line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`
  statusLines.set(status, line)
  return line
}

/** What is said of the connection: `close`, `keep-alive`, or nothing (RFC 9112, section 9.3). */
type Said = "close" | "keep-alive" | undefined

const headText = ({ headers, status }: Answer, said: Said): string => {
  const connection = said === undefined ? "" : `connection: ${said}\r\n`
  return statusLine(status) + headersText(headers) + date() + connection
}

/** @param body the answer's, whole */
export const answerText = (
  answer: Answer,
  body: string | Uint8Array,
  said: Said,
  withBody: boolean
): string | Uint8Array => {
  const plain = typeof body === "string" && ascii.test(body)
  const length = plain ? body.length : Buffer.byteLength(body)
  // With 204 there is none, and with 304 it would be that of what is not sent (RFC 9110, section 8.6).
  const measured = answer.status === 204 || answer.status === 304 ? "" : `content-length: ${length}\r\n`
  const head = `${headText(answer, said)}${measured}\r\n`
  if (!withBody) return head
  if (plain) return head + body
  return Buffer.concat([Buffer.from(head, "latin1"), typeof body === "string" ? Buffer.from(body) : body])
}

/** The head of an answer whose body follows: in chunks, or (HTTP/1.0) up to the connection's end. */
export const streamHead = (answer: Answer, said: Said, chunked: boolean): string =>
  `${headText(answer, said)}${chunked ? "transfer-encoding: chunked\r\n" : ""}\r\n`

export const chunkOf = (text: string): Uint8Array => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")])
}

export const lastChunk = "0\r\n\r\n"
export const continueText = "HTTP/1.1 100 Continue\r\n\r\n"
