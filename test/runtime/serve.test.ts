import assert from "node:assert/strict"
import { request } from "node:https"
import { after, it } from "node:test"
import { defaultLimits } from "../../src/http/server/HttpServer.ts"
import { type ServeOptions, serve } from "../../src/runtime/serve.ts"
import { type Certificates, makeCertificates, missing, type Pair } from "../support/Certificates.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const onDeno = "Deno" in globalThis

/** Answers with the names its client has shown. */
const handler: ServeOptions["handler"] = {
  open: (head, respond) => {
    respond({ status: 200, headers: {}, body: JSON.stringify(head.clientNames ?? "nobody") })
    return undefined
  },
  fetch: () => Promise.resolve(new Response('"nobody"'))
}

const listen = (tls: ServeOptions["tls"]) =>
  serve({ hostname: "127.0.0.1", port: 0, handler, limits: defaultLimits, tls })

const ask = (port: number, { ca }: Certificates, client?: Pair): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const url = `https://localhost:${port}/`
    const asked = request(url, { ca, agent: false, headers: { connection: "close" }, ...client }, answer => {
      let text = ""
      answer.on("data", piece => {
        text += piece
      })
      answer.on("end", () => resolve(JSON.parse(text)))
    })
    asked.on("error", reject)
    asked.end()
  })

if (onDeno) {
  it("does not start where client certificates cannot be asked for", async () => {
    await assert.rejects(
      listen({ cert: "cert", key: "key", clientCa: "ca" }),
      /cannot ask for client certificates \(http\.tls\.client_ca_file\): run on Bun, or use tokens/
    )
  })
}

it("serves HTTPS, and knows a client by the certificate that was verified, by no other", {
  skip: missing
}, async () => {
  const directory = temporaryDirectory("certificates")
  after(() => deleteDirectory(directory))
  const certificates = makeCertificates(directory)
  const { ca, client, impostor, server } = certificates
  const plain = await listen({ ...server, clientCa: undefined })
  try {
    assert.equal(await ask(plain.port, certificates, onDeno ? undefined : client), "nobody")
  } finally {
    await plain.kill()
  }
  if (onDeno) return
  const asking = await listen({ ...server, clientCa: ca })
  try {
    assert.deepEqual(await ask(asking.port, certificates, client), ["billing", "billing.internal"])
    assert.equal(await ask(asking.port, certificates), "nobody")
    assert.equal(await ask(asking.port, certificates, impostor), "nobody")
    await assert.rejects(ask(asking.port, { ...certificates, ca: client.cert }))
  } finally {
    await asking.kill()
  }
})
