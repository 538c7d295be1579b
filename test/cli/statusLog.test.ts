import assert from "node:assert/strict"
import { join } from "node:path"
import { after, it } from "node:test"
import * as Effect from "effect/Effect"
import { type Entry, StatusLog } from "../../src/cli/statusLog.ts"
import type { Status } from "../../src/Spillway.ts"
import { advance, advanceUntil, harness, onTestClock } from "../support/doubles.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const directory = temporaryDirectory("status-log")
after(() => deleteDirectory(directory))

const messages = (entries: ReadonlyArray<Entry>) => entries.map(({ level, message }) => `${level}: ${message}`)

it("tells an outage and its end, each change once", () =>
  onTestClock(
    Effect.gen(function* () {
      const h = yield* harness({ more: `spool: { path: ${join(directory, "spool.sqlite")} }` })
      const log = new StatusLog()
      const look = () => messages(log.look(h.spillway.status(), 0))
      yield* advance(40)
      assert.deepEqual(look(), ["info: readiness: accepting"])
      assert.deepEqual(look(), [])
      h.kafka.always({ _tag: "Refuse" })
      h.kafka.reachable(false)
      let told = 0
      h.spillway.offer({ topic: "events", value: "a" }, () => told++)
      yield* advanceUntil("the breaker", () => h.spillway.status().connections[0]?.breaker.state === "open")
      const [degraded, paused, ...rest] = look()
      assert.match(degraded ?? "", /^warning: readiness: degraded: Kafka connection default: circuit breaker open/)
      assert.equal(paused, "info: replay from parked paused: circuit breaker of default open")
      assert.deepEqual([...rest, ...look()], [])
      yield* advanceUntil("the diversion", () => told === 1)
      h.kafka.always(undefined)
      h.kafka.reachable(true)
      yield* advanceUntil("the end", () => h.spillway.status().health.readiness === "accepting", { stepMs: 200 })
      assert.deepEqual(look(), ["info: readiness: accepting", "info: replay from parked goes on"])
    })
  ))

const calm: Promise<Status> = onTestClock(
  Effect.gen(function* () {
    const h = yield* harness({ more: 'telemetry: { otlp: { endpoint: "http://127.0.0.1:1" } }' })
    yield* advance(40)
    return h.spillway.status()
  })
)

/** The status after so many dead letters. */
const withDeadLetters = (status: Status, deadLetters: Readonly<Record<string, number>>): Status => ({
  ...status,
  connections: status.connections.map(connection => ({
    ...connection,
    fallbacks: connection.fallbacks.map(fallback => ({ ...fallback, replay: { ...fallback.replay, deadLetters } }))
  }))
})

it("counts dead letters and failed records, and tells them at most every ten seconds", async () => {
  const status = await calm
  const log = new StatusLog()
  log.look(status, 0)
  const first = log.look(withDeadLetters(status, { MESSAGE_TOO_LARGE: 2 }), 1000)
  assert.deepEqual(messages(first), ["warning: 2 records given up (MESSAGE_TOO_LARGE): they are in parked-dlq"])
  assert.deepEqual(first[0]?.fields, {
    event: "dead letters",
    queue: "parked-dlq",
    reason: "MESSAGE_TOO_LARGE",
    records: 2
  })
  assert.deepEqual(log.look(withDeadLetters(status, { MESSAGE_TOO_LARGE: 900 }), 2000), [])
  assert.deepEqual(messages(log.look(withDeadLetters(status, { MESSAGE_TOO_LARGE: 1000 }), 11_000)), [
    "warning: 998 records given up (MESSAGE_TOO_LARGE): they are in parked-dlq"
  ])
  const failed = (count: number): Status =>
    withDeadLetters({ ...status, accounting: { ...status.accounting, failed: count } }, { MESSAGE_TOO_LARGE: 1000 })
  assert.deepEqual(messages(log.look(failed(7), 12_000)), [
    "warning: 7 records found no durable place: their callers were told"
  ])
  assert.deepEqual(log.look(failed(8), 13_000), [])
})

it("tells that telemetry is lost, and that it is not any more", async () => {
  const status = await calm
  const log = new StatusLog()
  log.look(status, 0)
  const faulty = (fault: string): Status => {
    assert.ok(status.telemetry)
    return { ...status, telemetry: { ...status.telemetry, fault } }
  }
  assert.deepEqual(messages(log.look(faulty("traces: HTTP 503"), 1000)), [
    "warning: telemetry is not exported: traces: HTTP 503"
  ])
  assert.deepEqual(log.look(faulty("traces: HTTP 503"), 2000), [])
  assert.deepEqual(messages(log.look(faulty(""), 3000)), ["info: telemetry: exported again"])
})
