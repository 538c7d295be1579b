/**
 * The service's server over real sockets: on Bun Spillway's own, on Deno the runtime's.
 */
import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { describe, it } from "node:test"
import * as HttpHandler from "../../../src/http/HttpHandler.ts"
import { Receipt, type Settlement } from "../../../src/Receipt.ts"
import { available } from "../../../src/runtime/bun.ts"
import { type Server, serve } from "../../../src/runtime/serve.ts"
import { eventually } from "../../support/eventually.ts"
import { limits, replies } from "./wire.ts"

type Offer = HttpHandler.Options["spillway"]["offer"]

const settlement: Settlement = { outcome: "delivered", topic: "events", partition: 0, baseOffset: 7n, idAt: () => "id" }
const delivered = new Receipt(settlement, 0)
const status = () => assert.fail("only publishes are asked for")

const listening = async (
  offer: Offer,
  use: (server: Server, open: () => Promise<Client>) => Promise<void>,
  maxBodyBytes = 100_000,
  maxConnections = 10
) => {
  const handler = HttpHandler.make({
    spillway: { offer, status, forceBreaker: status, onBreakerChange: () => {} },
    http: { maxBodyBytes, requestTimeoutMs: 10_000, token: undefined }
  })
  const server = await serve({
    hostname: "127.0.0.1",
    port: 0,
    handler,
    limits: { ...limits, maxConnections, maxBufferedBytes: 10_000_000 }
  })
  const clients: Array<Client> = []
  try {
    await use(server, async () => {
      const client = new Client(connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true }))
      clients.push(client)
      await once(client.socket, "connect")
      return client
    })
  } finally {
    for (const { socket } of clients) socket.destroy()
    await server.kill()
  }
}

class Client {
  readonly socket: Socket
  received = ""
  ended = false
  failure: Error | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on("data", bytes => {
      this.received += bytes.toString("latin1")
    })
    socket.on("end", () => {
      this.ended = true
    })
    socket.on("error", error => {
      this.failure = error
    })
  }

  /** The first answer. */
  answer() {
    return eventually("an answer", 10_000, async () => {
      try {
        return replies(this.received)[0]
      } catch {
        return undefined
      }
    })
  }

  untilEnded(): Promise<unknown> {
    return eventually("the end", 10_000, async () => (this.ended || this.socket.destroyed ? true : undefined))
  }
}

const head = (length: number, more = "") =>
  `POST /v1/topics/events/records HTTP/1.1\r\nHost: h\r\n${more}Content-Length: ${length}\r\n\r\n`

describe("the server over sockets", () => {
  it("takes a body of many segments, and answers on the same connection again", () => {
    const values: Array<number> = []
    return listening(
      ({ value }, callback) => {
        values.push(value?.length ?? -1)
        callback(delivered)
      },
      async (_, open) => {
        const client = await open()
        client.socket.write(head(5_000_000))
        client.socket.write(Buffer.alloc(5_000_000, "x"))
        assert.equal((await client.answer())?.status, 201)
        client.received = ""
        client.socket.write(`${head(1)}x`)
        assert.equal((await client.answer())?.status, 201)
        assert.deepEqual(values, [5_000_000, 1])
      },
      6_000_000
    )
  })

  it("lets a client read why its body is refused, though it still sends", () =>
    listening(
      () => assert.fail("nothing is offered"),
      async (_, open) => {
        const client = await open()
        client.socket.write(head(50_000_000))
        for (let i = 0; i < 20 && !client.socket.destroyed; i++) client.socket.write(Buffer.alloc(100_000, "x"))
        const answer = await client.answer()
        assert.equal(answer?.status, 413)
        assert.match(answer?.body ?? "", /BodyTooLarge/)
        client.socket.end()
      }
    ))

  it("stops behind the last answer", () => {
    const callbacks: Array<() => void> = []
    return listening(
      (_, callback) => void callbacks.push(() => callback(delivered)),
      async (server, open) => {
        const idle = await open()
        const busy = await open()
        busy.socket.write(`${head(1)}x`)
        await eventually("the record", 10_000, async () => callbacks[0])
        let stopped = false
        const end = server.stop().then(() => {
          stopped = true
        })
        await idle.untilEnded()
        assert.equal(stopped, false)
        callbacks[0]?.()
        assert.equal((await busy.answer())?.status, 201)
        idle.socket.end()
        busy.socket.end()
        await end
      }
    )
  })

  it("goes on when a client breaks off in the middle of its body or its answer", () =>
    listening(
      (_, callback) => void setTimeout(() => callback(delivered), 20),
      async (_, open) => {
        for (const sent of ["", "POST", head(10), `${head(10)}123`, `${head(1)}x`]) {
          const client = await open()
          client.socket.write(sent)
          client.socket.resetAndDestroy()
        }
        const client = await open()
        client.socket.write(`${head(1)}x`)
        assert.equal((await client.answer())?.status, 201)
      }
    ))

  // Deno's own server does neither.
  if (available()) {
    it("answers a client that has closed its side", () =>
      listening(
        (_, callback) => void setTimeout(() => callback(delivered), 50),
        async (_, open) => {
          const client = await open()
          client.socket.end(`${head(1)}x`)
          assert.equal((await client.answer())?.status, 201)
          await client.untilEnded()
        }
      ))

    it("answers 503 beyond its connections", () =>
      listening(
        (_, callback) => callback(delivered),
        async (_, open) => {
          await open()
          const second = await open()
          assert.equal((await second.answer())?.status, 503)
          await second.untilEnded()
        },
        100,
        1
      ))
  }
})
