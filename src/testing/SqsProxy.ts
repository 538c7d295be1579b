/**
 * An HTTP proxy in front of an SQS endpoint (fauxqs, ElasticMQ, LocalStack) that fails calls the ways SQS does, entry by
 * entry where SQS does. Set it as `cloud.aws.sqs.clients.<name>.endpoint`.
 *
 *     const proxy = await SqsProxy.start({ upstream: "http://127.0.0.1:9324" })
 *     await proxy.set({ _tag: "FailEntries", every: 3 })
 *
 * It reads the JSON protocol (application/x-amz-json-1.0), which every SDK of today speaks, and changes requests: AWS
 * itself, which checks signatures, cannot be behind it.
 */
import { Buffer } from "node:buffer"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { TcpProxy } from "./TcpProxy.ts"

export type Fault =
  | { readonly _tag: "Pass" }
  /**
   * `SendMessageBatch` only: every n-th entry, counted over all calls, is in `Failed[]` of an answer with status 200 and
   * is not stored. `code` is `InternalError` by default; `senderFault` false.
   */
  | { readonly _tag: "FailEntries"; readonly every: number; readonly code?: string; readonly senderFault?: boolean }
  /** Status 400, `ThrottlingException`; nothing happened. */
  | { readonly _tag: "Throttle" }
  /** Status 403, `AccessDeniedException`; nothing happened. */
  | { readonly _tag: "Deny" }
  /** Status 500, `InternalError`; nothing happened. */
  | { readonly _tag: "ServerError" }
  /** It happened, and the connection is reset in place of the answer: of every n-th call, 1 by default. */
  | { readonly _tag: "LoseReply"; readonly every?: number }
  /** `SendMessageBatch` and `SendMessage` only: it happened, and `MD5OfMessageBody` in the answer is another body's. */
  | { readonly _tag: "CorruptMd5" }
  /** No answer; nothing happened. */
  | { readonly _tag: "Hang" }
  /** The port is closed and open connections are reset. Concerns every operation. */
  | { readonly _tag: "Refuse" }

export interface Options {
  /** Base URL of the server behind. */
  readonly upstream: string
  /** Port to listen on, at 127.0.0.1; a free one by default. */
  readonly port?: number
}

type Json = Readonly<Record<string, unknown>>

/** One call, as the server behind saw it. */
export interface Call {
  /** Its name in the SQS API: `SendMessageBatch`. */
  readonly operation: string
  readonly request: Json
  readonly status: number
  readonly answer: Json
}

const loopback = "127.0.0.1"
const pass = { _tag: "Pass" } as const
const wrongMd5 = "0".repeat(32)

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const parse = (text: string): Json => {
  if (text === "") return {}
  const value: unknown = JSON.parse(text)
  return isObject(value) ? value : {}
}

/** The objects in a list member of a call: `entriesOf(request, "Entries")`. */
export const objectsIn = (json: Json, member: string): ReadonlyArray<Json> => {
  const list = json[member]
  return Array.isArray(list) ? list.filter(isObject) : []
}

const bodyOf = async (request: IncomingMessage): Promise<Buffer> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}

const refusal = (status: number, code: string, message: string) => ({
  status,
  answer: { __type: `com.amazonaws.sqs#${code}`, message }
})

const corrupted = (answer: Json): Json => {
  const wrong = (one: Json): Json => ("MD5OfMessageBody" in one ? { ...one, MD5OfMessageBody: wrongMd5 } : one)
  return "Successful" in answer ? { ...answer, Successful: objectsIn(answer, "Successful").map(wrong) } : wrong(answer)
}

export class SqsProxy {
  /** Base URL for SQS clients; the same as long as the proxy lives. */
  readonly endpoint: string
  readonly #server: Server
  readonly #front: TcpProxy
  readonly #upstream: string
  readonly #listeners = new Set<(call: Call) => void>()
  readonly #hung: Array<ServerResponse> = []
  #fault: Fault = pass
  #operations: ReadonlySet<string> | undefined
  #entries = 0
  #replies = 0

  private constructor(server: Server, front: TcpProxy, upstream: string) {
    this.#server = server
    this.#front = front
    this.#upstream = upstream
    this.endpoint = `http://${front.address}`
  }

  static async start(options: Options): Promise<SqsProxy> {
    let handle = (_request: IncomingMessage, response: ServerResponse): Promise<void> =>
      Promise.resolve(void response.destroy())
    const server = createServer((request, response) => {
      handle(request, response).catch(() => response.destroy())
    })
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen({ port: 0, host: loopback }, resolve)
    })
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("the proxy has no port")
    // A port that closes and connections that are reset are TcpProxy's business.
    const port = options.port === undefined ? {} : { port: options.port }
    const front = await TcpProxy.start({ upstream: { port: address.port }, ...port })
    const proxy = new SqsProxy(server, front, options.upstream)
    handle = (request, response) => proxy.#handle(request, response)
    return proxy
  }

  /** Misbehaves like this until the next call; for these operations only, when any are named. */
  async set(fault: Fault, operations?: ReadonlyArray<string>): Promise<void> {
    this.#fault = fault
    this.#operations = operations === undefined ? undefined : new Set(operations)
    await this.#front.set(fault._tag === "Refuse" ? fault : pass)
    // What hung stays unanswered: its client finds out now rather than at its timeout.
    if (fault._tag !== "Hang") for (const hung of this.#hung.splice(0)) hung.destroy()
  }

  /** Told of each call that reached the server behind, whether or not the answer reaches the client. */
  onCall(listener: (call: Call) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async stop(): Promise<void> {
    await this.set(pass)
    await this.#front.stop()
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  #faultFor(operation: string): Fault {
    return this.#operations === undefined || this.#operations.has(operation) ? this.#fault : pass
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const operation = String(request.headers["x-amz-target"] ?? "").replace(/^AmazonSQS\./, "")
    const body = await bodyOf(request)
    const fault = this.#faultFor(operation)
    const reply = ({ answer, status }: { readonly status: number; readonly answer: Json }) => {
      const text = JSON.stringify(answer)
      response.writeHead(status, {
        "content-type": "application/x-amz-json-1.0",
        "content-length": Buffer.byteLength(text),
        "x-amzn-requestid": "spillway-sqs-proxy"
      })
      response.end(text)
    }
    switch (fault._tag) {
      case "Throttle":
        return reply(refusal(400, "ThrottlingException", "Rate exceeded"))
      case "Deny":
        return reply(refusal(403, "AccessDeniedException", `not authorized to perform sqs:${operation}`))
      case "ServerError":
        return reply(refusal(500, "InternalError", "We encountered an internal error. Please try again."))
      case "Hang":
        this.#hung.push(response)
        return
      case "FailEntries":
        if (operation === "SendMessageBatch") return reply(await this.#failEntries(fault, request, body))
        break
    }
    const result = await this.#forward(operation, request, body, response)
    if (fault._tag === "LoseReply" && ++this.#replies % (fault.every ?? 1) === 0) {
      // Not `response.destroy()`: on Bun the client would see an empty answer.
      const { remotePort } = request.socket
      for (const connection of this.#front.connections) if (connection.upstreamPort === remotePort) connection.reset()
      return
    }
    reply(fault._tag === "CorruptMd5" ? { ...result, answer: corrupted(result.answer) } : result)
  }

  /** Keeps every n-th entry from the server, and answers for both. */
  async #failEntries(fault: Fault & { readonly _tag: "FailEntries" }, request: IncomingMessage, body: Buffer) {
    const { code = "InternalError", every, senderFault = false } = fault
    const sent = parse(body.toString("utf8"))
    const kept: Array<Json> = []
    const failed: Array<Json> = []
    for (const entry of objectsIn(sent, "Entries")) {
      this.#entries++
      if (this.#entries % every !== 0) kept.push(entry)
      else failed.push({ Id: entry.Id, Code: code, Message: "failed by the proxy", SenderFault: senderFault })
    }
    if (kept.length === 0) return { status: 200, answer: { Successful: [], Failed: failed } }
    const rest = Buffer.from(JSON.stringify({ ...sent, Entries: kept }))
    const { answer, status } = await this.#forward("SendMessageBatch", request, rest)
    if (status !== 200) return { status, answer }
    return { status, answer: { ...answer, Failed: [...objectsIn(answer, "Failed"), ...failed] } }
  }

  async #forward(operation: string, request: IncomingMessage, body: Buffer, client?: ServerResponse) {
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(request.headers)) {
      if (typeof value === "string" && !hopByHop.has(name)) headers[name] = value
    }
    const abort = new AbortController()
    // A long poll its client gave up must not go on taking messages; anything else happens all the same.
    client?.once("close", () => {
      if (operation === "ReceiveMessage" && !client.writableEnded) abort.abort()
    })
    const url = `${this.#upstream}${request.url ?? "/"}`
    const answered = await fetch(url, { method: "POST", headers, body: new Uint8Array(body), signal: abort.signal })
    const answer = parse(await answered.text())
    const call: Call = { operation, request: parse(body.toString("utf8")), status: answered.status, answer }
    for (const listener of this.#listeners) listener(call)
    return { status: answered.status, answer }
  }
}

const hopByHop: ReadonlySet<string> = new Set(["host", "connection", "content-length", "transfer-encoding", "expect"])

export const start = SqsProxy.start
