import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { describe, it } from "node:test"
import fc from "fast-check"
import type { Sink } from "../../../src/http/Answer.ts"
import type { Receiver, Respond } from "../../../src/http/Exchange.ts"
import type { RequestHead } from "../../../src/http/RequestHead.ts"
import { Connection, type Owner } from "../../../src/http/server/Connection.ts"
import { limits, text, Wire } from "./wire.ts"

interface Asked {
  readonly path: string
  readonly respond: Respond
  body: string
  end: "whole" | "tooLarge" | "cutShort" | undefined
  answered: boolean
  sink: Sink | undefined
  starts: number
  stops: number
  free: (() => void) | undefined
}

/** A connection whose requests are answered when the test says so. `/p…`: read as it comes. */
class Site implements Owner {
  readonly asked: Array<Asked> = []
  readonly limits = limits
  readonly wire = new Wire()
  readonly connection: Connection
  held = 0
  time = 0
  ending = false
  slow = false

  constructor() {
    this.connection = new Connection(this, this.wire)
  }
  readonly now = () => this.time
  readonly stopping = () => this.ending
  readonly buffered = (change: number) => {
    this.held += change
    return this.held <= 3000
  }
  readonly open = ({ path }: RequestHead, respond: Respond): Receiver => {
    const asked: Asked = {
      path,
      respond,
      body: "",
      end: undefined,
      answered: false,
      sink: undefined,
      starts: 0,
      stops: 0,
      free: undefined
    }
    this.asked.push(asked)
    const end = (how: Asked["end"]) => {
      assert.equal(asked.end, undefined, "one end")
      asked.end = how
    }
    const piece = (bytes: Uint8Array) => {
      assert.equal(asked.end, undefined, "nothing behind its end")
      assert.equal(asked.free, undefined, "nothing while busy")
      asked.body += Buffer.from(bytes).toString("latin1")
      if (!this.slow) return undefined
      return new Promise<void>(resolve => {
        asked.free = () => {
          asked.free = undefined
          resolve()
        }
      })
    }
    return {
      maxBodyBytes: 2000,
      ...(path.startsWith("/p") ? { piece } : {}),
      take: body => {
        end("whole")
        asked.body += Buffer.from(body).toString("latin1")
      },
      tooLarge: () => end("tooLarge"),
      cutShort: () => end("cutShort")
    }
  }
}

interface Sent {
  readonly path: string
  readonly body: string
  readonly wire: string
}

const bodyOf = (size: number, name: string) => name.repeat(size).slice(0, size)

const request = fc
  .record({ how: fc.constantFrom("get", "length", "chunked", "piece"), size: fc.integer({ min: 1, max: 1500 }) })
  .map(({ how, size }) => ({ how, size }))

const sentOf = ({ how, size }: { readonly how: string; readonly size: number }, index: number): Sent => {
  const path = `/${how === "piece" ? "p" : "r"}${index}`
  const head = `POST ${path} HTTP/1.1\r\nHost: h\r\n`
  const body = how === "get" ? "" : bodyOf(size, `${index}abcdefgh`)
  if (how === "get") return { path, body, wire: `${head}\r\n` }
  if (how === "length") return { path, body, wire: `${head}Content-Length: ${size}\r\n\r\n${body}` }
  const parts = [body.slice(0, size >> 1), body.slice(size >> 1)].filter(part => part !== "")
  const chunks = parts.map(part => `${part.length.toString(16)}\r\n${part}\r\n`).join("")
  return { path, body, wire: `${head}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n` }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const), n: fc.integer({ min: 1, max: 900 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom("text", "stream", "write", "end", "free", "slow", "turn"),
      n: fc.integer({ min: 0, max: 40 })
    })
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("full", "drain"), n: fc.integer({ min: 0, max: 300 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("ended", "closed", "stop", "expire"),
      n: fc.integer({ min: 0, max: 6000 })
    })
  }
)

/** The answers in what was written; the last may be cut. How many there are that are whole. */
const heads = (written: string): number => {
  let count = 0
  for (let rest = written; rest !== ""; count++) {
    assert.match(rest, /^H(TTP\/1\.1 \d{3} |[TP/1. 0-9]{0,12}$)/, `no head: ${JSON.stringify(rest.slice(0, 80))}`)
    const end = rest.indexOf("\r\n\r\n")
    if (end < 0) return count
    const head = rest.slice(0, end).toLowerCase()
    rest = rest.slice(end + 4)
    const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1]
    if (length !== undefined) rest = rest.slice(Number(length))
    else {
      for (;;) {
        const line = rest.indexOf("\r\n")
        if (line < 0) return count + 1
        const size = Number.parseInt(rest.slice(0, line), 16)
        assert.ok(size >= 0, `no chunk: ${JSON.stringify(rest.slice(0, 40))}`)
        rest = rest.slice(line + 2 + size + 2)
        if (size === 0) break
      }
    }
  }
  return count
}

describe("whatever the order in which things happen", () => {
  it("requests, answers and memory are what they must be", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 4 }),
        fc.array(step, { maxLength: 60 }),
        async (wanted, steps) => {
          const sent = wanted.map(sentOf)
          const wire = sent.map(one => one.wire).join("")
          const site = new Site()
          const { asked, connection } = site
          let at = 0
          let closed = false
          let ended = false
          let forced = false
          let early = false
          const send = (n: number) => {
            if (ended || closed || site.wire.paused || at === wire.length) return
            connection.received(Buffer.from(wire.slice(at, at + n), "latin1"))
            at += n
          }
          const last = () => asked.at(-1)
          const drain = (room: number) => {
            site.wire.room = room
            if (!closed) connection.drained()
          }
          for (const one of steps) {
            const current = last()
            switch (one.do) {
              case "send":
                send(one.n)
                break
              case "text":
              case "stream": {
                if (current === undefined || current.answered) break
                current.answered = true
                if (current.end === undefined) early = true
                if (one.do === "text") current.respond(text(200, "x".repeat(one.n)))
                else {
                  const start = (sink: Sink) => {
                    current.starts++
                    current.sink = sink
                    return () => {
                      current.stops++
                    }
                  }
                  current.respond({ status: 200, headers: {}, body: { start } })
                }
                break
              }
              case "write":
                current?.sink?.write("y".repeat(one.n))
                break
              case "end":
                if (current?.sink !== undefined && current.end === undefined) early = true
                current?.sink?.end()
                break
              case "free":
                current?.free?.()
                break
              case "slow":
                site.slow = one.n > 10
                break
              case "turn":
                await new Promise(setImmediate)
                break
              case "full":
                site.wire.room = one.n
                break
              case "drain":
                drain(one.n)
                break
              case "ended":
                if (closed || ended || site.wire.paused) break
                ended = true
                connection.ended()
                break
              case "closed":
                if (closed) break
                closed = true
                connection.closed()
                break
              case "stop":
                site.ending = true
                connection.stop()
                break
              case "expire":
                site.time += one.n
                if (!closed) connection.expire()
                forced = true
                break
            }
          }
          // To the end of it, however it stands.
          for (let turn = 0; turn < 12 && !closed; turn++) {
            site.slow = false
            last()?.free?.()
            await new Promise(setImmediate)
            drain(Number.POSITIVE_INFINITY)
            send(wire.length)
            const current = last()
            if (current !== undefined && !current.answered && current.end !== undefined) {
              current.answered = true
              current.respond(text(200, "late"))
            }
            if (current?.end !== undefined) current.sink?.end()
          }
          const written = heads(site.wire.written)
          assert.ok(written <= asked.length + 1, `${written} heads for ${asked.length} requests`)
          asked.forEach((one, index) => {
            const expected = sent[index] ?? assert.fail("a request nobody sent")
            assert.equal(one.path, expected.path)
            assert.ok(expected.body.startsWith(one.body), "its own bytes")
            if (one.end === "whole") assert.equal(one.body, expected.body)
          })
          // All was sent, and nothing ended it before its time.
          if (at >= wire.length && !closed && !forced && !early && !site.wire.terminated && !site.ending) {
            for (const one of asked) assert.equal(one.end, "whole", `${one.path}: ${one.end}`)
            assert.equal(asked.length, sent.length)
          }
          if (!closed) connection.closed()
          for (const one of asked) one.free?.()
          await new Promise(setImmediate)
          assert.equal(site.held, 0, "memory")
          for (const one of asked) assert.equal(one.starts, one.stops, "streams")
        }
      ),
      { numRuns: 3000 }
    )
  })
})
