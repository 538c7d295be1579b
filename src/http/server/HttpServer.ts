/**
 * The connections of one listening socket: how many there may be, how long each may take, and how they end.
 */
import * as Answer from "../Answer.ts"
import type { Receiver, Respond } from "../Exchange.ts"
import type { RequestHead } from "../RequestHead.ts"
import { answerText } from "./answerText.ts"
import { Connection, type Limits, lingerMs, type Owner, type Transport } from "./Connection.ts"

export interface ServerLimits extends Limits {
  /** One more is answered with 503 and closed. */
  readonly maxConnections: number
  /** Most bytes of bodies that are not whole yet, all connections together. */
  readonly maxBufferedBytes: number
}

const KiB = 1024

export const defaultLimits: ServerLimits = {
  maxConnections: 20_000,
  maxBufferedBytes: 256 * KiB * KiB,
  maxHeaderBytes: 16 * KiB,
  headerTimeoutMs: 10_000,
  idleTimeoutMs: 75_000
}

/** Most connections beyond the number that are told so; more are closed without a word. */
const maxTurnedAway = 1000

/** How often deadlines are looked at, ms: one is at most this late. */
const lookMs = 250

export class HttpServer implements Owner {
  readonly open: (head: RequestHead, respond: Respond) => Receiver | undefined
  readonly limits: ServerLimits
  readonly #connections = new Set<Connection>()
  /** Those that were told there is no room, and until when they may read it, ms; the oldest first. */
  readonly #turnedAway = new Map<Transport, number>()
  readonly #timer: ReturnType<typeof setInterval>
  #now = performance.now()
  #buffered = 0
  #stopping = false
  #emptied: () => void = () => {}

  constructor(open: HttpServer["open"], limits: ServerLimits) {
    this.open = open
    this.limits = limits
    this.#timer = setInterval(() => this.look(performance.now()), lookMs)
    // The listening socket keeps the process alive, not this.
    this.#timer.unref()
  }

  readonly now = (): number => this.#now
  readonly stopping = (): boolean => this.#stopping
  readonly buffered = (change: number): boolean => {
    this.#buffered += change
    return this.#buffered <= this.limits.maxBufferedBytes
  }

  get connections(): number {
    return this.#connections.size
  }

  /** Undefined: there are too many, and the client was told. */
  accept(transport: Transport): Connection | undefined {
    if (this.#stopping || this.#connections.size >= this.limits.maxConnections) {
      if (this.#turnedAway.size >= maxTurnedAway) {
        transport.terminate()
        return undefined
      }
      this.#turnedAway.set(transport, this.#now + lingerMs)
      const reason = this.#stopping ? "Closed" : "Overloaded"
      const message = this.#stopping ? "shutting down" : "too many connections (http.max_connections)"
      const answer = { ...Answer.refuse(reason, message), status: 503 }
      transport.write(answerText(answer, answer.body, "close", true))
      transport.shutdown()
      return undefined
    }
    const connection = new Connection(this, transport)
    this.#connections.add(connection)
    return connection
  }

  /** The socket is gone. */
  closed(connection: Connection): void {
    connection.closed()
    this.#connections.delete(connection)
    if (this.#connections.size === 0) this.#emptied()
  }

  /** Ends what has taken too long by then, ms. */
  look(now: number): void {
    this.#now = now
    for (const connection of this.#connections) connection.expire()
    for (const [transport, until] of this.#turnedAway) {
      if (now < until) break
      this.#turnedAway.delete(transport)
      transport.terminate()
    }
  }

  /** Resolves once every connection has ended: idle ones now, others behind their answer. */
  stop(): Promise<void> {
    this.#stopping = true
    const ended = new Promise<void>(resolve => {
      this.#emptied = resolve
    })
    for (const connection of this.#connections) connection.stop()
    if (this.#connections.size === 0) this.#emptied()
    return ended
  }

  kill(): void {
    clearInterval(this.#timer)
    for (const connection of this.#connections) connection.kill()
    for (const transport of this.#turnedAway.keys()) transport.terminate()
  }
}
