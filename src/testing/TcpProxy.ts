/**
 * A TCP proxy inside the test's own process, in front of a Kafka broker or anything else, that can be told at any moment
 * to misbehave: for all connections, or for one.
 *
 *     const proxy = await TcpProxy.start({ upstream: { port: 9092 }, protocol: "kafka" })
 *     await proxy.set({ _tag: "LoseAck", of: "produce" })
 *     await proxy.stop()
 *
 * A Kafka client goes where the broker says it is: `advertised.listeners` of the broker must name the proxy's port.
 */
import { createServer, connect as openSocket, type Server, type Socket } from "node:net"
import {
  apiKeyOf,
  correlationIdOf,
  FrameFollower,
  produceApiKey,
  requestHeadBytes,
  responseHeadBytes
} from "./kafkaFrames.ts"
import { TcpPipe } from "./tcpPipe.ts"

/** What a connection suffers. */
export type ConnectionFault =
  | { readonly _tag: "Pass" }
  /**
   * Connections are accepted and stay open; what arrives from either side is swallowed. When the fault ends, connections
   * that lost bytes are reset: nothing could make sense of the rest.
   */
  | { readonly _tag: "Hang" }
  /** The next bytes of the server are cut in two: the first half is passed on, then the connection is reset. */
  | { readonly _tag: "ResetMidResponse" }
  /**
   * The server has done what it was asked, and its answer never arrives: the bytes are dropped and the connection is
   * reset. `produce` drops answers to Produce requests only, and needs the protocol `kafka`.
   */
  | { readonly _tag: "LoseAck"; readonly of: "produce" | "everything" }
  /** Every chunk arrives this much later, in both directions. */
  | { readonly _tag: "Latency"; readonly ms: number }
  /** In each direction of each connection. */
  | { readonly _tag: "Throttle"; readonly bytesPerSecond: number }

/** What the proxy as a whole does. */
export type Fault =
  | ConnectionFault
  /** The port is closed, as of a server that is not there; open connections are reset. */
  | { readonly _tag: "Refuse" }
  /** `Refuse` and `Pass` in turn, beginning with `Refuse`. */
  | { readonly _tag: "Flap"; readonly downMs: number; readonly upMs: number }

export interface Options {
  /** Where connections lead; host 127.0.0.1 by default. */
  readonly upstream: { readonly host?: string; readonly port: number }
  /** Port to listen on, at 127.0.0.1; a free one by default. */
  readonly port?: number
  /** `kafka` follows requests and answers (unencrypted only). `raw` by default. */
  readonly protocol?: "raw" | "kafka"
}

/** What went through, since the start. */
export interface Counters {
  accepted: number
  /** Connections ended by a fault. */
  reset: number
  /** Answers whose loss `LoseAck` caused. */
  lostAcks: number
  /** Bytes that `Hang` swallowed. */
  swallowed: number
}

const loopback = "127.0.0.1"
const pass = { _tag: "Pass" } as const
const unpaced = { latencyMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }

/** One proxied connection. */
export class Connection {
  readonly #client: Socket
  readonly #shared: () => ConnectionFault
  readonly #counters: Counters
  readonly #upstream: Socket | undefined
  readonly #toServer: TcpPipe | undefined
  readonly #toClient: TcpPipe | undefined
  readonly #follow: { readonly requests: FrameFollower; readonly answers: FrameFollower } | undefined
  readonly #produces = new Set<number>()
  #own: ConnectionFault | undefined
  #swallowed = false
  #over = false

  constructor(client: Socket, options: Options, shared: () => ConnectionFault, counters: Counters, onEnd: () => void) {
    this.#client = client
    this.#shared = shared
    this.#counters = counters
    const ended = () => {
      if (this.#over) return
      this.#over = true
      this.#toServer?.stop()
      this.#toClient?.stop()
      this.#upstream?.destroy()
      client.destroy()
      onEnd()
    }
    client.on("error", ended)
    client.on("close", ended)
    client.setNoDelay(true)
    if (this.#fault._tag === "Hang") {
      client.on("data", chunk => this.#swallow(chunk.length))
      // Nobody is behind it: it cannot go on when the fault ends.
      this.#swallowed = true
      return
    }
    const { host = loopback, port } = options.upstream
    const upstream = openSocket({ host, port })
    upstream.setNoDelay(true)
    this.#upstream = upstream
    if (options.protocol === "kafka") {
      const requests = new FrameFollower(requestHeadBytes)
      this.#follow = { requests, answers: new FrameFollower(responseHeadBytes) }
    }
    const toServer = new TcpPipe(client, upstream, () => this.#pace)
    const toClient = new TcpPipe(upstream, client, () => this.#pace)
    this.#toServer = toServer
    this.#toClient = toClient
    client.on("data", chunk => this.#onRequest(Buffer.from(chunk), toServer))
    client.on("end", () => toServer.end())
    upstream.on("data", chunk => this.#onAnswer(Buffer.from(chunk), toClient))
    // A hung connection stays open whatever the server does.
    const gone = (act: () => void) => () => {
      if (this.#fault._tag !== "Hang") act()
      else this.#swallowed = true
    }
    upstream.on(
      "end",
      gone(() => toClient.end())
    )
    upstream.on(
      "error",
      gone(() => this.reset())
    )
    upstream.on("close", hadError => {
      if (hadError) gone(() => this.reset())()
    })
  }

  /** A fault of this connection alone; `undefined` gives it back to the proxy's. */
  set(fault: ConnectionFault | undefined): void {
    this.#own = fault
    this.changed()
  }

  /** The proxy's fault changed. */
  changed(): void {
    if (this.#swallowed && this.#fault._tag !== "Hang") this.reset()
  }

  /** The port the server sees it come from; undefined while it is not connected. */
  get upstreamPort(): number | undefined {
    return this.#upstream?.localPort
  }

  reset(): void {
    if (this.#over) return
    this.#counters.reset++
    this.#client.resetAndDestroy()
  }

  get #fault(): ConnectionFault {
    return this.#own ?? this.#shared()
  }

  get #pace() {
    const fault = this.#fault
    if (fault._tag === "Latency") return { ...unpaced, latencyMs: fault.ms }
    if (fault._tag === "Throttle") return { ...unpaced, bytesPerSecond: fault.bytesPerSecond }
    return unpaced
  }

  #onRequest(chunk: Buffer, pipe: TcpPipe): void {
    if (this.#fault._tag === "Hang") return this.#swallow(chunk.length)
    for (const { head } of this.#follow?.requests.push(chunk) ?? []) {
      if (apiKeyOf(head) === produceApiKey) this.#produces.add(correlationIdOf(head))
    }
    pipe.write(chunk)
  }

  #onAnswer(chunk: Buffer, pipe: TcpPipe): void {
    const fault = this.#fault
    if (fault._tag === "Hang") return this.#swallow(chunk.length)
    if (fault._tag === "ResetMidResponse") {
      pipe.write(chunk.subarray(0, chunk.length >> 1))
      // The half must be on its way: a reset discards what is not.
      setTimeout(() => this.reset(), halfWayMs)
      this.#own = { _tag: "Hang" }
      return
    }
    if (this.#follow === undefined) {
      if (fault._tag === "LoseAck") this.#loseAck()
      else pipe.write(chunk)
      return
    }
    for (const { bytes, head } of this.#follow.answers.push(chunk)) {
      const produced = this.#produces.has(correlationIdOf(head))
      if (fault._tag === "LoseAck" && (produced || fault.of === "everything")) {
        this.#loseAck()
        return
      }
      pipe.write(bytes)
      // The rest of a long answer is not looked for again: Produce answers are short.
      this.#produces.delete(correlationIdOf(head))
    }
  }

  #swallow(bytes: number): void {
    this.#swallowed = true
    this.#counters.swallowed += bytes
  }

  #loseAck(): void {
    this.#counters.lostAcks++
    this.reset()
  }
}

/** ms between half an answer and the reset. */
const halfWayMs = 20

export class TcpProxy {
  /** The same as long as the proxy lives. */
  readonly port: number
  readonly counters: Counters = { accepted: 0, reset: 0, lostAcks: 0, swallowed: 0 }
  readonly #options: Options
  readonly #open = new Set<Connection>()
  readonly #listeners = new Set<(connection: Connection) => void>()
  #server: Server | undefined
  #fault: ConnectionFault = pass
  #flap: ReturnType<typeof setTimeout> | undefined
  /** Opening and closing the port takes turns. */
  #turn: Promise<void> = Promise.resolve()
  #generation = 0

  private constructor(options: Options, server: Server, port: number) {
    this.#options = options
    this.port = port
    this.#adopt(server)
  }

  static async start(options: Options): Promise<TcpProxy> {
    const server = await listen(options.port ?? 0)
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("the proxy has no port")
    return new TcpProxy(options, server, address.port)
  }

  /** `host:port` */
  get address(): string {
    return `${loopback}:${this.port}`
  }

  /** Open connections, oldest first. */
  get connections(): ReadonlyArray<Connection> {
    return [...this.#open]
  }

  /** Told of each new connection, before its first byte; the answer ends that. */
  onConnection(listener: (connection: Connection) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Misbehaves like this from now on, until the next call. Resolves when it does. */
  set(fault: Fault): Promise<void> {
    this.#generation++
    clearTimeout(this.#flap)
    if (fault._tag === "Flap") return this.#flapping(fault, this.#generation, false)
    return this.#apply(fault)
  }

  /** Resets every open connection, once. */
  resetAll(): void {
    for (const connection of this.#open) connection.reset()
  }

  async stop(): Promise<void> {
    await this.set({ _tag: "Refuse" })
  }

  async #flapping(fault: Fault & { readonly _tag: "Flap" }, generation: number, up: boolean): Promise<void> {
    await this.#apply(up ? pass : { _tag: "Refuse" })
    if (generation !== this.#generation) return
    this.#flap = setTimeout(
      () => void this.#flapping(fault, generation, !up).catch(() => undefined),
      up ? fault.upMs : fault.downMs
    )
  }

  #apply(fault: ConnectionFault | { readonly _tag: "Refuse" }): Promise<void> {
    this.#turn = this.#turn
      .catch(() => undefined)
      .then(async () => {
        if (fault._tag === "Refuse") {
          const server = this.#server
          this.#server = undefined
          const closed = server === undefined ? undefined : new Promise(resolve => server.close(resolve))
          this.resetAll()
          await closed
          return
        }
        this.#fault = fault
        for (const connection of this.#open) connection.changed()
        if (this.#server === undefined) this.#adopt(await listen(this.port))
      })
    return this.#turn
  }

  #adopt(server: Server): void {
    this.#server = server
    server.on("connection", client => {
      this.counters.accepted++
      const connection: Connection = new Connection(
        client,
        this.#options,
        () => this.#fault,
        this.counters,
        () => this.#open.delete(connection)
      )
      this.#open.add(connection)
      for (const listener of this.#listeners) listener(connection)
    })
  }
}

const listen = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true })
    server.once("error", reject)
    server.listen({ port, host: loopback }, () => {
      server.off("error", reject)
      resolve(server)
    })
  })

export const start = TcpProxy.start
