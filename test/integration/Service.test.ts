import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"
import { type RunningService, start } from "../support/RunningService.ts"
import { headerText } from "../support/StoredRecord.ts"

const topic = "example-kafka-topic"
const slow = { timeout: 120_000 }

/** A message of the schema registry's id 7, first type in its file, with this payload. */
const framed = (payload: string) =>
  new Uint8Array([0, 0, 0, 0, 7, 0, 10, payload.length, ...new TextEncoder().encode(payload)])

describe("the service with the example configuration", () => {
  const directory = temporaryDirectory("service")
  let cluster: Kafka.KafkaCluster
  let sqs: Fauxqs.Fauxqs
  let service: RunningService
  const records = () => `${service.url}/v1/topics/${topic}/records`
  const publish = (value: Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>> = {}) =>
    fetch(records(), { method: "POST", body: value, headers })

  before(async () => {
    ;[cluster, sqs] = await Promise.all([
      Kafka.start({ topics: [{ name: topic, partitions: 3 }] }),
      Fauxqs.start({ persistent: false })
    ])
    const places = join(directory, "places.yaml")
    const secrets = "access_key_id: local, secret_access_key: local-secret"
    writeFileSync(
      places,
      `
stream: { producer: { example_producer: { retry: { create: true } } } }
kafka: { connection: { default: { brokers: "${cluster.bootstrap.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${sqs.endpoint}", ${secrets} } } } } }
http: { port: 0 }
`
    )
    service = await start(["--config", "config/example.yaml", "--config", places])
  }, slow)
  after(async () => {
    await service?.end("SIGKILL")
    await Promise.all([cluster?.stop(), sqs?.stop()])
    deleteDirectory(directory)
  }, slow)

  it("becomes ready", slow, async () => {
    const ready = await eventually("readiness", 20_000, async () => {
      const response = await fetch(`${service.url}/readyz`)
      const text = await response.text()
      return text.includes("accepting") ? { status: response.status, text } : undefined
    })
    assert.deepEqual(ready, { status: 200, text: '{"readiness":"accepting","reasons":[]}' })
  })

  it("delivers framed protobuf", slow, async () => {
    const headers = { "spillway-key": "user-1", "spillway-id": "first", "spillway-header-origin": "test" }
    const response = await publish(framed("one"), headers)
    assert.equal(response.status, 201)
    const { outcome, partition, offset, id } = await response.json()
    assert.deepEqual({ outcome, offset, id }, { outcome: "delivered", offset: "0", id: "first" })
    const [stored, ...rest] = await readAll(cluster, topic)
    assert.ok(stored)
    assert.equal(rest.length, 0)
    assert.equal(stored.partition, partition)
    assert.deepEqual([...(stored.value ?? [])], [...framed("one")])
    assert.equal(new TextDecoder().decode(stored.key ?? new Uint8Array()), "user-1")
    assert.equal(headerText(stored, "spillway-id"), "first")
    assert.equal(headerText(stored, "origin"), "test")
  })

  it("delivers what comes in chunks, and many at once", slow, async () => {
    const pieces = [framed("chunked").slice(0, 3), framed("chunked").slice(3)]
    const body = new ReadableStream<Uint8Array>({
      pull: controller => {
        const piece = pieces.shift()
        if (piece === undefined) controller.close()
        else controller.enqueue(piece)
      }
    })
    const init = { method: "POST", body, duplex: "half" as const }
    assert.equal((await fetch(records(), init)).status, 201)
    const line = (payload: string) => JSON.stringify({ valueBase64: Buffer.from(framed(payload)).toString("base64") })
    const many = await fetch(records(), {
      method: "POST",
      body: Array.from({ length: 500 }, (_, index) => line(`many ${index}`)).join("\n"),
      headers: { "content-type": "application/x-ndjson" }
    })
    assert.equal(many.status, 201)
    const { results } = await many.json()
    assert.equal(results.length, 500)
    const stored = await readAll(cluster, topic)
    assert.equal(stored.length, 502)
    const ids = new Set(stored.map(record => headerText(record, "spillway-id")))
    assert.ok(results.every(({ id }: { readonly id: string }) => ids.has(id)))
  })

  it("says why a value is refused, and that a topic is not there", slow, async () => {
    for (const [value, why] of [
      [new TextEncoder().encode("not framed"), /magic byte is 0x6e/],
      [framed("x").slice(0, 4), /proto-wire-format/],
      [new Uint8Array(0), /./]
    ] as const) {
      const response = await publish(value)
      assert.equal(response.status, 400)
      const { outcome, reason, message } = await response.json()
      assert.deepEqual({ outcome, reason }, { outcome: "rejected", reason: "EncodingFailed" })
      assert.match(message, why)
    }
    const unknown = await fetch(`${service.url}/v1/topics/nobody-knows/records`, { method: "POST", body: framed("x") })
    assert.equal(unknown.status, 404)
    assert.equal((await unknown.json()).reason, "UnknownTopic")
  })

  it("diverts while Kafka is dead, and says so", slow, async () => {
    await cluster.broker(1).kill()
    for (const id of ["parked-1", "parked-2", "parked-3"]) {
      const response = await publish(framed(id), { "spillway-id": id })
      assert.equal(response.status, 202, await response.clone().text())
      const { outcome, id: answered } = await response.json()
      assert.deepEqual({ outcome, answered }, { outcome: "diverted", answered: id })
    }
    await service.says(/circuit breaker of default \(cluster\): open/)
    const ready = await fetch(`${service.url}/readyz`)
    assert.equal(ready.status, 200)
    assert.equal((await ready.json()).readiness, "degraded")
    const metrics = await (await fetch(`${service.url}/metrics`)).text()
    assert.match(metrics, /^spillway_settled_records_total\{outcome="diverted"\} 3$/m)
    assert.match(metrics, /^spillway_settled_records_total\{outcome="delivered"\} 502$/m)
    assert.match(metrics, /^spillway_breaker_state\{connection="default",state="closed"\} 0$/m)
    const status = await fetch(`${service.url}/v1/status`)
    const text = await status.text()
    assert.equal(JSON.parse(text).accounting.diverted, 3)
    assert.ok(!text.includes("local-secret"))
    assert.ok((sqs.server().inspectQueue("example-sqs-queue-name")?.messages.delayed.length ?? 0) > 0)
  })

  it("ends with its account", slow, async () => {
    const { code, stdout } = await service.end()
    assert.equal(code, 0, service.output)
    assert.match(
      stdout,
      /^shutdown complete in \d+ ms: accepted=509 delivered=502 diverted=3 spooled=0 rejected=4 failed=0 in_memory=0 /m
    )
  })
})
