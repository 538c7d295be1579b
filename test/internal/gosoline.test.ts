import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { test } from "node:test"
import fc from "fast-check"
import { type Unmarshaller, unmarshal } from "../../src/internal/gosoline.ts"

const read = (kind: Unmarshaller, body: string) => {
  const result = unmarshal(kind, body, { topic: "orders" })
  if (result._tag === "Malformed") return result.reason
  return {
    topic: result.topic,
    key: result.key === undefined ? undefined : Buffer.from(result.key).toString(),
    value: Buffer.from(result.value).toString(),
    headers: result.headers.map(([name, value]) => [name, Buffer.from(value).toString()])
  }
}

const record = (rest: object) => ({ topic: "orders", key: undefined, value: "", headers: [], ...rest })

test("raw: the body is the value", () => {
  assert.deepEqual(read("raw", '{"a":1} ü'), record({ value: '{"a":1} ü' }))
})

test("msg: the key, the value, and attributes as headers without the retry's own notes", () => {
  const attributes = {
    KafkaKey: "user-1",
    encoding: "application/json",
    "goso.retry": "true",
    "goso.retry.id": "x",
    "goso.retry.sqs": true,
    sqsDelaySeconds: "60",
    sqsMessageId: "m",
    sqsReceiptHandle: "r",
    sqsApproximateReceiveCount: 3,
    trace: "t"
  }
  const expected = record({
    key: "user-1",
    value: '{"id":1}',
    headers: [
      ["encoding", "application/json"],
      ["trace", "t"]
    ]
  })
  assert.deepEqual(read("msg", JSON.stringify({ attributes, body: '{"id":1}' })), expected)
})

test("msg: scalar attributes become text as they were written", () => {
  const body = '{"attributes":{"n":12345678901234567890,"d":1.50,"b":false,"z":null,"__proto__":"p"},"body":""}'
  const headers = [
    ["n", "12345678901234567890"],
    ["d", "1.50"],
    ["b", "false"],
    ["z", ""],
    ["__proto__", "p"]
  ]
  assert.deepEqual(read("msg", body), record({ headers }))
})

test("msg: attributes may be missing or null; an empty key is a key", () => {
  assert.deepEqual(read("msg", '{"body":"x"}'), record({ value: "x" }))
  assert.deepEqual(read("msg", '{"attributes":null,"body":"x"}'), record({ value: "x" }))
  assert.deepEqual(read("msg", '{"attributes":{"KafkaKey":""},"body":"x"}'), record({ key: "", value: "x" }))
})

test("sns: the notification is unwrapped", () => {
  const Message = JSON.stringify({ attributes: { KafkaKey: "k" }, body: "v" })
  assert.deepEqual(read("sns", JSON.stringify({ Type: "Notification", Message })), record({ key: "k", value: "v" }))
})

test("msg_base64: the body member is the value's bytes", () => {
  const bytes = Uint8Array.of(0, 255, 1, 128, 7)
  const body = JSON.stringify({ attributes: {}, body: Buffer.from(bytes).toString("base64") })
  const result = unmarshal("msg_base64", body, { topic: "orders" })
  assert.equal(result._tag, "Record")
  if (result._tag === "Record") assert.deepEqual(Uint8Array.from(result.value), bytes)
})

test("what cannot be read says why", () => {
  const cases: ReadonlyArray<readonly [Unmarshaller, string, RegExp]> = [
    ["msg", "", /not valid JSON/],
    ["msg", "{", /not valid JSON/],
    ["msg", "[]", /not a JSON object/],
    ["msg", "7", /not a JSON object/],
    ["msg", "null", /not a JSON object/],
    ["msg", "{}", /body: expected a string, got nothing/],
    ["msg", '{"body":{}}', /body: expected a string, got an object/],
    ["msg", '{"body":1}', /body: expected a string, got a number/],
    ["msg", '{"body":"x","attributes":[]}', /attributes: expected an object, got an array/],
    ["msg", '{"body":"x","attributes":{"a":{}}}', /attributes\["a"\]: expected a scalar, got an object/],
    ["msg_base64", '{"body":"abc"}', /body: not valid base64/],
    ["msg_base64", '{"body":"ab c"}', /body: not valid base64/],
    ["msg_base64", '{"body":"====" }', /body: not valid base64/],
    ["sns", '{"Type":"SubscriptionConfirmation","Message":"x"}', /Type: expected "Notification"/],
    ["sns", '{"Type":"Notification"}', /Message: expected a string, got nothing/],
    ["sns", '{"Type":"Notification","Message":"x"}', /Message: not valid JSON/]
  ]
  for (const [kind, body, reason] of cases) assert.match(String(read(kind, body)), reason, body)
})

test("no text makes it throw", () => {
  const kinds = fc.constantFrom<Unmarshaller>("msg", "raw", "sns", "msg_base64")
  fc.assert(
    fc.property(kinds, fc.oneof(fc.string({ unit: "binary" }), fc.json()), (kind, body) => {
      const { _tag } = unmarshal(kind, body, { topic: "t" })
      assert.ok(_tag === "Record" || _tag === "Malformed")
    })
  )
})
