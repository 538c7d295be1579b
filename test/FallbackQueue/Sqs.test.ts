import assert from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Sqs from "../../src/FallbackQueue/Sqs.ts"
import type { FallbackQueueError, QueueEntry, QueueMessage, SendOutcome, Service } from "../../src/FallbackQueue.ts"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { freePort } from "../support/ports.ts"
import { type FakeServer, startFakeSqs, startSilentServer } from "./fakeSqs.ts"

const client = (endpoint: string, rest: Partial<Sqs.ClientOptions> = {}): Sqs.ClientOptions => ({
  region: "us-east-1",
  endpoint,
  accessKeyId: "test",
  secretAccessKey: Redacted.make("TOPSECRET"),
  requestTimeoutMs: 5_000,
  connectionTimeoutMs: 2_000,
  ...rest
})
const entry = (body: string, rest: Partial<QueueEntry> = {}): QueueEntry => ({
  body,
  attributes: { "spillway-topic": "orders" },
  delaySeconds: 0,
  ...rest
})
const use = <A, E>(options: Sqs.Options, work: (queue: Service) => Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(Sqs.make(options), work)))
const receive = (queue: Service, waitSeconds = 0, visibilitySeconds = 30) =>
  queue.receive({ max: 10, waitSeconds, visibilitySeconds })
const error = <A>(effect: Effect.Effect<A, FallbackQueueError>) => Effect.flip(effect)
const reason = <A>(effect: Effect.Effect<A, FallbackQueueError>) => Effect.map(error(effect), ({ reason }) => reason)
const told = (outcomes: ReadonlyArray<SendOutcome>): ReadonlyArray<string> =>
  outcomes.map(outcome => (outcome._tag === "Stored" ? "Stored" : outcome.error.reason))
const only = (messages: ReadonlyArray<QueueMessage>): QueueMessage => {
  const [message] = messages
  assert.equal(messages.length, 1)
  assert.ok(message !== undefined)
  return message
}

describe("against a queue", () => {
  let sqs: Fauxqs.Fauxqs
  before(async () => {
    sqs = await Fauxqs.start({ persistent: false })
  })
  after(() => sqs.stop())

  const stored = (name: string) => {
    const { messages } = sqs.server().inspectQueue(name) ?? {}
    return { ready: messages?.ready.length ?? -1, inflight: messages?.inflight.length ?? -1 }
  }

  it("stores, receives, extends and deletes", () =>
    use({ queueId: sqs.createQueue("round-trip"), client: client(sqs.endpoint) }, queue =>
      Effect.gen(function* () {
        const outcomes = yield* queue.send([entry("a"), entry("b", { delaySeconds: 900 })])
        assert.deepEqual(told(outcomes), ["Stored", "Stored"])
        assert.deepEqual(yield* queue.depth, { visible: 1, inFlight: 0, delayed: 1 })
        const message = only(yield* receive(queue))
        assert.equal(message.body, "a")
        assert.deepEqual(message.attributes, { "spillway-topic": "orders" })
        assert.equal(message.receiveCount, 1)
        assert.ok(message.sentAt > 1.7e12)
        yield* queue.changeVisibility(message.receiptHandle, 600)
        yield* queue.delete(message.receiptHandle)
        yield* queue.delete(message.receiptHandle)
        assert.deepEqual(yield* queue.depth, { visible: 0, inFlight: 0, delayed: 1 })
      })
    ))

  it("hands a message back at once; it comes again, counted", () =>
    use({ queueId: sqs.createQueue("hand-back"), client: client(sqs.endpoint) }, queue =>
      Effect.gen(function* () {
        yield* queue.send([entry("a")])
        yield* queue.changeVisibility(only(yield* receive(queue)).receiptHandle, 0)
        assert.equal(only(yield* receive(queue)).receiveCount, 2)
        assert.deepEqual(yield* receive(queue), [])
      })
    ))

  it("hands many back in few calls, and tells the one that fails", () => {
    const calls: Array<string> = []
    const onRequest = (operation: string) => calls.push(operation)
    const options = { queueId: sqs.createQueue("hand-back-many"), client: client(sqs.endpoint), onRequest }
    return use(options, queue =>
      Effect.gen(function* () {
        yield* queue.send(Array.from({ length: 9 }, (_, i) => entry(`${i}`)))
        const received = yield* receive(queue)
        assert.equal(received.length, 9)
        calls.length = 0
        const handles = [...received.map(({ receiptHandle }) => receiptHandle), "no handle", "none either"]
        const changes = handles.map(handle => Effect.either(queue.changeVisibility(handle, 0)))
        const failed = (yield* Effect.all(changes, { concurrency: "unbounded" })).filter(Either.isLeft)
        assert.deepEqual(
          failed.map(({ left }) => left.reason),
          ["Invalid", "Invalid"]
        )
        assert.deepEqual(calls.sort(), ["ChangeMessageVisibility", "ChangeMessageVisibilityBatch"])
        assert.equal((yield* queue.depth).visible, 9)
      })
    )
  })

  it("waits for a message in a long poll", () =>
    use({ queueId: sqs.createQueue("long-poll"), client: client(sqs.endpoint) }, queue =>
      Effect.gen(function* () {
        yield* queue.limits
        const polling = yield* Effect.fork(receive(queue, 20))
        yield* queue.send([entry("late")])
        assert.equal(only(yield* Fiber.join(polling)).body, "late")
      })
    ))

  it("finds the queue by name, ARN and URL, and reads its limits", async () => {
    const attributes = { MaximumMessageSize: "262144", MessageRetentionPeriod: "120", VisibilityTimeout: "7" }
    const url = sqs.createQueue("limited", attributes)
    const aws = "https://sqs.us-east-1.amazonaws.com/000000000000/limited"
    for (const queueId of ["limited", "arn:aws:sqs:us-east-1:000000000000:limited", url, aws]) {
      await use({ queueId, client: client(sqs.endpoint) }, queue =>
        Effect.gen(function* () {
          const limits = { maximumMessageBytes: 262_144, retentionSeconds: 120, visibilitySeconds: 7 }
          assert.deepEqual(yield* queue.limits, limits)
          assert.equal(queue.name, "limited")
        })
      )
    }
  })

  it("refuses exactly the entries the service refused", () =>
    use({ queueId: sqs.createQueue("picky", { MaximumMessageSize: "1024" }), client: client(sqs.endpoint) }, queue =>
      Effect.gen(function* () {
        const outcomes = yield* queue.send([entry("a"), entry("x".repeat(2000)), entry("b\u0001"), entry("c")])
        assert.deepEqual(told(outcomes), ["Stored", "Invalid", "Invalid", "Stored"])
        assert.deepEqual((yield* receive(queue)).map(message => message.body).sort(), ["a", "c"])
      })
    ))

  it("fails the call when the service refused it as a whole", () =>
    use({ queueId: sqs.createQueue("strict"), client: client(sqs.endpoint) }, queue =>
      Effect.gen(function* () {
        const half = entry("x".repeat(600_000))
        const failure = yield* error(queue.send([half, half]))
        assert.deepEqual([failure.reason, failure.retryable, failure.operation], ["Invalid", false, "SendMessageBatch"])
        assert.equal(yield* reason(queue.send(Array.from({ length: 11 }, () => entry("a")))), "Invalid")
        assert.equal(yield* reason(queue.changeVisibility("no handle", 0)), "Invalid")
        assert.deepEqual(yield* queue.depth, { visible: 0, inFlight: 0, delayed: 0 })
        assert.deepEqual(yield* queue.send([]), [])
      })
    ))

  it("starts without its queue, and finds it once it is there and again after it was gone", () =>
    use({ queueId: "later", client: client(sqs.endpoint) }, queue =>
      Effect.gen(function* () {
        const missing = yield* error(queue.send([entry("a")]))
        assert.deepEqual([missing.reason, missing.retryable], ["NotFound", false])
        assert.equal(yield* reason(queue.limits), "NotFound")
        sqs.createQueue("later")
        assert.deepEqual(told(yield* queue.send([entry("a")])), ["Stored"])
        assert.equal((yield* queue.limits).visibilitySeconds, 30)
        sqs.server().deleteQueue("later")
        assert.equal(yield* reason(receive(queue)), "NotFound")
        sqs.createQueue("later", { VisibilityTimeout: "9" })
        assert.equal((yield* queue.limits).visibilitySeconds, 9)
      })
    ))

  it("creates the queue and its dead-letter queue on wish, once", async () => {
    const create = { deadLetterQueueId: "made-dlq", attributes: { VisibilityTimeout: "77" } }
    const options = { queueId: "made", client: client(sqs.endpoint), create }
    await use(options, queue => queue.limits)
    await use({ ...options, create: { ...create, attributes: { VisibilityTimeout: "1" } } }, queue => queue.limits)
    const made = sqs.server().inspectQueue("made")?.attributes ?? {}
    assert.equal(made.MessageRetentionPeriod, "1209600")
    assert.equal(made.MaximumMessageSize, "1048576")
    assert.equal(made.VisibilityTimeout, "77")
    assert.deepEqual(JSON.parse(made.RedrivePolicy ?? "{}"), {
      deadLetterTargetArn: "arn:aws:sqs:us-east-1:000000000000:made-dlq",
      maxReceiveCount: 1000
    })
    assert.equal(sqs.server().inspectQueue("made-dlq")?.attributes.MessageRetentionPeriod, "1209600")
  })

  it("creates the queue again when it was deleted meanwhile", () =>
    use({ queueId: "made-again", client: client(sqs.endpoint), create: {} }, queue =>
      Effect.gen(function* () {
        assert.deepEqual(told(yield* queue.send([entry("a")])), ["Stored"])
        sqs.server().deleteQueue("made-again")
        assert.equal(yield* reason(queue.send([entry("b")])), "NotFound")
        assert.deepEqual(told(yield* queue.send([entry("b")])), ["Stored"])
      })
    ))

  it("never changes a queue that exists", async () => {
    sqs.createQueue("theirs", { MessageRetentionPeriod: "3600" })
    await use({ queueId: "theirs", client: client(sqs.endpoint), create: {} }, queue => queue.limits)
    assert.equal(sqs.server().inspectQueue("theirs")?.attributes.MessageRetentionPeriod, "3600")
  })

  it("tells what each call costs", async () => {
    const costs: Array<readonly [string, number]> = []
    const onRequest = (operation: string, units: number): number => costs.push([operation, units])
    sqs.createQueue("billed")
    await use({ queueId: "billed", client: client(sqs.endpoint), onRequest }, queue =>
      Effect.gen(function* () {
        yield* queue.send([entry("x".repeat(65_536))])
        yield* queue.delete(only(yield* receive(queue)).receiptHandle)
      })
    )
    assert.deepEqual(costs, [
      ["GetQueueUrl", 1],
      ["SendMessageBatch", 2],
      ["ReceiveMessage", 2],
      ["DeleteMessage", 1]
    ])
  })

  it("deletes in calls of ten what is settled at the same time", async () => {
    const asked: Array<string> = []
    const queueId = sqs.createQueue("deletions")
    await use({ queueId, client: client(sqs.endpoint), onRequest: operation => asked.push(operation) }, queue =>
      Effect.gen(function* () {
        yield* queue.send(Array.from({ length: 10 }, (_, i) => entry(`${i}`)))
        yield* queue.send([entry("10"), entry("11")])
        const messages = [...(yield* receive(queue)), ...(yield* receive(queue))]
        assert.equal(messages.length, 12)
        asked.length = 0
        yield* Effect.forEach(messages, ({ receiptHandle }) => queue.delete(receiptHandle), {
          concurrency: "unbounded",
          discard: true
        })
        assert.deepEqual(asked, ["DeleteMessageBatch", "DeleteMessageBatch"])
      })
    )
    assert.deepEqual(stored("deletions"), { ready: 0, inflight: 0 })
  })

  it("hands back what a long poll brought after it was interrupted", async () => {
    const queueId = sqs.createQueue("interrupted")
    const original = SQSClient.prototype.send
    let arrive = (): void => {}
    const arrived = new Promise<void>(resolve => {
      arrive = resolve
    })
    // The service had answered already when the abort came: the answer is held until then, and the signal kept away.
    const deaf = async function (this: SQSClient, command: object, options: { readonly abortSignal: AbortSignal }) {
      if (!(command instanceof ReceiveMessageCommand)) return Reflect.apply(original, this, [command, options])
      const aborted = new Promise(resolve => options.abortSignal.addEventListener("abort", resolve))
      const answer: unknown = await Reflect.apply(original, this, [command])
      arrive()
      await aborted
      return answer
    }
    Reflect.set(SQSClient.prototype, "send", deaf)
    try {
      await use({ queueId, client: client(sqs.endpoint) }, queue =>
        Effect.gen(function* () {
          yield* queue.send([entry("a"), entry("b")])
          const polling = yield* Effect.fork(receive(queue, 20, 600))
          yield* Effect.promise(() => arrived)
          assert.deepEqual(stored("interrupted"), { ready: 0, inflight: 2 })
          yield* Fiber.interrupt(polling)
          assert.equal((yield* queue.depth).visible, 2)
        })
      )
    } finally {
      Reflect.deleteProperty(SQSClient.prototype, "send")
    }
  })
})

describe("with answers no emulator gives", () => {
  let fake: FakeServer
  before(async () => {
    fake = await startFakeSqs()
  })
  after(() => fake.stop())

  const sendThree = (answer: object) => {
    fake.answer("SendMessageBatch", 200, JSON.stringify(answer))
    return use({ queueId: "fake", client: client(fake.endpoint) }, queue =>
      queue.send([entry("a"), entry("b"), entry("c")])
    )
  }
  const md5OfA = "0cc175b9c0f1b6a831c399e269772661"

  it("reads a partial failure out of an HTTP 200, entry by entry", async () => {
    const outcomes = await sendThree({
      Successful: [{ Id: "1", MessageId: "m" }],
      Failed: [
        { Id: "0", SenderFault: false, Code: "InternalError", Message: "again" },
        { Id: "2", SenderFault: true, Code: "Strange" }
      ]
    })
    assert.deepEqual(told(outcomes), ["Unavailable", "Stored", "Invalid"])
  })

  it("reads the fate of each deletion out of the answer; what fails as a whole fails each", async () => {
    const deleteFour = use({ queueId: "fake", client: client(fake.endpoint) }, queue =>
      Effect.gen(function* () {
        const all = Effect.forEach(
          ["a", "b", "c", "d"],
          handle =>
            Effect.match(queue.delete(handle), {
              onSuccess: () => "gone",
              onFailure: ({ operation, reason, retryable }) => `${operation} ${reason} ${retryable}`
            }),
          { concurrency: "unbounded" }
        )
        fake.answer(
          "DeleteMessageBatch",
          200,
          JSON.stringify({
            Successful: [{ Id: "2" }],
            Failed: [
              { Id: "0", SenderFault: false, Code: "InternalError" },
              { Id: "3", SenderFault: true, Code: "ReceiptHandleIsInvalid" }
            ]
          })
        )
        const read = yield* all
        fake.answer("DeleteMessageBatch", 403, JSON.stringify({ __type: "com.amazonaws.sqs#AccessDenied" }))
        return [...read, ...new Set(yield* all)]
      })
    )
    assert.deepEqual(await deleteFour, [
      "DeleteMessageBatch Unavailable true",
      "DeleteMessageBatch Unavailable true",
      "gone",
      "DeleteMessageBatch Invalid false",
      "DeleteMessageBatch AccessDenied false"
    ])
  })

  it("does not take an entry for stored that the answer does not name or names with another body", async () => {
    const outcomes = await sendThree({
      Successful: [
        { Id: "0", MessageId: "m", MD5OfMessageBody: md5OfA },
        { Id: "1", MessageId: "n", MD5OfMessageBody: md5OfA }
      ]
    })
    assert.deepEqual(told(outcomes), ["Stored", "Unknown", "Unknown"])
  })

  it("leaves a damaged message out and keeps the others of the same answer", async () => {
    const damaged = { MessageId: "1", ReceiptHandle: "r1", Body: "b", MD5OfBody: md5OfA }
    const whole = { MessageId: "2", ReceiptHandle: "r2", Body: "a", MD5OfBody: md5OfA }
    fake.answer("ReceiveMessage", 200, JSON.stringify({ Messages: [damaged, whole] }))
    const messages = await use({ queueId: "fake", client: client(fake.endpoint) }, queue => receive(queue))
    assert.equal(only(messages).body, "a")
  })

  it("maps refusals of the whole call", async () => {
    const cases: ReadonlyArray<readonly [number, string, string]> = [
      [403, '{"__type":"com.amazon.coral.service#AccessDeniedException"}', "AccessDenied"],
      [400, '{"__type":"com.amazon.coral.service#ThrottlingException"}', "Throttled"],
      [503, "<html>busy</html>", "Unavailable"],
      [504, "<html>gateway</html>", "Unknown"],
      [200, "not json", "Unknown"],
      [400, '{"__type":"com.amazonaws.sqs#BatchRequestTooLong"}', "Invalid"]
    ]
    for (const [status, body, expected] of cases) {
      fake.answer("SendMessageBatch", status, body)
      const found = await use({ queueId: "fake", client: client(fake.endpoint) }, queue =>
        error(queue.send([entry("a")]))
      )
      assert.equal(found.reason, expected, body)
      assert.doesNotMatch(JSON.stringify(found) + found.message, /TOPSECRET/)
    }
  })

  it("sends a call once, though the connection was open before and ends without an answer", async () => {
    const before = fake.asked("SendMessageBatch")
    fake.hangUp("SendMessageBatch")
    await use({ queueId: "fake", client: client(fake.endpoint) }, queue =>
      Effect.gen(function* () {
        // Opens the connection.
        yield* error(queue.depth)
        assert.equal(yield* reason(queue.send([entry("a")])), "Unknown")
      })
    )
    assert.equal(fake.asked("SendMessageBatch") - before, 1)
  })

  it("closes the connection of an interrupted long poll", async () => {
    fake.silence("ReceiveMessage")
    await use({ queueId: "fake", client: client(fake.endpoint) }, queue =>
      Effect.gen(function* () {
        const polling = yield* Effect.fork(receive(queue, 20))
        yield* Effect.promise(() => eventually("the poll", 5_000, () => fake.waiting() > 0 || undefined))
        yield* Fiber.interrupt(polling)
        yield* Effect.promise(() => eventually("its end", 5_000, () => fake.waiting() === 0 || undefined))
      })
    )
  })
})

describe("without a service", () => {
  it("is unavailable where nobody listens", async () => {
    const endpoint = `http://127.0.0.1:${await freePort()}`
    await use({ queueId: "orders", client: client(endpoint) }, queue =>
      Effect.gen(function* () {
        const failure = yield* error(queue.send([entry("a")]))
        assert.deepEqual([failure.reason, failure.retryable], ["Unavailable", true])
        assert.match(failure.message, /ECONNREFUSED/)
        assert.equal(yield* reason(receive(queue, 20)), "Unavailable")
      })
    )
    const byUrl = { queueId: `${endpoint}/000000000000/orders`, client: client(endpoint) }
    assert.equal(await use(byUrl, queue => reason(queue.send([entry("a")]))), "Unavailable")
  })

  it("is unavailable where the host has no address", async () => {
    const options = { queueId: "orders", client: client("http://sqs.invalid:4566") }
    assert.equal(await use(options, queue => reason(queue.depth)), "Unavailable")
  })

  it("does not know whether a send arrived that was never answered; a look-up simply did not happen", async () => {
    const silent = await startSilentServer()
    const impatient = client(silent.endpoint, { requestTimeoutMs: 300 })
    try {
      const queueId = `${silent.endpoint}/000000000000/orders`
      assert.equal(await use({ queueId, client: impatient }, queue => reason(queue.send([entry("a")]))), "Unknown")
      assert.equal(await use({ queueId, client: impatient }, queue => reason(receive(queue))), "Unavailable")
      const byName = { queueId: "orders", client: impatient }
      assert.equal(await use(byName, queue => reason(queue.send([entry("a")]))), "Unavailable")
    } finally {
      await silent.stop()
    }
  })

  it("is invalid when the queue id cannot be read, and says so at every call", async () => {
    const failure = await use({ queueId: "orders.fifo", client: client("http://127.0.0.1:9") }, queue =>
      error(queue.send([entry("a")]))
    )
    assert.deepEqual([failure.reason, failure.retryable], ["Invalid", false])
    assert.match(failure.message, /FIFO/)
  })
})
