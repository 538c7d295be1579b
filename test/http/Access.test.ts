import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Redacted from "effect/Redacted"
import type { HttpConfig } from "../../src/AppConfig.ts"
import type { Answer } from "../../src/http/Answer.ts"
import * as HttpHandler from "../../src/http/HttpHandler.ts"
import type { RequestHead } from "../../src/http/RequestHead.ts"
import { idle, serving } from "./serving.ts"

const tokens: HttpConfig["tokens"] = [
  { name: "ads", secret: Redacted.make("ads-token"), topics: ["events", "ads.*"], operator: false, metrics: false },
  { name: "scraper", secret: Redacted.make("scrape"), topics: [], operator: false, metrics: true },
  { name: "ops", secret: Redacted.make("ops-token"), topics: [], operator: true, metrics: false }
]

const clients: HttpConfig["clients"] = [
  { name: "billing", subject: "billing.internal", topics: ["events"], operator: false, metrics: false },
  { name: "monitor", subject: "spiffe://example/monitor", topics: [], operator: false, metrics: true }
]

const path = (topic: string) => `/v1/topics/${topic}/records`
const v2 = { "content-type": "application/vnd.kafka.json.v2+json" }

describe("named tokens", () => {
  it("may publish to their topics, and read what they are allowed", () =>
    serving({ token: "root", http: { tokens } }, async ({ ask, kafka }) => {
      const status = async (token: string, at: string, body?: string) => {
        const headers = { authorization: `Bearer ${token}` }
        return (await ask(at, body === undefined ? { headers } : { headers, method: "POST", body })).status
      }
      assert.equal(await status("ads-token", path("events"), "1"), 201)
      // Allowed, so that what is wrong with it is said: nobody configured it.
      assert.equal(await status("ads-token", path("ads.clicks"), "1"), 404)
      for (const topic of ["ads", "event", "events2", "xads.clicks", "Events"]) {
        assert.equal(await status("ads-token", path(topic), "1"), 403, topic)
      }
      assert.equal(await status("ads-token", path("%65vents"), "1"), 201)
      assert.equal(await status("scrape", path("events"), "1"), 403)
      assert.equal(await status("root", path("events"), "1"), 201)
      const expected = {
        "ads-token": [403, 403],
        scrape: [200, 200],
        "ops-token": [403, 200],
        root: [200, 200],
        nobody: [401, 401]
      }
      for (const [token, [metrics, page]] of Object.entries(expected)) {
        assert.equal(await status(token, "/metrics"), metrics, token)
        assert.equal(await status(token, "/v1/status"), page, token)
      }
      assert.equal(kafka.stored().length, 3)
    }))

  it("may operate only where it is said", () =>
    serving({ http: { tokens } }, async ({ ask, spillway }) => {
      const force = (token: string) =>
        ask("/v1/breakers/default", {
          method: "POST",
          body: '{"state":"open"}',
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }
        })
      for (const token of ["ads-token", "scrape"]) assert.equal((await force(token)).status, 403, token)
      assert.equal((await force("nobody")).status, 401)
      assert.equal(spillway.status().connections[0]?.breaker.forced, undefined)
      assert.equal((await force("ops-token")).status, 200)
      assert.equal(spillway.status().connections[0]?.breaker.forced, "open")
    }))

  it("say why not, in the words of the API that is called", () =>
    serving({ http: { tokens } }, async ({ ask, spillway }) => {
      const headers = { authorization: "Bearer ads-token" }
      const native = await ask(path("secret"), { method: "POST", body: "1", headers })
      assert.equal(native.status, 403)
      assert.deepEqual(native.body, {
        outcome: "rejected",
        reason: "NotAuthorized",
        message: "publishing to topic secret is not allowed with this token or certificate"
      })
      const rest = { method: "POST", body: '{"records":[{"value":1}]}', headers: { ...v2, ...headers } }
      const denied = await ask("/topics/secret", rest)
      assert.equal(denied.status, 403)
      assert.match(denied.text, /^\{"error_code":40301,"message":"publishing to topic secret/)
      const unknown = await ask("/topics/events", { ...rest, headers: v2 })
      assert.equal(unknown.status, 401)
      assert.match(unknown.text, /^\{"error_code":40101,/)
      assert.match(unknown.headers.get("www-authenticate") ?? "", /^Bearer/)
      const v3 = await ask("/v3/clusters/c/topics/secret/records", rest)
      assert.equal(v3.status, 403)
      assert.equal(spillway.status().accounting.accepted, 0)
    }))

  it("are not taken from anywhere but the header, and not in part", () =>
    serving({ http: { tokens } }, async ({ ask }) => {
      for (const authorization of [
        "Bearer ads-toke",
        "Bearer ads-token2",
        "Bearer ads",
        "ads-token",
        "Basic ads-token"
      ]) {
        assert.equal((await ask("/metrics", { headers: { authorization } })).status, 401, authorization)
      }
      assert.equal((await ask("/metrics?token=scrape&access_token=scrape")).status, 401)
      assert.equal((await ask("/metrics", { headers: { cookie: "token=scrape" } })).status, 401)
    }))
})

describe("client certificates", () => {
  const ask = (at: string, clientNames: ReadonlyArray<string> | undefined, headers: Record<string, string> = {}) => {
    const handler = HttpHandler.make({
      spillway: { ...idle, offer: () => {} },
      http: { maxBodyBytes: 1000, requestTimeoutMs: 1000, clients, tokens }
    })
    const method = at.startsWith("/v1/topics") ? "POST" : "GET"
    const head: RequestHead = {
      method,
      path: at,
      query: "",
      header: name => headers[name] ?? null,
      headerNames: () => Object.keys(headers),
      clientNames
    }
    let answer: Answer | undefined
    const receiver = handler.open(head, given => {
      answer = given
    })
    receiver?.cutShort()
    assert.ok(answer)
    return receiver === undefined ? answer.status : "let in"
  }

  it("may do what is said of any of their names", () => {
    assert.equal(ask(path("events"), ["billing.internal"]), "let in")
    assert.equal(ask(path("events"), ["other", "billing.internal"]), "let in")
    assert.equal(ask(path("other"), ["billing.internal"]), 403)
    assert.equal(ask("/metrics", ["billing.internal"]), 403)
    assert.equal(ask("/metrics", ["spiffe://example/monitor"]), 200)
    assert.equal(ask(path("events"), ["billing.internal", "spiffe://example/monitor"]), "let in")
    assert.equal(ask("/metrics", ["billing.internal", "spiffe://example/monitor"]), 200)
  })

  it("that nobody named, or none at all, may do nothing", () => {
    for (const names of [undefined, [], ["billing"], ["BILLING.INTERNAL"], ["billing.internal.evil.example"]]) {
      assert.equal(ask(path("events"), names), 401)
    }
    assert.equal(ask("/healthz", undefined), 200)
  })

  it("do not make up for a token that is wrong, and are not needed with one that is right", () => {
    assert.equal(ask(path("events"), ["billing.internal"], { authorization: "Bearer wrong" }), 401)
    assert.equal(ask(path("events"), undefined, { authorization: "Bearer ads-token" }), "let in")
  })
})

describe("pages of other origins", () => {
  const origin = "https://app.example.com"
  const preflight = {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": "spillway-key"
  }

  it("are let in by exact name, after the browser has asked", () =>
    serving({ token: "t", http: { corsOrigins: [origin] } }, async ({ ask }) => {
      const allowed = await ask(path("events"), { method: "OPTIONS", headers: preflight })
      assert.equal(allowed.status, 204)
      assert.equal(allowed.headers.get("access-control-allow-origin"), origin)
      assert.match(allowed.headers.get("access-control-allow-methods") ?? "", /POST/)
      assert.equal(allowed.headers.get("access-control-allow-headers"), "spillway-key")
      const headers = { origin, authorization: "Bearer t" }
      for (const answer of [
        await ask(path("events"), { method: "POST", body: "1", headers }),
        await ask(path("events"), { method: "POST", body: "1", headers: { origin } }),
        await ask("/healthz", { headers })
      ]) {
        assert.equal(answer.headers.get("access-control-allow-origin"), origin)
        assert.equal(answer.headers.get("vary"), "origin")
      }
      for (const other of [
        `${origin}.evil.example`,
        "https://app.example.co",
        "http://app.example.com",
        "null",
        `${origin}/`
      ]) {
        const answer = await ask("/healthz", { headers: { origin: other } })
        assert.equal(answer.headers.get("access-control-allow-origin"), null, other)
        const asked = await ask(path("events"), { method: "OPTIONS", headers: { ...preflight, origin: other } })
        assert.equal(asked.status, 401, other)
      }
    }))

  it("are not, unless named", () =>
    serving({}, async ({ ask }) => {
      const asked = await ask(path("events"), { method: "OPTIONS", headers: preflight })
      assert.equal(asked.status, 405)
      assert.equal(asked.headers.get("access-control-allow-origin"), null)
      assert.equal((await ask("/healthz", { headers: { origin } })).headers.get("access-control-allow-origin"), null)
    }))
})

describe("pages of other sites", () => {
  const here = "127.0.0.1:8080"
  /** What a browser sends for a form or a `fetch` in mode `no-cors`, where no preflight is asked for. */
  const simple = (headers: Readonly<Record<string, string>>) => ({
    method: "POST",
    body: "1",
    headers: { "content-type": "text/plain", host: here, ...headers }
  })

  it("cannot publish to a service that asks for no token", () =>
    serving({ http: { host: "127.0.0.1", corsOrigins: ["https://good.example"] } }, async ({ ask, kafka }) => {
      const status = async (headers: Readonly<Record<string, string>>) =>
        (await ask(path("events"), simple(headers))).status
      assert.equal(await status({ origin: "https://evil.example" }), 403)
      assert.equal(await status({ origin: "null" }), 403)
      assert.equal(await status({ origin: "https://evil.example", "sec-fetch-site": "cross-site" }), 403)
      assert.equal(await status({ origin: "http://127.0.0.1:3000", "sec-fetch-site": "same-site" }), 403)
      assert.equal(await status({ origin: "http://evil.example:8080", host: "evil.example:8080" }), 403, "rebinding")
      assert.equal(await status({ origin: "https://evil.example", authorization: "Basic eDp5" }), 403)
      assert.equal(kafka.stored().length, 0)
      assert.equal(await status({}), 201)
      assert.equal(await status({ host: "proxied.example" }), 201)
      assert.equal(await status({ origin: `http://${here}`, "sec-fetch-site": "same-origin" }), 201)
      assert.equal(await status({ origin: `http://${here}` }), 201)
      assert.equal(await status({ origin: "https://good.example", "sec-fetch-site": "cross-site" }), 201)
    }))

  it("may with a token, which no browser adds by itself", () =>
    serving({ token: "root", http: { host: "0.0.0.0" } }, async ({ ask }) => {
      const headers = { origin: "https://any.example", authorization: "Bearer root" }
      assert.equal((await ask(path("events"), simple(headers))).status, 201)
    }))
})
