import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"
import * as Drivers from "../../src/Drivers.ts"
import * as HttpHandler from "../../src/http/HttpHandler.ts"
import * as Spillway from "../../src/Spillway.ts"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { freePort } from "../support/ports.ts"

const configuration = (port: number, endpoint: string): string => `
stream:
  output: { out: { topic: events, write_timeout: 200ms } }
  producer:
    events:
      output: out
      retry: { queue_id: parked, after: 15m, wait_time: 1, create: true, backlog: { max_messages: 4, policy: reject } }
kafka: { connection: { default: { brokers: "127.0.0.1:${port}" } } }
cloud:
  aws:
    sqs: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: local, secret_access_key: local } } }
`

describe("a limited backlog on a real queue", () => {
  it("answers 202 up to the limit and 429 from then on, and 202 again when the queue has been emptied", async () => {
    // Nobody listens there: Kafka is away from the start.
    const [port, sqs] = await Promise.all([freePort(), Fauxqs.start({ persistent: false })])
    try {
      const text = configuration(port, sqs.endpoint)
      const config = Either.getOrThrowWith(AppConfig.parse([{ file: "backlog.yaml", text }], {}), error => error)
      const work = Effect.flatMap(Spillway.make(config, Drivers.live, "backlog"), spillway =>
        Effect.promise(async () => {
          const handler = HttpHandler.make({ spillway, http: config.http })
          const url = "http://localhost/v1/topics/events/records"
          const post = async (id: string) => {
            const request = new Request(url, { method: "POST", body: "v", headers: { "spillway-id": id } })
            const response = await handler.fetch(request)
            const body: unknown = await response.json()
            return { status: response.status, retryAfter: response.headers.get("retry-after"), body }
          }
          const parked = () => {
            const messages = sqs.server().inspectQueue("parked")?.messages
            return messages === undefined
              ? 0
              : messages.ready.length + messages.delayed.length + messages.inflight.length
          }
          // A reading that overlaps with a store may count its message twice: the next one is 5 s away.
          await eventually("a reading of the queue's depth", 20_000, () =>
            spillway.status().connections.every(({ fallbacks }) => fallbacks.every(({ depth }) => depth !== undefined))
              ? true
              : undefined
          )
          const statuses: Array<number> = []
          for (let i = 0; i < 6; i++) statuses.push((await post(`r${i}`)).status)
          assert.deepEqual(statuses, [202, 202, 202, 202, 429, 429])
          assert.equal(parked(), 4)
          const refused = await post("late")
          assert.equal(refused.retryAfter, "5")
          const body = JSON.stringify(refused.body)
          assert.match(body, /^\{"id":"late","outcome":"failed","reason":"Overloaded","message":"Kafka did not take it/)
          assert.match(body, /stream\.producer\.events\.retry\.backlog\.max_messages is 4/)
          const ready = await handler.fetch(new Request("http://localhost/readyz"))
          assert.equal(ready.status, 503)
          assert.match(
            await ready.text(),
            /backlog limit reached, about 4 of 4 messages: what Kafka does not take is refused/
          )
          const { accounting } = spillway.status()
          assert.deepEqual([accounting.accepted, accounting.diverted, accounting.failed], [7, 4, 3])

          sqs.server().reset()
          await eventually("room", 20_000, async () => ((await post("again")).status === 202 ? true : undefined))
        })
      )
      await Effect.runPromise(Effect.scoped(work))
    } finally {
      await sqs.stop()
    }
  })
})
