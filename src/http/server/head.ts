/**
 * The head of an HTTP/1.1 request (RFC 9112), read strictly: what two servers could read in two ways is refused, since that
 * is how requests are smuggled past a proxy.
 */
import type { RequestHead } from "../RequestHead.ts"

/** Why a request cannot be read; the connection ends with the answer, because where the next one begins is not known. */
export interface Fault {
  readonly reason: "BadRequest" | "HeadTooLarge" | "NotImplemented" | "VersionNotSupported" | "ExpectationFailed"
  readonly message: string
}

/** How a body is framed: a length, or chunks. */
export type Framing = number | "chunked"

export class Head implements RequestHead {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly #names: ReadonlyArray<string>
  readonly #values: ReadonlyArray<string>
  readonly framing: Framing
  /** Whether the sender waits for a word before it sends the body. */
  readonly expectsContinue: boolean
  /** Whether the connection may be used again. */
  readonly keepAlive: boolean
  readonly clientNames: ReadonlyArray<string> | undefined
  /** HTTP/1.0: it knows neither chunks nor connections that stay without a word. */
  readonly old: boolean

  constructor(
    method: string,
    target: string,
    names: ReadonlyArray<string>,
    values: ReadonlyArray<string>,
    framing: Framing,
    rest: Pick<Head, "clientNames" | "expectsContinue" | "keepAlive" | "old">
  ) {
    this.method = method
    const query = target.indexOf("?")
    this.path = query < 0 ? target : target.slice(0, query)
    this.query = query < 0 ? "" : target.slice(query + 1)
    this.#names = names
    this.#values = values
    this.framing = framing
    this.expectsContinue = rest.expectsContinue
    this.keepAlive = rest.keepAlive
    this.old = rest.old
    this.clientNames = rest.clientNames
  }

  header(name: string): string | null {
    return valueOf(this.#names, this.#values, name)
  }

  headerNames(): Iterable<string> {
    return this.#names
  }
}

const valueOf = (names: ReadonlyArray<string>, values: ReadonlyArray<string>, name: string): string | null => {
  const at = names.indexOf(name)
  return at < 0 ? null : (values[at] ?? null)
}

const token = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const requestLine = new RegExp(`^(${token}) ([\\x21-\\x7e\\x80-\\xff]+) HTTP/(\\d)\\.(\\d)\\r\\n`)
const field = new RegExp(`(${token}):([\\t\\x20-\\x7e\\x80-\\xff]*)\\r\\n`, "y")
const absolute = /^https?:\/\/[^/?#]+/i
const digits = /^\d{1,15}$/

/** Fields of which a second one would leave it open which is meant. */
const single = new Set(["content-length", "host", "transfer-encoding", "content-type", "authorization", "expect"])

/** Each is compared with all before it. */
const maxNames = 200

const bad = (message: string): Fault => ({ reason: "BadRequest", message })

/** The path and query a request is for; undefined when it is in no form this server knows. */
const originForm = (target: string): string | undefined => {
  if (target.includes("#")) return undefined
  if (target.startsWith("/")) return target
  const origin = absolute.exec(target)
  if (origin === null) return target === "*" ? target : undefined
  const rest = target.slice(origin[0].length)
  return rest.startsWith("/") ? rest : `/${rest}`
}

const isPadding = (code: number): boolean => code === 32 || code === 9

/** A field's value. `trim` would take more away than is padding: a no-break space, which makes it another value. */
const withoutPadding = (text: string): string => {
  let start = 0
  let end = text.length
  while (start < end && isPadding(text.charCodeAt(start))) start++
  while (start < end && isPadding(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

const framingOf = (length: string | null, coding: string | null, minor: string): Framing | Fault => {
  if (coding !== null) {
    if (length !== null) return bad("both Content-Length and Transfer-Encoding")
    if (minor === "0") return bad("Transfer-Encoding in an HTTP/1.0 request")
    if (coding.toLowerCase() === "chunked") return "chunked"
    return { reason: "NotImplemented", message: `Transfer-Encoding ${JSON.stringify(coding)}: only chunked is known` }
  }
  if (length === null) return 0
  return digits.test(length) ? Number(length) : bad(`Content-Length ${JSON.stringify(length)}: expected a number`)
}

/**
 * @param text the request line and the header lines with their line ends, each character one byte
 * @param clientNames those of the connection's client, where it has shown a certificate
 */
export const parse = (text: string, clientNames?: ReadonlyArray<string>): Head | Fault => {
  const line = requestLine.exec(text)
  if (line === null) return bad("the request line is not METHOD TARGET HTTP/1.1")
  const [whole, method = "", target = "", major, minor = ""] = line
  if (major !== "1")
    return { reason: "VersionNotSupported", message: `HTTP/${major}.${minor}: HTTP/1.1 is spoken here` }
  const path = originForm(target)
  if (path === undefined) return bad("the request target is neither a path nor an http:// address")

  const names: Array<string> = []
  const values: Array<string> = []
  field.lastIndex = whole.length
  for (let at = whole.length; at < text.length; at = field.lastIndex) {
    const found = field.exec(text)
    if (found === null) return bad(`header line ${names.length + 1} is malformed`)
    const name = (found[1] ?? "").toLowerCase()
    const value = withoutPadding(found[2] ?? "")
    const known = names.indexOf(name)
    if (known < 0) {
      if (names.length === maxNames) return { reason: "HeadTooLarge", message: `more than ${maxNames} header names` }
      names.push(name)
      values.push(value)
    } else if (single.has(name)) return bad(`more than one ${name} header`)
    else values[known] += `, ${value}`
  }
  if (valueOf(names, values, "host") === null && minor !== "0") return bad("no Host header")

  const framing = framingOf(
    valueOf(names, values, "content-length"),
    valueOf(names, values, "transfer-encoding"),
    minor
  )
  if (typeof framing === "object") return framing
  const expect = valueOf(names, values, "expect")
  if (expect !== null && expect.toLowerCase() !== "100-continue") {
    return { reason: "ExpectationFailed", message: `Expect ${JSON.stringify(expect)}: only 100-continue is known` }
  }
  const connection =
    valueOf(names, values, "connection")
      ?.toLowerCase()
      .split(/[ \t]*,[ \t]*/) ?? []
  const old = minor === "0"
  const keepAlive = !connection.includes("close") && (!old || connection.includes("keep-alive"))
  return new Head(method, path, names, values, framing, {
    expectsContinue: expect !== null && !old,
    keepAlive,
    old,
    clientNames
  })
}
