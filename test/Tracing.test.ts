import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import { type Serving, serving } from "./http/serving.ts"
import { eventually } from "./support/eventually.ts"
import * as Receiver from "./support/OtlpReceiver.ts"

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
const parent = "00f067aa0ba902b7"
const sampled = { traceparent: `00-${trace}-${parent}-01`, tracestate: "vendor=1" }
const producer = 4
const server = 2

/** With an OTLP endpoint that is told of everything within 100 ms. */
const told = async (
  otlp: string,
  use: (serving: Serving, receiver: Receiver.OtlpReceiver) => Promise<void>,
  retry = "after: 1s"
): Promise<void> => {
  const receiver = await Receiver.start()
  try {
    const more = `telemetry: { otlp: { endpoint: "${receiver.endpoint}", interval: 100ms, ${otlp} } }`
    await serving({ more, retry }, one => use(one, receiver))
    assert.deepEqual(receiver.faults, [])
  } finally {
    await receiver.stop()
  }
}

const header = ({ kafka }: Serving, name: string, index = 0): string | undefined => {
  const value = kafka.stored()[index]?.headers.find(([own]) => own === name)?.[1]
  return value === undefined || value === null ? undefined : Buffer.from(value).toString()
}

const outage = ({ kafka }: Serving) => {
  kafka.always({ _tag: "Refuse" })
  kafka.reachable(false)
}

const recovery = ({ kafka }: Serving) => {
  kafka.always(undefined)
  kafka.reachable(true)
}

describe("a sampled request", () => {
  it("is one trace from the request to the record in Kafka", () =>
    told("service_name: checkout, resource_attributes: { deployment.environment: test }", async (one, receiver) => {
      const { status } = await one.post("1", { ...sampled, "spillway-id": "first" })
      assert.equal(status, 201)
      const request = await receiver.span("POST /v1/topics/{topic}/records")
      const publish = await receiver.span("send events")
      assert.deepEqual([request.traceId, publish.traceId], [trace, trace])
      assert.deepEqual([request.parentSpanId, publish.parentSpanId], [parent, request.spanId])
      assert.deepEqual([request.kind, publish.kind], [server, producer])
      assert.deepEqual([request.traceState, publish.traceState], ["vendor=1", "vendor=1"])
      assert.equal(request.attributes["http.response.status_code"], 201)
      assert.equal(publish.resource["service.name"], "checkout")
      assert.equal(publish.resource["deployment.environment"], "test")
      assert.equal(publish.resource["service.instance.id"], "test-instance")
      const [stored] = one.kafka.stored()
      assert.deepEqual(publish.attributes, {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "events",
        "messaging.client.id": "test-instance",
        "messaging.message.id": "first",
        "messaging.destination.partition.id": String(stored?.partition),
        "messaging.kafka.offset": 0,
        "spillway.outcome": "delivered"
      })
      // Whoever consumes the record goes on from its publish.
      assert.equal(header(one, "traceparent"), `00-${trace}-${publish.spanId}-01`)
      assert.equal(header(one, "tracestate"), "vendor=1")
    }))

  it("keeps its trace when its record is diverted and replayed", () =>
    told("", async (one, receiver) => {
      outage(one)
      const { status } = await one.post("1", sampled)
      assert.equal(status, 202)
      const publish = await receiver.span("send events")
      const divert = await receiver.span("divert parked")
      assert.equal(publish.attributes["spillway.outcome"], "diverted")
      assert.deepEqual([divert.traceId, divert.parentSpanId], [trace, publish.spanId])
      assert.equal(divert.attributes["spillway.outcome"], "diverted")
      assert.match(String(divert.attributes["spillway.divert.reason"]), /^Availability:/)
      recovery(one)
      const replay = await receiver.span("replay events")
      assert.deepEqual([replay.traceId, replay.parentSpanId, replay.kind], [trace, publish.spanId, producer])
      assert.equal(replay.attributes["spillway.outcome"], "delivered")
      assert.equal(replay.attributes["messaging.kafka.offset"], 0)
      assert.equal(header(one, "traceparent"), `00-${trace}-${publish.spanId}-01`)
    }))

  it("has no trace state in its spans that is longer than anybody has to keep: thousands of them wait", () =>
    told("", async (one, receiver) => {
      const headers = { traceparent: sampled.traceparent, tracestate: `vendor=${"x".repeat(100_000)}` }
      const body = JSON.stringify([{ value: "1", headers }])
      await one.post(body, { "content-type": "application/json" })
      const publish = await receiver.span("send events")
      assert.equal(publish.traceId, trace)
      assert.equal(publish.traceState, "")
      assert.equal(header(one, "tracestate"), headers.tracestate, "the record's own is its sender's")
    }))

  it("is followed record by record through a batch that others share", () =>
    told("", async (one, receiver) => {
      outage(one)
      const other = trace.replace("4", "5")
      await Promise.all([
        one.post("1"),
        one.post("2", sampled),
        one.post("3", { traceparent: `00-${other}-${parent}-01` })
      ])
      await eventually("two diverts", 5000, () =>
        receiver.spans.filter(({ name }) => name === "divert parked").length === 2 ? true : undefined
      )
      recovery(one)
      const replays = await eventually("two replays", 10_000, () => {
        const found = receiver.spans.filter(
          ({ attributes, name }) => name === "replay events" && attributes["spillway.outcome"] === "delivered"
        )
        return found.length === 2 ? found : undefined
      })
      assert.deepEqual(replays.map(({ traceId }) => traceId).sort(), [trace, other].sort())
      await eventually("all three", 5000, () => (one.kafka.stored().length === 3 ? true : undefined))
    }))

  it("ends in a dead letter where Kafka does not want the record", () =>
    told("", async (one, receiver) => {
      outage(one)
      assert.equal((await one.post("1", sampled)).status, 202)
      one.kafka.reachable(true)
      // MESSAGE_TOO_LARGE
      one.kafka.always({ _tag: "Fail", code: 10 })
      const replay = await receiver.span("replay events")
      assert.equal(replay.error, "MESSAGE_TOO_LARGE")
      const dead = await receiver.span("dead-letter parked-dlq")
      assert.equal(dead.traceId, trace)
      assert.equal(dead.attributes["error.type"], "MESSAGE_TOO_LARGE")
    }))

  it("shows why a record was refused, and that the request was", () =>
    told("", async (one, receiver) => {
      const { status } = await one.post("1", { ...sampled, "spillway-partition": "99" })
      assert.equal(status, 400)
      const publish = await receiver.span("send events")
      assert.equal(publish.attributes["error.type"], "InvalidRecord")
      assert.match(publish.error ?? "", /partition: 99/)
      const request = await receiver.span("POST /v1/topics/{topic}/records")
      assert.equal(request.attributes["http.response.status_code"], 400)
    }))

  it("may have records with traces of their own", () =>
    told("", async (one, receiver) => {
      const own = "a".repeat(32)
      const body = JSON.stringify([
        { value: 1 },
        { value: 2, headers: { traceparent: `00-${own}-${parent}-01` } },
        { value: 3, headers: { traceparent: `00-${own}-${parent}-00` } }
      ])
      assert.equal((await one.post(body, { ...sampled, "content-type": "application/json" })).status, 201)
      await receiver.span("POST /v1/topics/{topic}/records")
      const publishes = receiver.spans.filter(({ name }) => name === "send events")
      assert.deepEqual(publishes.map(({ traceId }) => traceId).sort(), [trace, own].sort())
    }))
})

describe("what is not sampled", () => {
  it("makes no span, and its trace goes on with the record", () =>
    told("sample_ratio: 0", async (one, receiver) => {
      const traceparent = `00-${trace}-${parent}-00`
      assert.equal((await one.post("1", { traceparent, tracestate: "v=1" })).status, 201)
      assert.equal((await one.post("2", { traceparent: "nonsense" })).status, 201)
      assert.equal((await one.post("3")).status, 201)
      assert.deepEqual(
        one.kafka
          .stored()
          .map((_, index) => header(one, "traceparent", index))
          .filter(Boolean),
        [traceparent]
      )
      const before = receiver.requests()
      await eventually("two more exports", 5000, () => (receiver.requests() > before + 2 ? true : undefined))
      assert.deepEqual(receiver.spans, [])
    }))

  it("makes no span by a ratio when it says that it is not sampled", () =>
    told("sample_ratio: 1", async (one, receiver) => {
      assert.equal((await one.post("1", { traceparent: `00-${trace}-${parent}-00` })).status, 201)
      assert.equal((await one.post("2")).status, 201)
      const publish = await receiver.span("send events")
      assert.notEqual(publish.traceId, trace)
      const request = await receiver.span("POST /v1/topics/{topic}/records")
      assert.equal(request.parentSpanId, "")
      assert.equal(receiver.spans.length, 2)
      assert.equal(publish.parentSpanId, request.spanId)
    }))

  it("carries the request's headers on where nothing is exported", () =>
    serving({}, async one => {
      assert.equal((await one.post("1", sampled)).status, 201)
      assert.equal(header(one, "traceparent"), sampled.traceparent)
      assert.equal(header(one, "tracestate"), "vendor=1")
    }))
})

describe("records published by a program", () => {
  it("are traced by their own header, whichever way they are published", () =>
    told("", async ({ kafka, spillway }, receiver) => {
      const record = (value: string) => ({
        topic: "events",
        value,
        headers: [["traceparent", sampled.traceparent]] as const
      })
      await spillway.publishPromise(record("promise"))
      await new Promise(resolve => spillway.offer(record("offer"), resolve))
      await Effect.runPromise(spillway.publish(record("effect")))
      const outcomes = await Effect.runPromise(
        spillway.publishAll([record("all"), { topic: "events", value: "plain" }])
      )
      assert.deepEqual(
        outcomes.map(({ _tag }) => _tag),
        ["Receipt", "Receipt"]
      )
      await assert.rejects(spillway.publishPromise({ ...record("x"), partition: 99 }))
      await eventually("five spans", 5000, () => (receiver.spans.length === 5 ? true : undefined))
      assert.equal(kafka.stored().length, 5)
      assert.ok(receiver.spans.every(({ name, traceId }) => name === "send events" && traceId === trace))
    }))

  it("are refused as ever when their headers are none", () =>
    told("sample_ratio: 1", async ({ spillway }) => {
      for (const headers of [5, [5], [null], [["traceparent", 7]], "x"]) {
        const record = { topic: "events", value: "v", headers: JSON.parse(JSON.stringify(headers)) }
        await assert.rejects(spillway.publishPromise(record), { reason: "InvalidRecord" })
      }
      await assert.rejects(spillway.publishPromise(JSON.parse("null")), { reason: "InvalidRecord" })
    }))
})
