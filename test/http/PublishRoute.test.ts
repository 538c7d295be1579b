import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as HttpHandler from "../../src/http/HttpHandler.ts"
import { PublishError, type PublishErrorReason } from "../../src/Receipt.ts"
import { answerOf, idle, records, serving } from "./serving.ts"

const text = (bytes: Uint8Array | null) => (bytes === null ? null : new TextDecoder().decode(bytes))
const ndjson = { "content-type": "application/x-ndjson" }
const json = { "content-type": "application/json; charset=utf-8" }
const lines = (...texts: ReadonlyArray<string>) => texts.join("\n")

/** A handler whose records go to `offer`. */
const over = (offer: HttpHandler.Options["spillway"]["offer"], requestTimeoutMs: number) => {
  const http = { maxBodyBytes: 1000, requestTimeoutMs, token: undefined }
  return HttpHandler.make({
    spillway: { ...idle, offer },
    http
  })
}

const results = (body: unknown): ReadonlyArray<Readonly<Record<string, unknown>>> => {
  assert.ok(typeof body === "object" && body !== null && "results" in body && Array.isArray(body.results))
  return body.results
}

describe("one record", () => {
  it("is the body, described by headers", () =>
    serving({}, async ({ kafka, post }) => {
      const answer = await post('{"n":1}', {
        "spillway-key": "user-1",
        "spillway-id": "id-1",
        "spillway-partition": "2",
        "spillway-timestamp": "1700000000000",
        "spillway-header-trace": "abc",
        "spillway-header-Content-Type": "x"
      })
      assert.equal(answer.status, 201)
      assert.equal(answer.headers.get("content-type"), "application/json")
      assert.deepEqual(answer.body, { id: "id-1", outcome: "delivered", partition: 2, offset: "0" })
      const [stored] = kafka.stored()
      assert.ok(stored)
      assert.equal(text(stored.key), "user-1")
      assert.equal(text(stored.value), '{"n":1}')
      assert.equal(stored.partition, 2)
      assert.equal(Number(stored.timestamp), 1_700_000_000_000)
      const headers = new Map(stored.headers.map(([name, value]) => [name, text(value)]))
      assert.equal(headers.get("trace"), "abc")
      assert.equal(headers.get("content-type"), "x")
      assert.equal(headers.get("spillway-id"), "id-1")
    }))

  it("gets an id of its own, and may be JSON of any kind but an array", () =>
    serving({}, async ({ kafka, post }) => {
      const { body, status } = await post(' {"a": [1]}', json)
      assert.equal(status, 201)
      assert.ok(typeof body === "object" && body !== null && "id" in body)
      assert.match(String(body.id), /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      assert.equal(text(kafka.stored()[0]?.value ?? null), ' {"a": [1]}')
    }))

  it("keeps bytes of keys that are no ASCII", () =>
    serving({}, async ({ kafka, post }) => {
      // A header's characters stand for its bytes: these two are the UTF-8 of é.
      assert.equal((await post("1", { "spillway-key": "\u00c3\u00a9" })).status, 201)
      assert.equal((await post("2", { "spillway-key-base64": "/wA=" })).status, 201)
      const keys = kafka.stored().map(({ key, value }) => [text(value), [...(key ?? [])]])
      assert.deepEqual(
        new Map(keys.map(([value, key]) => [value, key])),
        new Map([
          ["1", [0xc3, 0xa9]],
          ["2", [0xff, 0]]
        ])
      )
    }))

  for (const [name, headers, message] of [
    ["spillway-partition", { "spillway-partition": "-1" }, /spillway-partition: expected a partition number, got "-1"/],
    ["spillway-partition", { "spillway-partition": "99" }, /partition/],
    ["spillway-timestamp", { "spillway-timestamp": "now" }, /spillway-timestamp: expected milliseconds/],
    ["spillway-key-base64", { "spillway-key-base64": "a?b" }, /spillway-key-base64: not base64/],
    ["two keys", { "spillway-key": "a", "spillway-key-base64": "YQ==" }, /key is given twice/],
    ["spillway-kee", { "spillway-kee": "a" }, /spillway-kee: no such header/]
  ] as const) {
    it(`is refused for ${name}`, () =>
      serving({}, async ({ kafka, post }) => {
        const answer = await post("1", headers)
        assert.equal(answer.status, 400)
        assert.match(answer.text, /"outcome":"rejected","reason":"InvalidRecord"/)
        assert.match(JSON.parse(answer.text).message, message)
        assert.equal(kafka.stored().length, 0)
      }))
  }

  it("that is refused keeps the id it was given", () =>
    serving({}, async ({ post }) => {
      const answer = await post("1", { "spillway-id": 'my "id"', "spillway-partition": "99" })
      assert.equal(answer.status, 400)
      assert.match(answer.text, /^\{"id":"my \\"id\\"","outcome":"rejected","reason":"InvalidRecord","message":"/)
    }))

  it("is diverted while Kafka is away: 202", () =>
    serving({}, async ({ kafka, parked, post }) => {
      kafka.always({ _tag: "Refuse" })
      const answer = await post("1", { "spillway-id": "kept" })
      assert.equal(answer.status, 202)
      assert.match(answer.text, /^\{"id":"kept","outcome":"diverted","partition":\d\}$/)
      assert.equal(parked().length, 1)
    }))

  it("is 404 for a topic nobody configured, and 413 when it is too large", () =>
    serving({ output: "max_record_bytes: 16KiB, batch_bytes: 16KiB" }, async ({ ask, post }) => {
      const unknown = await ask("/v1/topics/other/records", { method: "POST", body: "1" })
      assert.equal(unknown.status, 404)
      assert.match(unknown.text, /"reason":"UnknownTopic"/)
      const large = await post(JSON.stringify("x".repeat(20_000)))
      assert.equal(large.status, 413)
      assert.match(large.text, /"reason":"RecordTooLarge"/)
    }))
})

describe("many records", () => {
  it("each have their result, in order; a malformed line fails alone", () =>
    serving({}, async ({ kafka, post }) => {
      const body = lines(
        '{"id":"a","key":"k","value":{"n": 9007199254740993, "s": "x  y"}}',
        "",
        '{"id":"b","value":',
        '{"id":"c","value":"1","colour":"red"}',
        '{"id":"d","value":"2","partition":"0"}',
        '{"id":"e","valueBase64":"Mw==","keyBase64":"aw","headers":{"h":"v","n":null,"b":{"base64":"/w=="}}}\r',
        '{"id":"f","value":null,"headers":[["h","1"],["h","2"]],"timestamp":1700000000000,"partition":1}',
        '{"id":"g","value":"3","partition":99}',
        '{"id":"h"}',
        '["i"]'
      )
      const answer = await post(body, ndjson)
      assert.equal(answer.status, 207)
      const found = results(answer.body)
      assert.deepEqual(
        found.map(({ id, outcome, reason }) => [id, outcome, reason]),
        [
          ["a", "delivered", undefined],
          [undefined, "rejected", "InvalidRecord"],
          ["c", "rejected", "InvalidRecord"],
          ["d", "rejected", "InvalidRecord"],
          ["e", "delivered", undefined],
          ["f", "delivered", undefined],
          ["g", "rejected", "InvalidRecord"],
          ["h", "rejected", "InvalidRecord"],
          [undefined, "rejected", "InvalidRecord"]
        ]
      )
      const messages = found.map(({ message }) => String(message))
      assert.match(messages[1] ?? "", /^line 3: record: not JSON/)
      assert.match(messages[2] ?? "", /^line 4: colour: unknown member/)
      assert.match(messages[3] ?? "", /^line 5: partition: expected a number, got string$/)
      assert.match(messages[7] ?? "", /^line 9: value: missing/)
      assert.match(messages[8] ?? "", /^line 10: record: expected an object, got an array$/)
      const stored = new Map(
        kafka
          .stored()
          .map(record => [text(record.headers.find(([name]) => name === "spillway-id")?.[1] ?? null), record])
      )
      assert.equal(text(stored.get("a")?.value ?? null), '{"n":9007199254740993,"s":"x  y"}')
      assert.equal(text(stored.get("e")?.value ?? null), "3")
      assert.equal(text(stored.get("e")?.key ?? null), "k")
      assert.deepEqual(
        stored
          .get("e")
          ?.headers.slice(1, 4)
          .map(([name, value]) => [name, value && [...value]]),
        [
          ["h", [118]],
          ["n", null],
          ["b", [255]]
        ]
      )
      assert.equal(stored.get("f")?.value, null)
      assert.equal(stored.get("f")?.partition, 1)
      assert.equal(stored.get("f")?.headers.filter(([name]) => name === "h").length, 2)
    }))

  it("may be a JSON array", () =>
    serving({}, async ({ kafka, post }) => {
      const answer = await post(
        ' [ {"id":"a","value": [1, 2]} , {"id":"b","value":true}, {"id":"c","value":"\\"x\\""} ] ',
        json
      )
      assert.equal(answer.status, 201)
      assert.deepEqual(
        results(answer.body).map(({ id, outcome }) => [id, outcome]),
        [
          ["a", "delivered"],
          ["b", "delivered"],
          ["c", "delivered"]
        ]
      )
      assert.deepEqual(
        kafka
          .stored()
          .map(({ value }) => text(value))
          .sort(),
        ['"x"', "[1,2]", "true"]
      )
      const mixed = await post('[{"value":1},nonsense,{"value":2}]', json)
      assert.equal(mixed.status, 207)
      assert.deepEqual(
        results(mixed.body).map(({ outcome }) => outcome),
        ["delivered", "rejected", "delivered"]
      )
      for (const broken of ["[", "[1", "[1,", "[1] 2", "[1 2]", "[,]", '[{"value":"']) {
        const refused = await post(broken, json)
        assert.ok(refused.status === 400 || refused.status === 207, broken)
        assert.doesNotMatch(refused.text, /delivered/)
      }
    }))

  it("are 202 when some are only diverted, and 400 when there are none", () =>
    serving({}, async ({ kafka, post }) => {
      kafka.always({ _tag: "Refuse" })
      const answer = await post(lines('{"value":1}', '{"value":2}'), ndjson)
      assert.equal(answer.status, 202)
      assert.deepEqual(
        results(answer.body).map(({ outcome }) => outcome),
        ["diverted", "diverted"]
      )
      assert.equal((await post("\n\r\n", ndjson)).status, 400)
      assert.equal((await post("[]", json)).status, 400)
    }))

  it("that are not UTF-8 fail alone", () =>
    serving({}, async ({ post }) => {
      const body = new Uint8Array([
        ...new TextEncoder().encode('{"value":1}\n"'),
        0xff,
        ...new TextEncoder().encode('"\n{"value":2}')
      ])
      const answer = await post(body, ndjson)
      assert.equal(answer.status, 207)
      assert.deepEqual(
        results(answer.body).map(({ message, outcome }) => [outcome, message]),
        [
          ["delivered", undefined],
          ["rejected", "line 2: record: not UTF-8"],
          ["delivered", undefined]
        ]
      )
    }))
})

describe("a body", () => {
  const pieces = (count: number, bytes: number, pulled: { count: number }) =>
    new ReadableStream<Uint8Array>(
      {
        pull: controller => {
          if (pulled.count++ < count) controller.enqueue(new Uint8Array(bytes).fill(32))
          else controller.close()
        }
      },
      { highWaterMark: 0 }
    )
  const streamed = (body: ReadableStream<Uint8Array>, headers: Readonly<Record<string, string>> = {}) => ({
    method: "POST",
    body,
    headers,
    duplex: "half" as const
  })

  it("over the limit is 413, whatever its length claims to be", () =>
    serving({ maxBodyBytes: 1000 }, async ({ ask, post, spillway }) => {
      assert.equal((await post("x".repeat(1001), { "content-length": "1001" })).status, 413)
      assert.equal((await post("x".repeat(1001), { "content-length": "5" })).status, 413)
      const pulled = { count: 0 }
      const answer = await ask(records, streamed(pieces(1000, 100, pulled)))
      assert.equal(answer.status, 413)
      assert.match(answer.text, /"reason":"BodyTooLarge".*1000 bytes/)
      assert.ok(pulled.count < 20, `${pulled.count} pieces were read`)
      assert.equal(spillway.status().accounting.accepted, 0)
      const whole = await ask(
        records,
        streamed(pieces(5, 100, { count: 0 }), { "content-type": "application/x-ndjson" })
      )
      assert.match(whole.text, /no record in the body/)
    }))

  it("that breaks off is 400, one that is compressed 415", () =>
    serving({}, async ({ ask, post }) => {
      const broken = new ReadableStream<Uint8Array>({
        pull: controller => controller.error(new Error("connection reset"))
      })
      const answer = await ask(records, streamed(broken))
      assert.equal(answer.status, 400)
      assert.match(answer.text, /"reason":"BodyIncomplete"/)
      assert.equal((await post("1", { "content-encoding": "gzip" })).status, 415)
      assert.equal((await post("1", { "content-encoding": "identity" })).status, 201)
    }))

  it("that never comes, and a record that is never settled, end with the request's timeout", async () => {
    const { fetch } = over(() => {}, 40)
    const url = `http://localhost${records}`
    const silent = new Request(url, streamed(new ReadableStream()))
    const unsettled = new Request(url, { method: "POST", body: "1" })
    for (const answer of [await answerOf(await fetch(silent)), await answerOf(await fetch(unsettled))]) {
      assert.equal(answer.status, 503)
      assert.equal(answer.headers.get("retry-after"), "1")
      assert.match(answer.text, /"outcome":"failed","reason":"Timeout"/)
    }
  })
})

describe("every reason", () => {
  const statuses: Readonly<Record<PublishErrorReason, readonly [number, string, boolean]>> = {
    InvalidRecord: [400, "rejected", false],
    EncodingFailed: [400, "rejected", false],
    NotAuthorized: [403, "rejected", false],
    UnknownTopic: [404, "rejected", false],
    RecordTooLarge: [413, "rejected", false],
    Overloaded: [429, "failed", true],
    Closed: [503, "failed", true],
    FallbackUnavailable: [503, "failed", true]
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
    const [status, outcome, retry] = statuses[reason]
    it(`${reason} is ${status}, and 207 among many`, async () => {
      const { fetch } = over((_, callback) => callback(new PublishError({ reason, message: "why" })), 1000)
      const request = (headers: Readonly<Record<string, string>>, body: string) =>
        new Request(`http://localhost${records}`, { method: "POST", body, headers })
      const one = await answerOf(await fetch(request({ "spillway-id": "a" }, "1")))
      assert.equal(one.status, status)
      assert.deepEqual(one.body, { id: "a", outcome, reason, message: "why" })
      assert.equal(one.headers.get("retry-after") !== null, retry)
      const many = await answerOf(await fetch(request(ndjson, '{"id":"a","value":1}')))
      assert.equal(many.status, 207)
      assert.deepEqual(many.body, { results: [{ id: "a", outcome, reason, message: "why" }] })
      assert.equal(many.headers.get("retry-after") !== null, retry)
    })
  }
})
