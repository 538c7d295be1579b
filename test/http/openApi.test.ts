import assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import { openApiFile } from "../../scripts/openapi.ts"
import { statusOf } from "../../src/http/Answer.ts"
import * as HttpHandler from "../../src/http/HttpHandler.ts"
import { document } from "../../src/http/openApi/document.ts"
import { PublishError, type PublishErrorReason } from "../../src/Receipt.ts"
import { undescribed } from "./conformity.ts"
import { type Answer, answerOf, idle, records, serving } from "./serving.ts"

const v3 = "/v3/clusters/c/topics/events/records"
const v2Json = { "content-type": "application/vnd.kafka.json.v2+json" }
const json = { "content-type": "application/json" }
const ndjson = { "content-type": "application/x-ndjson" }

const post = (headers: Readonly<Record<string, string>>, body: string) => ({ method: "POST", headers, body })
const publishes: ReadonlyArray<readonly [path: string, init: ReturnType<typeof post>]> = [
  [records, post({}, "1")],
  [records, post(ndjson, '{"value":1}\n{"value":2}')],
  ["/topics/events", post(v2Json, '{"records":[{"value":1},{"value":2}]}')],
  ["/topics/events/partitions/1", post(v2Json, '{"records":[{"value":1}]}')],
  [
    v3,
    post({ ...json, "content-length": "67" }, '{"value":{"type":"JSON","data":1},"key":{"type":"STRING","data":""}}')
  ]
]

const check = (answer: Answer, status: number, method: string, path: string) => {
  assert.equal(answer.status, status, `${path}: ${answer.text}`)
  assert.equal(undescribed(method, path, answer), undefined, `${path}: ${answer.text}`)
}

describe("the OpenAPI document", () => {
  it("in docs is up to date: bun scripts/openapi.ts", async () => {
    assert.deepEqual(JSON.parse(await readFile(openApiFile, "utf8")), JSON.parse(JSON.stringify(document)))
  })

  it("is served, to anybody", () =>
    serving({ token: "t" }, async ({ ask }) => {
      const answer = await ask("/openapi.json")
      check(answer, 200, "GET", "/openapi.json")
      assert.deepEqual(answer.body, JSON.parse(JSON.stringify(document)))
    }))

  it("describes what is answered when all goes well, and when records are only diverted", () =>
    serving({}, async ({ ask, kafka, spillway }) => {
      for (const [path, init] of publishes) check(await ask(path, init), path === records ? 201 : 200, "POST", path)
      for (const path of ["/healthz", "/readyz", "/metrics", "/v1/status"]) check(await ask(path), 200, "GET", path)
      kafka.always({ _tag: "Refuse" })
      for (const [path, init] of publishes) check(await ask(path, init), 202, "POST", path)
      const mixed: typeof publishes = [
        [records, post(ndjson, '{"value":1}\n{')],
        ["/topics/events", post(v2Json, '{"records":[{"value":1},{"value":2,"partition":99}]}')],
        [v3, post({ ...json, "content-length": "20" }, '{}{"partition_id":9}')]
      ]
      for (const [path, init] of mixed) check(await ask(path, init), 207, "POST", path)
      for (const path of ["/readyz", "/metrics", "/v1/status"]) check(await ask(path), 200, "GET", path)
      await Effect.runPromise(spillway.shutdown(1000))
      check(await ask("/readyz"), 503, "GET", "/readyz")
      check(await ask(records, { method: "POST", body: "1" }), 503, "POST", records)
    }))

  const reasons = Object.keys(statusOf).filter((reason): reason is PublishErrorReason =>
    [
      "InvalidRecord",
      "RecordTooLarge",
      "UnknownTopic",
      "NotAuthorized",
      "EncodingFailed",
      "Overloaded",
      "Closed",
      "FallbackUnavailable"
    ].includes(reason)
  )

  it("describes every way a record can fail, and a fault of the service", async () => {
    assert.equal(reasons.length, 8)
    for (const reason of [...reasons, undefined]) {
      const offer: HttpHandler.Options["spillway"]["offer"] = (_, callback) => {
        if (reason === undefined) throw new Error("a fault")
        callback(new PublishError({ reason, message: "why" }))
      }
      const http = { maxBodyBytes: 1000, requestTimeoutMs: 1000 }
      const handler = HttpHandler.make({ spillway: { ...idle, offer }, http })
      for (const [path, init] of publishes) {
        const answer = await answerOf(await handler.fetch(new Request(`http://localhost${path}`, init)))
        assert.ok(answer.status >= 207, path)
        assert.equal(undescribed("POST", path, answer), undefined, `${path}: ${answer.text}`)
      }
    }
  })
})
