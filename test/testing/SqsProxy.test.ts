import assert from "node:assert/strict"
import { createServer, type ServerResponse } from "node:http"
import { after, before, beforeEach, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Sqs from "../../src/FallbackQueue/Sqs.ts"
import type { QueueEntry, SendOutcome, Service } from "../../src/FallbackQueue.ts"
import { SqsProxy } from "../../src/testing/SqsProxy.ts"
import * as Fauxqs from "../support/Fauxqs.ts"

const requestTimeoutMs = 400

const entries = (...bodies: ReadonlyArray<string>): ReadonlyArray<QueueEntry> =>
  bodies.map(body => ({ body, attributes: { "spillway-topic": "orders" }, delaySeconds: 0 }))

const told = (outcomes: ReadonlyArray<SendOutcome>): ReadonlyArray<string> =>
  outcomes.map(outcome => (outcome._tag === "Stored" ? "Stored" : outcome.error.reason))

describe("SqsProxy in front of a queue", () => {
  let sqs: Fauxqs.Fauxqs
  let proxy: SqsProxy
  let queueNumber = 0
  let name = ""
  before(async () => {
    sqs = await Fauxqs.start({ persistent: false })
    proxy = await SqsProxy.start({ upstream: sqs.endpoint })
  })
  beforeEach(async () => {
    await proxy.set({ _tag: "Pass" })
    name = `proxied-${queueNumber++}`
    sqs.createQueue(name)
  })
  after(async () => {
    await proxy.stop()
    await sqs.stop()
  })

  const use = <A, E>(work: (queue: Service) => Effect.Effect<A, E>): Promise<A> => {
    const secret = { accessKeyId: "test", secretAccessKey: Redacted.make("test") }
    const client = {
      region: "us-east-1",
      endpoint: proxy.endpoint,
      requestTimeoutMs,
      connectionTimeoutMs: 400,
      ...secret
    }
    return Effect.runPromise(Effect.scoped(Effect.flatMap(Sqs.make({ queueId: name, client }), work)))
  }
  /** The queue's URL is known, so that the fault meets the call the test is about. */
  const known = <A, E>(work: (queue: Service) => Effect.Effect<A, E>) =>
    use(queue => Effect.flatMap(queue.limits, () => work(queue)))
  const fail = (fault: Parameters<SqsProxy["set"]>[0], ...operations: ReadonlyArray<string>) =>
    Effect.promise(() => proxy.set(fault, operations.length === 0 ? undefined : operations))
  const stored = () => (sqs.server().inspectQueue(name)?.messages.ready ?? []).map(({ body }) => body).sort()

  it("passes everything and tells what went through", async () => {
    const calls: Array<string> = []
    const forget = proxy.onCall(({ operation, status }) => calls.push(`${operation} ${status}`))
    await use(queue =>
      Effect.gen(function* () {
        assert.deepEqual(told(yield* queue.send(entries("a", "b"))), ["Stored", "Stored"])
        const messages = yield* queue.receive({ max: 10, waitSeconds: 0, visibilitySeconds: 30 })
        assert.deepEqual(messages.map(({ body }) => body).sort(), ["a", "b"])
        for (const { receiptHandle } of messages) yield* queue.delete(receiptHandle)
      })
    )
    forget()
    const deletes = ["DeleteMessage 200", "DeleteMessage 200"]
    assert.deepEqual(calls, ["GetQueueUrl 200", "SendMessageBatch 200", "ReceiveMessage 200", ...deletes])
    assert.deepEqual(stored(), [])
  })

  it("fails single entries of a batch, and stores the others", () =>
    known(queue =>
      Effect.gen(function* () {
        yield* fail({ _tag: "FailEntries", every: 2 })
        assert.deepEqual(told(yield* queue.send(entries("a", "b", "c"))), ["Stored", "Unavailable", "Stored"])
        // The fourth entry of all.
        assert.deepEqual(told(yield* queue.send(entries("b"))), ["Unavailable"])
        assert.deepEqual(stored(), ["a", "c"])
      })
    ))

  const refusals = [
    [{ _tag: "Throttle" }, "Throttled"],
    [{ _tag: "Deny" }, "AccessDenied"],
    [{ _tag: "ServerError" }, "Unavailable"]
  ] as const
  for (const [fault, reason] of refusals) {
    it(`${fault._tag}: nothing is stored, and the client reports ${reason}`, () =>
      known(queue =>
        Effect.gen(function* () {
          yield* fail(fault)
          const error = yield* Effect.flip(queue.send(entries("a")))
          assert.equal(error.reason, reason)
          assert.deepEqual(stored(), [])
          yield* fail({ _tag: "Pass" })
          assert.deepEqual(told(yield* queue.send(entries("a"))), ["Stored"])
        })
      ))
  }

  it("refuses connections, and serves again on the same port", () =>
    known(queue =>
      Effect.gen(function* () {
        yield* fail({ _tag: "Refuse" })
        // The first may meet a connection that was open.
        const first = yield* Effect.flip(queue.send(entries("a")))
        assert.ok(first.reason === "Unavailable" || first.reason === "Unknown", first.message)
        assert.equal((yield* Effect.flip(queue.send(entries("a")))).reason, "Unavailable")
        assert.deepEqual(stored(), [])
        yield* fail({ _tag: "Pass" })
        assert.deepEqual(told(yield* queue.send(entries("a"))), ["Stored"])
      })
    ))

  it("loses replies: stored, and the client cannot know", () =>
    known(queue =>
      Effect.gen(function* () {
        yield* fail({ _tag: "LoseReply" })
        assert.equal((yield* Effect.flip(queue.send(entries("a")))).reason, "Unknown")
        // Deno's HTTP client sends a request again by itself when a connection it used before is reset: stored twice.
        assert.deepEqual(Array.from(new Set(stored())), ["a"])
      })
    ))

  it("corrupts the checksum of what was stored", () =>
    known(queue =>
      Effect.gen(function* () {
        yield* fail({ _tag: "CorruptMd5" })
        assert.deepEqual(told(yield* queue.send(entries("a"))), ["Unknown"])
        assert.deepEqual(stored(), ["a"])
      })
    ))

  it("hangs: nothing is stored, and the client's own deadline ends the wait", () =>
    known(queue =>
      Effect.gen(function* () {
        yield* fail({ _tag: "Hang" })
        assert.equal((yield* Effect.flip(queue.send(entries("a")))).reason, "Unknown")
        assert.deepEqual(stored(), [])
      })
    ))

  it("concerns the named operations only", () =>
    known(queue =>
      Effect.gen(function* () {
        yield* fail({ _tag: "ServerError" }, "ReceiveMessage", "DeleteMessage")
        assert.deepEqual(told(yield* queue.send(entries("a"))), ["Stored"])
        const received = queue.receive({ max: 10, waitSeconds: 0, visibilitySeconds: 30 })
        assert.equal((yield* Effect.flip(received)).reason, "Unavailable")
      })
    ))
})

describe("SqsProxy in front of a slow server", () => {
  /** What the proxy makes of an operation whose client leaves before the server has answered. */
  const abandoned = async (operation: string) => {
    let arrived: (response: ServerResponse) => void = () => {}
    const atServer = new Promise<ServerResponse>(resolve => {
      arrived = resolve
    })
    const server = createServer((request, response) => {
      request.resume().once("end", () => arrived(response))
    })
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port")
    const proxy = await SqsProxy.start({ upstream: `http://127.0.0.1:${address.port}` })
    try {
      const told = new Promise<string>(resolve => proxy.onCall(call => resolve(call.operation)))
      const client = new AbortController()
      const headers = { "x-amz-target": `AmazonSQS.${operation}` }
      const gaveUp = fetch(proxy.endpoint, { method: "POST", headers, body: "{}", signal: client.signal }).catch(
        () => {}
      )
      const response = await atServer
      const closed = new Promise<"closed">(resolve => response.once("close", () => resolve("closed")))
      client.abort()
      await gaveUp
      if (operation === "ReceiveMessage") return await closed
      // Long enough for the proxy to hear that its client has left.
      await Promise.race([closed, new Promise(resolve => setTimeout(resolve, 200))])
      response.end("{}")
      return await Promise.race([told, closed.then(() => told)])
    } finally {
      await proxy.stop()
      server.closeAllConnections()
      server.close()
    }
  }

  it("tells of a call whose client has left: it happened all the same", { timeout: 10_000 }, async () => {
    assert.equal(await abandoned("DeleteMessage"), "DeleteMessage")
  })

  it("gives up a long poll that its client gave up: nothing must be received for nobody", {
    timeout: 10_000
  }, async () => {
    assert.equal(await abandoned("ReceiveMessage"), "closed")
  })
})
