import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Summary } from "../src/Shutdown.ts"
import * as Shutdown from "../src/Shutdown.ts"
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

  for (const operation of ["limits", "send"] as const) {
    it(`tells the callers before the time is over when Kafka and SQS (${operation}) hang, and runs once`, () =>
      onTestClock(
        Effect.gen(function* () {
          const { kafka, queue, spillway } = yield* harness()
          // The limits are known before sending can hang.
          yield* advance(40)
          kafka.always({ _tag: "Hang" })
          queue.script(operation, ...Array.from({ length: 50 }, () => ({ _tag: "Hang" }) as const))
          const told: Array<string> = []
          for (let i = 0; i < 20; i++) {
            spillway.offer({ topic: "events", key: `k${i}`, value: "v" }, outcome =>
              told.push(outcome._tag === "Receipt" ? outcome.outcome : outcome.reason)
            )
          }
          yield* advance(40)
          const summaries: Array<Summary> = []
          for (const budget of [5000, 1]) {
            yield* Effect.fork(Effect.map(spillway.shutdown(budget), done => void summaries.push(done)))
          }
          yield* advance(4400)
          assert.equal(summaries.length, 0)
          assert.deepEqual(told, [])
          assert.deepEqual(spillway.status().held, [
            { topic: "events", buffered: 0, inFlight: 0, parking: 20, queue: "parked" }
          ])
          yield* advanceUntil("the shutdown", () => summaries.length === 2, { withinMs: 600 })
          const [summary] = summaries
          assert.deepEqual(told, Array(20).fill("FallbackUnavailable"))
          assert.equal(summary?.complete, false)
          assert.equal(summary?.notDurable, 20)
          assert.equal(summary?.accounting.inMemory, 0)
          assert.equal(summary?.accounting.failed, 20)
          assert.deepEqual(summary?.left, [])
          assert.equal(summary, summaries[1])
          assert.match(
            Shutdown.render(summary ?? assert.fail()),
            /^shutdown incomplete in \d+ ms: accepted=20 .* failed=20 in_memory=0 .*; 20 found no durable place and their callers were told$/
          )
        })
      ))
  }

  it("tries SQS for as long as the deadline allows, longer than it would otherwise", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness()
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        queue.setDown("Throttled")
        let told = ""
        spillway.offer({ topic: "events", value: "v" }, outcome => {
          told = outcome._tag === "Receipt" ? outcome.outcome : outcome.reason
        })
        yield* advance(40)
        let summary: Summary | undefined
        yield* Effect.fork(
          Effect.map(spillway.shutdown(25_000), done => {
            summary = done
          })
        )
        // Without the deadline the caller would be told after 8 s.
        yield* advance(15_000, 50)
        assert.equal(told, "")
        queue.setDown(undefined)
        yield* advanceUntil("the shutdown", () => summary !== undefined, { withinMs: 5000 })
        assert.equal(told, "diverted")
        assert.equal(summary?.complete, true)
      })
    ))

  it("does not wait for Kafka longer than its share: what is in flight is parked, and counted as possibly twice", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness({
          writeTimeout: "8s"
        })
        yield* advance(40)
        kafka.always({ _tag: "LoseAck" })
        let told = 0
        for (let i = 0; i < 100; i++) spillway.offer({ topic: "events", key: `k${i}`, value: "v" }, () => told++)
        yield* advance(40)
        const [held] = spillway.status().held
        assert.equal((held?.buffered ?? 0) + (held?.inFlight ?? 0), 100)
        assert.ok((held?.inFlight ?? 0) > 0)
        let summary: Summary | undefined
        yield* Effect.fork(
          Effect.map(spillway.shutdown(10_000), done => {
            summary = done
          })
        )
        yield* advanceUntil("the shutdown", () => summary !== undefined, { withinMs: 5500 })
        assert.equal(summary?.complete, true)
        assert.equal(summary?.accounting.diverted, 100)
        assert.equal(summary?.accounting.divertedUnknown, held?.inFlight)
        assert.equal(told, 100)
        assert.ok((summary?.phases.flush ?? 0) >= 4900)
        const records = (yield* queue.messages).map(({ attributes }) => Number(attributes["spillway-records"]))
        assert.equal(
          records.reduce((sum, count) => sum + count, 0),
          100
        )
      })
    ))

  it("gives the long polls back what they still bring, and ends them before it says that it is over", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness({
          retry: "after: 0s, visibility_timeout: 30s",
          waitTime: 20
        })
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        let told = ""
        spillway.offer({ topic: "events", value: "v" }, outcome => {
          told = outcome._tag === "Receipt" ? outcome.outcome : outcome.reason
        })
        yield* advance(40)
        assert.equal(queue.calls.receive, 1)
        let summary: Summary | undefined
        yield* Effect.fork(
          Effect.map(spillway.shutdown(10_000), done => {
            summary = done
          })
        )
        yield* advanceUntil("the shutdown", () => summary !== undefined, { withinMs: 5000 })
        assert.equal(told, "diverted")
        assert.equal(summary?.complete, true)
        // The poll of this very process got the record it had just parked, and put it back at once.
        assert.equal(queue.calls.changeVisibility, 1)
        const [message, ...rest] = yield* queue.messages
        assert.equal(rest.length, 0)
        assert.ok((message?.visibleAt ?? Number.POSITIVE_INFINITY) <= (yield* Clock.currentTimeMillis))
        // Nobody polls any more: a later message stays where it is.
        yield* queue.send([{ body: "later", attributes: {}, delaySeconds: 0 }])
        yield* advance(2000)
        assert.equal(queue.calls.receive, 1)
        assert.equal((yield* queue.messages).at(-1)?.receiveCount, 0)
      })
    ))

  it("hands back what the retry daemon holds", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness({ partitions: 1, writeTimeout: "4s" })
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
        // A fifth of the budget for all of it, half of that for the replay to finish, and the replay has write_timeout.
        yield* advanceUntil("the shutdown", () => summary !== undefined, { withinMs: 2000 })
        const [message] = yield* queue.messages
        assert.ok((message?.visibleAt ?? Number.POSITIVE_INFINITY) <= (yield* Clock.currentTimeMillis))
        assert.equal((yield* queue.messages).length, 1)
        assert.equal(queue.calls.changeVisibility, 1)
        // The attempt that was cut short may have been written.
        assert.equal(spillway.status().connections[0]?.fallbacks[0]?.replay.unknown, 1)
      })
    ))

  it("tries SQS once more although its breaker is open, when there is no spool", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness({ more: "breaker: { open_min: 30s, open_max: 60s }" })
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        kafka.reachable(false)
        queue.setDown("Throttled")
        const told: Array<string> = []
        const offer = () =>
          spillway.offer({ topic: "events", value: "v" }, outcome =>
            told.push(outcome._tag === "Receipt" ? outcome.outcome : outcome.reason)
          )
        offer()
        yield* advanceUntil("the refusal", () => told.length === 1)
        assert.equal(spillway.status().connections[0]?.fallbacks[0]?.writer.breaker, "open")
        queue.setDown(undefined)
        offer()
        let summary: Summary | undefined
        yield* Effect.fork(
          Effect.map(spillway.shutdown(10_000), done => {
            summary = done
          })
        )
        yield* advanceUntil("the shutdown", () => summary !== undefined, { withinMs: 10_000 })
        assert.deepEqual(told, ["FallbackUnavailable", "diverted"])
        assert.equal(summary?.complete, true)
      })
    ))
})
