import assert from "node:assert/strict"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { test } from "node:test"
import { adEvent } from "../../scripts/quickstart/adEvents.ts"
import { Load } from "../../scripts/quickstart/Load.ts"
import { eventually } from "../support/eventually.ts"

type Reply = (body: string, request: IncomingMessage, response: ServerResponse) => void

const withService = async (reply: Reply, use: (base: string) => Promise<void>): Promise<void> => {
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString("utf8")
    })
    request.on("end", () => reply(body, request, response))
  })
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  assert.ok(address !== null && typeof address === "object")
  try {
    await use(`http://127.0.0.1:${address.port}`)
  } finally {
    const closed = new Promise(resolve => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
}

const json = (response: ServerResponse, status: number, value: unknown) => {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value))
}

for (const { name, status, outcome, fate, published } of [
  { name: "201", status: 201, outcome: "delivered", fate: "delivered", published: 1 },
  { name: "202", status: 202, outcome: "diverted", fate: "diverted", published: 1 },
  { name: "400", status: 400, outcome: "rejected", fate: "rejected", published: 0 },
  { name: "429", status: 429, outcome: "failed", fate: "refused", published: 0 },
  { name: "503", status: 503, outcome: "failed", fate: "refused", published: 0 }
] as const) {
  test(`a single record answered ${name} counts as ${fate}`, () =>
    withService(
      (_body, request, response) => json(response, status, { id: request.headers["spillway-id"], outcome }),
      async base => {
        const load = new Load(base, 1000)
        const answer = await load.publish(adEvent())
        assert.equal(answer?.fate, fate)
        assert.equal(load.published, published)
        assert.equal(load.firstDivertedAt !== undefined, fate === "diverted")
      }
    ))
}

test("a record without any answer counts as refused, not as published", () =>
  withService(
    (_body, request) => request.socket.destroy(),
    async base => {
      const load = new Load(base, 1000)
      assert.equal((await load.publish(adEvent()))?.fate, "refused")
      assert.equal(load.published, 0)
    }
  ))

test("of many records each keeps the fate its own result names", () =>
  withService(
    (body, request, response) => {
      if (request.headers["content-type"] !== "application/x-ndjson") {
        return json(response, 201, { id: request.headers["spillway-id"], outcome: "delivered" })
      }
      const outcomes = ["delivered", "diverted", "rejected", "failed"]
      const results = body
        .trimEnd()
        .split("\n")
        .map((_, index) => ({ outcome: outcomes[index % outcomes.length] }))
      json(response, 207, { results })
    },
    async base => {
      const load = new Load(base, 1000)
      load.start()
      await eventually("answers", 10_000, () => (load.counts.refused > 0 ? true : undefined))
      await load.stop()
      const { delivered, diverted, refused, rejected } = load.counts
      assert.equal(diverted, refused)
      assert.equal(diverted, rejected)
      assert.ok(delivered > diverted, "the single records are delivered besides")
      assert.equal(load.answers.size, delivered + diverted + refused + rejected)
    }
  ))

test("an answer that does not speak of every record ends the load with an error", () =>
  withService(
    (_body, request, response) =>
      json(
        response,
        201,
        request.headers["content-type"] === "application/json" ? { outcome: "delivered" } : { results: [] }
      ),
    async base => {
      const load = new Load(base, 1000)
      load.start()
      await eventually("an answer", 10_000, () => (load.published > 0 ? true : undefined))
      await assert.rejects(load.stop(), /answered 201 to 16 records/)
    }
  ))
