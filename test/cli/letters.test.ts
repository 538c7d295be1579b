import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Letters from "../../src/cli/letters.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const directory = temporaryDirectory("letters")
after(() => deleteDirectory(directory))

const text = `stream:
  output: { orders: { topic: orders, connection: default } }
  producer: { orders: { output: orders, retry: { queue_id: orders-parked, client_name: default } } }
kafka: { connection: { default: { brokers: "localhost:1" } } }
cloud: { aws: { sqs: { clients: { default: { region: eu-central-1, endpoint: "http://127.0.0.1:1" } } } } }
`

describe("the dead-letter queue that is named", () => {
  it("is not the fallback queue: its records are on their way, and purge would delete them", async () => {
    const file = join(directory, "spillway.yaml")
    writeFileSync(file, text)
    const none = { topic: undefined, reason: undefined, olderThan: undefined, newerThan: undefined }
    const found = (queue: string | undefined, producer: string | undefined) =>
      Letters.services({ ...none, key: undefined, id: undefined, config: [file], queue, producer }).pipe(
        Effect.map(services => services.map(one => one.queue)),
        Effect.scoped,
        Effect.either,
        Effect.runPromise
      )
    for (const producer of ["orders", undefined]) {
      const refused = await found("orders-parked", producer)
      assert.ok(Either.isLeft(refused), `${producer}`)
      assert.match(refused.left.message, /is the fallback queue of producer orders/)
    }
    assert.deepEqual(await found(undefined, "orders"), Either.right(["orders-parked-dlq"]))
    assert.deepEqual(await found("orders-before-dlq", "orders"), Either.right(["orders-before-dlq"]))
  })
})
