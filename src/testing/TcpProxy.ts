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
import { createServer, type Server } from "node:net"
import { Connection, type ConnectionFault, type Counters, loopback, type Options } from "./ProxiedConnection.ts"

export { Connection, type ConnectionFault, type Counters, type Options }

/** What the proxy as a whole does. */
export type Fault =
  | ConnectionFault
  /** The port is closed, as of a server that is not there; open connections are reset. */
  | { readonly _tag: "Refuse" }
  /** `Refuse` and `Pass` in turn, beginning with `Refuse`. */
  | { readonly _tag: "Flap"; readonly downMs: number; readonly upMs: number }

const pass = { _tag: "Pass" } as const

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

/** How long a port that is in use may take to be free: one that was just closed can need a moment, ms. */
const portFreeMs = 2000

const listenOnce = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true })
    server.once("error", reject)
    server.listen({ port, host: loopback }, () => {
      server.off("error", reject)
      resolve(server)
    })
  })

const listen = async (port: number): Promise<Server> => {
  const end = performance.now() + portFreeMs
  for (;;) {
    try {
      return await listenOnce(port)
    } catch (error) {
      const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE"
      if (!taken || performance.now() > end) throw error
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
}

export const start = TcpProxy.start
