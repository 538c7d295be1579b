/**
 * One connection to one broker, by kafkajs: its socket, TLS, SASL, API-version look-up and request queue. The only file
 * that imports kafkajs's insides. Requests are written piece by piece, so a record batch reaches the socket uncopied.
 */
import * as net from "node:net"
import * as tls from "node:tls"
import Broker from "kafkajs/src/broker/index.js"
import { createLogger } from "kafkajs/src/loggers/index.js"
import ConnectionPool, { type Connection } from "kafkajs/src/network/connectionPool.js"
import RequestQueue from "kafkajs/src/network/requestQueue/index.js"
import { Outbox } from "./outbox.ts"

/**
 * kafkajs 2.2.4 re-arms its throttle timer after every answer, with a negative delay (tulios/kafkajs#1751): a warning
 * and a busy loop. A timer is only needed while something is pending.
 */
const rearm = RequestQueue.prototype.scheduleCheckPendingRequests
if (typeof rearm !== "function") throw new Error("kafkajs is not the pinned version 2.2.4: RequestQueue has changed")
RequestQueue.prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
  if (this.throttleCheckTimeoutId !== null || this.pending.length === 0) return
  const delay = Math.max(this.throttledUntil - Date.now(), 10)
  this.throttleCheckTimeoutId = setTimeout(() => {
    this.throttleCheckTimeoutId = null
    this.checkPendingRequests()
  }, delay)
}

/** Silent: what kafkajs would log reaches the caller as an error. */
const logger = createLogger({ level: 0, logCreator: () => () => undefined })

export interface TlsOptions {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly passphrase?: string | undefined
  readonly servername?: string | undefined
  readonly insecureSkipVerify?: boolean | undefined
}

/** kafkajs's own shape of SASL settings. */
export type SaslOptions =
  | {
      readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"
      readonly username: string
      readonly password: string
    }
  | { readonly mechanism: "oauthbearer"; readonly oauthBearerProvider: () => Promise<{ readonly value: string }> }

export interface LinkOptions {
  readonly host: string
  readonly port: number
  readonly clientId: string
  readonly tls: TlsOptions | undefined
  readonly sasl: SaslOptions | undefined
  readonly connectionTimeoutMs: number
  readonly requestTimeoutMs: number
}

/** A call to the broker. `pieces` is asked for once the connection stands, right before the bytes leave. */
export interface BrokerCall {
  readonly apiKey: number
  readonly apiName: string
  readonly apiVersion: number
  readonly timeoutMs: number
  readonly pieces: (correlationId: number) => ReadonlyArray<Uint8Array>
}

/**
 * Frames in pieces leave in one write up to this size: copying them costs less than a packet each. Larger ones are
 * written piece by piece; corking the socket instead would copy them, on Bun.
 */
const smallFrameBytes = 32 * 1024

interface SocketRequest {
  readonly host: string
  readonly port: number
  readonly ssl: tls.ConnectionOptions | null
  readonly onConnect: () => void
}

const openSocket = ({ host, port, ssl, onConnect }: SocketRequest): net.Socket => {
  const socket =
    ssl === null
      ? net.connect({ host, port }, onConnect)
      : tls.connect({ host, port, ...(net.isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, 60_000)
  // What waits for a full socket to drain would be put together first, on Bun: megabytes copied.
  return Object.assign(socket, { _writev: null })
}

const tlsConnectionOptions = (options: TlsOptions): tls.ConnectionOptions => ({
  ...(options.ca === undefined ? {} : { ca: options.ca }),
  ...(options.cert === undefined ? {} : { cert: options.cert }),
  ...(options.key === undefined ? {} : { key: options.key }),
  ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }),
  ...(options.servername === undefined ? {} : { servername: options.servername }),
  ...(options.insecureSkipVerify === true ? { rejectUnauthorized: false } : {})
})

export class BrokerLink {
  readonly address: string
  readonly clientId: string
  readonly #broker: Broker
  readonly #connection: Connection
  readonly #outbox = new Outbox(() => this.#connection.socket)
  #connecting: Promise<void> | undefined
  #calls = 0
  #dropped = false

  constructor(options: LinkOptions) {
    this.address = `${options.host}:${options.port}`
    this.clientId = options.clientId
    const connectionPool = new ConnectionPool({
      host: options.host,
      port: options.port,
      logger,
      clientId: options.clientId,
      ssl: options.tls === undefined ? null : tlsConnectionOptions(options.tls),
      sasl: options.sasl ?? null,
      socketFactory: openSocket,
      connectionTimeout: options.connectionTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      enforceRequestTimeout: true,
      maxInFlightRequests: null,
      reauthenticationThreshold: 10_000
    })
    const connection = connectionPool.pool[0]
    if (connection === undefined || typeof connection.requestQueue?.push !== "function") {
      throw new Error("kafkajs is not the pinned version 2.2.4: Connection has changed")
    }
    this.#connection = connection
    this.#broker = new Broker({ connectionPool, logger, authenticationTimeout: options.requestTimeoutMs })
  }

  /** Connected, authenticated, and not given up. */
  get ready(): boolean {
    return !this.#dropped && this.#broker.versions !== null && this.#connection.isConnected()
  }

  /** False once the connection was dropped or has closed: a new link must be made. */
  get usable(): boolean {
    return !this.#dropped && (this.#connecting !== undefined || this.ready || this.#broker.versions === null)
  }

  /** Nothing to wait for before a call. */
  get open(): boolean {
    return this.ready && (this.#connection.sasl === null || this.#connection.isAuthenticated())
  }

  /** Nobody waits for anything of it. */
  get idle(): boolean {
    return this.#calls === 0 && this.#connecting === undefined
  }

  /** Connects and authenticates, once for all who wait. Rejects with kafkajs's error. */
  async connect(): Promise<void> {
    if (this.open) return
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  async #open(): Promise<void> {
    try {
      if (this.ready) {
        // kafkajs writes by itself.
        await this.#outbox.empty
        await this.#connection.authenticate()
      } else await this.#broker.connect()
    } catch (cause) {
      this.drop(cause)
      throw cause
    }
    if (this.#dropped) {
      this.drop(undefined)
      throw new Error("the connection was dropped while it was being made")
    }
  }

  /** With TLS, where the runtime shows the broker's certificate: when it ends, ms since the epoch. */
  get certificateEndsAt(): number | undefined {
    const { socket } = this.#connection
    if (!(socket instanceof tls.TLSSocket)) return undefined
    const endsAt = Date.parse(socket.getPeerCertificate()?.valid_to ?? "")
    return Number.isNaN(endsAt) ? undefined : endsAt
  }

  /** The newest version of an API that both sides speak, up to `newest`; undefined when there is none. */
  version(apiKey: number, newest: number): number | undefined {
    const offered = this.#broker.versions?.[apiKey]
    if (offered === undefined || offered.minVersion > newest) return undefined
    return Math.min(offered.maxVersion, newest)
  }

  /**
   * Sends one request on the open connection: one of the two is called with what comes of it, once kafkajs has done with
   * the answer. Throws what `pieces` throws.
   */
  call(request: BrokerCall, answered: (payload: Uint8Array) => void, failed: (cause: unknown) => void): void {
    const connection = this.#connection
    if (!this.ready) return queueMicrotask(() => failed(new Error("Connection closed")))
    const { apiKey, apiName, apiVersion } = request
    const correlationId = connection.nextCorrelationId()
    const ended = (tell: () => void) => {
      this.#calls--
      queueMicrotask(tell)
    }
    this.#calls++
    connection.requestQueue.push({
      entry: {
        apiKey,
        apiName,
        apiVersion,
        correlationId,
        resolve: answer => ended(() => answered(answer.payload)),
        reject: cause => ended(() => failed(cause))
      },
      expectResponse: true,
      requestTimeout: request.timeoutMs,
      sendRequest: () => {
        const pieces = request.pieces(correlationId)
        const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
        if (pieces.length > 1 && bytes <= smallFrameBytes) this.#outbox.write(Buffer.concat(pieces, bytes))
        else for (const piece of pieces) this.#outbox.write(piece)
      }
    })
  }

  /** Gives the connection up at once; whoever waits on it is told. kafkajs's own disconnect waits for answers. */
  drop(cause: unknown): void {
    this.#dropped = true
    this.#outbox.clear()
    const connection = this.#connection
    connection.rejectRequests(cause instanceof Error ? cause : new Error("Connection closed"))
    connection.disconnect().catch(() => undefined)
    connection.socket?.destroy()
  }
}
