import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as DeadLetters from "../../src/DeadLetters.ts"
import { FallbackQueueError } from "../../src/FallbackQueue.ts"
import * as HttpHandler from "../../src/http/HttpHandler.ts"
import { answerOf } from "./serving.ts"

const at = Date.parse("2026-11-26T03:00:00Z")

const record: DeadLetters.DeadRecord = {
  _tag: "Record",
  topic: "orders",
  partition: 2,
  id: "id-1",
  key: new TextEncoder().encode("c-1"),
  value: new TextEncoder().encode("{}"),
  headers: [],
  timestamp: at,
  attempts: 3,
  firstFailureAt: at,
  lastError: "Permanent:MESSAGE_TOO_LARGE",
  origin: "host",
  traceParent: "",
  claim: "",
  messageId: "m-1",
  receives: 1,
  reason: "MESSAGE_TOO_LARGE",
  errorClass: "Permanent",
  error: "too large",
  deadSince: at
}

const summary: DeadLetters.Summary = {
  queue: "orders-dead",
  seen: 1,
  messages: 1,
  records: 1,
  unreadable: 0,
  groups: [
    {
      topic: "orders",
      reason: "MESSAGE_TOO_LARGE",
      messages: 1,
      records: 1,
      oldest: at,
      newest: at,
      error: "too large"
    }
  ],
  complete: true,
  depth: { visible: 1, inFlight: 0, delayed: 0 },
  expiresAt: at,
  maxReceiveCount: undefined,
  receives: 1
}

const redriven: DeadLetters.Redriven = {
  seen: 1,
  messages: 1,
  records: 1,
  kept: 0,
  twice: 0,
  failed: 0,
  unreadable: 0,
  withheld: 0,
  splitKeys: 0,
  complete: true,
  fault: ""
}

const away = new FallbackQueueError({
  reason: "Unavailable",
  queue: "orders-dead",
  operation: "ReceiveMessage",
  message: "connection refused",
  retryable: true
})

/** A service that notes what it is asked. */
const make = (over: Partial<DeadLetters.Service> = {}) => {
  const asked: Array<unknown> = []
  const service: DeadLetters.Service = {
    queue: "orders-dead",
    list: options => Effect.sync(() => void asked.push(options.filter)).pipe(Effect.as(summary)),
    peek: options =>
      Effect.sync(() => void asked.push(options)).pipe(Effect.as({ items: [record], seen: 1, complete: true })),
    redrive: options => Effect.sync(() => void asked.push(options)).pipe(Effect.as({ ...redriven })),
    purge: () => Effect.dieMessage("nobody may purge over HTTP"),
    ...over
  }
  return { asked, service }
}

const token = "secret"

const handlerOf = (
  services: Readonly<Record<string, DeadLetters.Service>>,
  given: string | undefined = token,
  requestTimeoutMs = 10_000
) => {
  const none = () => assert.fail("not asked for here")
  const handler = HttpHandler.make({
    spillway: { offer: none, status: none, forceBreaker: none, onBreakerChange: () => {} },
    http: { maxBodyBytes: 1000, requestTimeoutMs, token: given === "" ? undefined : Redacted.make(given) },
    deadLetters: { services: new Map(Object.entries(services)), run: work => void Effect.runFork(work) }
  })
  return async (
    path: string,
    init: { readonly body?: string; readonly headers?: Readonly<Record<string, string>> } = {}
  ) => {
    const method = init.body === undefined ? "GET" : "POST"
    const headers = {
      authorization: `Bearer ${token}`,
      ...(init.body === undefined ? {} : { "content-type": "application/json" }),
      ...init.headers
    }
    const body = init.body === undefined ? {} : { body: init.body }
    return answerOf(await handler.fetch(new Request(`http://localhost${path}`, { method, headers, ...body })))
  }
}

describe("GET /v1/dead-letters", () => {
  it("lists each producer's queue, and the fault of one that is away beside the others", async () => {
    const { asked, service } = make()
    const gone = { ...service, queue: "other-dead", list: () => Effect.fail(away) }
    const { body, headers, status } = await handlerOf({ orders: service, other: gone })(
      "/v1/dead-letters?reason=MAX_ATTEMPTS"
    )
    assert.equal(status, 200)
    assert.equal(headers.get("cache-control"), "no-store")
    const iso = "2026-11-26T03:00:00.000Z"
    const { queues } = Object(body)
    assert.equal(queues.length, 2)
    assert.deepEqual(queues[0].groups[0], { ...summary.groups[0], oldest: iso, newest: iso })
    assert.equal(queues[0].producer, "orders")
    assert.deepEqual(queues[1], { producer: "other", queue: "other-dead", fault: "Unavailable: connection refused" })
    assert.equal(Object(asked[0]).reason, "MAX_ATTEMPTS")
  })

  it("is given up, and its messages handed back, before the request's time is over", async () => {
    let interrupted = false
    const { service } = make({
      list: () =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            interrupted = true
          })
        )
    })
    const { body, status } = await handlerOf({ orders: service }, token, 60)("/v1/dead-letters")
    assert.equal(status, 503)
    assert.equal(Object(body).reason, "Timeout")
    assert.equal(interrupted, true)
  })

  it("is not for pages of other sites, nor without the token", async () => {
    const { asked, service } = make()
    const ask = handlerOf({ orders: service })
    assert.equal((await ask("/v1/dead-letters", { headers: { "sec-fetch-site": "cross-site" } })).status, 403)
    assert.equal((await ask("/v1/dead-letters", { headers: { authorization: "Bearer other" } })).status, 401)
    assert.deepEqual(asked, [])
    assert.equal((await ask("/v1/dead-letters", { headers: { "sec-fetch-site": "same-origin" } })).status, 200)
  })
})

describe("a fault of the service itself", () => {
  it("is answered", async () => {
    const { service } = make({
      list: () => Effect.die("boom"),
      peek: () => Effect.die("boom"),
      redrive: () => Effect.die("boom")
    })
    const ask = handlerOf({ orders: service })
    for (const [path, init] of [
      ["", {}],
      ["/peek", {}],
      ["/redrive", { body: "{}" }]
    ] as const) {
      const late = new Promise<undefined>(resolve => setTimeout(resolve, 1000))
      const answer = await Promise.race([ask(`/v1/dead-letters${path}`, init), late])
      assert.equal(answer?.status, 500, path)
    }
  })
})

describe("a key that is no base64", () => {
  it("is refused: what could be read of it is another key", async () => {
    const { asked, service } = make()
    const ask = handlerOf({ orders: service })
    for (const keyBase64 of ["%%%", "a2V5!", "a"]) {
      const { body, status } = await ask("/v1/dead-letters/redrive", { body: JSON.stringify({ keyBase64 }) })
      assert.equal(status, 400, keyBase64)
      assert.equal(Object(body).message, "keyBase64: not base64")
    }
    assert.deepEqual(asked, [])
  })
})

describe("without a configured token", () => {
  it("a name that a page's owner made to point here shows nothing, a loopback address does", async () => {
    const { asked, service } = make()
    const ask = handlerOf({ orders: service }, "")
    for (const path of ["/v1/dead-letters", "/v1/dead-letters/peek"]) {
      for (const host of ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example:80"]) {
        assert.equal((await ask(path, { headers: { host } })).status, 403, host)
      }
      assert.deepEqual(asked, [])
      for (const host of ["127.0.0.1:8080", "localhost", "[::1]:8080"]) {
        assert.equal((await ask(path, { headers: { host } })).status, 200, host)
      }
      asked.length = 0
    }
  })
})

describe("GET /v1/dead-letters/peek", () => {
  it("shows records decoded, as many as were asked for", async () => {
    const { asked, service } = make()
    const { body, status } = await handlerOf({ orders: service })("/v1/dead-letters/peek?topic=orders&key=c-1&limit=3")
    assert.equal(status, 200)
    const { items } = Object(body)
    assert.deepEqual(
      { key: items[0].key, value: items[0].value, id: items[0].id },
      { key: "c-1", value: "{}", id: "id-1" }
    )
    const { filter, maxRecords } = Object(asked[0])
    assert.equal(maxRecords, 3)
    assert.equal(filter.topic, "orders")
    assert.equal(new TextDecoder().decode(filter.key), "c-1")
  })

  it("says what it does not understand", async () => {
    const { asked, service } = make()
    const ask = handlerOf({ orders: service, other: service })
    for (const [query, status, why] of [
      ["producer=orders&limit=0", 400, /limit: expected a whole number from 1 to 100/],
      ["producer=orders&before=noon", 400, /before: expected a time/],
      ["producer=orders&key=a&keyBase64=YQ", 400, /give one of them/],
      ["producer=orders&colour=red", 400, /colour: unknown member/],
      ["", 404, /producer: name one of orders, other/],
      ["producer=nobody", 404, /no producer is named nobody/]
    ] as const) {
      const answer = await ask(`/v1/dead-letters/peek?${query}`)
      assert.equal(answer.status, status, query)
      assert.match(Object(answer.body).message, why)
    }
    assert.deepEqual(asked, [])
  })

  it("says that the queue is away", async () => {
    const { service } = make({ peek: () => Effect.fail(away) })
    const { body, status } = await handlerOf({ orders: service })("/v1/dead-letters/peek")
    assert.equal(status, 503)
    assert.match(Object(body).message, /connection refused/)
  })
})

describe("POST /v1/dead-letters/redrive", () => {
  it("redrives what is meant, at the pace asked for", async () => {
    const { asked, service } = make()
    const body = JSON.stringify({
      producer: "orders",
      reason: "MESSAGE_TOO_LARGE",
      after: "2026-11-26T03:00:00Z",
      maxRecords: 5,
      rate: 10
    })
    const answer = await handlerOf({ orders: service })("/v1/dead-letters/redrive", { body })
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.body, redriven)
    const { dryRun, filter, maxRecords, rate } = Object(asked[0])
    assert.deepEqual({ dryRun, maxRecords, rate }, { dryRun: false, maxRecords: 5, rate: 10 })
    assert.equal(filter.reason, "MESSAGE_TOO_LARGE")
    assert.equal(filter.after, at)
  })

  it("asks for a token that is configured and given, for JSON, and for a body that says something", async () => {
    const { asked, service } = make()
    const path = "/v1/dead-letters/redrive"
    const ask = handlerOf({ orders: service })
    assert.equal((await handlerOf({ orders: service }, "")(path, { body: "{}" })).status, 403)
    assert.equal((await ask(path, { body: "{}", headers: { authorization: "Bearer other" } })).status, 401)
    assert.equal((await ask(path, { body: "{}", headers: { "content-type": "text/plain" } })).status, 415)
    assert.equal((await ask(path)).status, 405)
    for (const body of ["", "[]", "null", '{"topic":1}', '{"dryRun":"yes"}', '{"maxRecords":0}', '{"all":true}']) {
      assert.equal((await ask(path, { body })).status, 400, body)
    }
    assert.equal((await ask(path, { body: "x".repeat(70_000) })).status, 413)
    assert.deepEqual(asked, [])
  })

  it("that takes too long goes on, and the caller is told", async () => {
    const late = Effect.runSync(Deferred.make<void>())
    const ended = Effect.runSync(Deferred.make<void>())
    const { service } = make({
      redrive: () =>
        Deferred.await(late).pipe(Effect.zipRight(Deferred.succeed(ended, undefined)), Effect.as({ ...redriven }))
    })
    const { body, status } = await handlerOf({ orders: service }, token, 40)("/v1/dead-letters/redrive", { body: "{}" })
    assert.equal(status, 503)
    assert.match(Object(body).message, /it goes on/)
    await Effect.runPromise(Effect.zipRight(Deferred.succeed(late, undefined), Deferred.await(ended)))
  })
})
