/**
 * The HTTP API, described as OpenAPI 3.1.0: served at `/openapi.json`, and kept in docs/openapi.json.
 */
import * as Native from "./native.ts"
import * as Pages from "./pages.ts"
import type { Json } from "./parts.ts"
import * as RestProxy from "./restProxy.ts"

export const document: Json = {
  openapi: "3.1.0",
  info: {
    title: "Spillway",
    version: "1",
    description:
      "Takes records and sees them to Kafka, or safely past it: an answer of 2xx means that every record it speaks of is durable, or says of each which is.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" }
  },
  servers: [{ url: "/" }],
  security: [{ bearer: [] }, { certificate: [] }],
  tags: [{ name: "publish" }, { name: "REST Proxy" }, { name: "operation" }],
  paths: { ...Native.paths, ...RestProxy.paths, ...Pages.paths },
  components: {
    securitySchemes: {
      bearer: {
        type: "http",
        scheme: "bearer",
        description:
          "`http.token` or one of `http.tokens`. Where neither they nor `http.clients` are configured, none is needed."
      },
      certificate: { type: "mutualTLS", description: "One of `http.clients`." }
    },
    schemas: { ...Native.schemas, ...RestProxy.schemas, ...Pages.schemas }
  }
}
