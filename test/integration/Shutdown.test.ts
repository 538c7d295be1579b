import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"
import * as MetadataMock from "../support/MetadataMock.ts"
import { parkedIds } from "../support/parkedIds.ts"
import { type RunningService, start } from "../support/RunningService.ts"
import { headerText } from "../support/StoredRecord.ts"

const slow = { timeout: 120_000 }
if (MetadataMock.missing !== undefined) console.error(`Tests against EC2's mock are skipped: ${MetadataMock.missing}`)

describe("the end of the service", () => {
  const directory = temporaryDirectory("shutdown")
  let cluster: Kafka.KafkaCluster
  let sqs: Fauxqs.Fauxqs
  let running: RunningService | undefined

  /** A service whose queue is its own. */
  const serve = async (
    queue: string,
    options: { readonly spot?: string; readonly env?: Record<string, string> } = {}
  ) => {
    sqs.createQueue(queue)
    sqs.createQueue(`${queue}-dlq`)
    const config = join(directory, `${queue}.yaml`)
    const secrets = "access_key_id: local, secret_access_key: local-secret"
    writeFileSync(
      config,
      `
stream:
  output: { out: { topic: events, write_timeout: 5s } }
  producer: { events: { output: out, retry: { queue_id: ${queue}, after: 0s } } }
kafka: { connection: { default: { brokers: "${cluster.bootstrap.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${sqs.endpoint}", ${secrets} } } } } }
http: { port: 0 }
shutdown: { budget: 8500ms, spot: { interval: 200ms, ${options.spot ?? "enabled: false"} } }
`
    )
    running = await start(["--config", config], options.env === undefined ? {} : { env: options.env })
    return running
  }
  const publish = (service: RunningService, ids: ReadonlyArray<string>) =>
    fetch(`${service.url}/v1/topics/events/records`, {
      method: "POST",
      body: ids.map(id => JSON.stringify({ id, key: id, value: { id } })).join("\n"),
      headers: { "content-type": "application/x-ndjson" }
    })
  const idsOf = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

  before(async () => {
    ;[cluster, sqs] = await Promise.all([
      Kafka.start({ topics: [{ name: "events", partitions: 3 }] }),
      Fauxqs.start({ persistent: false })
    ])
  }, slow)
  after(async () => {
    await running?.end("SIGKILL")
    await Promise.all([cluster?.stop(), sqs?.stop()])
    deleteDirectory(directory)
  }, slow)

  it("parks what is in the buffer on SIGTERM while Kafka is frozen, within the budget", slow, async () => {
    const service = await serve("frozen")
    const calm = idsOf("calm", 100)
    assert.equal((await publish(service, calm)).status, 201)
    cluster.broker(1).freeze()
    const ids = idsOf("frozen", 2000)
    const answer = publish(service, ids)
    // In the buffer or on its way: Kafka has 5 s for them.
    await eventually("2000 records in memory", 20_000, async () => {
      const { accounting } = await (await fetch(`${service.url}/v1/status`)).json()
      return accounting.inMemory === 2000 ? true : undefined
    })
    service.signal("SIGTERM")
    const response = await answer
    assert.equal(response.status, 202)
    const { results } = await response.json()
    assert.ok(results.every(({ outcome }: { readonly outcome: string }) => outcome === "diverted"))
    const { code, stdout } = await service.ended
    assert.equal(code, 0, service.output)
    const account = /^shutdown complete in (\d+) ms: accepted=2100 delivered=100 diverted=2000 .* in_memory=0 /m
    const [, ms] = account.exec(stdout) ?? assert.fail(stdout)
    assert.ok(Number(ms) < 8500, stdout)
    const { ids: parked, invisible } = await parkedIds(sqs.endpoint, "frozen")
    assert.deepEqual([...parked].sort(), [...ids].sort())
    // The record this process parked last went to its own open poll, and was handed back.
    assert.equal(invisible, 0, stdout)
    cluster.broker(1).resume()
  })

  const withMock = { ...slow, skip: MetadataMock.missing ?? false }

  it("ends as on SIGTERM when EC2 announces the end, with the budget that leaves", withMock, async () => {
    const at = new Date(Date.now() + 60_000).toISOString().replace(/\.\d+Z/, "Z")
    const mock = await MetadataMock.start(
      ["spot", "--action", "terminate", "--time", at, "--mock-delay-sec", "8", "--rebalance-delay-sec", "0"],
      join(directory, "mock.log")
    )
    try {
      const service = await serve("spot", {
        spot: "enabled: auto, on_rebalance: drain",
        env: { AWS_EC2_METADATA_SERVICE_ENDPOINT: mock.endpoint }
      })
      await service.says(/spot notice: watching http/)
      await service.says(/rebalance recommendation: sending without waiting/)
      const ids = idsOf("spot", 10)
      assert.equal((await publish(service, ids)).status, 201)
      const { code, stdout } = await service.ended
      assert.equal(code, 0, service.output)
      const [, action, when, budget] =
        /^spot interruption notice \((\w+) at ([^)]+)\): shutting down within (\d+) ms$/m.exec(stdout) ??
        assert.fail(stdout)
      assert.equal(action, "terminate")
      assert.equal(Date.parse(when ?? ""), Date.parse(at))
      // A minute less the eight seconds of delay and the margin of five: neither 8.5 s nor 110 s.
      assert.ok(Number(budget) > 30_000 && Number(budget) <= 55_000, stdout)
      assert.match(stdout, /^shutdown complete in .* accepted=10 delivered=10 /m)
      const stored = new Set((await readAll(cluster, "events")).map(record => headerText(record, "spillway-id")))
      assert.ok(ids.every(id => stored.has(id)))
    } finally {
      await mock.kill()
    }
  })
})
