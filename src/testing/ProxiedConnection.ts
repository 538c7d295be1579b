/**
 * One connection through a `TcpProxy`, and what it suffers.
 */
import { connect as openSocket, type Socket } from "node:net"
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

export const loopback = "127.0.0.1"
const unpaced = { latencyMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY }
/** ms between half an answer and the reset. */
const halfWayMs = 20

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
