import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type { Family } from "../src/Metrics.ts"
import * as Telemetry from "../src/Telemetry.ts"
import type { Span } from "../src/Tracing.ts"
import { serving } from "./http/serving.ts"
import { eventually } from "./support/eventually.ts"
import * as Receiver from "./support/OtlpReceiver.ts"
import { freePort } from "./support/ports.ts"

const families: ReadonlyArray<Family> = [
  { name: "a_total", type: "counter", help: "A.", samples: [[{ kind: "x" }, 3]] },
  { name: "b_seconds", type: "gauge", help: "B.", samples: [[{}, Number.POSITIVE_INFINITY]] },
  {
    name: "c_seconds",
    type: "histogram",
    help: "C.",
    samples: [
      [
        {},
        {
          count: 4,
          sum: 2500,
          p50: 1,
          p99: 1,
          max: 1,
          buckets: [
            [1, 1],
            [1000, 3]
          ]
        }
      ]
    ]
  }
]

const startedAt = Date.UTC(2026, 0, 1)

const spanOf = (number: number): Span => ({
  traceId: (number + 1).toString(16).padStart(32, "0"),
  spanId: (number + 1).toString(16).padStart(16, "0"),
  parentSpanId: undefined,
  state: "",
  name: `span ${number}`,
  kind: "producer",
  startMs: startedAt + number,
  endMs: startedAt + number + 1.5,
  attributes: { text: "t", whole: 7, large: 2n ** 60n, part: 0.5 },
  error: number % 2 === 0 ? undefined : "why"
})

const configured = (endpoint: string, timeoutMs = 1000) =>
  Telemetry.make(
    {
      endpoint: `${endpoint}/`,
      headers: { authorization: Redacted.make("Bearer s3cret") },
      intervalMs: 100,
      timeoutMs,
      sampleRatio: 0,
      serviceName: "svc",
      resourceAttributes: { "deployment.environment": "test" }
    },
    "instance",
    startedAt,
    () => families
  )

const received = async (use: (receiver: Receiver.OtlpReceiver) => Promise<void>): Promise<void> => {
  const receiver = await Receiver.start()
  try {
    await use(receiver)
    assert.deepEqual(receiver.faults, [])
  } finally {
    await receiver.stop()
  }
}

const flush = (telemetry: Telemetry.Service, budgetMs = 5000) => Effect.runPromise(telemetry.flush(budgetMs))

describe("the export", () => {
  it("says the same as the runtime, in OTLP's JSON", () =>
    received(async receiver => {
      const telemetry = configured(receiver.endpoint)
      telemetry.record(spanOf(0))
      telemetry.record(spanOf(1))
      await flush(telemetry)
      const [first, second] = receiver.spans
      assert.deepEqual(first?.attributes, { text: "t", whole: 7, large: 2 ** 60, part: 0.5 })
      assert.equal(first?.startNanos, BigInt(startedAt) * 1_000_000n)
      assert.equal(first?.endNanos, BigInt(startedAt) * 1_000_000n + 1_500_000n)
      assert.deepEqual([first?.error, second?.error], [undefined, "why"])
      assert.deepEqual(receiver.points(), [
        { name: "a_total", attributes: { kind: "x" }, kind: "sum", value: 3 },
        { name: "b_seconds", attributes: {}, kind: "gauge", value: Number.POSITIVE_INFINITY },
        { name: "c_seconds", attributes: {}, kind: "histogram", value: 4 }
      ])
      assert.equal(receiver.headers().authorization, "Bearer s3cret")
      assert.deepEqual(telemetry.status(), {
        exportedSpans: 2,
        droppedSpans: 0,
        waitingSpans: 0,
        failedExports: { traces: 0, metrics: 0 },
        fault: ""
      })
    }))

  it("sends many spans in several requests, in their order", () =>
    received(async receiver => {
      const telemetry = configured(receiver.endpoint)
      for (let i = 0; i < 1200; i++) telemetry.record(spanOf(i))
      await flush(telemetry)
      assert.deepEqual(
        receiver.spans.map(({ name }) => name),
        Array.from({ length: 1200 }, (_, i) => `span ${i}`)
      )
      assert.equal(receiver.requests(), 4)
    }))

  it("counts what an endpoint rejects in part, and what it refuses for good", () =>
    received(async receiver => {
      const telemetry = configured(receiver.endpoint)
      receiver.answer(response => response.end('{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}'))
      telemetry.record(spanOf(0))
      telemetry.record(spanOf(1))
      await flush(telemetry)
      assert.deepEqual([telemetry.status().exportedSpans, telemetry.status().droppedSpans], [1, 1])
      const refused = configured(receiver.endpoint)
      receiver.answer(response => response.writeHead(400).end())
      refused.record(spanOf(2))
      await flush(refused)
      const { droppedSpans, failedExports, fault } = refused.status()
      assert.deepEqual([droppedSpans, failedExports.traces], [1, 1])
      assert.match(fault, /HTTP 400/)
      // It has ended: nothing is sent any more.
      refused.record(spanOf(3))
      await flush(refused)
      assert.deepEqual([refused.status().droppedSpans, refused.status().failedExports.traces], [2, 1])
    }))

  it("tries again what may be tried again, and bounds what waits meanwhile", () =>
    received(async receiver => {
      const telemetry = configured(receiver.endpoint)
      receiver.answer(response => response.writeHead(503).end())
      const running = Effect.runFork(telemetry.run)
      for (let i = 0; i < Telemetry.maximumWaiting + 5; i++) telemetry.record(spanOf(i))
      await eventually("two failed exports", 10_000, () =>
        telemetry.status().failedExports.traces > 1 ? true : undefined
      )
      assert.deepEqual(
        [telemetry.status().waitingSpans, telemetry.status().droppedSpans],
        [Telemetry.maximumWaiting, 5]
      )
      receiver.answer(undefined)
      await eventually("all of them", 10_000, () => (telemetry.status().waitingSpans === 0 ? true : undefined))
      assert.equal(receiver.spans.length, Telemetry.maximumWaiting)
      assert.deepEqual([telemetry.status().exportedSpans, telemetry.status().fault], [Telemetry.maximumWaiting, ""])
      await Effect.runPromise(Fiber.interrupt(running))
    }))

  it("sends nothing twice when the end comes while a request is under way", () =>
    received(async receiver => {
      const telemetry = configured(receiver.endpoint)
      const held: Array<() => void> = []
      receiver.hold(release => held.push(release))
      telemetry.record(spanOf(0))
      const running = Effect.runFork(telemetry.run)
      await eventually("traces and metrics under way", 5000, () => (held.length === 2 ? true : undefined))
      const flushed = flush(telemetry)
      await eventually("the last metrics", 5000, () => (held.length === 3 ? true : undefined))
      receiver.hold(undefined)
      for (const release of held) release()
      await flushed
      await Effect.runPromise(Fiber.interrupt(running))
      assert.deepEqual(
        receiver.spans.map(({ name }) => name),
        ["span 0"]
      )
      assert.equal(telemetry.status().exportedSpans, 1)
    }))

  it("gives up an endpoint that does not answer, within the time it has, and counts what it gave up", () =>
    received(async receiver => {
      receiver.answer(() => undefined)
      const telemetry = configured(receiver.endpoint, 60_000)
      telemetry.record(spanOf(0))
      await flush(telemetry, 50)
      assert.deepEqual([telemetry.status().droppedSpans, telemetry.status().waitingSpans], [1, 0])
      const hasty = configured(receiver.endpoint, 20)
      hasty.record(spanOf(0))
      await flush(hasty)
      assert.match(hasty.status().fault, /no answer in time/)
    }))

  it("does not show its secrets in what it says of a fault", async () => {
    const telemetry = configured(`http://127.0.0.1:${await freePort()}`)
    telemetry.record(spanOf(0))
    await flush(telemetry)
    assert.match(telemetry.status().fault, /unreachable/)
    assert.ok(!JSON.stringify(telemetry.status()).includes("s3cret"))
  })
})

describe("publishing with an endpoint that fails", () => {
  const sampled = { traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" }
  const answers: Readonly<Record<string, Parameters<Receiver.OtlpReceiver["answer"]>[0]>> = {
    "that never answers": () => undefined,
    "that answers 500": response => response.writeHead(500).end(),
    "that breaks connections": response => response.destroy()
  }
  for (const [name, answer] of Object.entries(answers)) {
    it(`${name}: every record is delivered, drops are counted`, () =>
      received(async receiver => {
        receiver.answer(answer)
        const more = `telemetry: { otlp: { endpoint: "${receiver.endpoint}", interval: 100ms } }`
        await serving({ more }, async ({ post, spillway }) => {
          const answered = await Promise.all(Array.from({ length: 3000 }, (_, i) => post(String(i), sampled)))
          assert.ok(answered.every(({ status }) => status === 201))
          // Two spans each: more than may wait.
          const dropped = await eventually(
            "drops",
            10_000,
            () => spillway.status().telemetry?.droppedSpans || undefined
          )
          assert.ok(dropped >= 6000 - Telemetry.maximumWaiting)
          assert.equal(spillway.status().accounting.delivered, 3000)
          const { complete, tookMs } = await Effect.runPromise(spillway.shutdown(2000))
          assert.ok(complete, `${tookMs} ms`)
          const { droppedSpans, exportedSpans, waitingSpans } = spillway.status().telemetry ?? assert.fail()
          assert.deepEqual([droppedSpans, exportedSpans, waitingSpans], [6000, 0, 0])
        })
      }))
  }
})
