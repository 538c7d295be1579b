/**
 * Wrong requests to publish.
 */
import {
  allBut,
  type Bad,
  bytes,
  json,
  kinds,
  maxBodyBytes,
  maxRecordBytes,
  ndjson,
  nested,
  v2,
  v2Json,
  v3
} from "./parts.ts"

export const single: ReadonlyArray<Bad> = [
  ...["-1", "1.5", "x", " ", "1e3", "0x1", "99999999999999999", "3", "2147483648", "1,2", "+1", "NaN"].map(
    partition => ({
      name: `partition ${JSON.stringify(partition)}`,
      headers: { "spillway-partition": partition },
      body: "1",
      status: 400,
      says: /partition/
    })
  ),
  ...["-1", "now", "2026-01-01T00:00:00Z", "1.5", "99999999999999999", "253402300800000", "1,1"].map(timestamp => ({
    name: `timestamp ${timestamp}`,
    headers: { "spillway-timestamp": timestamp },
    body: "1",
    status: 400,
    says: /timestamp/
  })),
  ...["a?b", "====", "a", "YQ=", "YQ===", "a-b+", "YQ==YQ=="].map(key => ({
    name: `key ${key}`,
    headers: { "spillway-key-base64": key },
    body: "1",
    status: 400,
    says: /spillway-key-base64: not base64/
  })),
  ...["spillway-kee", "spillway-", "spillway-header", "spillway-topic"].map(name => ({
    name: `a header ${name}`,
    headers: { [name]: "x" },
    body: "1",
    status: 400,
    says: /no such header/
  })),
  {
    name: "two keys",
    headers: { "spillway-key": "a", "spillway-key-base64": "YQ==" },
    body: "1",
    status: 400,
    says: /given twice/
  },
  {
    name: "an id that is too long",
    headers: { "spillway-id": "x".repeat(257) },
    body: "1",
    status: 400,
    says: /256 characters/
  },
  { name: "an id that is empty", headers: { "spillway-id": "" }, body: "1", status: 400, says: /spillway-id: empty/ },
  {
    name: "a key of idempotency that is empty",
    headers: { "idempotency-key": '""' },
    body: "1",
    status: 400,
    says: /idempotency-key: empty/
  },
  {
    name: "an idempotency key too long",
    headers: { "idempotency-key": "x".repeat(257) },
    body: "1",
    status: 400,
    says: /256 characters/
  },
  { name: "a record that is too large", body: "x".repeat(maxRecordBytes + 1), status: 413, says: /"RecordTooLarge"/ },
  {
    name: "a key that makes it too large",
    headers: { "spillway-key": "k".repeat(6000) },
    body: "x".repeat(maxRecordBytes - 5000),
    status: 413,
    says: /"RecordTooLarge"/
  },
  { name: "a body that is too large", body: "x".repeat(maxBodyBytes + 1), status: 413, says: /"BodyTooLarge"/ },
  ...["gzip", "deflate", "br", "zstd", "gzip, identity", "x"].map(coding => ({
    name: `coding ${coding}`,
    headers: { "content-encoding": coding },
    body: "1",
    status: 415,
    says: /"UnsupportedMediaType"/
  }))
]

/** One malformed record among good ones fails alone: 207. */
const member = (name: string, record: string, says: RegExp): ReadonlyArray<Bad> => [
  { name: `${name}, in an array`, headers: json, body: `[${record}]`, status: 207, says },
  { name: `${name}, in a line`, headers: ndjson, body: record, status: 207, says }
]

export const many: ReadonlyArray<Bad> = [
  ...allBut("object").flatMap(([kind, text]) => member(`a record that is a ${kind}`, text, /expected an object/)),
  ...allBut("null", "string").flatMap(([kind, text]) =>
    member(`key ${kind}`, `{"value":1,"key":${text}}`, /key: expected a string or null/)
  ),
  ...Object.entries(kinds).flatMap(([kind, text]) =>
    member(`keyBase64 ${kind}`, `{"value":1,"keyBase64":${text}}`, /keyBase64: /)
  ),
  ...Object.entries(kinds).flatMap(([kind, text]) =>
    member(`valueBase64 ${kind}`, `{"valueBase64":${text}}`, /valueBase64: /)
  ),
  ...allBut("object").flatMap(([kind, text]) => member(`headers ${kind}`, `{"value":1,"headers":${text}}`, /headers/)),
  ...allBut("string", "null").flatMap(([kind, text]) =>
    member(`a header ${kind}`, `{"value":1,"headers":{"h":${text}}}`, /headers\.h/)
  ),
  ...allBut("string").flatMap(([kind, text]) =>
    member(`id ${kind}`, `{"value":1,"id":${text}}`, /id: expected a string/)
  ),
  ...allBut().flatMap(([kind, text]) =>
    member(`partition ${kind}`, `{"value":1,"partition":${text}}`, /partition: expected/)
  ),
  ...allBut().flatMap(([kind, text]) =>
    member(`timestamp ${kind}`, `{"value":1,"timestamp":${text}}`, /timestamp: expected/)
  ),
  ...member("no value", "{}", /value: missing/),
  ...member("two values", '{"value":1,"valueBase64":"YQ=="}', /value is there too/),
  ...member("an unknown member", '{"value":1,"topic":"other"}', /topic: unknown member/),
  ...member("a prototype", '{"value":1,"__proto__":{"id":"x"}}', /__proto__: unknown member/),
  ...member("an empty id", '{"value":1,"id":""}', /id: expected a string of 1/),
  ...member("a partition that is not there", '{"value":1,"partition":3}', /partition/),
  ...member("a record too large", `{"value":"${"x".repeat(maxRecordBytes)}"}`, /RecordTooLarge/),
  { name: "an unclosed text, in an array", headers: json, body: '[{"value":"a}]', status: 400, says: /is none/ },
  { name: "an unclosed text, in a line", headers: ndjson, body: '{"value":"a}', status: 207, says: /not JSON/ },
  ...member("single quotes", "{'value':1}", /not JSON/),
  ...member("a trailing comma", '{"value":1,}', /not JSON/),
  ...member("NaN", '{"value":NaN}', /not JSON/),
  ...member("a lone backslash", '{"value":"\\x"}', /not JSON/),
  { name: "not UTF-8, in an array", headers: json, body: bytes(91, 34, 0xff, 34, 93), status: 400, says: /not UTF-8/ },
  { name: "not UTF-8, in a line", headers: ndjson, body: bytes(34, 0xff, 34), status: 207, says: /not UTF-8/ },
  { name: "UTF-16", headers: ndjson, body: bytes(0xff, 0xfe, 0x7b, 0, 0x7d, 0), status: 207, says: /not UTF-8/ },
  { name: "an empty array", headers: json, body: "[]", status: 400, says: /no record/ },
  { name: "no lines", headers: ndjson, body: " \r\n\n", status: 400, says: /no record/ },
  { name: "an array that is cut off", headers: json, body: '[{"value":1},', status: 400, says: /is none/ },
  { name: "an array with more behind", headers: json, body: '[{"value":1}]]', status: 400, says: /is none/ },
  {
    name: "too many records",
    headers: json,
    body: `[${'{"value":1},'.repeat(500)}{"value":1}]`,
    status: 413,
    says: /http\.max_batch_records/
  },
  {
    name: "too many lines",
    headers: ndjson,
    body: '{"value":1}\n'.repeat(501),
    status: 413,
    says: /http\.max_batch_records/
  },
  {
    name: "an id for all that is empty",
    headers: { ...json, "spillway-id": "" },
    body: '[{"value":1}]',
    status: 400,
    says: /spillway-id: empty/
  }
]

export const deep: ReadonlyArray<Bad> = [
  {
    name: "a million brackets in an array",
    headers: json,
    body: nested("[", "]", 900_000),
    status: 207,
    says: /expected an object/
  },
  {
    name: "a million brackets that do not close",
    headers: json,
    body: "[".repeat(1_800_000),
    status: 400,
    says: /is none/
  },
  {
    name: "a million brackets in a line",
    headers: ndjson,
    body: nested("[", "]", 900_000),
    status: 207,
    says: /expected an object/
  },
  {
    name: "a deep value",
    headers: ndjson,
    body: `{"value":${nested("[", "]", 900_000)}}`,
    status: 207,
    says: /RecordTooLarge/
  },
  {
    name: "a deep unknown member",
    headers: ndjson,
    body: `{"x":${nested('{"a":', "}", 300_000)}}`,
    status: 207,
    says: /unknown member/
  },
  {
    name: "a deep header",
    headers: ndjson,
    body: `{"value":1,"headers":${nested('{"a":', "}", 300_000)}}`,
    status: 207,
    says: /headers\.a/
  },
  {
    name: "a deep request, v2",
    path: v2,
    headers: v2Json,
    body: nested('{"records":', "}", 150_000),
    status: 422,
    says: /expected an array/
  },
  {
    name: "a deep value, v2",
    path: v2,
    headers: v2Json,
    body: `{"records":[{"value":${nested("[", "]", 900_000)}}]}`,
    status: 413,
    says: /"error_code":413/
  },
  {
    name: "a deep record, v3",
    path: v3,
    headers: json,
    body: nested('{"a":', "}", 300_000),
    status: 422,
    says: /unknown member/
  },
  {
    name: "a deep value, v3",
    path: v3,
    headers: json,
    body: `{"value":{"type":"JSON","data":${nested("[", "]", 900_000)}}}`,
    status: 413,
    says: /"error_code":413/
  },
  {
    name: "brackets that do not close, v3",
    path: v3,
    headers: json,
    body: `{"a":${"[".repeat(1_800_000)}`,
    status: 400,
    says: /ends inside an object/
  }
]
