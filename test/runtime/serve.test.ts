import assert from "node:assert/strict"
import { it } from "node:test"
import { defaultLimits } from "../../src/http/server/HttpServer.ts"
import { serve } from "../../src/runtime/serve.ts"

it("does not start where what protects it cannot be had", async () => {
  const handler = { open: () => undefined, fetch: () => Promise.resolve(new Response()) }
  const tls = { cert: "cert", key: "key", clientCa: "ca" }
  const deno = "Deno" in globalThis
  await assert.rejects(
    serve({ hostname: "127.0.0.1", port: 0, handler, limits: defaultLimits, tls }),
    deno ? /cannot ask for client certificates \(http\.tls\.client_ca_file\): run on Bun, or use tokens/ : /http\.tls/
  )
})
