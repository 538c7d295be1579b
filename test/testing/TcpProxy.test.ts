import assert from "node:assert/strict"
import { once } from "node:events"
import { connect, createServer, type Server, type Socket } from "node:net"
import { after, before, beforeEach, describe, it } from "node:test"
import { TcpProxy } from "../../src/testing/TcpProxy.ts"
import { eventually } from "../support/eventually.ts"

/** What one client saw. */
class Client {
  readonly socket: Socket
  received = ""
  error: string | undefined
  ended = false
  readonly closed: Promise<void>

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1" })
    this.socket.on("data", chunk => {
      this.received += chunk.toString("latin1")
    })
    this.socket.on("error", error => {
      this.error = "code" in error ? String(error.code) : error.message
    })
    this.socket.on("end", () => {
      this.ended = true
    })
    this.closed = new Promise(resolve => this.socket.once("close", () => resolve()))
  }

  receives(text: string): Promise<true> {
    return eventually(`"${text}"`, 10_000, () => (this.received === text ? (true as const) : undefined), {
      everyMs: 5
    })
  }
}

describe("TcpProxy", () => {
  let echo: Server
  let proxy: TcpProxy
  /** Everything the server was sent. */
  let served = ""
  const clients: Array<Client> = []

  before(async () => {
    echo = createServer(socket => {
      socket.on("data", chunk => {
        served += chunk.toString("latin1")
        socket.write(chunk)
      })
      socket.on("error", () => undefined)
    })
    echo.listen(0, "127.0.0.1")
    await once(echo, "listening")
    const address = echo.address()
    assert.ok(address !== null && typeof address === "object")
    proxy = await TcpProxy.start({ upstream: { port: address.port } })
  })

  beforeEach(async () => {
    await proxy.set({ _tag: "Pass" })
    for (const { socket } of clients.splice(0)) socket.destroy()
    await eventually("all connections to end", 5000, () => (proxy.connections.length === 0 ? true : undefined))
    served = ""
  })

  after(async () => {
    for (const { socket } of clients.splice(0)) socket.destroy()
    await proxy.stop()
    echo.close()
  })

  const open = (): Client => {
    const client = new Client(proxy.port)
    clients.push(client)
    return client
  }

  const echoed = async (): Promise<Client> => {
    const client = open()
    client.socket.write("hello")
    await client.receives("hello")
    return client
  }

  it("passes bytes both ways, whole, and the end of either side", async () => {
    const client = open()
    const sent = "0123456789abcdef".repeat(256 * 1024)
    client.socket.end(sent)
    await client.receives(sent)
    assert.equal(served.length, sent.length)
  })

  it("refuses: the port is closed and open connections are reset; the same port serves again", async () => {
    const before = await echoed()
    await proxy.set({ _tag: "Refuse" })
    await before.closed
    assert.equal(before.error, "ECONNRESET")
    const refused = open()
    await refused.closed
    assert.equal(refused.error, "ECONNREFUSED")
    await proxy.set({ _tag: "Pass" })
    await echoed()
  })

  it("hangs: accepts and swallows, and resets what lost bytes when the fault ends", async () => {
    const old = await echoed()
    await proxy.set({ _tag: "Hang" })
    const fresh = open()
    const { swallowed } = proxy.counters
    fresh.socket.write("lost")
    old.socket.write("lost too")
    await eventually("the bytes to be swallowed", 5000, () =>
      proxy.counters.swallowed - swallowed === "lostlost too".length ? true : undefined
    )
    assert.equal(served, "hello")
    assert.equal(fresh.ended || old.ended, false)
    await proxy.set({ _tag: "Pass" })
    await Promise.all([old.closed, fresh.closed])
    assert.deepEqual([old.error, fresh.error], ["ECONNRESET", "ECONNRESET"])
    assert.equal(old.received, "hello")
    await echoed()
  })

  it("resets in the middle of a response", async () => {
    await proxy.set({ _tag: "ResetMidResponse" })
    const client = open()
    client.socket.write("12345678")
    await client.closed
    assert.equal(client.received, "1234")
    assert.equal(client.error, "ECONNRESET")
    assert.equal(served, "12345678")
  })

  it("loses the answer after the server had the question", async () => {
    await proxy.set({ _tag: "LoseAck", of: "everything" })
    const client = open()
    client.socket.write("question")
    await client.closed
    assert.equal(served, "question")
    assert.equal(client.received, "")
    assert.equal(client.error, "ECONNRESET")
    assert.equal(proxy.counters.lostAcks, 1)
  })

  it("delays each way", async () => {
    await proxy.set({ _tag: "Latency", ms: 60 })
    const client = open()
    const from = performance.now()
    client.socket.write("hello")
    await client.receives("hello")
    // Both ways; a late timer only adds.
    assert.ok(performance.now() - from >= 118)
  })

  it("throttles each way, and keeps the bytes in order", async () => {
    await proxy.set({ _tag: "Throttle", bytesPerSecond: 20_000 })
    const client = open()
    const sent = Array.from({ length: 1000 }, (_, i) => String(i).padStart(5)).join("")
    const from = performance.now()
    client.socket.write(sent)
    await client.receives(sent)
    assert.ok(performance.now() - from >= 240)
  })

  it("flaps, and is still when it is told to", async () => {
    await proxy.set({ _tag: "Flap", downMs: 30, upMs: 30 })
    const seen = new Set<string>()
    await eventually("both states", 10_000, async () => {
      const client = open()
      await Promise.race([once(client.socket, "connect").catch(() => undefined), client.closed])
      seen.add(client.error === undefined ? "up" : "down")
      client.socket.destroy()
      return seen.size === 2 ? true : undefined
    })
    await proxy.set({ _tag: "Pass" })
    await echoed()
  })

  it("has a fault for one connection only", async () => {
    const [one, other] = [await echoed(), await echoed()]
    const [first] = proxy.connections
    assert.ok(first !== undefined)
    first.set({ _tag: "LoseAck", of: "everything" })
    other.socket.write("!")
    await other.receives("hello!")
    one.socket.write("!")
    await one.closed
    assert.equal(one.received, "hello")
    assert.equal(other.error, undefined)
  })

  it("says of each new connection, so that it can have its fault before its first byte", async () => {
    const forget = proxy.onConnection(connection => connection.set({ _tag: "LoseAck", of: "everything" }))
    const client = open()
    client.socket.write("hello")
    await client.closed
    assert.equal(client.received, "")
    forget()
    await echoed()
  })
})
