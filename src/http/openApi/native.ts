/**
 * The native API: publishing.
 */
import { answer, headerText, idempotencyKey, type Json, ref, refusals, taking, topic } from "./parts.ts"

const base64 = {
  type: "string",
  contentEncoding: "base64",
  pattern: "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
}
const id = { type: "string", minLength: 1, maxLength: 256 }
const headerValue = {
  anyOf: [
    { type: ["string", "null"] },
    { type: "object", required: ["base64"], properties: { base64 }, additionalProperties: false }
  ]
}

export const schemas: Json = {
  Record: {
    type: "object",
    description: "One of many records. Beside `value` or `valueBase64` nothing is needed.",
    properties: {
      key: { type: ["string", "null"] },
      keyBase64: { ...base64, description: "In place of `key`." },
      value: {
        description: "A text as it is, null (a tombstone), or any other JSON, which is stored as its own compact text."
      },
      valueBase64: { ...base64, description: "In place of `value`." },
      headers: {
        anyOf: [
          { type: "object", additionalProperties: headerValue },
          {
            type: "array",
            items: {
              type: "array",
              prefixItems: [{ type: "string" }, headerValue],
              minItems: 2,
              maxItems: 2,
              items: false
            }
          }
        ]
      },
      id: { ...id, description: "What consumers deduplicate on; a UUIDv7 when absent." },
      partition: { type: "integer", minimum: 0, maximum: 2147483647 },
      timestamp: {
        type: "integer",
        minimum: 0,
        maximum: 253402300799999,
        description: "Milliseconds since the epoch; now when absent."
      }
    },
    oneOf: [{ required: ["value"] }, { required: ["valueBase64"] }],
    not: { required: ["key", "keyBase64"] },
    additionalProperties: false
  },
  Receipt: {
    type: "object",
    description: "A record that is durable: in Kafka, in the fallback queue, or on the service's disk.",
    required: ["id", "outcome"],
    properties: {
      id,
      outcome: { enum: ["delivered", "diverted", "spooled"] },
      partition: { type: "integer", minimum: 0 },
      offset: { type: "string", pattern: "^[0-9]+$" }
    },
    additionalProperties: false
  },
  Failure: {
    type: "object",
    description:
      "A record that is not durable, or a request that came to nothing. `rejected`: it cannot succeed as it is. `failed`: it may, later.",
    required: ["outcome", "reason", "message"],
    properties: {
      id: { type: "string" },
      outcome: { enum: ["rejected", "failed"] },
      reason: { type: "string" },
      message: { type: "string" }
    },
    additionalProperties: false
  },
  Results: {
    type: "object",
    required: ["results"],
    properties: {
      results: { type: "array", minItems: 1, items: { anyOf: [ref("Receipt"), ref("Failure")] } }
    },
    additionalProperties: false
  }
}

const header = (name: string, description: string, schema: Json): Json => ({ name, in: "header", description, schema })
const one = "Of a record in a request of its own."

export const paths: Json = {
  "/v1/topics/{topic}/records": {
    post: {
      operationId: "publish",
      summary: "Publish records",
      description:
        "One record: the body is its value, whatever its content type, and headers describe it. Many: NDJSON, one record to a line, or a JSON array of records. The answer comes when each record is durable or has failed. Request headers named `spillway-header-<name>` become the record's headers.",
      tags: ["publish"],
      parameters: [
        topic,
        idempotencyKey,
        header("spillway-id", `${one} Its id; of many, as \`idempotency-key\`.`, {
          type: "string",
          pattern: "^[A-Za-z0-9._:-]{1,200}$"
        }),
        header("spillway-key", `${one} Its key.`, { type: "string", pattern: headerText, maxLength: 1000 }),
        header("spillway-partition", `${one} Its partition.`, { type: "integer", minimum: 0, maximum: 2147483647 }),
        header("spillway-timestamp", `${one} Milliseconds since the epoch.`, {
          type: "integer",
          minimum: 0,
          maximum: 253402300799999
        })
      ],
      requestBody: {
        required: true,
        content: {
          "application/json": {
            schema: { anyOf: [{ type: "array", items: ref("Record"), minItems: 1 }, { not: { type: "array" } }] },
            examples: {
              one: { summary: "One record", value: { user: 7, action: "click" } },
              many: {
                summary: "Many records",
                value: [{ key: "user-7", value: { action: "click" } }, { value: "text" }]
              }
            }
          },
          "application/x-ndjson": {
            schema: { type: "string", pattern: "[^ \\t\\r\\n]" },
            example: '{"key":"user-7","value":{"action":"click"}}\n{"value":"text"}\n'
          },
          "application/octet-stream": { schema: { type: "string", format: "binary" } }
        }
      },
      responses: {
        "201": answer("All records are delivered to Kafka.", { anyOf: [ref("Receipt"), ref("Results")] }),
        "202": answer("All records are durable, some of them not in Kafka yet.", {
          anyOf: [ref("Receipt"), ref("Results")]
        }),
        "207": answer("Of many records, some or all have failed: each has its own result.", ref("Results")),
        ...refusals(ref("Failure"), taking)
      }
    }
  }
}
