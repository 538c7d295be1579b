import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { serving } from "./serving.ts"

const path = "/v1/breakers/default"
const asked = (state: unknown, headers: Readonly<Record<string, string>> = {}) => ({
  method: "POST",
  body: JSON.stringify({ state }),
  headers: { authorization: "Bearer s3cret", "content-type": "application/json", ...headers }
})
const s3cret = { token: "s3cret" }

describe("POST /v1/breakers/{connection}", () => {
  it("forces the breaker open and closed, and gives control back", () =>
    serving(s3cret, async ({ ask, post, queue, spillway }) => {
      const open = await ask(path, asked("open"))
      assert.equal(open.status, 200)
      assert.match(
        open.text,
        /^\{"connection":"default","breaker":\{"state":"open","reason":"forced open by an operator"/
      )
      const authorization = { authorization: "Bearer s3cret" }
      assert.equal((await post("1", authorization)).status, 202)
      assert.equal(queue.name, "parked")
      assert.equal((await ask(path, asked("auto", { "content-type": "Application/JSON ; charset=utf-8" }))).status, 200)
      assert.equal(spillway.status().connections[0]?.breaker.forced, undefined)
      assert.equal((await post("1", authorization)).status, 201)
      assert.equal((await ask(path, asked("closed"))).status, 200)
      assert.equal(spillway.status().connections[0]?.breaker.forced, "closed")
    }))

  it("is refused without a configured token, whatever is shown", () =>
    serving({}, async ({ ask, spillway }) => {
      const { body, status } = await ask(path, asked("open"))
      assert.equal(status, 403)
      assert.deepEqual(body, {
        outcome: "rejected",
        reason: "NotAuthorized",
        message:
          "the service has no token, so that any web page open on this host could ask for this as well: set http.token (or SPILLWAY_HTTP__TOKEN), restart it, and show the token"
      })
      assert.equal(spillway.status().connections[0]?.breaker.forced, undefined)
    }))

  it("is refused with the wrong token", () =>
    serving(s3cret, async ({ ask, spillway }) => {
      assert.equal((await ask(path, asked("open", { authorization: "Bearer other" }))).status, 401)
      assert.equal(spillway.status().connections[0]?.breaker.forced, undefined)
    }))

  it("takes no content type that a web page's form can send", () =>
    serving(s3cret, async ({ ask, spillway }) => {
      for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json5", ""]) {
        const { body, status } = await ask(path, asked("open", { "content-type": type }))
        assert.equal(status, 415, type)
        assert.deepEqual(body, {
          outcome: "rejected",
          reason: "UnsupportedMediaType",
          message: "the content type must be application/json"
        })
      }
      assert.equal(spillway.status().connections[0]?.breaker.forced, undefined)
    }))

  it("says what is wrong with a request", () =>
    serving(s3cret, async ({ ask, spillway }) => {
      const expected = "state: expected one of open, closed, auto"
      for (const [body, status, message] of [
        ["{", 400, "the body is not JSON"],
        ["null", 400, expected],
        ["[]", 400, expected],
        ["{}", 400, expected],
        ['{"state":"toString"}', 400, expected],
        ['{"state":"half-open"}', 400, expected],
        ['{"state":"open","for":"1h"}', 400, "for: unknown member; there is state"],
        [" ".repeat(5000), 413, "the body is larger than 4096 bytes"]
      ] as const) {
        const answer = await ask(path, { ...asked("open"), body })
        assert.equal(answer.status, status, body)
        assert.match(answer.text, new RegExp(message.replaceAll(/[{}]/g, ".")))
      }
      const other = await ask("/v1/breakers/else%20where", asked("open"))
      assert.equal(other.status, 404)
      assert.match(other.text, /no connection is named else where; there is default/)
      assert.equal((await ask("/v1/breakers/%ff", asked("open"))).status, 400)
      const get = await ask(path, { headers: { authorization: "Bearer s3cret" } })
      assert.equal(get.status, 405)
      assert.equal(get.headers.get("allow"), "POST")
      assert.equal((await ask("/v1/breakers/a/b", asked("open"))).status, 404)
      assert.equal(spillway.status().connections[0]?.breaker.forced, undefined)
    }))
})
