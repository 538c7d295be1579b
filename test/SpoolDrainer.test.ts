import assert from "node:assert/strict"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Envelope from "../src/Envelope.ts"
import * as HttpHandler from "../src/http/HttpHandler.ts"
import * as Metrics from "../src/Metrics.ts"
import type { Outcome } from "../src/Receipt.ts"
import * as RecordBatch from "../src/RecordBatch.ts"
import type { Summary } from "../src/Shutdown.ts"
import * as Sqlite from "../src/Spool/Sqlite.ts"
import { advance, advanceUntil, type Harness, type HarnessOptions, harness, onTestClock } from "./support/doubles.ts"
import { deleteDirectory, temporaryDirectory } from "./support/Guard.ts"
import { envelopeOf } from "./support/SpoolProcess.ts"

const directory = temporaryDirectory("spool")
after(() => deleteDirectory(directory))
let files = 0
const MiB = 1024 * 1024
const newPath = (): string => join(directory, `${files++}.db`)

const outcomeOf = (outcome: Outcome): string => (outcome._tag === "Receipt" ? outcome.outcome : outcome.reason)

/** A Spillway with a spool, in the middle of an outage of both Kafka and SQS. */
const outage = (path: string, options: HarnessOptions & { readonly spool?: string } = {}) =>
  Effect.gen(function* () {
    const spool = `spool: { path: "${path}", ${options.spool ?? ""} }\n`
    const h = yield* harness({ partitions: 3, ...options, more: `${spool}${options.more ?? ""}` })
    yield* advance(40)
    h.kafka.always({ _tag: "Refuse" })
    h.kafka.reachable(false)
    h.queue.setDown("Unavailable")
    return h
  })

const offer = ({ spillway }: Harness, told: Array<string>, ids: ReadonlyArray<string>, bytes = 10) => {
  for (const id of ids) {
    const record = { topic: "events", key: id, value: new Uint8Array(bytes).fill(id.length), id }
    spillway.offer(record, outcome => told.push(outcomeOf(outcome)))
  }
}

const names = (prefix: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

const inKafka = ({ kafka }: Harness): ReadonlyArray<string> =>
  kafka.stored().map(record => RecordBatch.idOf(record, "spillway-id") ?? "")

const inQueue = ({ queue }: Harness) =>
  Effect.map(
    Effect.flatMap(queue.messages, messages => Effect.forEach(messages, ({ body }) => Envelope.fromBody(body))),
    packs =>
      packs
        .flat()
        .flatMap(({ batch }) => Either.getOrThrow(RecordBatch.records(batch)))
        .map(record => RecordBatch.idOf(record, "spillway-id") ?? "")
  )

/** The laws of DESIGN.md, for one instance that began with nothing. */
const assertLaws = ({ spillway }: Harness, stillParked: number) => {
  const { accounting: a, spool } = spillway.status()
  assert.equal(a.accepted, a.delivered + a.diverted + a.spooled + a.rejected + a.failed + a.inMemory)
  assert.equal(a.diverted + a.spooled, a.redelivered + a.deadLettered + stillParked + (spool?.records ?? 0))
  assert.equal(a.spooled, (spool?.drained.kafka ?? 0) + (spool?.drained.queue ?? 0) + (spool?.records ?? 0))
}

describe("the spool as the last resort", () => {
  it("takes what SQS refuses past its budget; from then on nobody waits for SQS", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage(newPath(), { spool: "queue_timeout: 3s" })
        const told: Array<string> = []
        offer(h, told, names("first", 20))
        yield* advance(1500)
        assert.deepEqual(told, [], "SQS has its budget")
        yield* advanceUntil("the spool", () => told.length === 20, { withinMs: 4000 })
        assert.deepEqual(new Set(told), new Set(["spooled"]))
        assert.equal(h.spillway.status().connections[0]?.fallbacks[0]?.writer.breaker, "open")
        const { send } = h.queue.calls
        offer(h, told, names("second", 20))
        yield* advanceUntil("the spool", () => told.length === 40, { stepMs: 10, withinMs: 200 })
        assert.equal(h.queue.calls.send, send, "the queue was asked with its breaker open")
        const { accounting, health, spool } = h.spillway.status()
        assert.deepEqual([accounting.spooled, spool?.records, accounting.diverted], [40, 40, 0])
        assertLaws(h, 0)
        assert.equal(health.readiness, "degraded")
        assert.ok(health.reasons.some(reason => reason.includes("40 records are on this host's disk only")))
        const text = Metrics.render(h.spillway.status())
        assert.match(text, /^spillway_settled_records_total\{outcome="spooled"\} 40$/m)
        assert.match(text, /^spillway_spool_records 40$/m)
        assert.match(text, /^spillway_queue_breaker_state\{.*state="open"\} 1$/m)
        assert.match(text, /^spillway_publish_duration_seconds_count\{outcome="spooled"\} 40$/m)
      })
    ))

  it("says 202 and spooled over HTTP", () =>
    onTestClock(
      Effect.gen(function* () {
        const { spillway } = yield* outage(newPath())
        const http = { maxBodyBytes: 1024, token: undefined, requestTimeoutMs: 600_000 }
        const handler = HttpHandler.make({ spillway, http })
        const request = new Request("http://local/v1/topics/events/records", { method: "POST", body: "v" })
        let response: Response | undefined
        const fetched = Promise.resolve(handler.fetch(request)).then(answer => {
          response = answer
        })
        yield* advanceUntil("the answer", () => response !== undefined)
        yield* Effect.promise(() => fetched)
        assert.equal(response?.status, 202)
        assert.match(yield* Effect.promise(() => response?.text() ?? Promise.resolve("")), /"outcome":"spooled"/)
      })
    ))

  it("takes only what SQS refused", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage(newPath(), { partitions: 4, queueOptions: { maximumMessageBytes: 4096 } })
        h.queue.setDown(undefined)
        h.queue.script("send", { _tag: "Refuse", indexes: [0], reason: "AccessDenied" })
        const told: Array<string> = []
        for (let partition = 0; partition < 4; partition++) {
          const value = crypto.getRandomValues(new Uint8Array(2500))
          h.spillway.offer({ topic: "events", value, partition, id: `p${partition}` }, outcome =>
            told.push(outcomeOf(outcome))
          )
        }
        yield* advanceUntil("all outcomes", () => told.length === 4)
        assert.deepEqual(told.toSorted(), ["diverted", "diverted", "diverted", "spooled"])
        const { accounting } = h.spillway.status()
        assert.deepEqual([accounting.diverted, accounting.spooled], [3, 1])
        // The drainer may have moved the one already.
        const queued = yield* inQueue(h)
        assert.equal(queued.length, new Set(queued).size)
        assertLaws(h, queued.length)
        assert.equal(h.spillway.status().connections[0]?.fallbacks[0]?.writer.breaker, "closed")
      })
    ))

  it("takes a record that is too large for SQS at once, and brings it to Kafka", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage(newPath(), { queueOptions: { maximumMessageBytes: 1024 } })
        h.queue.setDown(undefined)
        const told: Array<string> = []
        const value = crypto.getRandomValues(new Uint8Array(5000))
        h.spillway.offer({ topic: "events", value, id: "large" }, outcome => told.push(outcomeOf(outcome)))
        yield* advanceUntil("the spool", () => told.length === 1)
        assert.deepEqual(told, ["spooled"])
        assert.equal(h.spillway.status().connections[0]?.fallbacks[0]?.writer.breaker, "closed")
        yield* advance(5000, 500)
        assert.equal(h.spillway.status().spool?.records, 1)
        h.kafka.always({ _tag: "Deliver" })
        h.kafka.reachable(true)
        yield* advanceUntil("the replay", () => h.spillway.status().spool?.records === 0, { stepMs: 100 })
        assert.deepEqual(inKafka(h), ["large"])
        assertLaws(h, 0)
      })
    ))

  it("counts as possible duplicates what SQS may have stored all the same", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage(newPath())
        h.queue.setDown(undefined)
        h.queue.script("send", { _tag: "Hang" })
        const told: Array<string> = []
        offer(h, told, ["a", "b", "c"])
        yield* advanceUntil("the spool", () => told.length === 3, { withinMs: 5000 })
        assert.deepEqual(new Set(told), new Set(["spooled"]))
        assert.equal(h.spillway.status().connections[0]?.fallbacks[0]?.writer.storedTwice, 3)
      })
    ))

  it("says FallbackUnavailable when it is full as well, refuses, and recovers", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage(newPath(), { spool: "max_bytes: 1MiB", output: "max_record_bytes: 1MiB" })
        const told: Array<string> = []
        for (let i = 0; i < 5; i++) offer(h, told, [`large${i}`], 400_000)
        yield* advanceUntil("all outcomes", () => told.length === 5)
        const spooled = told.filter(outcome => outcome === "spooled").length
        assert.ok(spooled >= 1 && spooled < 5, `${spooled} spooled`)
        assert.deepEqual(new Set(told), new Set(["spooled", "FallbackUnavailable"]))
        const error = yield* Effect.fork(
          Effect.flip(h.spillway.publish({ topic: "events", value: new Uint8Array(900_000) }))
        )
        yield* advance(3000)
        const refused = yield* error
        assert.equal(refused.reason, "FallbackUnavailable")
        assert.match(refused.message, /fallback queue parked refused: .*; and spool .* has no room/)
        yield* advance(6000, 100)
        assert.equal(h.spillway.status().health.readiness, "refusing")
        h.queue.setDown(undefined)
        yield* advanceUntil("the move", () => h.spillway.status().spool?.records === 0, { stepMs: 100 })
        const diverted: Array<string> = []
        offer(h, diverted, ["small"])
        yield* advanceUntil("the diversion", () => diverted.length === 1)
        assert.deepEqual(diverted, ["diverted"])
        yield* advance(6000, 100)
        assert.equal(h.spillway.status().health.readiness, "degraded")
        assertLaws(h, spooled + 1)
      })
    ))

  it("starts without its directory, degraded, and says why", () =>
    onTestClock(
      Effect.gen(function* () {
        const path = join(directory, "not-there", "spool.db")
        const h = yield* harness({ more: `spool: { path: "${path}" }` })
        yield* advance(40)
        const told: Array<string> = []
        offer(h, told, ["a"])
        yield* advanceUntil("the delivery", () => told.length === 1)
        assert.deepEqual(told, ["delivered"])
        const { readiness, reasons } = h.spillway.status().health
        assert.equal(readiness, "degraded")
        assert.ok(reasons.some(reason => reason.startsWith("Unwritable: spool ") && reason.includes(path)))
      })
    ))

  it("has what is still in memory when a shutdown's time for SQS is over", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage(newPath(), { spool: "queue_timeout: 8s", more: "shutdown: { budget: 15s }" })
        h.queue.setDown(undefined)
        h.queue.script("limits", ...Array.from({ length: 50 }, () => ({ _tag: "Hang" }) as const))
        h.queue.script("send", ...Array.from({ length: 50 }, () => ({ _tag: "Hang" }) as const))
        const told: Array<string> = []
        offer(h, told, names("r", 50))
        let summary: Summary | undefined
        yield* Effect.fork(
          Effect.map(h.spillway.shutdown(4000), done => {
            summary = done
          })
        )
        yield* advanceUntil("the shutdown", () => summary !== undefined, { withinMs: 4100 })
        assert.equal(summary?.complete, true)
        assert.equal(summary?.accounting.spooled, 50)
        assert.deepEqual(new Set(told), new Set(["spooled"]))
      })
    ))

  it("has what is in memory when the scope ends in the middle of a store", () =>
    onTestClock(
      Effect.gen(function* () {
        const path = newPath()
        const scope = yield* Scope.make()
        const h = yield* Scope.extend(outage(path, { more: "shutdown: { budget: 5s }" }), scope)
        const told: Array<string> = []
        offer(h, told, names("r", 9))
        yield* advance(1200)
        assert.deepEqual(told, [])
        let closed = false
        const close = Effect.ensuring(
          Scope.close(scope, Exit.void),
          Effect.sync(() => {
            closed = true
          })
        )
        yield* Effect.fork(close)
        yield* advanceUntil("the end", () => closed)
        assert.deepEqual(
          told,
          Array.from({ length: 9 }, () => "spooled")
        )
        const reopened = yield* Sqlite.make({ path, maxBytes: 1024 * 1024 })
        assert.equal(reopened.status().records, 9)
      })
    ))
})

describe("the fallback queue's breaker without a spool", () => {
  it("fails at once while it is open, and closes by a probe", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* harness({ more: "breaker: { open_max: 2s, jitter: 0 }" })
        yield* advance(40)
        h.kafka.always({ _tag: "Refuse" })
        h.kafka.reachable(false)
        h.queue.setDown("Unavailable")
        const told: Array<string> = []
        offer(h, told, ["a"])
        yield* advance(5000, 50)
        assert.deepEqual(told, [], "SQS has its budget")
        yield* advanceUntil("the refusal", () => told.length === 1)
        assert.deepEqual(told, ["FallbackUnavailable"])
        const { send, limits } = h.queue.calls
        offer(h, told, names("b", 10))
        yield* advanceUntil("the refusals", () => told.length === 11, { stepMs: 10, withinMs: 200 })
        assert.deepEqual(new Set(told), new Set(["FallbackUnavailable"]))
        assert.ok(send + limits > 0)
        h.queue.setDown(undefined)
        yield* advance(2000)
        offer(h, told, ["c"])
        yield* advanceUntil("the diversion", () => told.length === 12)
        assert.equal(told.at(-1), "diverted")
        assert.equal(h.spillway.status().connections[0]?.fallbacks[0]?.writer.breaker, "closed")
      })
    ))
})

describe("SpoolDrainer", () => {
  it("moves to SQS when only SQS is back; nothing is asked twice, and nothing is lost", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage(newPath())
        const told: Array<string> = []
        const ids = names("r", 60)
        offer(h, told, ids)
        yield* advanceUntil("the spool", () => told.length === 60)
        h.queue.setDown(undefined)
        yield* advanceUntil("the move", () => h.spillway.status().spool?.records === 0, { stepMs: 100 })
        assert.deepEqual((yield* inQueue(h)).toSorted(), ids.toSorted())
        assert.deepEqual(h.spillway.status().spool?.drained, { kafka: 0, queue: 60 })
        assertLaws(h, 60)
        h.kafka.always({ _tag: "Deliver" })
        h.kafka.reachable(true)
        yield* advanceUntil("the replay", () => h.spillway.status().accounting.redelivered === 60, { stepMs: 100 })
        assert.deepEqual(inKafka(h).toSorted(), ids.toSorted())
        assertLaws(h, 0)
        yield* advanceUntil("readiness", () => h.spillway.status().health.readiness === "accepting", { stepMs: 100 })
      })
    ))

  it("goes to Kafka when only Kafka is back, also without live traffic", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage(newPath())
        const told: Array<string> = []
        const ids = names("r", 60)
        offer(h, told, ids)
        yield* advanceUntil("the spool", () => told.length === 60)
        h.kafka.always({ _tag: "Deliver" })
        h.kafka.reachable(true)
        yield* advanceUntil("the replay", () => h.spillway.status().spool?.records === 0, { stepMs: 100 })
        assert.deepEqual(inKafka(h).toSorted(), ids.toSorted())
        assert.equal(h.spillway.status().accounting.redelivered, 60)
        assert.deepEqual(h.spillway.status().spool?.drained, { kafka: 60, queue: 0 })
        assertLaws(h, 0)
      })
    ))

  it("brings on what an earlier process left, and names what nothing drains", () =>
    onTestClock(
      Effect.gen(function* () {
        const path = newPath()
        yield* Effect.scoped(
          Effect.flatMap(Sqlite.make({ path, maxBytes: 1024 * 1024 }), spool =>
            spool.put([envelopeOf(["x"], 10, "elsewhere"), envelopeOf(["old"])])
          )
        )
        const h = yield* harness({ partitions: 1, more: `spool: { path: "${path}" }` })
        yield* advanceUntil("the replay", () => h.spillway.status().spool?.records === 1, { stepMs: 100 })
        assert.deepEqual(inKafka(h), ["old"])
        const { reasons } = h.spillway.status().health
        assert.ok(reasons.some(reason => reason.endsWith("no producer with a fallback queue for elsewhere")))
      })
    ))

  it("takes nothing out that is not durable elsewhere, whatever fails", () =>
    onTestClock(
      Effect.gen(function* () {
        const path = newPath()
        const h = yield* outage(path, { partitions: 1, more: "breaker: { open_max: 2s }" })
        const told: Array<string> = []
        const ids = names("r", 30)
        offer(h, told, ids)
        yield* advanceUntil("the spool", () => told.length === 30)
        // Kafka can be reached and fails every time; SQS answers that it has refused.
        h.kafka.reachable(true)
        yield* advance(10_000, 100)
        assert.equal(h.spillway.status().spool?.records, 30)
        h.queue.setDown(undefined)
        h.queue.script("send", ...Array.from({ length: 20 }, () => ({ _tag: "Fail", reason: "Throttled" }) as const))
        h.kafka.always({ _tag: "Deliver" })
        yield* advanceUntil("the replay", () => h.spillway.status().spool?.records === 0, { stepMs: 100 })
        yield* advanceUntil("the rest", () => h.spillway.status().accounting.redelivered === 30, { stepMs: 100 })
        assert.deepEqual(new Set(inKafka(h)), new Set(ids))
      })
    ))

  it("hands what Kafka refuses to SQS, which gives it up in the end", () =>
    onTestClock(
      Effect.gen(function* () {
        const path = newPath()
        yield* Effect.scoped(
          Effect.flatMap(Sqlite.make({ path, maxBytes: 1024 * 1024 }), spool => spool.put([envelopeOf(["bad"])]))
        )
        const h = yield* harness({ partitions: 1, more: `spool: { path: "${path}" }` })
        // UNKNOWN_SERVER_ERROR: counted as an attempt.
        h.kafka.always({ _tag: "Fail", code: -1 })
        yield* advanceUntil("the dead letter", () => h.dead().length === 1, { stepMs: 200 })
        assert.equal(h.spillway.status().spool?.records, 0)
        assert.equal(h.spillway.status().spool?.drained.queue, 1)
        const [message] = h.dead()
        assert.equal(message?.attributes["spillway-attempts"], "3")
      })
    ))

  it("keeps nothing in the spool that Kafka has taken, when a shutdown cuts a replay short", () =>
    onTestClock(
      Effect.gen(function* () {
        const path = newPath()
        const inSpool = Effect.scoped(
          Effect.flatMap(Sqlite.make({ path, maxBytes: MiB }), spool =>
            Effect.map(spool.oldest("events", { batches: 10, bytes: MiB, skip: new Set() }), entries =>
              entries.map(({ envelope }) => RecordBatch.firstId(envelope.batch, "spillway-id"))
            )
          )
        )
        yield* Effect.scoped(
          Effect.flatMap(Sqlite.make({ path, maxBytes: MiB }), spool =>
            // Too large to be merged: one request each.
            spool.put(["first", "second", "third"].map(id => envelopeOf([id], 70_000)))
          )
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const h = yield* harness({ partitions: 1, writeTimeout: "4s", more: `spool: { path: "${path}" }` })
            h.kafka.script({ _tag: "Deliver" }, { _tag: "Hang" })
            yield* advanceUntil("the second request", () => h.kafka.calls.produce === 2)
            let summary: Summary | undefined
            yield* Effect.fork(
              Effect.map(h.spillway.shutdown(10_000), done => {
                summary = done
              })
            )
            yield* advanceUntil("the shutdown", () => summary !== undefined, { withinMs: 2000 })
            const { connections, spool } = h.spillway.status()
            assert.deepEqual(inKafka(h), ["first"])
            assert.deepEqual(spool?.drained, { kafka: 1, queue: 2 })
            assert.deepEqual((yield* inQueue(h)).toSorted(), ["second", "third"])
            // The attempt that was cut short may have been written.
            assert.equal(connections[0]?.fallbacks[0]?.replay.unknown, 1)
          })
        )
        assert.deepEqual(yield* inSpool, [])
      })
    ))

  it("goes on while another process has the file, and drains it once that has ended", () =>
    onTestClock(
      Effect.gen(function* () {
        const path = newPath()
        const scope = yield* Scope.make()
        const other = yield* Scope.extend(Sqlite.make({ path, maxBytes: 1024 * 1024 }), scope)
        yield* other.put([envelopeOf(["theirs"])])
        const h = yield* harness({ partitions: 1, more: `spool: { path: "${path}" }` })
        yield* advance(100)
        assert.match(h.spillway.status().spool?.fault ?? "", /^Locked: spool .* is in use by another process/)
        yield* Scope.close(scope, Exit.void)
        yield* advanceUntil("the replay", () => inKafka(h).length === 1, { stepMs: 100 })
        assert.equal(h.spillway.status().spool?.fault, "")
      })
    ))

  it("removes what Kafka has, and counts what it may have, when a replay is cut short in the middle of a load", () =>
    onTestClock(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const output = "batch_bytes: 100KiB"
        const more = "shutdown: { budget: 6s }"
        const h = yield* Scope.extend(outage(newPath(), { partitions: 1, writeTimeout: "2s", output, more }), scope)
        const told: Array<string> = []
        // Batches too large to be merged: each is a request of its own.
        offer(h, told, ["a", "b", "c"], 90_000)
        yield* advanceUntil("the spool", () => told.length === 3)
        assert.deepEqual(told, ["spooled", "spooled", "spooled"])
        // The first closes the breaker; the others are one load.
        h.kafka.script({ _tag: "Deliver" }, { _tag: "Deliver" })
        h.kafka.always({ _tag: "Hang" })
        h.kafka.reachable(true)
        yield* advanceUntil("the first two of them", () => inKafka(h).length === 2)
        yield* advance(40)
        let closed = false
        const end = Effect.sync(() => {
          closed = true
        })
        yield* Effect.fork(Effect.ensuring(Scope.close(scope, Exit.void), end))
        yield* advanceUntil("the end", () => closed, { withinMs: 30_000 })
        const { accounting, connections } = h.spillway.status()
        assert.equal(accounting.redelivered, 2)
        assert.equal(connections[0]?.fallbacks[0]?.replay.unknown, 1)
      })
    ))
})
