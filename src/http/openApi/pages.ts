/**
 * What is read: probes, metrics, status, and this document.
 */
import { answer, common, type Json, ref, refusals } from "./parts.ts"

const count = { type: "integer", minimum: 0 }
const counts = (names: ReadonlyArray<string>): Json => ({
  type: "object",
  required: names,
  properties: Object.fromEntries(names.map(name => [name, count]))
})

export const schemas: Json = {
  Health: {
    type: "object",
    required: ["readiness", "reasons"],
    properties: {
      readiness: { enum: ["accepting", "degraded", "refusing"] },
      reasons: { type: "array", items: { type: "string" } }
    },
    additionalProperties: false
  },
  Status: {
    type: "object",
    description: "More members may come.",
    required: ["instance", "startedAt", "health", "accounting", "held", "connections", "publishLatency"],
    properties: {
      instance: { type: "string" },
      startedAt: { ...count, description: "Milliseconds since the epoch." },
      health: ref("Health"),
      accounting: counts([
        "accepted",
        "delivered",
        "diverted",
        "divertedUnknown",
        "spooled",
        "rejected",
        "failed",
        "inMemory",
        "redelivered",
        "deadLettered"
      ]),
      held: { type: "array", items: { type: "object" } },
      connections: { type: "array", items: { type: "object" } },
      spool: { type: "object" },
      publishLatency: { type: "object", required: ["delivered", "diverted", "spooled"] }
    }
  }
}

const get = (operationId: string, summary: string, open: boolean, responses: Json): Json => ({
  get: {
    operationId,
    summary,
    tags: ["operation"],
    ...(open ? { security: [] } : {}),
    responses: { ...responses, ...refusals(ref("Failure"), open ? [405, 408, 431, 500] : common) }
  }
})

export const paths: Json = {
  "/healthz": get("alive", "Whether the process is alive", true, {
    "200": answer("It is.", { type: "object", required: ["status"], properties: { status: { const: "alive" } } })
  }),
  "/readyz": get("ready", "Whether records are accepted, and what becomes of them", true, {
    "200": answer("They are: to Kafka (`accepting`), or diverted or without a safety net (`degraded`).", ref("Health")),
    "503": answer("They are not (`refusing`).", ref("Health"))
  }),
  "/metrics": get("metrics", "Metrics for Prometheus", false, {
    "200": answer("In Prometheus' text format.", { type: "string" }, "text/plain; version=0.0.4; charset=utf-8")
  }),
  "/v1/status": get("status", "Circuit breakers, queues, depths, latencies, accounting", false, {
    "200": answer("As it is now.", ref("Status"))
  }),
  "/openapi.json": get("openApi", "This document", true, {
    "200": answer("OpenAPI 3.1.", { type: "object", required: ["openapi", "paths"] })
  })
}
