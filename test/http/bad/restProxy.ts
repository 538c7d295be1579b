/**
 * Wrong requests to the REST Proxy calls.
 */
import { allBut, type Bad, bytes, json, maxBodyBytes, v2, v2Binary, v2Json, v3 } from "./parts.ts"

const v2Record = (record: string) => ({ path: v2, headers: v2Json, body: `{"records":[${record}]}`, status: 422 })
export const restV2: ReadonlyArray<Bad> = [
  ...[
    "application/json",
    "text/plain",
    "application/vnd.kafka.avro.v2+json",
    "application/vnd.kafka.protobuf.v2+json",
    "application/vnd.kafka.json.v3+json",
    "x"
  ].map(type => ({
    name: `${type}, v2`,
    path: v2,
    headers: { "content-type": type },
    body: '{"records":[{"value":1}]}',
    status: 415,
    says: /"error_code":415/
  })),
  ...["", "{", "records", '{"records":[{"value":1}]}}', "\u0000"].map(body => ({
    name: `${JSON.stringify(body)}, v2`,
    path: v2,
    headers: v2Json,
    body,
    status: 400,
    says: /not JSON/
  })),
  ...allBut("object").map(([kind, body]) => ({
    name: `a request that is a ${kind}, v2`,
    path: v2,
    headers: v2Json,
    body,
    status: 422,
    says: /expected an object/
  })),
  ...allBut("array").map(([kind, text]) => ({
    name: `records ${kind}, v2`,
    path: v2,
    headers: v2Json,
    body: `{"records":${text}}`,
    status: 422,
    says: /records: expected an array/
  })),
  ...allBut("object").map(([kind, text]) => ({
    name: `a record ${kind}, v2`,
    ...v2Record(text),
    says: /records\[0\]: expected an object/
  })),
  ...allBut("null").map(([kind, text]) => ({
    name: `partition ${kind}, v2`,
    ...v2Record(`{"value":1,"partition":${text}}`),
    says: /partition: expected/
  })),
  ...allBut("null").map(([kind, text]) => ({
    name: `value ${kind} in base64, v2`,
    path: v2,
    headers: v2Binary,
    body: `{"records":[{"value":${text}}]}`,
    status: 422,
    says: /value: /
  })),
  ...allBut("null").map(([kind, text]) => ({
    name: `key ${kind} in base64, v2`,
    path: v2,
    headers: v2Binary,
    body: `{"records":[{"value":"YQ==","key":${text}}]}`,
    status: 422,
    says: /key: /
  })),
  { name: "not UTF-8, v2", path: v2, headers: v2Json, body: bytes(0x7b, 0xff, 0x7d), status: 400, says: /not UTF-8/ },
  {
    name: "a partition that is not there, v2",
    path: `${v2}/partitions/3`,
    headers: v2Json,
    body: '{"records":[{"value":1}]}',
    status: 404,
    says: /"error_code":40402/
  },
  {
    name: "a partition that is no number, v2",
    path: `${v2}/partitions/one`,
    headers: v2Json,
    body: '{"records":[{"value":1}]}',
    status: 404,
    says: /"error_code":40402/
  },
  {
    name: "a topic that is not there, v2",
    path: "/topics/nowhere",
    headers: v2Json,
    body: '{"records":[{"value":1}]}',
    status: 404,
    says: /"error_code":40401/
  },
  {
    name: "a coding, v2",
    path: v2,
    headers: { ...v2Json, "content-encoding": "gzip" },
    body: "{}",
    status: 415,
    says: /Content-Encoding/
  },
  {
    name: "too many, v2",
    path: v2,
    headers: v2Json,
    body: `{"records":[${'{"value":1},'.repeat(500)}{"value":1}]}`,
    status: 413,
    says: /max_batch_records/
  },
  {
    name: "too large, v2",
    path: v2,
    headers: v2Json,
    body: "x".repeat(maxBodyBytes + 1),
    status: 413,
    says: /max_body_bytes/
  }
]

const v3Record = (body: string) => ({ path: v3, headers: json, body, status: 422 })
export const restV3: ReadonlyArray<Bad> = [
  ...["text/plain", "application/vnd.kafka.json.v2+json", "application/x-ndjson", "x"].map(type => ({
    name: `${type}, v3`,
    path: v3,
    headers: { "content-type": type },
    body: "{}",
    status: 415,
    says: /"error_code":415/
  })),
  ...["{", '{"a"', "nonsense", "1", '"a"', "[]", "null", "{}}"].map(body => ({
    name: `${body}, v3`,
    path: v3,
    headers: json,
    body,
    status: body === "{}}" ? 207 : 400,
    says: /not JSON/
  })),
  ...["key", "value"].flatMap(name => [
    ...allBut("null", "object").map(([kind, text]) => ({
      name: `${name} ${kind}, v3`,
      ...v3Record(`{"${name}":${text}}`),
      says: /expected an object with type and data/
    })),
    ...["AVRO", "JSONSCHEMA", "PROTOBUF", "json", ""].map(type => ({
      name: `${name} of type ${type}, v3`,
      ...v3Record(`{"${name}":{"type":"${type}","data":"YQ=="}}`),
      says: /type: expected BINARY, JSON, STRING/
    })),
    ...allBut("null").map(([kind, text]) => ({
      name: `${name} ${kind} as bytes, v3`,
      ...v3Record(`{"${name}":{"type":"BINARY","data":${text}}}`),
      says: /data: /
    })),
    ...["schema", "schema_id", "subject", "schema_version"].map(schema => ({
      name: `${name} with ${schema}, v3`,
      ...v3Record(`{"${name}":{"${schema}":"1","data":1}}`),
      says: /schemas are not supported/
    }))
  ]),
  ...allBut("null").map(([kind, text]) => ({
    name: `partition ${kind}, v3`,
    ...v3Record(`{"partition_id":${text}}`),
    says: /partition_id: expected/
  })),
  ...allBut("null").map(([kind, text]) => ({
    name: `timestamp ${kind}, v3`,
    ...v3Record(`{"timestamp":${text}}`),
    says: /timestamp: expected/
  })),
  ...allBut("null").map(([kind, text]) => ({
    name: `headers ${kind}, v3`,
    ...v3Record(`{"headers":${text}}`),
    says: /headers/
  })),
  { name: "nothing, v3", ...v3Record(""), says: /Data is required/ },
  { name: "an unknown member, v3", ...v3Record('{"id":1}'), says: /id: unknown member/ },
  { name: "not UTF-8, v3", path: v3, headers: json, body: bytes(0x7b, 0xff, 0x7d), status: 400, says: /not UTF-8/ },
  {
    name: "a cluster that is badly escaped, v3",
    path: "/v3/clusters/%ff/topics/events/records",
    headers: json,
    body: "{}",
    status: 422,
    says: /cluster_id/
  },
  {
    name: "a partition that is not there, v3",
    path: v3,
    headers: json,
    body: '{"partition_id":3}',
    status: 404,
    says: /"error_code":40402/
  },
  { name: "too many, v3", path: v3, headers: json, body: "{}".repeat(501), status: 413, says: /max_batch_records/ },
  {
    name: "too large, v3",
    path: v3,
    headers: json,
    body: "x".repeat(maxBodyBytes + 1),
    status: 413,
    says: /max_body_bytes/
  }
]
