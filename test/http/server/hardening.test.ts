/**
 * What an attacker, or a client at odds with its proxy, could make of the server's finer points.
 */
import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import type { HttpHandler } from "../../../src/http/HttpHandler.ts"
import { available, serve } from "../../../src/runtime/bun.ts"
import { eventually } from "../../support/eventually.ts"
import { limits, replies, Serving, text } from "./wire.ts"

const line = "POST / HTTP/1.1\r\nHost: h\r\n"
const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: h\r\n${more}\r\n`
const only = (written: string) => replies(written)[0] ?? assert.fail("no answer")

describe("a no-break space", () => {
  for (const [name, sent, status] of [
    ["before a coding", `${line}Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n`, 501],
    ["behind a coding", `${line}Transfer-Encoding: chunked\xa0\r\n\r\n0\r\n\r\n`, 501],
    ["before a length", `${line}Content-Length: \xa01\r\n\r\nx`, 400],
    ["behind a length", `${line}Content-Length: 1\xa0\r\n\r\nx`, 400]
  ] as const) {
    it(`${name} is part of the value`, () => {
      const serving = new Serving()
      const { send, wire } = serving.connect()
      send(sent)
      assert.equal(serving.asked.length, 0)
      assert.equal(only(wire.written).status, status)
      assert.equal(wire.over, true)
    })
  }
})

describe("a request that waits for 100 Continue", () => {
  it("and is refused instead ends the connection: whether its body follows is open", () => {
    for (const framing of ["Content-Length: 30", "Transfer-Encoding: chunked"]) {
      const serving = new Serving({ without: ({ method }) => (method === "POST" ? text(401, "no") : undefined) })
      const { send, wire } = serving.connect()
      send(`${line}Expect: 100-continue\r\n${framing}\r\n\r\n`)
      assert.equal(only(wire.written).headers.get("connection"), "close")
      send(get("/swallowed-in-part").repeat(2))
      assert.equal(replies(wire.written).length, 1)
      assert.equal(serving.asked.length, 0)
    }
  })
})

describe("an empty line before a request", () => {
  it("is passed over in whatever pieces it comes", () => {
    const sent = `\r\n${get("/")}`
    for (let cut = 1; cut < sent.length; cut++) {
      const { send, wire } = new Serving().connect()
      send(sent.slice(0, cut))
      send(sent.slice(cut))
      assert.equal(only(wire.written).status, 200, `cut at ${cut}`)
    }
    const { send, wire } = new Serving().connect()
    for (const byte of sent) send(byte)
    assert.equal(only(wire.written).status, 200)
  })
})

describe("a head", () => {
  it("of HTTP/1.0 with close and keep-alive is the last (RFC 9112, section 9.3)", () => {
    const { send, wire } = new Serving().connect()
    send("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n")
    assert.equal(wire.over, true)
  })

  it("with a fragment in its address is refused in absolute form, too", () => {
    const { send, wire } = new Serving().connect()
    send("GET http://h/a#b HTTP/1.1\r\nHost: h\r\n\r\n")
    assert.equal(only(wire.written).status, 400)
  })

  it("with a great many names is refused before they are compared with each other", () => {
    const { send, wire } = new Serving({ limits: { maxHeaderBytes: 16_384 } }).connect()
    const names = Array.from({ length: 1500 }, (_, index) => `h${index}:1\r\n`).join("")
    send(get("/", names))
    assert.equal(only(wire.written).status, 431)
  })
})

describe("stopping", () => {
  it("ends a connection that is between two requests only once its body is passed over, or its answer taken", () => {
    const skipping = new Serving({ without: () => text(401, "no") })
    const one = skipping.connect()
    one.send(`${line}Content-Length: 5\r\n\r\n12`)
    void skipping.server.stop()
    one.send("345")
    assert.equal(one.wire.over, true)
    const unsent = new Serving()
    const two = unsent.connect()
    two.wire.room = 10
    two.send(get("/"))
    void unsent.server.stop()
    two.wire.room = Number.POSITIVE_INFINITY
    two.connection?.drained()
    assert.equal(two.wire.over, true)
  })
})

describe("requests sent ahead", () => {
  it("are answered though the client has closed its side meanwhile", () => {
    const serving = new Serving({ take: () => {} })
    const { connection, send, wire } = serving.connect()
    send(get("/1") + get("/2"))
    connection?.ended()
    serving.asked[0]?.respond(text(200, "1"))
    serving.asked[1]?.respond(text(200, "2"))
    assert.deepEqual(
      replies(wire.written).map(({ body, headers }) => [body, headers.get("connection")]),
      [
        ["1", undefined],
        ["2", "close"]
      ]
    )
    assert.equal(wire.over, true)
  })
})

if (available()) {
  type Open = HttpHandler["open"]

  const listening = async (open: Open, maxConnections: number, use: (open: () => Promise<Socket>) => Promise<void>) => {
    const fetch = () => assert.fail("not on Bun")
    const server = serve({
      hostname: "127.0.0.1",
      port: 0,
      handler: { open, fetch },
      limits: { ...limits, maxConnections }
    })
    const sockets: Array<Socket> = []
    try {
      await use(async () => {
        const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true })
        socket.on("error", () => {})
        sockets.push(socket)
        await once(socket, "connect")
        return socket
      })
    } finally {
      for (const socket of sockets) socket.destroy()
      await server.kill()
    }
  }

  const listen = (socket: Socket) => {
    const seen = { text: "", ended: false, error: undefined as Error | undefined }
    socket.on("data", bytes => {
      seen.text += bytes.toString("latin1")
    })
    socket.on("end", () => {
      seen.ended = true
    })
    socket.on("error", error => {
      seen.error = error
    })
    return seen
  }

  describe("over real sockets", () => {
    it("what comes behind the last answer is thrown away, not answered with a reset", () =>
      listening(
        () => assert.fail("no head is valid"),
        10,
        async open => {
          const socket = await open()
          const seen = listen(socket)
          socket.write("nonsense\r\n\r\n")
          await eventually("the server's end", 5000, async () => (seen.ended ? true : undefined))
          assert.equal(only(seen.text).status, 400)
          for (let i = 0; i < 5; i++) {
            socket.write("more")
            await sleep(50)
          }
          assert.equal(seen.error, undefined)
          socket.end()
        }
      ))

    it("a connection too many does not stay for as long as its client likes", () =>
      listening(
        () => undefined,
        1,
        async open => {
          await open()
          const second = await open()
          const seen = listen(second)
          await eventually("the server's end", 5000, async () => (seen.ended ? true : undefined))
          assert.equal(only(seen.text).status, 503)
          second.write("x")
          await sleep(100)
          assert.equal(seen.error, undefined)
          // Once the socket is closed a byte is answered with a reset.
          await eventually("a reset", 10_000, async () => {
            if (!second.destroyed) second.write(Buffer.alloc(1))
            return seen.error
          })
        }
      ))

    it("a route that throws ends its connection", () =>
      listening(
        () => {
          throw new Error("thrown in a test")
        },
        10,
        async open => {
          const socket = await open()
          socket.on("data", () => {})
          let closed = false
          socket.on("end", () => {
            closed = true
          })
          socket.write(get("/"))
          await eventually("the end", 2000, async () => (closed || socket.destroyed ? true : undefined))
        }
      ))
  })
}
