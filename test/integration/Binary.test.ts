import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { readAllWithConsoleConsumer } from "../support/ConsoleReader.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import * as Kafka from "../support/Kafka.ts"
import { RunningService, root, start } from "../support/RunningService.ts"
import { runCommand } from "../support/runCommand.ts"
import { headerText } from "../support/StoredRecord.ts"

const slow = { timeout: 120_000 }

describe("the compiled binary", () => {
  const directory = temporaryDirectory("binary")
  const binary = join(directory, "spillway")
  let cluster: Kafka.KafkaCluster
  let sqs: Fauxqs.Fauxqs
  before(async () => {
    ;[cluster, sqs] = await Promise.all([
      Kafka.start({ topics: [{ name: "events", partitions: 2 }] }),
      Fauxqs.start({ persistent: false })
    ])
    // Always built by Bun, whichever runtime runs the test.
    const bun = join(root, "node_modules", ".bin", "bun")
    const built = await runCommand({ file: bun, args: ["scripts/build.ts", binary] })
    assert.match(built.stdout, /spillway: \d+ MB/)
  }, slow)
  after(async () => {
    await Promise.all([cluster?.stop(), sqs?.stop()])
    deleteDirectory(directory)
  }, slow)

  it("publishes to Kafka and ends in order, whatever .env and bunfig.toml lie around", slow, async () => {
    const config = join(directory, "service.yaml")
    writeFileSync(
      config,
      `
stream:
  output: { out: { topic: events, compression: zstd } }
  producer: { events: { output: out, encoding: application/json, retry: { queue_id: parked, create: true } } }
kafka: { connection: { default: { brokers: "${cluster.bootstrap.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${sqs.endpoint}", access_key_id: a, secret_access_key: b } } } } }
http: { port: 0 }
`
    )
    writeFileSync(join(directory, ".env"), "SPILLWAY_HTTP__HOST=0.0.0.0\nSPILLWAY_LOG=json\n")
    writeFileSync(join(directory, "bunfig.toml"), 'preload = ["./nothing-there.ts"]\n')
    const service = await start(["--config", config], { binary, cwd: directory })
    try {
      assert.match(service.url, /^http:\/\/127\.0\.0\.1:\d+$/)
      const lines = Array.from(
        { length: 200 },
        (_, index) => `{"id":"id-${index}","key":"k${index}","value":{"n":${index}}}`
      )
      const response = await fetch(`${service.url}/v1/topics/events/records`, {
        method: "POST",
        body: lines.join("\n"),
        headers: { "content-type": "application/x-ndjson" }
      })
      assert.equal(response.status, 201)
      const page = await fetch(service.url)
      assert.match(await page.text(), /<title>Spillway<\/title>/)
      const stored = await readAllWithConsoleConsumer(cluster, "events")
      assert.equal(stored.length, 200)
      const values = new Map(stored.map(record => [headerText(record, "spillway-id"), record.value]))
      for (let n = 0; n < 200; n++)
        assert.equal(new TextDecoder().decode(values.get(`id-${n}`) ?? undefined), `{"n":${n}}`)
    } finally {
      const { code } = await service.end()
      assert.equal(code, 0, service.output)
    }
    assert.match(service.output, /shutdown complete in \d+ ms: accepted=200 delivered=200 /)
  })

  it("has the exit codes of the sources", slow, async () => {
    const run = (...args: ReadonlyArray<string>) => new RunningService(args, { binary, cwd: directory }).ended
    assert.equal((await run("--version")).code, 0)
    assert.equal((await run("serve")).code, 64)
    const bad = await run("serve", "--config", join(directory, "missing.yaml"))
    assert.equal(bad.code, 78)
    assert.match(bad.stderr, /no such file/)
  })
})
