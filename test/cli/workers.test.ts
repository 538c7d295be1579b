import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, it } from "node:test"
import * as Effect from "effect/Effect"
import * as AppConfig from "../../src/AppConfig.ts"
import { ofWorker } from "../../src/cli/parts.ts"
import { cannotSharePort } from "../../src/runtime/serve.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const directory = temporaryDirectory("cli-workers")
after(() => deleteDirectory(directory))

it("each worker has a spool of its own, the first one that of a service without workers", async () => {
  const file = join(directory, "app.yaml")
  const path = join(directory, "spool.db")
  writeFileSync(
    file,
    `
kafka: { connection: { default: { brokers: "127.0.0.1:1" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1 } } } } }
stream: { output: { out: { topic: events } }, producer: { events: { output: out, retry: { queue_id: parked } } } }
spool: { path: "${path}" }
`
  )
  const config = await Effect.runPromise(AppConfig.load([file], {}))
  assert.deepEqual(
    [0, 1, 2].map(worker => ofWorker(config, worker).spool?.path),
    [path, `${path}-worker-1`, `${path}-worker-2`]
  )
  assert.equal(ofWorker({ ...config, spool: undefined }, 1).spool, undefined)
})

it("says where processes cannot share a port", () => {
  assert.equal(cannotSharePort("linux"), undefined)
  for (const platform of ["darwin", "win32"]) {
    assert.match(cannotSharePort(platform) ?? "", new RegExp(`need Linux.*this is ${platform}`))
  }
})
