import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import type { Summary } from "../src/Shutdown.ts"
import { advance, advanceUntil, harness, onTestClock } from "./support/doubles.ts"

describe("Shutdown", () => {
  it("flushes to Kafka while the breaker is closed, then refuses", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness()
        yield* advance(40)
        kafka.script({ _tag: "Delay", ms: 300 })
        const told: Array<string> = []
        for (let i = 0; i < 100; i++) {
          spillway.offer({ topic: "events", key: `k${i}`, value: "v" }, outcome =>
            told.push(outcome._tag === "Receipt" ? outcome.outcome : outcome.reason)
          )
        }
        let summary: Summary | undefined
        yield* Effect.fork(
          Effect.map(spillway.shutdown(25_000), done => {
            summary = done
          })
        )
        yield* advanceUntil("the shutdown", () => summary !== undefined)
        assert.equal(summary?.complete, true)
        assert.equal(summary?.accounting.delivered, 100)
        assert.equal(queue.calls.send, 0)
        assert.equal(told.length, 100)
        const refused = yield* Effect.flip(spillway.publish({ topic: "events", value: "late" }))
        assert.equal(refused.reason, "Closed")
        assert.equal(spillway.status().health.readiness, "refusing")
      })
    ))

  it("parks everything when Kafka hangs, within the budget", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness()
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        let told = 0
        for (let i = 0; i < 200; i++) spillway.offer({ topic: "events", key: `k${i}`, value: "v" }, () => told++)
        yield* advance(40)
        let summary: Summary | undefined
        yield* Effect.fork(
          Effect.map(spillway.shutdown(10_000), done => {
            summary = done
          })
        )
        yield* advanceUntil("the shutdown", () => summary !== undefined, { withinMs: 10_000 })
        assert.equal(summary?.complete, true)
        assert.equal(summary?.accounting.diverted, 200)
        assert.equal(told, 200)
        const total = (yield* queue.messages).reduce(
          (sum, { attributes }) => sum + Number(attributes["spillway-records"]),
          0
        )
        assert.equal(total, 200)
      })
    ))

  it("says what is left when nothing takes it, and runs once", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness()
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        queue.script("limits", ...Array.from({ length: 50 }, () => ({ _tag: "Hang" }) as const))
        queue.script("send", ...Array.from({ length: 50 }, () => ({ _tag: "Hang" }) as const))
        spillway.offer({ topic: "events", value: "v" }, () => undefined)
        yield* advance(40)
        const summaries: Array<Summary> = []
        for (let i = 0; i < 2; i++) {
          yield* Effect.fork(Effect.map(spillway.shutdown(5000), done => void summaries.push(done)))
        }
        yield* advanceUntil("the shutdown", () => summaries.length === 2, { withinMs: 6000 })
        assert.equal(summaries[0]?.complete, false)
        assert.equal(summaries[0]?.accounting.inMemory, 1)
        assert.equal(summaries[0], summaries[1])
      })
    ))

  it("hands back what the retry daemon holds", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness({ partitions: 1 })
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        kafka.reachable(false)
        let told = 0
        spillway.offer({ topic: "events", value: "v" }, () => told++)
        yield* advanceUntil("the diversion", () => told === 1)
        kafka.reachable(true)
        kafka.always({ _tag: "Hang" })
        yield* advanceUntil("the receive", () => spillway.status().connections[0]?.fallbacks[0]?.replay.messages === 1)
        let summary: Summary | undefined
        yield* Effect.fork(
          Effect.map(spillway.shutdown(10_000), done => {
            summary = done
          })
        )
        yield* advanceUntil("the shutdown", () => summary !== undefined)
        assert.equal((yield* queue.messages).length, 1)
        assert.ok(queue.calls.changeVisibility > 0)
      })
    ))
})
