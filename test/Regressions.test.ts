import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Outcome } from "../src/Receipt.ts"
import { advance, advanceUntil, harness, onTestClock } from "./support/doubles.ts"

const outcomeOf = (outcome: Outcome): string => (outcome._tag === "Receipt" ? outcome.outcome : outcome.reason)

describe("once found, kept away", () => {
  it("a deleted topic does not open the breaker for the others", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ partitions: 6 })
        yield* advance(40)
        kafka.always({ _tag: "Fail", code: 3 })
        const told: Array<string> = []
        for (let partition = 0; partition < 6; partition++) {
          spillway.offer({ topic: "events", value: "v", partition }, outcome => told.push(outcomeOf(outcome)))
        }
        yield* advanceUntil("all outcomes", () => told.length === 6)
        assert.deepEqual(new Set(told), new Set(["UnknownTopic"]))
        assert.equal(spillway.status().connections[0]?.breaker.state, "closed")
      })
    ))

  it("a record that is too large leaves no empty batch behind", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ partitions: 1, output: "max_record_bytes: 1KiB" })
        yield* advance(40)
        kafka.script({ _tag: "Delay", ms: 100 })
        const told: Array<string> = []
        const offer = (value: string) =>
          spillway.offer({ topic: "events", value }, outcome => told.push(outcomeOf(outcome)))
        offer("first")
        yield* advance(40)
        offer("x".repeat(5000))
        yield* advance(400)
        assert.deepEqual(told, ["RecordTooLarge", "delivered"])
        assert.equal(kafka.calls.produce, 1)
      })
    ))

  it("publishes without an outcome fail when the scope ends, instead of waiting for ever", () =>
    onTestClock(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { kafka, queue, spillway } = yield* Scope.extend(harness({ more: "shutdown: { budget: 5s }" }), scope)
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        queue.script("limits", ...Array.from({ length: 90 }, () => ({ _tag: "Hang" }) as const))
        queue.script("send", ...Array.from({ length: 90 }, () => ({ _tag: "Hang" }) as const))
        const told: Array<string> = []
        for (let i = 0; i < 8; i++) {
          spillway.offer({ topic: "events", key: `k${i}`, value: "v" }, outcome => told.push(outcomeOf(outcome)))
          yield* advance(100)
        }
        let closed = false
        const end = Effect.sync(() => {
          closed = true
        })
        yield* Effect.fork(Effect.ensuring(Scope.close(scope, Exit.void), end))
        yield* advanceUntil("the end", () => closed, { withinMs: 60_000 })
        assert.equal(told.length, 8)
        assert.ok(
          told.every(reason => reason === "FallbackUnavailable" || reason === "Closed"),
          told.join()
        )
      })
    ))

  it("counts records that SQS may have stored twice", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, queue, spillway } = yield* harness()
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        kafka.reachable(false)
        queue.script("send", { _tag: "LoseReply" })
        let told = ""
        spillway.offer({ topic: "events", value: "v" }, outcome => {
          told = outcomeOf(outcome)
        })
        yield* advanceUntil("the outcome", () => told !== "")
        assert.equal(told, "diverted")
        assert.equal((yield* queue.messages).length, 2)
        assert.equal(spillway.status().connections[0]?.fallbacks[0]?.writer.storedTwice, 1)
      })
    ))

  it("messages waiting behind a slow one are not received twice", () =>
    onTestClock(
      Effect.gen(function* () {
        const retry = "after: 1s, runner_count: 2, visibility_timeout: 5s, rate: 10"
        const { kafka, parked, spillway } = yield* harness({ retry, partitions: 1 })
        yield* advance(40)
        kafka.always({ _tag: "Refuse" })
        kafka.reachable(false)
        let told = 0
        for (let message = 0; message < 4; message++) {
          for (let i = 0; i < 40; i++) spillway.offer({ topic: "events", value: `${message}-${i}` }, () => told++)
          yield* advanceUntil("the diversion", () => told === (message + 1) * 40)
        }
        kafka.always(undefined)
        kafka.reachable(true)
        yield* advanceUntil("the replay", () => parked().length === 0, { withinMs: 200_000, stepMs: 100 })
        assert.equal(kafka.stored().length, 160)
      })
    ))

  it("a record offered while a turn is pending has its deadline watched", () =>
    onTestClock(
      Effect.gen(function* () {
        const more = "breaker: { consecutive_failures: 1000, minimum_volume: 1000 }"
        const { spillway } = yield* harness({ unreachable: true, more })
        yield* advance(40)
        const told: Array<string> = []
        // Wakes the loops although there is no record; whoever watches deadlines looks, and goes back to sleep.
        yield* spillway.drain
        for (let i = 0; i < 50; i++) yield* Effect.promise(() => Promise.resolve())
        spillway.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        yield* advanceUntil("the diversion", () => told.length === 1, { withinMs: 1500 })
        assert.deepEqual(told, ["diverted"])
      })
    ))

  it("a breaker's listener that throws costs no record its outcome", () =>
    onTestClock(
      Effect.gen(function* () {
        const faults: Array<unknown> = []
        const real = globalThis.queueMicrotask
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            globalThis.queueMicrotask = task =>
              real(() => {
                try {
                  task()
                } catch (fault) {
                  faults.push(fault)
                }
              })
          }),
          () =>
            Effect.sync(() => {
              globalThis.queueMicrotask = real
            })
        )
        const { kafka, spillway } = yield* harness()
        yield* advance(40)
        const thrown = new Error("a listener's")
        spillway.onBreakerChange(() => {
          throw thrown
        })
        kafka.always({ _tag: "Hang" })
        const told: Array<string> = []
        for (let round = 0; round < 3; round++) {
          for (let partition = 0; partition < 3; partition++) {
            spillway.offer({ topic: "events", value: "v", partition }, outcome => told.push(outcomeOf(outcome)))
          }
          yield* advance(300)
        }
        yield* advanceUntil("all outcomes", () => told.length === 9, { withinMs: 5000 })
        assert.deepEqual(new Set(told), new Set(["diverted"]))
        assert.equal(faults[0], thrown)
      })
    ))

  it("a caller that offers again whenever it is refused does not stop the process", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ more: "buffer: { max_records: 10, max_wait: 0s }" })
        yield* advance(40)
        kafka.script({ _tag: "Delay", ms: 300 })
        let delivered = 0
        let refused = 0
        let turned = false
        let others = false
        const offer = () =>
          spillway.offer({ topic: "events", key: `k${delivered}`, value: "v" }, outcome => {
            if (outcome._tag === "Receipt") return void delivered++
            if (refused++ === 0)
              setImmediate(() => {
                turned = true
              })
            // Nothing but this bound would end the test where others never have their turn.
            if (refused === 50) others = turned
            else offer()
          })
        for (let i = 0; i < 11; i++) offer()
        yield* advanceUntil("the delivery", () => delivered === 10 && refused === 50, { withinMs: 2000 })
        assert.ok(others)
      })
    ))

  it("a shutdown goes on when whoever waits for it is interrupted", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness()
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        const told: Array<string> = []
        spillway.offer({ topic: "events", value: "v" }, outcome => told.push(outcomeOf(outcome)))
        yield* advance(40)
        const first = yield* Effect.fork(spillway.shutdown(10_000))
        yield* advance(40)
        yield* Fiber.interrupt(first)
        let complete: boolean | undefined
        yield* Effect.fork(
          Effect.map(spillway.shutdown(10_000), summary => {
            complete = summary.complete
          })
        )
        yield* advanceUntil("the shutdown", () => complete !== undefined, { withinMs: 10_000 })
        assert.equal(complete, true)
        assert.deepEqual(told, ["diverted"])
      })
    ))

  it("with the breaker open nobody waits for a place at a broker that does not answer", () =>
    onTestClock(
      Effect.gen(function* () {
        const { kafka, spillway } = yield* harness({ writeTimeout: "5s", output: "max_in_flight: 1" })
        yield* advance(40)
        kafka.always({ _tag: "Hang" })
        const told: Array<number> = []
        const offer = (partition: number) =>
          spillway.offer({ topic: "events", value: "v", partition }, () => told.push(partition))
        offer(0)
        yield* advance(40)
        spillway.forceBreaker("default", "open")
        offer(1)
        yield* advanceUntil("the diversion", () => told.length > 0, { withinMs: 200 })
        assert.deepEqual(told, [1])
      })
    ))
})
