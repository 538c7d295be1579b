import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as MemoryClaims from "../src/ClaimCheck/Memory.ts"
import * as DeadLetterQueue from "../src/DeadLetterQueue.ts"
import * as DeadLetters from "../src/DeadLetters.ts"
import * as Envelope from "../src/Envelope.ts"
import * as MemoryQueue from "../src/FallbackQueue/Memory.ts"
import type { Service as Queue } from "../src/FallbackQueue.ts"
import * as ClaimPointer from "../src/internal/claimPointer.ts"
import * as RecordBatch from "../src/RecordBatch.ts"
import { envelopeOf, noise } from "./support/batches.ts"
import { advanceUntil, onTestClock, turn } from "./support/doubles.ts"

const visibilitySeconds = 30

interface SetUp {
  readonly maxBytes?: number
  readonly dead?: MemoryQueue.Options
  readonly visibilitySeconds?: number
}

const setUp = (options: SetUp = {}) => {
  const queue = MemoryQueue.make({ name: "dlq", maximumMessageBytes: options.maxBytes, ...options.dead })
  const target = MemoryQueue.make({ name: "parked", maximumMessageBytes: options.maxBytes })
  const claims = MemoryClaims.make()
  const letters = DeadLetters.make({
    queue,
    target,
    claims,
    idHeader: "spillway-id",
    visibilitySeconds: options.visibilitySeconds ?? visibilitySeconds
  })
  const put = (envelope: Partial<Envelope.Envelope> & ReturnType<typeof envelopeOf>, reason: string) =>
    DeadLetterQueue.make(queue, claims).put(envelope, "first", {
      reason,
      errorClass: "Permanent",
      message: `${reason}!`
    })
  return { queue, target, claims, letters, put }
}

/** Runs it while the test clock goes on: an empty queue is waited for. */
const ended = <A, E>(work: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(work)
    yield* advanceUntil("the end", () => fiber.unsafePoll() !== null, { stepMs: 500 })
    return yield* Fiber.join(fiber)
  })

/** The records that lie in a queue, message by message. */
const contents = (queue: MemoryQueue.MemoryQueue) =>
  Effect.flatMap(queue.messages, messages =>
    Effect.forEach(messages, ({ body }) =>
      Effect.map(Envelope.fromBody(body), envelopes =>
        envelopes.flatMap(({ batch }) =>
          Either.getOrThrow(RecordBatch.records(batch)).map(({ value }) => Buffer.from(value ?? []).toString())
        )
      )
    )
  )

const allVisible = (queue: Queue, messages: number) =>
  Effect.map(queue.depth, depth => assert.deepEqual(depth, { visible: messages, inFlight: 0, delayed: 0 }))

const filter = {}

describe("DeadLetters.list", () => {
  it("counts by topic and reason, shows what cannot be read as such, and hands everything back at once", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue } = setUp({ dead: { retentionSeconds: 3600 } })
        yield* put({ ...envelopeOf([{ value: "a" }, { value: "b" }]), topic: "orders" }, "MESSAGE_TOO_LARGE")
        yield* TestClock.adjust(5000)
        for (let i = 0; i < 12; i++) yield* put(envelopeOf([{ value: `${i}` }]), "MAX_ATTEMPTS")
        yield* queue.send([
          { body: "what is this?", attributes: {}, delaySeconds: 0 },
          { body: "U1BXbroken", attributes: { "spillway-reason": "CORRUPT_MESSAGE_BODY" }, delaySeconds: 0 },
          { body: "U1BDbroken", attributes: {}, delaySeconds: 0 }
        ])
        const pack = Envelope.bodyOf(Envelope.encode([envelopeOf([{ value: "x" }])]))
        yield* queue.send([{ body: pack, attributes: {}, delaySeconds: 0 }])
        const summary = yield* ended(letters.list({ filter }))
        assert.equal(summary.seen, 17)
        assert.equal(summary.messages, 17)
        assert.equal(summary.records, 15)
        assert.equal(summary.unreadable, 3)
        assert.equal(summary.complete, true)
        assert.equal(summary.expiresAt, 3_600_000)
        const found = summary.groups.map(({ messages, reason, records, topic }) => [topic, reason, messages, records])
        assert.deepEqual(found, [
          ["events", "MAX_ATTEMPTS", 12, 12],
          ["orders", "MESSAGE_TOO_LARGE", 1, 2],
          ["events", "MOVED_BY_SQS", 1, 1],
          [undefined, "CORRUPT_MESSAGE_BODY", 2, 0],
          [undefined, "FOREIGN_MESSAGE_BODY", 1, 0]
        ])
        assert.deepEqual([summary.groups[0]?.oldest, summary.groups[1]?.oldest], [5000, 0])
        yield* allVisible(queue, 17)
      })
    ))

  it("looks at no more than it may, and says that there is more", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue } = setUp({ dead: { redrive: { maxReceiveCount: 5, target: MemoryQueue.make() } } })
        for (let i = 0; i < 30; i++) yield* put(envelopeOf([{ value: `${i}` }]), "MAX_ATTEMPTS")
        const summary = yield* ended(letters.list({ filter, maxMessages: 15 }))
        assert.deepEqual([summary.seen, summary.records, summary.complete], [15, 15, false])
        // Each look is a receive, and this queue counts them.
        assert.deepEqual([summary.maxReceiveCount, summary.receives], [5, 1])
        assert.equal((yield* ended(letters.list({ filter }))).receives, 2)
        yield* allVisible(queue, 30)
      })
    ))

  it("hands everything back when it is interrupted, or when the queue fails in the middle", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue } = setUp()
        for (let i = 0; i < 12; i++) yield* put(envelopeOf([{ value: `${i}` }]), "MAX_ATTEMPTS")
        const fiber = yield* Effect.fork(letters.list({ filter }))
        while ((yield* queue.depth).inFlight < 12) yield* turn
        yield* ended(Fiber.interrupt(fiber))
        yield* allVisible(queue, 12)
        const denied = { _tag: "Fail", reason: "AccessDenied" } as const
        queue.script("receive", { _tag: "Pass" }, denied, denied)
        const failed = yield* ended(Effect.either(letters.list({ filter })))
        assert.equal(Either.isLeft(failed) ? failed.left.reason : "", "AccessDenied")
        yield* allVisible(queue, 12)
      })
    ))
})

describe("DeadLetters.peek", () => {
  it("decodes records with their history", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue } = setUp()
        yield* TestClock.adjust(60_000)
        const binary = Uint8Array.of(0xff, 0)
        const records = [
          { key: "k", value: '{"a":1}', id: "one", timestamp: 50_000, headers: [["h", "v"]] as const },
          { key: null, value: binary, id: "two", timestamp: 50_001 }
        ]
        const history = { attempts: 5, firstFailureAt: 51_000, origin: "host-1", partition: 3 }
        yield* put({ ...envelopeOf(records), ...history }, "MAX_ATTEMPTS")
        yield* queue.send([{ body: "not\u0009ours", attributes: {}, delaySeconds: 0 }])
        const { items } = yield* ended(letters.peek({ filter }))
        const [first, second, third] = items.map(DeadLetters.toJson)
        const { messageId, ...shown } = first ?? {}
        assert.equal(messageId, "message-1")
        assert.deepEqual(shown, {
          topic: "events",
          partition: 3,
          id: "one",
          key: "k",
          value: '{"a":1}',
          headers: [
            { name: "spillway-id", value: "one" },
            { name: "h", value: "v" }
          ],
          timestamp: "1970-01-01T00:00:50.000Z",
          attempts: 5,
          firstFailure: "1970-01-01T00:00:51.000Z",
          lastError: "Permanent:MAX_ATTEMPTS",
          origin: "host-1",
          reason: "MAX_ATTEMPTS",
          errorClass: "Permanent",
          error: "MAX_ATTEMPTS!",
          deadSince: "1970-01-01T00:01:00.000Z",
          receives: 1
        })
        assert.deepEqual([second?.key, second?.valueBase64], [null, "/wA="])
        assert.deepEqual([third?.reason, third?.excerpt, third?.bodyBytes], ["FOREIGN_MESSAGE_BODY", "not.ours", 8])
        yield* allVisible(queue, 2)
        const found = yield* ended(letters.peek({ filter: { id: "two" }, maxRecords: 1 }))
        assert.equal(found.items.length, 1)
        const byKey = yield* ended(letters.peek({ filter: { key: Buffer.from("k") } }))
        assert.deepEqual(
          byKey.items.map(item => (item._tag === "Record" ? item.id : "")),
          ["one"]
        )
      })
    ))
})

describe("DeadLetters, when the queue goes away in the middle", () => {
  it("does not ask it for each of the messages that cannot be handed back", () =>
    onTestClock(
      Effect.gen(function* () {
        // Long enough that no visibility is renewed meanwhile: what is counted is what is handed back.
        const { letters, put, queue } = setUp({ visibilitySeconds: 43_200 })
        const messages = 1000
        for (let i = 0; i < messages; i++) yield* put(envelopeOf([{ value: `${i}` }]), "MAX_ATTEMPTS")
        let seen = 0
        const onProgress = (now: number) => {
          seen = now
          if (seen >= messages) queue.setDown("Unavailable")
        }
        yield* ended(Effect.ignore(letters.list({ filter, onProgress })))
        assert.equal(seen, messages)
        const { changeVisibility: asked } = queue.calls
        assert.ok(asked > 0 && asked < messages, `asked ${asked} times`)
      })
    ))
})

describe("DeadLetters.peek at large records", () => {
  it("holds no more of them than fits into memory, and says that there is more", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put } = setUp({ maxBytes: 2048 })
        for (let i = 0; i < 6; i++) {
          // Only its end does not compress.
          const value = new Uint8Array(24 * 1024 * 1024)
          value.set(noise(4096, i), value.length - 4096)
          yield* put(envelopeOf([{ value }]), "MESSAGE_TOO_LARGE")
        }
        const { complete, items } = yield* ended(letters.peek({ filter, maxRecords: 100 }))
        assert.equal(items.length, 3)
        assert.equal(complete, false)
      })
    ))
})

describe("DeadLetters.redrive", () => {
  it("brings those that are meant back with their history, and leaves the others", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue, target } = setUp()
        const history = { attempts: 4, firstFailureAt: 77, origin: "host-2", traceParent: "00-1-2-3" }
        for (let i = 0; i < 25; i++) yield* put({ ...envelopeOf([{ value: `t${i}` }]), ...history }, "TOPIC_GONE")
        for (let i = 0; i < 5; i++) yield* put(envelopeOf([{ value: `m${i}` }]), "MAX_ATTEMPTS")
        yield* queue.send([{ body: "foreign", attributes: { "spillway-reason": "TOPIC_GONE" }, delaySeconds: 0 }])
        const dry = yield* ended(letters.redrive({ filter: { reason: "TOPIC_GONE" }, dryRun: true }))
        assert.deepEqual([dry.records, dry.messages, dry.unreadable], [25, 25, 1])
        assert.equal(target.calls.send, 0)
        yield* allVisible(queue, 31)

        const done = yield* ended(letters.redrive({ filter: { reason: "TOPIC_GONE" } }))
        const { complete, fault, ...counts } = done
        assert.deepEqual([complete, fault], [true, ""])
        assert.deepEqual(counts, {
          seen: 31,
          messages: 25,
          records: 25,
          kept: 0,
          twice: 0,
          failed: 0,
          unreadable: 1,
          withheld: 0,
          splitKeys: 0
        })
        const redriven = (yield* contents(target)).flat()
        assert.deepEqual(redriven.sort(), Array.from({ length: 25 }, (_, i) => `t${i}`).sort())
        const [message] = yield* target.messages
        const envelopes = yield* Envelope.fromBody(message?.body ?? "")
        for (const { attempts, firstFailureAt, lastError, origin, traceParent } of envelopes) {
          const kept = { attempts, firstFailureAt, origin, traceParent }
          assert.deepEqual(kept, history)
          assert.equal(lastError, "Permanent:TOPIC_GONE")
        }
        yield* allVisible(queue, 6)
      })
    ))

  it("keeps the records of a key in one message and in order, whatever order the queue has them in", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, target } = setUp()
        const keys = ["a", "b", "c", "d", "e", "f", "g"]
        // Each batch has records of two keys; the queue gets the batches from last to first.
        const batches = Array.from({ length: 40 }, (_, i) =>
          [i, i + 3].map(k => ({ key: keys[k % 7] ?? "", value: `${keys[k % 7]}${100 + i}`, timestamp: 1000 + i }))
        )
        for (const batch of batches.toReversed()) yield* put(envelopeOf(batch), "MAX_ATTEMPTS")
        yield* ended(letters.redrive({ filter, rate: 100 }))
        const messages = yield* contents(target)
        assert.ok(messages.length > 1)
        for (const key of keys) {
          const holding = messages.filter(values => values.some(value => value.startsWith(key)))
          assert.equal(holding.length, 1, key)
          const [values = []] = holding
          const own = values.filter(value => value.startsWith(key))
          assert.deepEqual(own, Array.from(own).sort())
        }
        assert.equal(messages.flat().length, 80)
      })
    ))

  it("deletes nothing before it is stored (stored anew first, deleted after)", () =>
    onTestClock(
      Effect.gen(function* () {
        const { put, queue, target } = setUp()
        const gate = yield* Effect.makeLatch(false)
        let waiting = false
        const slow: Queue = {
          ...target,
          send: entries => {
            waiting = true
            return Effect.zipRight(gate.await, target.send(entries))
          }
        }
        const letters = DeadLetters.make({ queue, target: slow, idHeader: "spillway-id", visibilitySeconds })
        yield* put(envelopeOf([{ value: "v" }]), "MAX_ATTEMPTS")
        const fiber = yield* Effect.fork(letters.redrive({ filter }))
        yield* advanceUntil("the store", () => waiting)
        const meanwhile = [queue.calls.delete, (yield* queue.messages).length]
        yield* gate.open
        // A process killed at that moment would have lost nothing.
        assert.deepEqual(meanwhile, [0, 1])
        assert.equal((yield* ended(Fiber.join(fiber))).records, 1)
        assert.equal((yield* target.messages).length, 1)
        assert.equal((yield* queue.messages).length, 0)
      })
    ))

  it("leaves the dead letters where they are when the fallback queue takes nothing", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue, target } = setUp()
        for (let i = 0; i < 3; i++) yield* put(envelopeOf([{ value: "v" }]), "MAX_ATTEMPTS")
        yield* target.limits
        for (let i = 0; i < 100; i++) target.script("send", { _tag: "Fail", reason: "AccessDenied" })
        const done = yield* ended(letters.redrive({ filter }))
        assert.deepEqual([done.records, done.failed, done.messages], [0, 3, 0])
        assert.match(done.fault, /parked/)
        yield* allVisible(queue, 3)
      })
    ))

  it("takes only those that are meant out of a message, and stores the rest anew", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue, target } = setUp()
        const three = envelopeOf(["a", "b", "c"].map(key => ({ key, value: key, id: `id-${key}` })))
        yield* put(three, "MAX_ATTEMPTS")
        const before = (yield* queue.messages)[0]?.attributes
        yield* TestClock.adjust(1000)
        const done = yield* ended(letters.redrive({ filter: { key: Buffer.from("b") } }))
        assert.deepEqual([done.records, done.kept, done.messages], [1, 2, 1])
        assert.deepEqual(yield* contents(target), [["b"]])
        assert.deepEqual(yield* contents(queue), [["a", "c"]])
        const after = (yield* queue.messages)[0]?.attributes
        assert.deepEqual(after, { ...before, "spillway-records": "2", "spillway-first-id": "id-a" })
      })
    ))

  it("keeps a message of which the rest cannot be stored anew", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue, target } = setUp()
        yield* put(envelopeOf(["a", "b"].map(key => ({ key, value: key }))), "MAX_ATTEMPTS")
        for (let i = 0; i < 20; i++) queue.script("send", { _tag: "Fail", reason: "Unavailable" })
        const done = yield* ended(letters.redrive({ filter: { key: Buffer.from("b") } }))
        assert.deepEqual([done.records, done.twice, done.messages], [1, 1, 0])
        assert.deepEqual(yield* contents(target), [["b"]])
        assert.deepEqual(yield* contents(queue), [["a", "b"]])
        yield* allVisible(queue, 1)
      })
    ))

  it("holds what it has not come to yet for as long as it takes, and redrives nothing twice", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue, target } = setUp()
        for (let i = 0; i < 100; i++) yield* put(envelopeOf([{ value: `${i}` }]), "MAX_ATTEMPTS")
        const fiber = yield* Effect.fork(letters.redrive({ filter, rate: 1 }))
        yield* advanceUntil("the middle", () => target.calls.send >= 50, { stepMs: 500, withinMs: 120_000 })
        // Longer than the visibility timeout: nobody else sees any of them.
        assert.ok((yield* Clock.currentTimeMillis) > visibilitySeconds * 1000)
        assert.equal((yield* queue.depth).visible, 0)
        // Interrupted, it ends what it is at and hands the rest back.
        yield* ended(Fiber.interrupt(fiber))
        const stored = (yield* contents(target)).flat()
        yield* allVisible(queue, 100 - stored.length)
        const rest = yield* ended(letters.redrive({ filter }))
        assert.equal(rest.records, 100 - stored.length)
        assert.equal(new Set((yield* contents(target)).flat()).size, 100)
      })
    ))

  it("stops at so many records", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue, target } = setUp()
        for (let i = 0; i < 5; i++) yield* put(envelopeOf([{ value: `a${i}` }, { value: `b${i}` }]), "MAX_ATTEMPTS")
        const done = yield* ended(letters.redrive({ filter, maxRecords: 3 }))
        assert.deepEqual([done.records, done.kept, done.messages], [3, 1, 2])
        assert.equal((yield* contents(target)).flat().length, 3)
        assert.equal((yield* contents(queue)).flat().length, 7)
      })
    ))

  it("brings back what lies in the claim check under an object of its own, and removes the old one last", () =>
    onTestClock(
      Effect.gen(function* () {
        const { claims, letters, put, queue, target } = setUp({ maxBytes: 20_000 })
        const large = noise(30_000, 7)
        yield* put(envelopeOf([{ key: "k", value: large, id: "large" }]), "MESSAGE_TOO_LARGE")
        const [old = ""] = claims.objects.keys()
        const { items } = yield* ended(letters.peek({ filter: { id: "large" } }))
        assert.deepEqual(
          items.map(item => (item._tag === "Record" ? [item.claim, item.value?.length] : [])),
          [[`memory/${old}`, 30_000]]
        )
        claims.setDown("Unavailable")
        const withheld = yield* ended(letters.redrive({ filter }))
        assert.deepEqual([withheld.withheld, withheld.records], [1, 0])
        claims.setDown(undefined)
        yield* allVisible(queue, 1)
        const done = yield* ended(letters.redrive({ filter }))
        assert.deepEqual([done.records, done.messages], [1, 1])
        const [message] = yield* target.messages
        const pointer = Either.getOrThrow(ClaimPointer.fromBody(message?.body ?? ""))
        assert.notEqual(pointer.claim.key, old)
        assert.deepEqual(Array.from(claims.objects.keys()), [pointer.claim.key])
        assert.deepEqual(claims.log, [`put ${old}`, `put ${pointer.claim.key}`, `delete ${old}`])
        yield* allVisible(queue, 0)
      })
    ))
})

describe("DeadLetters.purge", () => {
  it("deletes what matches, unreadable ones too, and nothing else", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue } = setUp()
        yield* put(envelopeOf([{ value: "old" }]), "MAX_ATTEMPTS")
        yield* TestClock.adjust(3_600_000)
        yield* put(envelopeOf([{ value: "new" }]), "MAX_ATTEMPTS")
        yield* queue.send([{ body: "foreign", attributes: {}, delaySeconds: 0 }])
        const before = { reason: "MAX_ATTEMPTS", before: 1_800_000 }
        const dry = yield* ended(letters.purge({ filter: before, dryRun: true }))
        assert.deepEqual([dry.messages, dry.records], [1, 1])
        yield* allVisible(queue, 3)
        assert.equal((yield* ended(letters.purge({ filter: before }))).messages, 1)
        assert.equal((yield* ended(letters.purge({ filter: { reason: "FOREIGN_MESSAGE_BODY" } }))).messages, 1)
        assert.deepEqual(yield* contents(queue), [["new"]])
        yield* allVisible(queue, 1)
      })
    ))

  it("keeps the rest of a message", () =>
    onTestClock(
      Effect.gen(function* () {
        const { letters, put, queue } = setUp()
        yield* put(envelopeOf(["a", "b", "c"].map(id => ({ id, value: id }))), "MAX_ATTEMPTS")
        const done = yield* ended(letters.purge({ filter: { id: "b" } }))
        assert.deepEqual([done.records, done.kept, done.messages], [1, 2, 1])
        assert.deepEqual(yield* contents(queue), [["a", "c"]])
      })
    ))

  it("removes the object after the message", () =>
    onTestClock(
      Effect.gen(function* () {
        const { claims, letters, put, queue } = setUp({ maxBytes: 20_000 })
        yield* put(envelopeOf([{ value: noise(30_000, 3) }]), "MESSAGE_TOO_LARGE")
        assert.equal((yield* ended(letters.purge({ filter: { topic: "events" } }))).records, 1)
        assert.equal(claims.calls.get, 0)
        assert.equal(claims.objects.size, 0)
        yield* allVisible(queue, 0)
      })
    ))
})
