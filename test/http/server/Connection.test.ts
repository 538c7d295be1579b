import assert from "node:assert/strict"
import { describe, it } from "node:test"
import fc from "fast-check"
import type { AnswerStream, Sink } from "../../../src/http/Answer.ts"
import { HttpServer } from "../../../src/http/server/HttpServer.ts"
import { limits, type Options, replies, Serving, text, Wire } from "./wire.ts"

const post = (body: string, more = "") =>
  `POST /a?q=1 HTTP/1.1\r\nHost: h\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`
const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: h\r\n${more}\r\n`
const chunked = (...chunks: ReadonlyArray<string>) =>
  `POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join("")}`

/** Everything at once on a connection of its own. */
const begin = (sent: string, options?: Options) => {
  const serving = new Serving(options)
  const { connection, send, wire } = serving.connect()
  send(sent)
  return { serving, wire, connection, send }
}

/** The same, with the answers it wrote at once. */
const ask = (sent: string, options?: Options) => {
  const begun = begin(sent, options)
  return { ...begun, replies: replies(begun.wire.written) }
}

const bodies = (written: string) => replies(written).map(({ body }) => body)

describe("a request", () => {
  it("is read whole, and answered with its length and the date", () => {
    const { replies, serving, wire } = ask(post("hello", "X-One: 1\r\nx-ONE:  2 \t\r\n"))
    const [{ body, head } = assert.fail()] = serving.asked
    assert.equal(body, "hello")
    assert.deepEqual([head.method, head.path, head.query], ["POST", "/a", "q=1"])
    assert.equal(head.header("x-one"), "1, 2")
    assert.equal(head.header("x-two"), null)
    assert.deepEqual([...head.headerNames()], ["host", "x-one", "content-length"])
    const [reply = assert.fail()] = replies
    assert.equal(reply.status, 200)
    assert.equal(reply.body, "POST /a hello")
    assert.equal(reply.headers.get("content-type"), "text/plain")
    assert.ok(Math.abs(Date.parse(reply.headers.get("date") ?? "") - Date.now()) < 60_000)
    assert.equal(reply.headers.get("connection"), undefined)
    assert.equal(wire.over, false)
  })

  it("may come in any pieces, and many may come at once", () => {
    const requests = [post("one"), get("/two"), chunked("3\r\nabc\r\n", "0\r\n\r\n"), post(""), post("x".repeat(300))]
    const whole = requests.join("")
    const expected = bodies(ask(whole).wire.written)
    assert.deepEqual(expected, ["POST /a one", "GET /two ", "POST /c abc", "POST /a ", `POST /a ${"x".repeat(300)}`])
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: whole.length - 1 }), { maxLength: 40 }), cuts => {
        const { send, wire } = new Serving().connect()
        const places = [0, ...new Set(cuts.sort((a, b) => a - b)), whole.length]
        places.slice(1).forEach((to, index) => send(whole.slice(places[index], to)))
        assert.deepEqual(bodies(wire.written), expected)
      })
    )
    const { send, wire } = new Serving().connect()
    for (const byte of whole) send(byte)
    assert.deepEqual(bodies(wire.written), expected)
  })

  it("waits for the answer to the one before it; what is sent ahead is bounded", () => {
    const serving = new Serving({ take: () => {} })
    const { send, wire } = serving.connect()
    send(`${post("one")}${post("two")}`)
    assert.equal(serving.asked.length, 1)
    send(post("x".repeat(9000)).repeat(8))
    assert.equal(wire.paused, true)
    serving.asked[0]?.respond(text(200, "first"))
    assert.equal(serving.asked[1]?.body, "two")
    assert.equal(wire.paused, true)
    for (let i = 1; i < 10; i++) serving.asked[i]?.respond(text(200, `${i}`))
    assert.equal(wire.paused, false)
    assert.deepEqual(bodies(wire.written), ["first", ..."123456789"])
  })

  it("with the same head as the one before means the same; one byte less or more does not", () => {
    const { send, serving } = ask(post("a", "X-A: 1\r\n"))
    for (const value of ["1", "2", "12", "", "1"]) send(post("a", `X-A: ${value}\r\n`))
    assert.deepEqual(
      serving.asked.map(({ head }) => head.header("x-a")),
      ["1", "1", "2", "12", "", "1"]
    )
  })

  it("of HTTP/1.0 ends the connection unless it asks otherwise", () => {
    const old = ask("POST / HTTP/1.0\r\ncontent-length: 1\r\n\r\nx")
    assert.equal(old.replies[0]?.headers.get("connection"), "close")
    assert.equal(old.wire.over, true)
    const kept = ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.equal(kept.replies[0]?.headers.get("connection"), "keep-alive")
    assert.equal(kept.wire.over, false)
    const closed = ask(get("/", "Connection: TE, close\r\n"))
    assert.equal(closed.replies[0]?.headers.get("connection"), "close")
    assert.equal(closed.wire.over, true)
  })

  it("to HEAD is answered with the length of a body that does not come", () => {
    const { send, wire } = new Serving().connect()
    send(get("/x").replace("GET", "HEAD"))
    assert.equal(replies(wire.written, true)[0]?.headers.get("content-length"), String("HEAD /x ".length))
    assert.match(wire.written, /\r\n\r\n$/)
  })

  it("answered with 204 or 304 gets no length", () => {
    for (const status of [204, 304]) {
      const { send, wire } = new Serving({ without: () => text(status, "") }).connect()
      send(get("/x"))
      assert.match(wire.written, /^HTTP\/1\.1 [23]04 [\s\S]*\r\n\r\n$/)
      assert.doesNotMatch(wire.written, /content-length/)
    }
  })

  it("may be in absolute form, with an empty line before it", () => {
    const { replies, serving } = ask(`\r\n${get("http://other.example:8080/p?x=1")}${get("HTTP://h")}`)
    assert.equal(replies.length, 2)
    assert.deepEqual(
      serving.asked.map(({ head }) => [head.path, head.query]),
      [
        ["/p", "x=1"],
        ["/", ""]
      ]
    )
  })

  it("is told to go on when it waits for that, and only then", () => {
    const { send, wire } = new Serving().connect()
    send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert.equal(wire.written, "HTTP/1.1 100 Continue\r\n\r\n")
    send("ok")
    assert.deepEqual(bodies(wire.written), ["POST / ok"])
    const refused = ask("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", {
      without: () => text(401, "no")
    })
    assert.doesNotMatch(refused.wire.written, /100 Continue/)
  })
})

describe("a request that two servers could read in two ways, or that is none,", () => {
  const line = "POST / HTTP/1.1\r\n"
  const head = `${line}Host: h\r\n`
  const cases: ReadonlyArray<readonly [name: string, sent: string, status: number]> = [
    ["a length and chunks", `${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunks and a length", `${head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, 400],
    ["two lengths", `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx`, 400],
    ["the same length twice", `${head}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`, 400],
    ["a list of lengths", `${head}Content-Length: 1, 1\r\n\r\nx`, 400],
    ["a signed length", `${head}Content-Length: +1\r\n\r\nx`, 400],
    ["a negative length", `${head}Content-Length: -1\r\n\r\nx`, 400],
    ["a hexadecimal length", `${head}Content-Length: 0x1\r\n\r\nx`, 400],
    ["an empty length", `${head}Content-Length:\r\n\r\nx`, 400],
    ["an endless length", `${head}Content-Length: 99999999999999999999\r\n\r\nx`, 400],
    ["two codings", `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 501],
    ["chunked twice", `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 400],
    ["another coding", `${head}Transfer-Encoding: identity\r\n\r\n`, 501],
    ["a disguised coding", `${head}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, 400],
    ["chunks in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400],
    ["a space before the colon", `${head}Content-Length : 1\r\n\r\nx`, 400],
    ["a folded header", `${head}X: 1\r\n 2\r\n\r\n`, 400],
    ["a bare line feed between headers", `${head}X: 1\nContent-Length: 1\r\n\r\nx`, 400],
    ["bare line feeds only", "GET / HTTP/1.1\nHost: h\n\n\r\n\r\n", 400],
    ["a bare carriage return", `${head}X: 1\rY: 2\r\n\r\n`, 400],
    ["a null byte", `${head}X: \x00\r\n\r\n`, 400],
    ["a header without a name", `${head}: 1\r\n\r\n`, 400],
    ["a header without a colon", `${head}nothing\r\n\r\n`, 400],
    ["a name with a space", `${head}a b: 1\r\n\r\n`, 400],
    ["no host", `${line}Content-Length: 0\r\n\r\n`, 400],
    ["two hosts", `${head}Host: g\r\n\r\n`, 400],
    ["two authorizations", `${head}Authorization: a\r\nAuthorization: b\r\n\r\n`, 400],
    ["no target", "GET HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["a target of another kind", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["an authority", "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["a fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["a method with a slash", "GE/T / HTTP/1.1\r\nHost: h\r\n\r\n", 400],
    ["a lower-case version", "GET / http/1.1\r\nHost: h\r\n\r\n", 400],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
    ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400],
    ["another expectation", `${head}Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx`, 417],
    ["a head without an end", `${head}X: ${"x".repeat(limits.maxHeaderBytes)}`, 431],
    ["a head that is too large", `${head}X: ${"x".repeat(limits.maxHeaderBytes)}\r\n\r\n`, 431]
  ]
  for (const [name, sent, status] of cases) {
    it(`${name}: ${status}, and the connection ends`, () => {
      const smuggled = get("/smuggled")
      for (const split of [false, true]) {
        const { connection, send, wire } = new Serving({ take: () => assert.fail("it was taken") }).connect()
        if (split) for (const byte of sent) send(byte)
        else send(sent + smuggled)
        const [reply = assert.fail(), ...more] = replies(wire.written)
        assert.equal(reply.status, status)
        assert.equal(reply.headers.get("connection"), "close")
        assert.match(reply.body, /^\{"outcome":"rejected","reason":"\w+","message":".+"\}$/)
        assert.deepEqual(more, [])
        assert.equal(wire.over, true)
        send(smuggled)
        assert.equal(replies(wire.written).length, 1)
        connection?.closed()
      }
    })
  }
})

describe("chunks", () => {
  const taken = (...chunks: ReadonlyArray<string>) => ask(chunked(...chunks)).serving.asked[0]

  it("are put together; extensions and trailers are read and forgotten", () => {
    assert.equal(
      taken("5\r\nhello\r\n", "1;x=y\r\n \r\n", "00A\r\n0123456789\r\n", "0\r\nX: 1\r\n\r\n")?.body,
      "hello 0123456789"
    )
    assert.equal(taken("0\r\n\r\n")?.body, "")
  })

  for (const [name, sent] of [
    ["no size", "\r\nx\r\n"],
    ["a size that is none", "g\r\nx\r\n"],
    ["a signed size", "+1\r\nx\r\n"],
    ["a hexadecimal prefix", "0x1\r\nx\r\n"],
    ["a space before the size", " 1\r\nx\r\n"],
    ["an endless size", "fffffffff\r\n"],
    ["a bare line feed behind the size", "1\nx\r\n"],
    ["a carriage return within the size", "1\r2\r\nx\r\n"],
    ["more than its size", "1\r\nxy\r\n"],
    ["a bare line feed behind the data", "1\r\nx\n0\r\n\r\n"],
    ["an endless extension", `1;${"x".repeat(2000)}\r\nx\r\n`],
    ["a trailer that is none", "0\r\nnothing\r\n\r\n"],
    ["endless trailers", `0\r\n${"X: 1\r\n".repeat(1000)}\r\n`]
  ] as const) {
    it(`with ${name} are 400`, () => {
      const { replies, serving, wire } = ask(chunked(sent) + get("/smuggled"))
      assert.deepEqual(
        replies.map(({ status }) => status),
        [400]
      )
      assert.equal(serving.asked.length, 1)
      assert.equal(serving.asked[0]?.end, "cutShort")
      assert.equal(wire.over, true)
    })
  }

  it("may announce no more than is taken", () => {
    for (const sent of ["1000\r\n", `${"ff\r\n".padEnd(259, "x")}\r\n`.repeat(9)]) {
      const { replies, serving } = ask(chunked(sent), { maxBodyBytes: 2000 })
      assert.equal(serving.asked[0]?.end, "tooLarge")
      assert.equal(replies[0]?.status, 413)
      assert.equal(replies[0]?.headers.get("connection"), "close")
    }
  })
})

describe("a body", () => {
  it("larger than allowed is refused at its head", () => {
    const { replies, serving, wire } = ask(
      `${get("/").replace("GET", "POST").trimEnd()}\r\nContent-Length: 10001\r\n\r\n`
    )
    assert.equal(serving.asked[0]?.end, "tooLarge")
    assert.equal(replies[0]?.status, 413)
    assert.equal(wire.over, true)
  })

  it("nobody wants is passed over when it is short, and ends the connection when it is long", () => {
    const refuse: Options = { without: head => (head.method === "POST" ? text(401, "no") : undefined) }
    const short = ask("", refuse)
    short.send(post("x".repeat(100)).slice(0, -50))
    assert.deepEqual(bodies(short.wire.written), ["no"])
    short.send(`${"x".repeat(50)}${get("/next")}`)
    assert.deepEqual(bodies(short.wire.written), ["no", "GET /next "])
    for (const long of [
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
      chunked("0\r\n\r\n", get("/smuggled"))
    ]) {
      const { replies, wire } = ask(long, refuse)
      assert.deepEqual(
        replies.map(({ body, headers }) => [body, headers.get("connection")]),
        [["no", "close"]]
      )
      assert.equal(wire.over, true)
    }
  })

  it("that ends early is cut short, and told so where the client still reads", () => {
    for (const sent of ["POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345", chunked("5\r\n123")]) {
      const half = ask(sent)
      half.connection?.ended()
      assert.equal(half.serving.asked[0]?.end, "cutShort")
      assert.deepEqual(
        replies(half.wire.written).map(({ status }) => status),
        [400]
      )
      assert.equal(half.wire.over, true)
      const gone = ask(sent)
      gone.connection?.closed()
      assert.equal(gone.serving.asked[0]?.end, "cutShort")
      assert.equal(gone.wire.written, "")
    }
  })

  it("that is answered before its end (as late) ends the connection or is passed over", () => {
    const { send, serving, wire } = ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n123", {
      maxBodyBytes: 200_000
    })
    serving.asked[0]?.respond(text(503, "late"))
    send("x".repeat(99_997))
    assert.deepEqual(bodies(wire.written), ["late"])
    assert.equal(wire.over, true)
    const short = ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n123")
    short.serving.asked[0]?.respond(text(503, "late"))
    short.send(`4567890${get("/next")}`)
    assert.deepEqual(bodies(short.wire.written), ["late", "GET /next "])
  })

  it("has no room when all bodies together are more than is held, until others are done", () => {
    const serving = new Serving({ maxBodyBytes: 90_000 })
    const post = (sent: string) => {
      const client = serving.connect()
      client.send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 80000\r\n\r\n${sent}`)
      return client
    }
    const one = post("x".repeat(70_000))
    const two = post("x".repeat(70_000))
    const [reply = assert.fail()] = replies(two.wire.written)
    assert.equal(reply.status, 429)
    assert.match(reply.body, /"outcome":"failed","reason":"Overloaded"/)
    assert.equal(reply.headers.get("retry-after"), "1")
    assert.equal(serving.asked[1]?.end, "cutShort")
    one.send("x".repeat(10_000))
    assert.equal(serving.asked[0]?.end, "whole")
    const three = post("x".repeat(70_000))
    assert.equal(three.wire.written, "")
  })
})

describe("time", () => {
  it("ends an idle connection quietly", () => {
    const { serving, wire } = ask(get("/"))
    serving.pass(limits.idleTimeoutMs - 1)
    assert.equal(wire.over, false)
    serving.pass(1)
    assert.equal(wire.over, true)
    assert.equal(replies(wire.written).length, 1)
  })

  it("for a head is up even when it drips", () => {
    const { send, serving, wire } = ask("")
    for (const byte of "GET / HTTP") {
      send(byte)
      serving.pass(limits.headerTimeoutMs / 8)
    }
    const [reply = assert.fail()] = replies(wire.written)
    assert.equal(reply.status, 408)
    assert.match(reply.body, /"reason":"HeadTimeout"/)
    assert.equal(wire.over, true)
  })

  it("for an answer is the route's, however long", () => {
    const { serving, wire } = ask(post("x"), { take: () => {} })
    serving.pass(1_000_000)
    assert.equal(wire.written, "")
    serving.asked[0]?.respond(text(200, "late"))
    assert.deepEqual(bodies(wire.written), ["late"])
    assert.equal(wire.over, false)
  })

  it("ends a client that does not read, one that never closes, and one that sends no rest of what nobody wants", () => {
    const serving = new Serving({ limits: { maxConnections: 10 } })
    const deaf = serving.connect()
    deaf.wire.room = 20
    deaf.send(get("/"))
    serving.pass(9_999)
    assert.equal(deaf.wire.terminated, false)
    serving.pass(1)
    assert.equal(deaf.wire.terminated, true)
    const lingering = serving.connect()
    lingering.send("nonsense\r\n\r\n")
    assert.equal(lingering.wire.over, true)
    serving.pass(2_000)
    assert.equal(lingering.wire.terminated, true)
    const refusing = new Serving({ without: () => text(401, "no") })
    const slow = refusing.connect()
    slow.send(post("x".repeat(10)).slice(0, -1))
    refusing.pass(limits.headerTimeoutMs)
    assert.equal(slow.wire.over, true)
  })
})

describe("an answer", () => {
  it("nobody reads holds up the requests behind it", () => {
    const serving = new Serving()
    const { connection, send, wire } = serving.connect()
    wire.room = 100
    for (let i = 0; i < 1000 && !wire.paused; i++) send(get("/more").repeat(100))
    assert.equal(wire.paused, true)
    assert.equal(serving.asked.length, 1)
    wire.room = Number.POSITIVE_INFINITY
    connection?.drained()
    assert.equal(wire.paused, false)
    assert.ok(serving.asked.length > 1000)
    assert.equal(replies(wire.written).length, serving.asked.length)
  })

  it("the socket does not take at once goes on when it drains", () => {
    for (const body of ["a".repeat(500), "ä€😀".repeat(50)]) {
      const { send, wire } = new Serving({ take: ({ respond }) => respond(text(200, body)) }).connect()
      const { connection, wire: slow } = new Serving({ take: ({ respond }) => respond(text(200, body)) }).connect()
      send(post("x").repeat(3))
      slow.room = 7
      connection?.received(Buffer.from(post("x").repeat(3)))
      while (slow.written.length < wire.written.length) {
        slow.room = 13
        connection?.drained()
      }
      assert.equal(slow.written, wire.written)
      const [first = assert.fail()] = replies(wire.written)
      assert.equal(Buffer.from(first.body, "latin1").toString("utf8"), body)
    }
  })

  it("of bytes is as one of the same text, in whatever pieces the socket takes it", () => {
    const body = "ä€😀".repeat(50)
    // Between others, as a part of what was room for more.
    const bytes = new Uint8Array(Buffer.from(`${body}${body}${body}`)).subarray(450, 900)
    const sent = [
      post("x"),
      get("/x").replace("GET", "HEAD"),
      "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
      post("x", "Connection: close\r\n")
    ].join("")
    const [asText, asBytes] = [text(200, body), { ...text(200, ""), body: bytes }].map(answer => {
      const { send, wire, connection } = new Serving({ take: ({ respond }) => respond(answer) }).connect()
      wire.room = 7
      send(sent)
      while (!wire.over) {
        wire.room = 13
        connection?.drained()
      }
      return wire.written.replaceAll(/date: .*/g, "")
    })
    assert.equal(asBytes, asText)
    assert.equal(asText?.split(Buffer.from(body).toString("latin1")).length, 4)
  })

  it("is the last one only when it has been written", () => {
    const { connection, send, wire } = new Serving().connect()
    wire.room = 10
    send(get("/", "Connection: close\r\n"))
    assert.equal(wire.over, false)
    wire.room = Number.POSITIVE_INFINITY
    connection?.drained()
    assert.equal(wire.over, true)
    assert.equal(replies(wire.written).length, 1)
  })

  it("to a client that is gone, or that sends nothing more, does no harm", () => {
    const gone = ask(post("x"), { take: () => {} })
    gone.connection?.closed()
    gone.serving.asked[0]?.respond(text(200, "x"))
    assert.equal(gone.wire.written, "")
    const half = ask(post("x"), { take: () => {} })
    half.connection?.ended()
    assert.equal(half.wire.over, false)
    half.serving.asked[0]?.respond(text(200, "x"))
    assert.deepEqual(bodies(half.wire.written), ["x"])
    assert.equal(half.wire.over, true)
  })
})

describe("an answer that goes on", () => {
  /** A request to it, and what its route holds of it. */
  const streaming = (sent = get("/events"), first: (sink: Sink) => void = () => {}) => {
    const held: { sink?: Sink; stops: number } = { stops: 0 }
    const body: AnswerStream = {
      start: sink => {
        held.sink = sink
        first(sink)
        return () => {
          held.stops++
        }
      }
    }
    const streamed = begin(sent, {
      without: ({ path }) => (path === "/events" ? { status: 200, headers: {}, body } : undefined)
    })
    const { sink = assert.fail("it was not started") } = held
    const rest = () => streamed.wire.written.slice(streamed.wire.written.indexOf("\r\n\r\n") + 4)
    return { ...streamed, held, sink, rest }
  }

  it("is sent in chunks as it comes; the next request has its turn behind it", () => {
    const { held, rest, send, sink, wire } = streaming()
    assert.match(wire.written, /\r\ntransfer-encoding: chunked\r\n\r\n$/)
    assert.doesNotMatch(wire.written, /content-length/)
    send(get("/next"))
    assert.equal(sink.write("hello"), true)
    assert.equal(sink.write(""), true)
    assert.equal(sink.write("ä€"), true)
    assert.equal(Buffer.from(rest(), "latin1").toString(), "5\r\nhello\r\n5\r\nä€\r\n")
    assert.equal(held.stops, 0)
    sink.end()
    assert.equal(held.stops, 1)
    assert.equal(sink.write("more"), false)
    sink.end()
    const [, next = ""] = rest().split("\r\n0\r\n\r\n")
    assert.deepEqual(bodies(next), ["GET /next "])
  })

  it("may end within its beginning", async () => {
    const { held, rest } = streaming(`${get("/events")}${get("/next")}`, sink => {
      sink.write("all")
      sink.end()
    })
    await Promise.resolve()
    assert.equal(held.stops, 1)
    assert.match(rest(), /^3\r\nall\r\n0\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  })

  it("goes up to the connection's end for HTTP/1.0, and is a head only for HEAD", () => {
    const { rest, sink, wire } = streaming("GET /events HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    sink.write("x")
    assert.equal(wire.over, false)
    sink.end()
    assert.equal(rest(), "x")
    assert.match(wire.written, /\r\nconnection: close\r\n/)
    assert.equal(wire.over, true)
    const { wire: headed } = begin(get("/events").replace("GET", "HEAD"), {
      without: () => ({ status: 200, headers: {}, body: { start: () => assert.fail("nobody listens") } })
    })
    assert.match(headed.written, /chunked\r\n\r\n$/)
  })

  it("is stopped when the client is gone, and when it does not read", () => {
    const gone = streaming()
    gone.connection?.closed()
    assert.equal(gone.held.stops, 1)
    assert.equal(gone.sink.write("x"), false)
    const deaf = streaming()
    deaf.wire.room = 0
    const text = "x".repeat(100_000)
    let taken = 0
    while (taken < 100 && deaf.sink.write(text)) taken++
    assert.equal(taken, 11)
    assert.equal(deaf.wire.terminated, true)
    assert.equal(deaf.held.stops, 1)
  })

  it("is waited for when the server stops, and is the last one then", () => {
    const { connection, serving, sink, wire } = streaming()
    serving.server.stop()
    assert.equal(wire.over, false)
    assert.equal(sink.write("bye"), true)
    sink.end()
    assert.equal(wire.over, true)
    if (connection !== undefined) serving.server.closed(connection)
    assert.equal(serving.server.connections, 0)
  })
})

describe("a body that is read as it comes", () => {
  /** A receiver of pieces, answered by a stream. */
  const duplex = (room: () => Promise<void> | undefined = () => undefined) => {
    const seen: Array<string> = []
    const held: { sink?: Sink; stops: number } = { stops: 0 }
    const body: AnswerStream = {
      start: sink => {
        held.sink = sink
        return () => {
          held.stops++
        }
      }
    }
    let begun = false
    const server = new HttpServer(
      (_, respond) => {
        const end = (how: string) => () => {
          seen.push(how)
          held.sink?.end()
        }
        return {
          maxBodyBytes: 10,
          piece: bytes => {
            seen.push(Buffer.from(bytes).toString("latin1"))
            if (!begun) respond({ status: 200, headers: {}, body })
            begun = true
            return room()
          },
          take: bytes => end(`end ${bytes.length}`)(),
          tooLarge: () => assert.fail("its length is not counted"),
          cutShort: end("cut short")
        }
      },
      { ...limits, maxBufferedBytes: 1_000_000 }
    )
    const wire = new Wire()
    const connection = server.accept(wire) ?? assert.fail()
    const send = (sent: string) => connection.received(Buffer.from(sent, "latin1"))
    return { connection, held, seen, send, server, wire }
  }

  it("may be answered meanwhile, and be longer than a whole one", () => {
    const { held, seen, send, wire } = duplex()
    send(chunked("5\r\nhello\r\n", "3\r\nyou"))
    assert.deepEqual(seen, ["helloyou"])
    assert.match(wire.written, /chunked\r\n\r\n$/)
    held.sink?.write("a")
    send("\r\n14\r\n12345678901234567890\r\n0\r\n\r\n")
    assert.deepEqual(seen, ["helloyou", "12345678901234567890", "end 0"])
    assert.match(wire.written, /1\r\na\r\n0\r\n\r\n$/)
    assert.equal(wire.over, false)
    assert.equal(held.stops, 1)
    send(get("/next"))
    assert.equal(seen.filter(one => one === "end 0").length, 2)
  })

  it("waits while its reader is busy, its end too", async () => {
    let free = () => {}
    const { seen, send, wire } = duplex(
      () =>
        new Promise(resolve => {
          free = resolve
        })
    )
    send(chunked("1\r\na\r\n"))
    for (let i = 0; i < 100; i++) send(`3e8\r\n${"b".repeat(1000)}\r\n`)
    assert.deepEqual(seen, ["a"])
    assert.equal(wire.paused, true)
    free()
    await new Promise(setImmediate)
    assert.equal(seen[1]?.length, 100_000)
    assert.equal(wire.paused, false)
    send("1\r\nc\r\n0\r\n\r\n")
    free()
    await new Promise(setImmediate)
    assert.equal(seen[2], "c")
    assert.equal(seen.length, 3)
    free()
    await new Promise(setImmediate)
    assert.equal(seen[3], "end 0")
  })

  it("is whole although the client has ended its side while the reader was busy", async () => {
    for (const behind of ["", "1\r\nb\r\n"]) {
      const free: Array<() => void> = []
      const { connection, seen, send } = duplex(() => new Promise(resolve => free.push(resolve)))
      send(chunked("1\r\na\r\n", behind === "" ? "0\r\n\r\n" : ""))
      if (behind !== "") send(`${behind}0\r\n\r\n`)
      connection.ended()
      for (let turn = 0; turn < 3; turn++) {
        free.shift()?.()
        await new Promise(setImmediate)
      }
      assert.deepEqual(seen, ["a", ...(behind === "" ? [] : ["b"]), "end 0"])
    }
  })

  it("that is malformed, or ends early, is its receiver's to report in the answer that has begun", () => {
    for (const end of ["malformed", "ended", "closed"]) {
      const { connection, held, seen, send, server, wire } = duplex()
      send(chunked("1\r\na\r\n"))
      if (end === "malformed") send("nonsense\r\n")
      else if (end === "ended") connection.ended()
      else server.closed(connection)
      assert.deepEqual(seen, ["a", "cut short"])
      assert.equal(held.stops, 1)
      assert.equal(wire.written.match(/HTTP\/1\.1/g)?.length, 1)
      if (end === "closed") continue
      assert.match(wire.written, /0\r\n\r\n$/)
      assert.equal(wire.over, true)
    }
  })

  it("behind an answer that has ended is thrown away with the connection", () => {
    const { held, seen, send, wire } = duplex()
    send(chunked("1\r\na\r\n"))
    held.sink?.end()
    assert.equal(wire.over, true)
    send(`1\r\nb\r\n${get("/smuggled")}`)
    assert.deepEqual(seen, ["a"])
  })
})

describe("the server", () => {
  it("turns away connections beyond its number", () => {
    const serving = new Serving()
    const kept = [1, 2, 3].map(() => serving.connect())
    const { connection, wire } = serving.connect()
    assert.equal(connection, undefined)
    const [reply = assert.fail()] = replies(wire.written)
    assert.equal(reply.status, 503)
    assert.equal(reply.headers.get("retry-after"), "1")
    assert.equal(wire.over, true)
    const [{ connection: first } = assert.fail()] = kept
    if (first !== undefined) serving.server.closed(first)
    assert.notEqual(serving.connect().connection, undefined)
  })

  it("stops when what is under way is answered, and ends what is idle at once", async () => {
    const serving = new Serving({ take: () => {} })
    const idle = serving.connect()
    const busy = serving.connect()
    busy.send(post("x"))
    let stopped = false
    const end = serving.server.stop().then(() => {
      stopped = true
    })
    assert.equal(idle.wire.over, true)
    assert.equal(busy.wire.over, false)
    if (idle.connection !== undefined) serving.server.closed(idle.connection)
    serving.asked[0]?.respond(text(200, "done"))
    const [reply = assert.fail()] = replies(busy.wire.written)
    assert.equal(reply.headers.get("connection"), "close")
    assert.equal(busy.wire.over, true)
    await Promise.resolve()
    assert.equal(stopped, false)
    if (busy.connection !== undefined) serving.server.closed(busy.connection)
    await end
    assert.equal(replies(serving.connect().wire.written)[0]?.status, 503)
  })
})
