/**
 * The produce calls of Confluent's REST Proxy.
 */
import { answer, idempotencyKey, type Json, ref, refusals, taking, topic } from "./parts.ts"

const v2Type = "application/vnd.kafka.v2+json"
const statuses = [...taking, 422]
const partition = { type: ["integer", "null"], minimum: 0, maximum: 2147483647 }
const base64 = { type: ["string", "null"], pattern: "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$" }

const produceRequest = (data: Json, partition: Json): Json => ({
  type: "object",
  required: ["records"],
  properties: {
    records: {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        required: ["value"],
        properties: { key: data, value: data, partition },
        additionalProperties: false
      }
    },
    key_schema: { type: "null" },
    key_schema_id: { type: "null" },
    value_schema: { type: "null" },
    value_schema_id: { type: "null" }
  },
  additionalProperties: false
})

const embedded = (description: string): Json => ({
  description,
  anyOf: [
    { type: "null" },
    {
      type: "object",
      required: ["type"],
      properties: { type: { const: "BINARY" }, data: base64 },
      additionalProperties: false
    },
    {
      type: "object",
      required: ["type"],
      properties: { type: { const: "STRING" }, data: { type: ["string", "null"] } },
      additionalProperties: false
    },
    {
      type: "object",
      required: ["type"],
      properties: { type: { const: "JSON" }, data: {} },
      additionalProperties: false
    }
  ]
})

const reported = {
  type: ["object", "null"],
  required: ["type", "size"],
  properties: { type: { enum: ["BINARY", "JSON", "STRING"] }, size: { type: "integer", minimum: 0 } },
  additionalProperties: false
}

export const schemas: Json = {
  RestError: {
    type: "object",
    required: ["error_code", "message"],
    properties: {
      error_code: {
        type: "integer",
        description: "The status, or it with two digits behind: 40401 is an unknown topic."
      },
      message: { type: "string" }
    }
  },
  V2Binary: produceRequest(base64, partition),
  V2Json: produceRequest({}, partition),
  V2PartitionBinary: produceRequest(base64, { type: "null" }),
  V2PartitionJson: produceRequest({}, { type: "null" }),
  V2Offsets: {
    type: "object",
    required: ["key_schema_id", "value_schema_id", "offsets"],
    properties: {
      error_code: { type: "integer", description: "There when every record has failed." },
      message: { type: "string" },
      key_schema_id: { type: "null" },
      value_schema_id: { type: "null" },
      offsets: {
        type: "array",
        minItems: 1,
        items: {
          type: "object",
          required: ["partition", "offset", "error_code", "error"],
          properties: {
            partition,
            offset: {
              type: ["integer", "null"],
              description: "null, without an error, for a record that is durable and not in Kafka yet."
            },
            error_code: { type: ["integer", "null"] },
            error: { type: ["string", "null"] }
          },
          additionalProperties: false
        }
      }
    },
    additionalProperties: false
  },
  V3Record: {
    type: "object",
    properties: {
      partition_id: partition,
      headers: {
        type: ["array", "null"],
        items: {
          type: "object",
          required: ["name"],
          properties: { name: { type: "string" }, value: base64 },
          additionalProperties: false
        }
      },
      key: embedded("null or absent: no key."),
      value: embedded("null or absent: a tombstone."),
      timestamp: {
        type: ["string", "null"],
        format: "date-time",
        pattern: "^(19[7-9][0-9]|[2-9][0-9]{3})-",
        description: "Not before 1970; now when absent."
      }
    },
    additionalProperties: false
  },
  V3Report: {
    type: "object",
    required: ["error_code", "cluster_id", "topic_name", "partition_id", "offset", "timestamp", "key", "value"],
    properties: {
      error_code: { enum: [200, 202], description: "200: in Kafka. 202: durable, and not in Kafka yet." },
      cluster_id: { type: "string" },
      topic_name: { type: "string" },
      partition_id: partition,
      offset: { type: ["integer", "null"] },
      timestamp: { type: "string", format: "date-time" },
      key: reported,
      value: reported
    },
    additionalProperties: false
  }
}

const v2 = (operationId: string, summary: string, schema: string, parameters: ReadonlyArray<Json>): Json => ({
  post: {
    operationId,
    summary,
    tags: ["REST Proxy"],
    parameters: [topic, ...parameters, idempotencyKey],
    requestBody: {
      required: true,
      content: {
        "application/vnd.kafka.json.v2+json": {
          schema: ref(`${schema}Json`),
          example: { records: [{ key: "user-7", value: { action: "click" } }] }
        },
        "application/vnd.kafka.binary.v2+json": {
          schema: ref(`${schema}Binary`),
          example: { records: [{ key: "a2V5", value: "Y29uZmx1ZW50" }] }
        }
      }
    },
    responses: {
      "200": answer("All records are delivered to Kafka.", ref("V2Offsets"), v2Type),
      "202": answer("All records are durable, some of them not in Kafka yet.", ref("V2Offsets"), v2Type),
      "207": answer("Some records have failed: each has its own entry.", ref("V2Offsets"), v2Type),
      ...refusals({ anyOf: [ref("V2Offsets"), ref("RestError")] }, statuses, v2Type)
    }
  }
})

const report = { anyOf: [ref("V3Report"), ref("RestError")] }

export const paths: Json = {
  "/topics/{topic}": v2("produceV2", "Produce records (REST Proxy API v2)", "V2", []),
  "/topics/{topic}/partitions/{partition}": v2(
    "produceToPartitionV2",
    "Produce records to a partition (REST Proxy API v2)",
    "V2Partition",
    [
      {
        name: "partition",
        in: "path",
        required: true,
        schema: { type: "integer", minimum: 0, maximum: 999999999 },
        example: 0
      }
    ]
  ),
  "/v3/clusters/{cluster_id}/topics/{topic}/records": {
    post: {
      operationId: "produceV3",
      summary: "Produce records (REST Proxy API v3)",
      description:
        "One record, or several JSON objects one behind the other; the answer holds a report for each in the same order, one to a line. A chunked request may go on while its answer comes: such an answer has status 207.",
      tags: ["REST Proxy"],
      parameters: [
        {
          name: "cluster_id",
          in: "path",
          required: true,
          description: "Any: the topic decides.",
          schema: { type: "string", pattern: "^[A-Za-z0-9_-]{1,100}$" },
          example: "lkc-1"
        },
        topic,
        idempotencyKey
      ],
      requestBody: {
        required: true,
        content: {
          "application/json": {
            schema: ref("V3Record"),
            example: { key: { type: "BINARY", data: "Zm9vYmFy" }, value: { type: "JSON", data: { foo: "bar" } } }
          }
        }
      },
      responses: {
        "200": answer("The record is delivered to Kafka; all of them are.", ref("V3Report")),
        "202": answer("Durable, some not in Kafka yet.", ref("V3Report")),
        "207": answer(
          "Of several records some have failed, or the request was still going on: each report has its own `error_code`.",
          report
        ),
        ...refusals(ref("RestError"), statuses)
      }
    }
  }
}
