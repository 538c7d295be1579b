import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as HttpHandler from "../../src/http/HttpHandler.ts"
import { eventually } from "../support/eventually.ts"
import { records, serving } from "./serving.ts"

describe("routes", () => {
  it("knows its paths, and says what is possible where", () =>
    serving({}, async ({ ask }) => {
      assert.equal((await ask("/healthz")).status, 200)
      assert.equal((await ask("/healthz?verbose=1")).status, 200)
      for (const path of [
        "/dashboard/",
        "/v1",
        "/v1/topics//records",
        "/v1/topics/a/b/records",
        "/v1/topics/events",
        "/toString"
      ]) {
        const { body, status } = await ask(path)
        assert.equal(status, 404, path)
        assert.deepEqual(body, { outcome: "rejected", reason: "NotFound", message: `nothing is at ${path}` })
      }
      const get = await ask(records)
      assert.equal(get.status, 405)
      assert.equal(get.headers.get("allow"), "POST")
      const put = await ask("/metrics", { method: "PUT", body: "x" })
      assert.equal(put.status, 405)
      assert.equal(put.headers.get("allow"), "GET, HEAD")
      assert.equal((await ask("/v1/topics/%ff/records", { method: "POST", body: "1" })).status, 400)
    }))

  it("shows metrics and status", () =>
    serving({}, async ({ ask, post }) => {
      assert.equal((await post('{"a":1}')).status, 201)
      const metrics = await ask("/metrics")
      assert.equal(metrics.status, 200)
      assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
      assert.match(metrics.text, /^spillway_accepted_records_total 1$/m)
      assert.match(metrics.text, /^spillway_settled_records_total\{outcome="delivered"\} 1$/m)
      const status = await ask("/v1/status")
      assert.equal(status.status, 200)
      assert.match(status.text, /"accounting":\{"accepted":1,"delivered":1,/)
    }))

  it("is ready while records are accepted, and says what is wrong", () =>
    serving({ unreachable: true }, async ({ ask, kafka, spillway }) => {
      const degraded = await eventually("an open breaker", 10_000, async () => {
        const answer = await ask("/readyz")
        return /circuit breaker open/.test(answer.text) ? answer : undefined
      })
      assert.equal(degraded.status, 200)
      assert.match(degraded.text, /^\{"readiness":"degraded","reasons":\["Kafka connection default/)
      kafka.reachable(true)
      spillway.forceBreaker("default", "closed")
      const accepting = await eventually("known partitions", 10_000, async () => {
        const answer = await ask("/readyz")
        return /accepting/.test(answer.text) ? answer : undefined
      })
      assert.deepEqual(accepting.body, { readiness: "accepting", reasons: [] })
      await Effect.runPromise(spillway.shutdown(1000))
      const refusing = await ask("/readyz")
      assert.equal(refusing.status, 503)
      assert.deepEqual(refusing.body, { readiness: "refusing", reasons: ["shutting down"] })
    }))
})

describe("a token", () => {
  it("is asked for everywhere but at the probes", () =>
    serving({ token: "s3cret" }, async ({ ask }) => {
      assert.equal((await ask("/healthz")).status, 200)
      assert.equal((await ask("/readyz")).status, 200)
      for (const path of ["/metrics", "/v1/status", "/nowhere"]) assert.equal((await ask(path)).status, 401, path)
      for (const authorization of [
        "",
        "s3cret",
        "Bearer",
        "Bearer ",
        "Bearer s3cre",
        "Bearer s3cret2",
        "Basic s3cret"
      ]) {
        const answer = await ask(records, { method: "POST", body: "1", headers: { authorization } })
        assert.equal(answer.status, 401, authorization)
        assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer/)
        assert.ok(!answer.text.includes("s3cret"))
      }
      const headers = { authorization: "bearer s3cret" }
      assert.equal((await ask(records, { method: "POST", body: "1", headers })).status, 201)
      const status = await ask("/v1/status", { headers })
      assert.equal(status.status, 200)
      assert.ok(!status.text.includes("s3cret"))
    }))
})

describe("shutting down", () => {
  it("refuses new publishes, and answers those under way", () =>
    serving({}, async ({ handler, kafka, post, spillway }) => {
      let release = () => {}
      const until = Effect.async<void>(resume => {
        release = () => resume(Effect.void)
      })
      kafka.script({ _tag: "Await", until })
      const open = post('"under way"')
      await eventually("the Produce request", 5000, () => (kafka.calls.produce > 0 ? true : undefined))
      handler.refuse(Date.now() + 4500)
      const refused = await post('"late"')
      assert.equal(refused.status, 503)
      assert.equal(refused.headers.get("retry-after"), "5")
      assert.deepEqual(refused.body, { outcome: "failed", reason: "Closed", message: "shutting down" })
      release()
      assert.equal((await open).status, 201)
      assert.equal(spillway.status().accounting.accepted, 1)
    }))
})

it("never shows what went wrong inside", async () => {
  const spillway = {
    offer: () => {
      throw new Error("inner secret")
    },
    status: () => {
      throw new Error("inner secret")
    },
    forceBreaker: () => false,
    onBreakerChange: () => {}
  }
  const http = { maxBodyBytes: 1024, requestTimeoutMs: 1000, token: undefined }
  const handler = HttpHandler.make({ spillway, http })
  for (const request of [
    new Request("http://localhost/v1/status"),
    new Request(`http://localhost${records}`, { method: "POST", body: "1" })
  ]) {
    const response = await handler.fetch(request)
    assert.equal(response.status, 500)
    assert.deepEqual(await response.json(), {
      outcome: "failed",
      reason: "Internal",
      message: "the request could not be handled"
    })
  }
})
