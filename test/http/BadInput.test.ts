/**
 * Bad input over a real socket, to the runtime's own server: each request gets the right status and a body that says why,
 * nothing of it reaches Kafka, and the process goes on.
 */
import assert from "node:assert/strict"
import { connect } from "node:net"
import { after, before, describe, it } from "node:test"
import * as Redacted from "effect/Redacted"
import { defaultLimits } from "../../src/http/server/HttpServer.ts"
import { type Server, serve } from "../../src/runtime/serve.ts"
import { eventually } from "../support/eventually.ts"
import * as Native from "./bad/native.ts"
import { type Bad, maxBodyBytes, maxRecordBytes, records, v3 } from "./bad/parts.ts"
import * as RestProxy from "./bad/restProxy.ts"
import * as Routing from "./bad/routing.ts"
import { undescribed } from "./conformity.ts"
import { answerOf, type Serving, serving } from "./serving.ts"

const requests: ReadonlyArray<Bad> = [
  ...Routing.paths,
  ...Routing.authorization,
  ...Routing.unauthorised,
  ...Native.single,
  ...Native.many,
  ...Native.deep,
  ...RestProxy.restV2,
  ...RestProxy.restV3
]

const requestTimeoutMs = 3000
let open: { readonly serving: Serving; readonly server: Server } | undefined
let close = () => {}
let closed: Promise<void> | undefined

const opened = () => open ?? assert.fail("no server")
const authorization = "Bearer root"

before(async () => {
  const limited = {
    name: "limited",
    secret: Redacted.make("limited"),
    topics: ["orders", "orders.*"],
    operator: false,
    metrics: false
  }
  const options = {
    token: "root",
    maxBodyBytes,
    requestTimeoutMs,
    output: `max_record_bytes: ${maxRecordBytes}, batch_bytes: ${maxRecordBytes}`,
    http: { tokens: [limited], maxBatchRecords: 500 }
  }
  await new Promise<void>((resolve, reject) => {
    closed = serving(options, async serving => {
      const { handler } = serving
      const server = await serve({ hostname: "127.0.0.1", port: 0, handler, limits: defaultLimits })
      open = { serving, server }
      await new Promise<void>(end => {
        close = end
        resolve()
      })
      await server.kill()
    })
    closed.catch(reject)
  })
})

after(async () => {
  close()
  await closed
})

const ask = async ({ bare, body, headers, method = "POST", path = records }: Omit<Bad, "status" | "says">) => {
  const url = `http://127.0.0.1:${opened().server.port}${path}`
  const all = bare === true ? { ...headers } : { authorization, ...headers }
  return answerOf(await fetch(url, { method, headers: all, ...(body === undefined ? {} : { body }) }))
}

/** Sends text as it is and reads until the other side closes, or `enough` is there. */
const raw = (pieces: ReadonlyArray<string | "end">, enough: RegExp = /$^/): Promise<string> =>
  new Promise(resolve => {
    let text = ""
    const socket = connect(opened().server.port, "127.0.0.1", () => {
      for (const piece of pieces) {
        if (piece === "end") socket.end()
        else socket.write(piece, "latin1")
      }
    })
    const done = () => {
      socket.destroy()
      resolve(text)
    }
    socket.on("data", chunk => {
      text += chunk.toString("latin1")
      if (enough.test(text)) done()
    })
    socket.on("error", done)
    socket.on("close", done)
  })

const head = (...lines: ReadonlyArray<string>) =>
  [`POST ${records} HTTP/1.1`, "host: h", `authorization: ${authorization}`, ...lines, "", ""].join("\r\n")

describe("bad input", () => {
  it("is two hundred requests at least, each of its own", () => {
    assert.ok(requests.length >= 200, `${requests.length}`)
    assert.equal(new Set(requests.map(({ name }) => name)).size, requests.length)
  })

  it("gets the status it must, in words, as described, and reaches nobody", async () => {
    const { kafka, spillway } = opened().serving
    for (const request of requests) {
      const { method = "POST", name, path = records, says, status } = request
      const before = spillway.status().accounting
      const answer = await ask(request)
      assert.equal(answer.status, status, `${name}: ${answer.text.slice(0, 300)}`)
      assert.match(answer.text, says, name)
      assert.ok(answer.text.length < 5000, `${name}: ${answer.text.length} characters`)
      if (method !== "HEAD") assert.equal(undescribed(method, path, answer), undefined, name)
      const { accepted, delivered, failed, rejected } = spillway.status().accounting
      assert.equal(delivered, before.delivered + (name === "{}}, v3" ? 1 : 0), name)
      assert.equal(failed, before.failed, name)
      assert.equal(accepted - before.accepted, rejected - before.rejected + (name === "{}}, v3" ? 1 : 0), name)
    }
    assert.equal(kafka.stored().length, 1)
  })

  it("of values is no bad input: control characters, line breaks and depth come through as they are", async () => {
    const { kafka } = opened().serving
    const stored = kafka.stored().length
    const evil = "a\r\nset-cookie: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\u0000\u2028"
    const record = { id: evil, key: evil, headers: { [evil]: evil }, value: evil }
    const answer = await ask({
      name: "",
      headers: { "content-type": "application/json" },
      body: JSON.stringify([record])
    })
    assert.equal(answer.status, 201)
    assert.equal(answer.headers.get("set-cookie"), null)
    assert.match(answer.text, /"id":"a\\r\\nset-cookie/)
    const echoed = await ask({
      name: "",
      path: v3,
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ [evil]: 1 })
    })
    assert.equal(echoed.status, 422)
    assert.equal(echoed.headers.get("set-cookie"), null)
    const depth = 4000
    const value = `${"[".repeat(depth)}${"]".repeat(depth)}`
    const deep = await ask({
      name: "",
      headers: { "content-type": "application/x-ndjson" },
      body: `{"value":${value}}`
    })
    assert.equal(deep.status, 201)
    const texts = kafka
      .stored()
      .slice(stored)
      .map(({ value }) => new TextDecoder().decode(value ?? new Uint8Array()))
    assert.deepEqual(texts.sort(), [value, evil].sort())
  })

  it("that is cut off, or no HTTP at all, is no record", async () => {
    const { spillway } = opened().serving
    const before = spillway.status().accounting
    for (const pieces of [
      [head("content-length: 10"), "12345", "end"],
      [head("content-length: 10"), "end"],
      [head("transfer-encoding: chunked"), "5\r\n12345\r\n", "end"],
      [head("transfer-encoding: chunked"), "5\r\n123", "end"],
      [head("transfer-encoding: chunked"), "zz\r\n12345\r\n0\r\n\r\n", "end"],
      [head("content-length: x"), "12345", "end"],
      [head("content-length: -5"), "12345", "end"],
      ["nonsense\r\n\r\n", "end"],
      ["POST\r\n\r\n", "end"],
      [`POST ${records} HTTP/1.1\r\nhost: h\r\nauthoriz`, "end"],
      ["\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003", "end"]
    ]) {
      const answer = await raw(pieces)
      assert.doesNotMatch(answer, /^HTTP\/1\.1 2/, JSON.stringify(pieces))
    }
    await eventually("an account that balances", 5000, () => {
      const { accepted, failed, inMemory, rejected } = spillway.status().accounting
      return inMemory === 0 && accepted === before.accepted && failed === before.failed && rejected === before.rejected
        ? true
        : undefined
    })
  })

  it("that never comes ends with 503 and a word on when to try again", async () => {
    const answer = await raw([head("content-length: 10"), "12345"], /"message"/)
    assert.match(answer, /^HTTP\/1\.1 503 /)
    assert.match(answer, /retry-after: 1/i)
    assert.match(answer, /"outcome":"failed","reason":"Timeout"/)
  })

  it("leaves the process as it was", async () => {
    const { spillway } = opened().serving
    assert.equal((await ask({ name: "", body: "1" })).status, 201)
    assert.equal((await ask({ name: "", path: "/readyz", method: "GET" })).status, 200)
    const { accepted, delivered, failed, inMemory, rejected } = spillway.status().accounting
    assert.equal(accepted, delivered + rejected)
    assert.equal(failed + inMemory, 0)
  })
})
