import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as HttpHandler from "../../../src/http/HttpHandler.ts"
import { PublishError, type PublishErrorReason } from "../../../src/Receipt.ts"
import { answerOf, idle, type Serving, serving } from "../serving.ts"

const text = (bytes: Uint8Array | null | undefined) =>
  bytes === null || bytes === undefined ? bytes : new TextDecoder().decode(bytes)
const json = "application/vnd.kafka.json.v2+json"
const binary = "application/vnd.kafka.binary.v2+json"

const produce = ({ ask }: Serving, type: string, body: unknown, path = "/topics/events") =>
  ask(path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    headers: { "content-type": type, accept: "application/vnd.kafka.v2+json" }
  })

describe("produce, API v2", () => {
  it("takes records in base64, as in the reference's first example", () =>
    serving({}, async serving => {
      const answer = await produce(serving, binary, {
        records: [{ key: "a2V5", value: "Y29uZmx1ZW50" }, { value: "a2Fma2E=", partition: 1 }, { value: "bG9ncw==" }]
      })
      assert.equal(answer.status, 200)
      assert.equal(answer.headers.get("content-type"), "application/vnd.kafka.v2+json")
      const { body } = answer
      assert.ok(typeof body === "object" && body !== null && "offsets" in body && Array.isArray(body.offsets))
      assert.deepEqual(Object.keys(body), ["key_schema_id", "value_schema_id", "offsets"])
      assert.equal(body.offsets.length, 3)
      const { offset, ...rest } = body.offsets[1]
      assert.deepEqual(rest, { partition: 1, error_code: null, error: null })
      assert.equal(typeof offset, "number")
      const stored = serving.kafka.stored()
      assert.deepEqual(stored.map(({ value }) => text(value)).sort(), ["confluent", "kafka", "logs"])
      assert.equal(text(stored.find(({ value }) => text(value) === "confluent")?.key), "key")
    }))

  it("takes records as JSON, and stores each as its own text", () =>
    serving({}, async serving => {
      const answer = await produce(
        serving,
        `${json}; charset=utf-8`,
        `{"records": [
          {"key": "k", "value": {"n": 9007199254740993, "s" : "a  b"}},
          {"key": {"id": 1}, "value": "text"},
          {"value": null, "key": null, "partition": null},
          {"value": [1.0, true]}
        ]}`
      )
      assert.equal(answer.status, 200)
      const stored = serving.kafka.stored().map(({ key, value }) => `${text(key)} ${text(value)}`)
      assert.deepEqual(stored.sort(), [
        '"k" {"n":9007199254740993,"s":"a  b"}',
        "null [1.0,true]",
        "null null",
        '{"id":1} "text"'
      ])
    }))

  it("takes a partition from the path", () =>
    serving({}, async serving => {
      const answer = await produce(
        serving,
        json,
        { records: [{ value: 1 }, { value: 2 }] },
        "/topics/events/partitions/2"
      )
      assert.equal(answer.status, 200)
      assert.deepEqual(
        serving.kafka.stored().map(({ partition }) => partition),
        [2, 2]
      )
      const path = "/topics/events/partitions/"
      for (const id of ["9", "99999", "x", "-1", "1.5", "99999999999999999999"]) {
        const missing = await produce(serving, json, { records: [{ value: 1 }] }, `${path}${id}`)
        assert.equal(missing.status, 404, id)
        assert.match(missing.text, /"error_code":40402,/, id)
      }
      const both = await produce(serving, json, { records: [{ value: 1, partition: 1 }] }, `${path}2`)
      assert.equal(both.status, 422)
    }))

  it("names records by the request's id, so that it can be sent again", () =>
    serving({}, async ({ ask, kafka }) => {
      const body = '{"records":[{"value":1},{"value":2}]}'
      const answer = await ask("/topics/events", {
        method: "POST",
        body,
        headers: { "content-type": json, "idempotency-key": '"order-7"' }
      })
      assert.equal(answer.status, 200)
      const ids = kafka.stored().map(({ headers }) => text(headers.find(([name]) => name === "spillway-id")?.[1]))
      assert.deepEqual(ids.sort(), ["order-7", "order-7-1"])
    }))

  it("is 202 with a partition and no offset for what is only diverted", () =>
    serving({}, async serving => {
      serving.kafka.always({ _tag: "Refuse" })
      const answer = await produce(serving, json, { records: [{ value: 1, partition: 2 }] })
      assert.equal(answer.status, 202)
      assert.equal(
        answer.text,
        '{"key_schema_id":null,"value_schema_id":null,"offsets":[{"partition":2,"offset":null,"error_code":null,"error":null}]}'
      )
      assert.equal(serving.parked().length, 1)
    }))

  it("never answers a failure with 200", () =>
    serving({}, async serving => {
      const unknown = await produce(serving, json, { records: [{ value: 1 }, { value: 2 }] }, "/topics/nowhere")
      assert.equal(unknown.status, 404)
      assert.match(
        unknown.text,
        /^\{"error_code":40401,"message":.*"offsets":\[\{"partition":null,"offset":null,"error_code":40401,/
      )
      const mixed = await produce(serving, json, {
        records: [
          { value: 1, partition: 0 },
          { value: 2, partition: 77 }
        ]
      })
      assert.equal(mixed.status, 207)
      assert.match(
        mixed.text,
        /\{"partition":0,"offset":0,"error_code":null,"error":null\},\{"partition":null,"offset":null,"error_code":40402,/
      )
      assert.doesNotMatch(mixed.text, /^\{"error_code"/)
    }))

  it("with anything malformed in it comes to nothing as a whole", () =>
    serving({}, async serving => {
      for (const [type, body, status, code, message] of [
        [json, "{", 400, 400, /not JSON/],
        [json, "", 400, 400, /not JSON/],
        [json, "[]", 422, 42206, /expected an object with records, got an array/],
        [json, "{}", 422, 42206, /records: expected an array, got nothing/],
        [json, '{"records":[]}', 422, 42206, /records: may not be empty/],
        [json, '{"records":{"value":1}}', 422, 42206, /records: expected an array, got an object/],
        [json, '{"records":[{"value":1},5]}', 422, 42206, /records\[1\]: expected an object, got a number/],
        [json, '{"records":[{"value":1},{}]}', 422, 42206, /records\[1\]\.value: missing/],
        [json, '{"records":[{"value":1,"colour":2}]}', 422, 42206, /records\[0\]\.colour: unknown member/],
        [json, '{"records":[{"value":1,"partition":"0"}]}', 422, 42206, /records\[0\]\.partition/],
        [json, '{"records":[{"value":1,"partition":-1}]}', 422, 42206, /records\[0\]\.partition/],
        [json, '{"records":[{"value":1}],"value_schema":"{}"}', 422, 42206, /value_schema: schemas are not supported/],
        [binary, '{"records":[{"value":"Y29uZmx1ZW50"},{"value":"?"}]}', 422, 42206, /records\[1\]\.value: not base64/],
        [binary, '{"records":[{"value":{"a":1}}]}', 422, 42206, /records\[0\]\.value: expected a string/],
        [binary, '{"records":[{"value":"YQ==","key":1}]}', 422, 42206, /records\[0\]\.key: expected a string/],
        ["application/vnd.kafka.avro.v2+json", '{"records":[{"value":1}]}', 415, 415, /content-type: expected/],
        ["application/vnd.kafka.protobuf.v2+json", '{"records":[{"value":1}]}', 415, 415, /content-type: expected/],
        ["application/vnd.kafka.jsonschema.v2+json", '{"records":[{"value":1}]}', 415, 415, /content-type: expected/],
        ["application/json", '{"records":[{"value":1}]}', 415, 415, /content-type: expected/]
      ] as const) {
        const answer = await produce(serving, type, body)
        assert.equal(answer.status, status, body)
        const { error_code, message: said } = JSON.parse(answer.text)
        assert.equal(error_code, code, body)
        assert.match(said, message, body)
      }
      assert.equal(serving.spillway.status().accounting.accepted, 0)
    }))

  it("is bounded", () =>
    serving({ http: { maxBatchRecords: 2 }, maxBodyBytes: 200 }, async serving => {
      const many = await produce(serving, json, { records: [{ value: 1 }, { value: 2 }, { value: 3 }] })
      assert.equal(many.status, 413)
      assert.match(many.text, /^\{"error_code":413,"message":"more than 2 records/)
      const large = await produce(serving, json, { records: [{ value: "x".repeat(200) }] })
      assert.equal(large.status, 413)
      assert.equal(serving.spillway.status().accounting.accepted, 0)
    }))
})

describe("every reason, API v2", () => {
  const expected: Readonly<Record<PublishErrorReason, readonly [status: number, code: number, retry: boolean]>> = {
    InvalidRecord: [422, 42206, false],
    EncodingFailed: [422, 42207, false],
    NotAuthorized: [403, 40301, false],
    UnknownTopic: [404, 40401, false],
    RecordTooLarge: [413, 413, false],
    Overloaded: [429, 429, true],
    Closed: [503, 50003, true],
    FallbackUnavailable: [503, 50003, true]
  }
  const reasons: ReadonlyArray<PublishErrorReason> = [
    "InvalidRecord",
    "EncodingFailed",
    "NotAuthorized",
    "UnknownTopic",
    "RecordTooLarge",
    "Overloaded",
    "Closed",
    "FallbackUnavailable"
  ]
  for (const reason of reasons) {
    const [status, code, retry] = expected[reason]
    it(`${reason} is ${status} with ${code}`, async () => {
      const handler = HttpHandler.make({
        spillway: { ...idle, offer: (_, callback) => callback(new PublishError({ reason, message: "why" })) },
        http: { maxBodyBytes: 1000, requestTimeoutMs: 1000 }
      })
      const request = new Request("http://localhost/topics/events", {
        method: "POST",
        body: '{"records":[{"value":1},{"value":2}]}',
        headers: { "content-type": json }
      })
      const answer = await answerOf(await handler.fetch(request))
      assert.equal(answer.status, status)
      const offset = { partition: null, offset: null, error_code: code, error: "why" }
      assert.deepEqual(answer.body, {
        error_code: code,
        message: "why",
        key_schema_id: null,
        value_schema_id: null,
        offsets: [offset, offset]
      })
      assert.equal(answer.headers.get("retry-after") !== null, retry)
    })
  }
})
