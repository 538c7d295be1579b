import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"
import * as Receiver from "../support/OtlpReceiver.ts"
import { missing, promtool } from "../support/Promtool.ts"
import { type RunningService, start } from "../support/RunningService.ts"
import { headerText } from "../support/StoredRecord.ts"

const topic = "events"
const slow = { timeout: 120_000 }

describe("the service tells of itself", () => {
  const directory = temporaryDirectory("telemetry")
  let cluster: Kafka.KafkaCluster
  let sqs: Fauxqs.Fauxqs
  let receiver: Receiver.OtlpReceiver
  let service: RunningService
  const publish = (id: string, traceparent: string) =>
    fetch(`${service.url}/v1/topics/${topic}/records`, {
      method: "POST",
      body: JSON.stringify({ id }),
      headers: { "spillway-id": id, traceparent, tracestate: "vendor=1" }
    })

  before(async () => {
    ;[cluster, sqs, receiver] = await Promise.all([
      Kafka.start({ proxied: true, topics: [{ name: topic, partitions: 3 }] }),
      Fauxqs.start({ persistent: false }),
      Receiver.start()
    ])
    const file = join(directory, "telemetry.yaml")
    const secrets = "access_key_id: local, secret_access_key: local-secret"
    writeFileSync(
      file,
      `
stream:
  output: { out: { topic: ${topic} } }
  producer: { events: { output: out, retry: { queue_id: parked, create: true, after: 0, wait_time: 1 } } }
kafka: { connection: { default: { brokers: "${cluster.secure?.bootstrap.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${sqs.endpoint}", ${secrets} } } } } }
breaker: { open_min: 200ms, open_max: 500ms }
telemetry: { otlp: { interval: 200ms } }
http: { port: 0 }
`
    )
    service = await start(["--config", file], {
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20otlp-secret",
        OTEL_SERVICE_NAME: "checkout",
        OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=test"
      }
    })
  }, slow)
  after(async () => {
    await service?.end("SIGKILL")
    await Promise.all([cluster?.stop(), sqs?.stop(), receiver?.stop()])
    deleteDirectory(directory)
  }, slow)

  it("by one trace, from a request through an outage to the record in Kafka", slow, async () => {
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    const plain = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00f067aa0ba902b7-00"
    const [proxy] = cluster.proxies
    assert.ok(proxy)
    await proxy.set({ _tag: "Refuse" })
    const answers = await Promise.all([
      publish("traced", `00-${trace}-00f067aa0ba902b7-01`),
      publish("not traced", plain)
    ])
    assert.deepEqual(
      answers.map(({ status }) => status),
      [202, 202]
    )
    await proxy.set({ _tag: "Pass" })
    const replay = await eventually("the replay's span", 60_000, () =>
      receiver.spans.find(
        ({ attributes, name }) => name === `replay ${topic}` && attributes["spillway.outcome"] === "delivered"
      )
    )
    const request = await receiver.span("POST /v1/topics/{topic}/records")
    const send = await receiver.span(`send ${topic}`)
    const divert = await receiver.span("divert parked")
    assert.deepEqual(
      [request, send, divert, replay].map(({ traceId }) => traceId),
      [trace, trace, trace, trace]
    )
    assert.deepEqual(
      [request, send, divert, replay].map(({ parentSpanId }) => parentSpanId),
      ["00f067aa0ba902b7", request.spanId, send.spanId, send.spanId]
    )
    assert.equal(send.attributes["spillway.outcome"], "diverted")
    assert.equal(send.attributes["messaging.message.id"], "traced")
    assert.equal(replay.resource["service.name"], "checkout")
    assert.equal(replay.resource["deployment.environment"], "test")
    assert.equal(receiver.headers().authorization, "Bearer otlp-secret")

    const stored = await eventually("both records", 30_000, async () => {
      const found = await readAll(cluster, topic)
      return found.length === 2 ? found : undefined
    })
    const traced = stored.find(record => headerText(record, "spillway-id") === "traced") ?? assert.fail()
    assert.equal(headerText(traced, "traceparent"), `00-${trace}-${send.spanId}-01`)
    assert.equal(headerText(traced, "tracestate"), "vendor=1")
    assert.equal(replay.attributes["messaging.kafka.offset"], Number(traced.offset))
    assert.equal(replay.attributes["messaging.destination.partition.id"], String(traced.partition))
    const other = stored.find(record => headerText(record, "spillway-id") === "not traced") ?? assert.fail()
    assert.equal(headerText(other, "traceparent"), plain)
    assert.ok(receiver.spans.every(({ traceId }) => traceId === trace))
  })

  it("by the same numbers over OTLP as at /metrics, which promtool takes", slow, async () => {
    const valueOf = (name: string) => receiver.points().find(point => point.name === name)?.value
    await eventually("the replayed records", 10_000, () =>
      valueOf("spillway_redelivered_records_total") === 2 ? true : undefined
    )
    assert.equal(valueOf("spillway_accepted_records_total"), 2)
    const text = await (await fetch(`${service.url}/metrics`)).text()
    assert.match(text, /^spillway_queue_time_seconds_count\{.*\} 2$/m)
    if (missing === undefined) assert.equal(promtool(["check", "metrics"], text).said, "")
  })

  it("to its last number", slow, async () => {
    const last = await publish("last", "00-cccccccccccccccccccccccccccccccc-00f067aa0ba902b7-01")
    assert.equal(last.status, 201)
    const { code, stdout } = await service.end()
    assert.equal(code, 0, stdout)
    assert.ok(receiver.spans.some(({ traceId }) => traceId === "c".repeat(32)))
    assert.equal(receiver.points().find(({ name }) => name === "spillway_accepted_records_total")?.value, 3)
    assert.ok(!stdout.includes("otlp-secret"))
    assert.deepEqual(receiver.faults, [])
  })
})
