/**
 * A connection of the HTTP server without a socket: what is sent to it, and what it writes.
 */
import { Buffer } from "node:buffer"
import type { Answer, TextAnswer } from "../../../src/http/Answer.ts"
import type { Receiver, Respond } from "../../../src/http/Exchange.ts"
import type { RequestHead } from "../../../src/http/RequestHead.ts"
import type { Connection, Transport } from "../../../src/http/server/Connection.ts"
import { HttpServer, type ServerLimits } from "../../../src/http/server/HttpServer.ts"

export interface Asked {
  readonly head: RequestHead
  readonly respond: Respond
  body: string | undefined
  end: "whole" | "tooLarge" | "cutShort" | undefined
}

export const limits: ServerLimits = {
  maxHeaderBytes: 1000,
  headerTimeoutMs: 1000,
  idleTimeoutMs: 5000,
  maxConnections: 3,
  maxBufferedBytes: 100_000
}

export const text = (status: number, body: string): TextAnswer => ({
  status,
  headers: { "content-type": "text/plain" },
  body
})

export interface Options {
  readonly limits?: Partial<ServerLimits>
  readonly maxBodyBytes?: number
  /** Answers at once, without the body. */
  readonly without?: (head: RequestHead) => Answer | undefined
  /** What to do with a whole body; answers with it by default. */
  readonly take?: (asked: Asked) => void
}

/** One socket's end as a test sees it. */
export class Wire implements Transport {
  written = ""
  over = false
  terminated = false
  paused = false
  /** Bytes it takes before it is full. */
  room = Number.POSITIVE_INFINITY

  write(data: string | Uint8Array): number {
    const whole = typeof data === "string" ? data : Buffer.from(data).toString("latin1")
    const taken = whole.slice(0, this.room)
    this.room -= taken.length
    this.written += taken
    return taken.length
  }
  shutdown(): void {
    this.over = true
  }
  terminate(): void {
    this.terminated = true
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
}

const echo = ({ body = "", head, respond }: Asked) => respond(text(200, `${head.method} ${head.path} ${body}`))

export class Serving {
  readonly asked: Array<Asked> = []
  readonly server: HttpServer
  #now = performance.now()

  constructor({ limits: some = {}, maxBodyBytes = 10_000, take = echo, without }: Options = {}) {
    const open = (head: RequestHead, respond: Respond): Receiver | undefined => {
      const early = without?.(head)
      if (early !== undefined) {
        respond(early)
        return undefined
      }
      const asked: Asked = { head, respond, body: undefined, end: undefined }
      this.asked.push(asked)
      const ended = (end: "tooLarge" | "cutShort", status: number) => () => {
        asked.end = end
        respond(text(status, end))
      }
      return {
        maxBodyBytes,
        take: body => {
          asked.end = "whole"
          asked.body = Buffer.from(body).toString("latin1")
          take(asked)
        },
        tooLarge: ended("tooLarge", 413),
        cutShort: ended("cutShort", 400)
      }
    }
    this.server = new HttpServer(open, { ...limits, ...some })
    this.server.look(this.#now)
  }

  connect(): {
    readonly wire: Wire
    readonly connection: Connection | undefined
    readonly send: (text: string) => void
  } {
    const wire = new Wire()
    const connection = this.server.accept(wire)
    return { wire, connection, send: text => connection?.received(Buffer.from(text, "latin1")) }
  }

  /** Lets time go by. */
  pass(ms: number): void {
    this.#now += ms
    this.server.look(this.#now)
  }
}

export interface Reply {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** The answers in what was written; throws where it is no answer. `toHead`: answers have no body. */
export const replies = (written: string, toHead = false): ReadonlyArray<Reply> => {
  const found: Array<Reply> = []
  let rest = written.replaceAll("HTTP/1.1 100 Continue\r\n\r\n", "")
  while (rest !== "") {
    const end = rest.indexOf("\r\n\r\n")
    const [line = "", ...lines] = rest.slice(0, end).split("\r\n")
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]
    if (end < 0 || status === undefined) throw new Error(`no answer: ${JSON.stringify(rest)}`)
    const headers = new Map(lines.map(one => [one.slice(0, one.indexOf(": ")), one.slice(one.indexOf(": ") + 2)]))
    const length = toHead ? 0 : Number(headers.get("content-length"))
    const body = rest.slice(end + 4, end + 4 + length)
    if (body.length !== length) throw new Error(`cut: ${JSON.stringify(rest)}`)
    found.push({ status: Number(status), headers, body })
    rest = rest.slice(end + 4 + length)
  }
  return found
}
