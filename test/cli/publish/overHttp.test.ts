import assert from "node:assert/strict"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { describe, it } from "node:test"
import { make } from "../../../src/cli/publish/overHttp.ts"
import type { Prepared } from "../../../src/cli/publish/Prepared.ts"

const record = (value: string): Prepared => {
  const id = `id-${value}`
  return { line: 1, record: { topic: "a/b", value, id }, text: JSON.stringify({ id, value }) }
}

/** A service that answers as told. */
const serving = async (
  answer: (request: IncomingMessage, body: string, response: ServerResponse) => void,
  use: (url: string) => Promise<void>
) => {
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", piece => {
      body += String(piece)
    })
    request.on("end", () => answer(request, body, response))
  })
  const port = await new Promise<number>(resolve => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })
  try {
    await use(`http://127.0.0.1:${port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const never = new AbortController().signal

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) => {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body))
}

describe("publishing over HTTP", () => {
  it("sends lines, shows the token, and reads each record's outcome", () => {
    let seen: unknown
    return serving(
      (request, body, response) => {
        seen = [request.method, request.url, request.headers.authorization, request.headers["content-type"], body]
        json(
          response,
          207,
          {
            results: [
              { id: "id-1", outcome: "delivered", partition: 2, offset: "7" },
              { id: "id-2", outcome: "failed", reason: "Overloaded", message: "full" }
            ]
          },
          { "retry-after": "3" }
        )
      },
      async url => {
        const sent = await make({ url, token: "s3cret" }, "a/b", never)([record("1"), record("2")])
        assert.deepEqual(seen, [
          "POST",
          "/v1/topics/a%2Fb/records",
          "Bearer s3cret",
          "application/x-ndjson",
          '{"id":"id-1","value":"1"}\n{"id":"id-2","value":"2"}'
        ])
        assert.deepEqual(sent, {
          results: [
            { outcome: "delivered", id: "id-1", partition: 2, offset: "7" },
            { outcome: "failed", id: "id-2", reason: "Overloaded", message: "full" }
          ],
          retryAfterMs: 3000
        })
      }
    )
  })

  it("takes a refused request for failed records, with the pause that is asked for", () =>
    serving(
      (_, __, response) => json(response, 503, { reason: "Closed", message: "shutting down" }, { "retry-after": "5" }),
      async url => {
        const sent = await make({ url, token: undefined }, "t", never)([record("1")])
        assert.equal(sent.retryAfterMs, 5000)
        assert.equal(sent.refusal, undefined)
        assert.equal(sent.results[0]?.outcome, "failed")
        assert.match(sent.results[0]?.message ?? "", /503: shutting down/)
      }
    ))

  it("gives up on a service that refuses whoever asks", () =>
    serving(
      (_, __, response) => json(response, 401, { message: "a valid bearer token is needed" }),
      async url => {
        const sent = await make({ url, token: undefined }, "t", never)([record("1")])
        assert.match(
          sent.refusal?.message ?? "",
          /401: a valid bearer token is needed \(--token-file, or SPILLWAY_TOKEN\)/
        )
        assert.equal(sent.results[0]?.outcome, "failed")
      }
    ))

  it("halves a request that is too large, down to the record that is", () => {
    const sizes: Array<number> = []
    return serving(
      (_, body, response) => {
        const texts = body.split("\n")
        sizes.push(texts.length)
        if (body.includes("large")) return json(response, 413, { message: "too large" })
        json(response, 201, { results: texts.map(text => ({ id: JSON.parse(text).id, outcome: "delivered" })) })
      },
      async url => {
        const send = make({ url, token: undefined }, "t", never)
        const { results } = await send(["1", "2", "large", "4", "5"].map(record))
        assert.deepEqual(
          results.map(({ id, outcome, reason }) => [id, outcome, reason]),
          [
            ["id-1", "delivered", undefined],
            ["id-2", "delivered", undefined],
            ["id-large", "rejected", "BodyTooLarge"],
            ["id-4", "delivered", undefined],
            ["id-5", "delivered", undefined]
          ]
        )
        assert.deepEqual(sizes, [5, 3, 2, 1, 2])
      }
    )
  })

  it("takes no answer for granted that does not name each record", async () => {
    for (const body of [{ results: [{ outcome: "delivered" }] }, { results: ["?", "?"] }, {}, null]) {
      await serving(
        (_, __, response) => json(response, 201, body),
        async url => {
          const { results } = await make({ url, token: undefined }, "t", never)([record("1"), record("2")])
          assert.deepEqual(
            results.map(({ outcome, reason }) => `${outcome} ${reason}`),
            ["failed Unreadable", "failed Unreadable"]
          )
        }
      )
    }
  })

  it("says that nobody is there, and ends when it must", async () => {
    const gone = await make({ url: "http://127.0.0.1:1", token: undefined }, "t", never)([record("1")])
    assert.equal(gone.results[0]?.reason, "Unreachable")
    const stop = new AbortController()
    await serving(
      () => stop.abort(),
      async url => {
        const sent = await make({ url, token: undefined }, "t", stop.signal)([record("1")])
        assert.equal(sent.results[0]?.outcome, "failed")
      }
    )
  })
})
