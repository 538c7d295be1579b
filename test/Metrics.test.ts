import assert from "node:assert/strict"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Envelope from "../src/Envelope.ts"
import * as Metrics from "../src/Metrics.ts"
import type { Status } from "../src/Spillway.ts"
import { envelopeOf } from "./support/batches.ts"
import { advance, advanceUntil, harness, onTestClock } from "./support/doubles.ts"
import { deleteDirectory, temporaryDirectory } from "./support/Guard.ts"
import { missing, promtool } from "./support/Promtool.ts"

const directory = temporaryDirectory("metrics")
after(() => deleteDirectory(directory))

/** Status of a runtime that has everything a configuration can ask for, after an outage, a replay and a dead letter. */
const eventful: Promise<Status> = onTestClock(
  Effect.gen(function* () {
    const h = yield* harness({
      retry: "after: 1s, backlog: { max_messages: 1000 }",
      more: `
spool: { path: ${join(directory, "spool.sqlite")} }
telemetry: { otlp: { endpoint: "http://127.0.0.1:1" } }
`
    })
    const { kafka, spillway } = h
    yield* advance(40)
    kafka.always({ _tag: "Refuse" })
    kafka.reachable(false)
    let told = 0
    for (const value of ["a", "b"]) spillway.offer({ topic: "events", value }, () => told++)
    yield* advanceUntil("the diversion", () => told === 2)
    yield* advanceUntil("the breaker", () => spillway.status().connections[0]?.breaker.state === "open")
    kafka.reachable(true)
    // MESSAGE_TOO_LARGE for the first replay, one record after the other.
    kafka.always({ _tag: "Fail", code: 10 })
    yield* advanceUntil("a dead letter", () => h.dead().length > 0)
    kafka.always(undefined)
    spillway.offer({ topic: "events", value: "c" }, () => told++)
    yield* advanceUntil("the last outcome", () => told === 3 && h.parked().length === 0)
    return spillway.status()
  })
)

const sum = (text: string, name: string): number =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))].reduce(
    (total, [, value]) => total + Number(value),
    0
  )

describe("metrics", () => {
  it("hold the accounting law", async () => {
    const text = Metrics.render(await eventful)
    assert.equal(sum(text, "spillway_accepted_records_total"), 3)
    assert.equal(sum(text, "spillway_settled_records_total") + sum(text, "spillway_in_memory_records"), 3)
    assert.equal(sum(text, "spillway_redelivered_records_total") + sum(text, "spillway_dead_lettered_records_total"), 2)
  })

  it("name the reason of a dead letter, and say how long records lay in the queue", async () => {
    const text = Metrics.render(await eventful)
    assert.match(
      text,
      /^spillway_dead_letters_total\{producer="events",queue="parked",reason="MESSAGE_TOO_LARGE"\} 2$/m
    )
    assert.match(text, /^spillway_queue_time_seconds_count\{producer="events",queue="parked"\} 0$/m)
    assert.match(text, /^spillway_publish_duration_seconds_count\{outcome="diverted"\} 2$/m)
    assert.match(text, /^spillway_breaker_opened_total\{connection="default"\} [1-9]\d*$/m)
  })

  it("are what promtool expects", { skip: missing }, async () => {
    const { content, said } = promtool(["check", "metrics"], Metrics.render(await eventful))
    assert.equal(said, "")
    assert.ok(content)
    // The check is alive: it does not take everything.
    assert.ok(!promtool(["check", "metrics"], "# TYPE badName counter\nbadName 1\n").content)
  })

  it("escape what labels must not hold as it is", async () => {
    const status = await eventful
    const [connection] = status.connections
    assert.ok(connection)
    const odd = { ...status, connections: [{ ...connection, connection: 'a"b\\c\nd' }] }
    assert.match(Metrics.render(odd), /^spillway_in_memory_records\{connection="a\\"b\\\\c\\nd"\} 0$/m)
  })
})

describe("the oldest parked record", () => {
  it("grows older through an outage, is known by what was received last, and is gone with the backlog", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ waitTime: 1 })
        const age = () => (h.spillway.status().connections[0]?.fallbacks[0]?.oldestAgeMs ?? Number.NaN) / 1000
        yield* advance(40)
        assert.equal(age(), 0)
        h.kafka.always({ _tag: "Refuse" })
        h.kafka.reachable(false)
        let told = 0
        h.spillway.offer({ topic: "events", value: "a" }, () => told++)
        yield* advanceUntil("the diversion", () => told === 1)
        yield* advance(60_000, 1000)
        assert.ok(age() > 50 && age() < 65, `${age()} s`)
        h.kafka.always(undefined)
        h.kafka.reachable(true)
        yield* advanceUntil("the replay", () => h.kafka.stored().length === 1, { stepMs: 500 })
        const queueTime = h.spillway.status().connections[0]?.fallbacks[0]?.queueTime
        assert.equal(queueTime?.count, 1)
        assert.ok((queueTime?.sum ?? 0) > 60_000, `${queueTime?.sum} ms`)
        yield* advanceUntil("the empty queue", () => age() === 0, { stepMs: 1000 })
      })
    ))

  it("is as old as its first failure says, whoever parked it", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ waitTime: 1 })
        yield* advance(100_000, 5000)
        // Metadata can be had, and nothing else: what is received cannot be replayed.
        h.kafka.always({ _tag: "Refuse" })
        const body = yield* Envelope.toBody(
          Envelope.encode([{ ...envelopeOf([{ value: "a" }]), firstFailureAt: 40_000 }])
        )
        yield* h.queue.send([{ body, attributes: {}, delaySeconds: 0 }])
        const age = () => h.spillway.status().connections[0]?.fallbacks[0]?.oldestAgeMs ?? Number.NaN
        yield* advanceUntil(
          "the receive",
          () => h.spillway.status().connections[0]?.fallbacks[0]?.replay.messages === 1
        )
        yield* advanceUntil("its age", () => age() > 59_000, { withinMs: 5000 })
        assert.ok(age() < 70_000, `${age()} ms`)
      })
    ))
})
