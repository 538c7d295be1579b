import assert from "node:assert/strict"
import { join } from "node:path"
import { after, describe, it } from "node:test"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as MemoryQueue from "../../src/FallbackQueue/Memory.ts"
import { makeBacklog } from "../../src/internal/backlog.ts"
import * as Metrics from "../../src/Metrics.ts"
import type { Outcome } from "../../src/Receipt.ts"
import type { Summary } from "../../src/Shutdown.ts"
import { advance, advanceUntil, type Harness, type HarnessOptions, harness, onTestClock } from "../support/doubles.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const key = "stream.producer.events.retry.backlog.max_messages"

const message = { body: "x", attributes: {}, delaySeconds: 0 }
const stored = [message, message]
const removeAll = (queue: Pick<MemoryQueue.MemoryQueue, "receive" | "delete">) =>
  Effect.flatMap(queue.receive({ max: 10, waitSeconds: 0, visibilitySeconds: 30 }), messages =>
    Effect.forEach(messages, ({ receiptHandle }) => queue.delete(receiptHandle), { discard: true })
  )

describe("the level of a backlog", () => {
  const watched = () => {
    const queue = MemoryQueue.make({ name: "parked" })
    const backlog = makeBacklog(queue, { key: "k", maxMessages: 100, maxWaitMs: 0 }, () => 0)
    return { queue, backlog, level: () => backlog.status().messages }
  }

  it("is the last reading, and what was stored and deleted here since", () =>
    onTestClock(
      Effect.gen(function* () {
        const { backlog, level, queue } = watched()
        yield* queue.send([message, message, message])
        assert.equal(level(), 0, "not read yet")
        yield* backlog.queue.send(stored)
        assert.equal(level(), 2)
        yield* backlog.queue.depth
        assert.equal(level(), 5)
        yield* backlog.queue.send(stored)
        yield* removeAll(backlog.queue)
        assert.equal(level(), 0)
        assert.equal(queue.calls.depth, 1)
      })
    ))

  it("counts what may have been stored, not what was refused", () =>
    onTestClock(
      Effect.gen(function* () {
        const { backlog, level, queue } = watched()
        queue.script("send", { _tag: "LoseReply" }, { _tag: "Refuse", indexes: [0], reason: "Throttled" })
        yield* Effect.flip(backlog.queue.send(stored))
        assert.equal(level(), 2)
        yield* backlog.queue.send(stored)
        assert.equal(level(), 3)
        queue.setDown("Unavailable")
        yield* Effect.flip(backlog.queue.send(stored))
        yield* Effect.flip(backlog.queue.depth)
        assert.equal(level(), 3, "a reading that fails changes nothing")
      })
    ))

  it("misses nothing that is stored while it is being read, by two at once either", () =>
    onTestClock(
      Effect.gen(function* () {
        const queue = MemoryQueue.make({ name: "parked" })
        // Counts at once, answers later.
        const slowly = (ms: number) => Effect.flatMap(queue.depth, depth => Effect.delay(Effect.succeed(depth), ms))
        let ms = 0
        const slow = { ...queue, depth: Effect.suspend(() => slowly(ms)) }
        const backlog = makeBacklog(slow, { key: "k", maxMessages: 100, maxWaitMs: 0 }, () => 0)
        ms = 300
        yield* Effect.fork(backlog.queue.depth)
        yield* advance(40)
        yield* backlog.queue.send(stored)
        ms = 100
        yield* Effect.fork(backlog.queue.depth)
        yield* advance(40)
        yield* backlog.queue.send(stored)
        for (let i = 0; i < 5; i++) {
          assert.equal(backlog.status().messages, 4)
          yield* advance(100)
        }
      })
    ))
})

const outcomeOf = (outcome: Outcome): string => (outcome._tag === "Receipt" ? outcome.outcome : outcome.reason)

/** A Spillway in an outage of Kafka, its queue read a moment ago. */
const outage = (limit: string, options: HarnessOptions = {}) =>
  Effect.gen(function* () {
    const h = yield* harness({ partitions: 1, ...options, retry: `after: 1s, backlog: { ${limit} }` })
    yield* advance(40)
    h.kafka.always({ _tag: "Refuse" })
    h.kafka.reachable(false)
    h.spillway.forceBreaker("default", "open")
    yield* advance(5000, 100)
    return h
  })

/** One record that was offered; `outcome` once it is known. */
const offer = ({ spillway }: Harness) => {
  const offered: { outcome: Outcome | undefined } = { outcome: undefined }
  spillway.offer({ topic: "events", value: "v" }, outcome => {
    offered.outcome = outcome
  })
  return offered
}

/** Offers records one after the other, each in a message of its own: their outcomes. */
const offerEach = (h: Harness, count: number) =>
  Effect.gen(function* () {
    const outcomes: Array<Outcome> = []
    for (let i = 0; i < count; i++) {
      const offered = offer(h)
      yield* advanceUntil("the outcome", () => offered.outcome !== undefined, { stepMs: 5, withinMs: 100 })
      if (offered.outcome !== undefined) outcomes.push(offered.outcome)
    }
    return outcomes
  })

const backlogOf = ({ spillway }: Harness) => spillway.status().connections[0]?.fallbacks[0]?.writer.backlog

const assertBalanced = ({ spillway }: Harness) => {
  const { accounting: a } = spillway.status()
  assert.equal(a.accepted, a.delivered + a.diverted + a.spooled + a.rejected + a.failed + a.inMemory)
}

describe("a backlog at its limit, policy reject", () => {
  it("refuses at once what comes after a burst, between two readings of the queue, and shows it everywhere", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 3, policy: reject")
        const { depth } = h.queue.calls
        assert.equal(h.spillway.status().health.readiness, "degraded")
        const outcomes = yield* offerEach(h, 6)
        assert.equal(h.queue.calls.depth, depth, "the queue was read again: this shows nothing")
        assert.deepEqual(outcomes.map(outcomeOf), [
          ...Array.from({ length: 3 }, () => "diverted"),
          ...Array.from({ length: 3 }, () => "Overloaded")
        ])
        assert.equal(h.parked().length, 3)
        const last = outcomes.at(-1)
        const text = last?._tag === "PublishError" ? last.message : ""
        assert.match(text, /^Kafka did not take it in time, and fallback queue parked is at its limit/)
        assert.ok(text.includes(`${key} is 3`), text)
        const { accounting, health } = h.spillway.status()
        assert.deepEqual([accounting.diverted, accounting.failed, accounting.inMemory], [3, 3, 0])
        assertBalanced(h)
        assert.deepEqual(backlogOf(h), { maxMessages: 3, messages: 3, state: "refusing", refusedRecords: 3 })
        assert.equal(health.readiness, "refusing")
        assert.ok(health.reasons.some(reason => /parked: backlog limit reached.*is refused$/.test(reason)))
        const metrics = Metrics.render(h.spillway.status())
        assert.match(metrics, /^spillway_backlog_max_messages\{producer="events",queue="parked"\} 3$/m)
        assert.match(metrics, /^spillway_backlog_messages\{.*\} 3$/m)
        assert.match(metrics, /^spillway_backlog_reached\{.*\} 1$/m)
        assert.match(metrics, /^spillway_backlog_refused_records_total\{.*\} 3$/m)
      })
    ))

  it("leaves alone what Kafka takes, and is degraded: the safety net is full", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, policy: reject")
        assert.deepEqual((yield* offerEach(h, 2)).map(outcomeOf), ["diverted", "Overloaded"])
        h.kafka.always(undefined)
        h.kafka.reachable(true)
        h.spillway.forceBreaker("default", "closed")
        assert.deepEqual((yield* offerEach(h, 2)).map(outcomeOf), ["delivered", "delivered"])
        const { readiness, reasons } = h.spillway.status().health
        assert.equal(readiness, "degraded")
        assert.ok(reasons.some(reason => reason.includes("backlog limit reached")))
        // Replayed: there is room again, and no reason to complain.
        yield* advanceUntil("room", () => backlogOf(h)?.state === "open")
        assert.deepEqual(h.spillway.status().health, { readiness: "accepting", reasons: [] })
      })
    ))

  it("says that Kafka may have it where nobody knows", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, policy: reject")
        yield* offerEach(h, 1)
        h.kafka.always({ _tag: "LoseAck" })
        h.kafka.reachable(true)
        h.spillway.forceBreaker("default", "closed")
        const offered = offer(h)
        yield* advanceUntil("the outcome", () => offered.outcome !== undefined, { withinMs: 2000 })
        const { outcome } = offered
        assert.equal(outcome?._tag === "PublishError" && outcome.reason, "Overloaded")
        assert.match(outcome?._tag === "PublishError" ? outcome.message : "", /the record may be there all the same/)
        assert.equal(h.kafka.stored().length > 0, true)
        assertBalanced(h)
      })
    ))

  it("does not stop a retry daemon that stores a record anew, and what it deletes makes room at once", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, policy: reject")
        yield* offerEach(h, 1)
        const [first] = h.parked()
        h.kafka.reachable(true)
        // UNKNOWN_SERVER_ERROR: Kafka is there and refuses, which is an attempt.
        h.kafka.always({ _tag: "Fail", code: -1 })
        h.spillway.forceBreaker("default", "closed")
        const replay = () => h.spillway.status().connections[0]?.fallbacks[0]?.replay
        yield* advanceUntil("a new message", () => replay()?.reparked === 1)
        const [second, ...others] = h.parked()
        assert.equal(others.length, 0)
        assert.notEqual(second?.messageId, first?.messageId)
        assert.equal(backlogOf(h)?.messages, 1)
        h.kafka.always(undefined)
        yield* advanceUntil("the replay", () => h.parked().length === 0)
        assert.equal(backlogOf(h)?.state, "open", "a reading in five seconds would show it, too")
        assert.equal(h.spillway.status().accounting.redelivered, 1)
      })
    ))
})

describe("a backlog at its limit, policy wait", () => {
  it("holds records in memory until there is room, as the next reading of the queue shows", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, max_wait: 30s")
        yield* offerEach(h, 1)
        const held = [offer(h), offer(h)]
        yield* advance(2000, 100)
        assert.deepEqual(
          held.map(({ outcome }) => outcome),
          [undefined, undefined]
        )
        const { accounting, health } = h.spillway.status()
        assert.deepEqual([accounting.inMemory, accounting.diverted], [2, 1])
        assertBalanced(h)
        assert.equal(backlogOf(h)?.state, "holding")
        assert.equal(health.readiness, "degraded")
        assert.ok(health.reasons.some(reason => /backlog limit reached.*waits$/.test(reason)))
        // Another instance of the fleet replays it.
        yield* removeAll(h.queue)
        yield* advanceUntil("the outcomes", () => held.every(({ outcome }) => outcome !== undefined), {
          withinMs: 5100
        })
        assert.deepEqual(
          held.map(({ outcome }) => outcome && outcomeOf(outcome)),
          ["diverted", "diverted"]
        )
        assert.equal(backlogOf(h)?.refusedRecords, 0)
      })
    ))

  it("refuses each record when its own wait is over, and says refusing from then on", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, max_wait: 2s")
        yield* offerEach(h, 1)
        const first = offer(h)
        yield* advance(1000)
        const second = offer(h)
        yield* advance(960)
        assert.equal(first.outcome, undefined)
        yield* advance(80)
        assert.equal(first.outcome && outcomeOf(first.outcome), "Overloaded")
        assert.equal(second.outcome, undefined)
        assert.equal(h.spillway.status().health.readiness, "refusing")
        yield* advance(1000)
        assert.equal(second.outcome && outcomeOf(second.outcome), "Overloaded")
        assert.equal(backlogOf(h)?.refusedRecords, 2)
        assert.equal(h.parked().length, 1)
        assertBalanced(h)
      })
    ))

  it("lets intake feel it: with the buffer full of what is held, publishes wait for room there", () =>
    onTestClock(
      Effect.gen(function* () {
        const more = "buffer: { max_records: 5, max_wait: 300ms }"
        const h = yield* outage("max_messages: 1, max_wait: 30s", { more })
        yield* offerEach(h, 1)
        const held = Array.from({ length: 5 }, () => offer(h))
        yield* advance(100)
        const late = offer(h)
        yield* advance(400)
        assert.ok(held.every(({ outcome }) => outcome === undefined))
        assert.equal(late.outcome && outcomeOf(late.outcome), "Overloaded")
        assert.equal(h.spillway.status().accounting.inMemory, 5)
        assert.equal(h.spillway.status().health.readiness, "refusing")
      })
    ))
})

describe("a shutdown at the limit", () => {
  const shutDown = ({ spillway }: Harness) =>
    Effect.gen(function* () {
      let summary: Summary | undefined
      yield* Effect.fork(
        Effect.map(spillway.shutdown(10_000), done => {
          summary = done
        })
      )
      yield* advanceUntil("the shutdown", () => summary !== undefined)
      return summary
    })

  it("stores what is held at once: durable is better than bounded", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, max_wait: 5m")
        yield* offerEach(h, 1)
        const held = [offer(h), offer(h)]
        yield* advance(100)
        const summary = yield* shutDown(h)
        assert.equal(summary?.complete, true)
        assert.ok((summary?.tookMs ?? Number.POSITIVE_INFINITY) < 1000, `${summary?.tookMs} ms`)
        assert.deepEqual(
          held.map(({ outcome }) => outcome && outcomeOf(outcome)),
          ["diverted", "diverted"]
        )
        assert.equal(h.parked().length, 2)
      })
    ))

  it("refuses nothing, with policy reject either", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, policy: reject")
        yield* offerEach(h, 1)
        h.kafka.always({ _tag: "Hang" })
        h.spillway.forceBreaker("default", "closed")
        const offered = offer(h)
        const summary = yield* shutDown(h)
        assert.equal(summary?.complete, true)
        assert.equal(offered.outcome && outcomeOf(offered.outcome), "diverted")
      })
    ))
})

describe("the spool beside a limited backlog", () => {
  const directory = temporaryDirectory("backlog")
  after(() => deleteDirectory(directory))
  const spool = (name: string) => `spool: { path: "${join(directory, name)}", queue_timeout: 1s }`

  it("takes nothing that the limit keeps out of the queue", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, policy: reject", { more: spool("kept-out.db") })
        assert.deepEqual((yield* offerEach(h, 2)).map(outcomeOf), ["diverted", "Overloaded"])
        assert.equal(h.spillway.status().spool?.records, 0)
        assert.equal(h.spillway.status().health.readiness, "refusing")
      })
    ))

  it("does not get what the queue takes in the time it has after the wait: that is not taken off it", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, max_wait: 30s", { more: spool("not-needed.db") })
        yield* offerEach(h, 1)
        const held = offer(h)
        // Longer than the second the queue has.
        yield* advance(2000, 100)
        h.queue.script("send", ...Array.from({ length: 3 }, () => ({ _tag: "Fail", reason: "Throttled" }) as const))
        yield* removeAll(h.queue)
        yield* advanceUntil("the outcome", () => held.outcome !== undefined, { withinMs: 6000 })
        assert.equal(held.outcome && outcomeOf(held.outcome), "diverted")
      })
    ))

  it("is drained to the queue whatever the limit says", () =>
    onTestClock(
      Effect.gen(function* () {
        const h = yield* outage("max_messages: 1, policy: reject", { more: spool("drained.db") })
        h.queue.setDown("Unavailable")
        const offered = offer(h)
        yield* advanceUntil("the spool", () => offered.outcome !== undefined)
        assert.equal(offered.outcome && outcomeOf(offered.outcome), "spooled")
        const now = yield* Clock.currentTimeMillis
        const far = { messageId: "", sentAt: now, visibleAt: 0, receiveCount: 0 }
        h.queue.adopt({ ...far, body: "another's", attributes: {} })
        h.queue.setDown(undefined)
        // A breaker that opens has the queue read; its own breaker still keeps the drainer away.
        h.spillway.forceBreaker("default", "closed")
        h.spillway.forceBreaker("default", "open")
        yield* advanceUntil("the reading", () => backlogOf(h)?.state === "refusing", { stepMs: 5, withinMs: 500 })
        assert.equal(h.spillway.status().spool?.records, 1)
        yield* advanceUntil("the move", () => h.spillway.status().spool?.drained.queue === 1)
        assert.equal(h.parked().length, 2)
        assert.deepEqual((yield* offerEach(h, 1)).map(outcomeOf), ["Overloaded"])
      })
    ))
})
