import assert from "node:assert/strict"
import { test } from "node:test"
import * as Either from "effect/Either"
import * as QueueId from "../../src/internal/queueId.ts"

const parsed = (text: string) => Either.getOrThrow(QueueId.parse(text))
const problem = (text: string): string => Either.getOrElse(Either.flip(QueueId.parse(text)), () => "accepted")

test("a queue is named by its name, its ARN or its URL", () => {
  assert.deepEqual(parsed("orders-fallback_1"), { _tag: "Name", name: "orders-fallback_1" })
  assert.deepEqual(parsed("arn:aws:sqs:eu-central-1:123456789012:orders"), {
    _tag: "Arn",
    name: "orders",
    region: "eu-central-1",
    account: "123456789012"
  })
  assert.equal(parsed("arn:aws-us-gov:sqs:us-gov-west-1:123456789012:orders").name, "orders")
  assert.deepEqual(parsed("https://sqs.eu-central-1.amazonaws.com/123456789012/orders"), {
    _tag: "Url",
    name: "orders",
    origin: "https://sqs.eu-central-1.amazonaws.com",
    path: "/123456789012/orders"
  })
})

test("what is no standard queue is refused with the reason", () => {
  assert.match(problem(""), /not a queue name/)
  assert.match(problem("with space"), /not a queue name/)
  assert.match(problem("x".repeat(81)), /not a queue name/)
  assert.match(problem("orders.fifo"), /FIFO/)
  assert.match(problem("arn:aws:sqs:eu-central-1:123456789012:orders.fifo"), /FIFO/)
  assert.match(problem("arn:aws:sns:eu-central-1:123456789012:orders"), /ARN of the form/)
  assert.match(problem("arn:aws:sqs:eu-central-1:123:orders"), /ARN of the form/)
  assert.match(problem("http://"), /not a URL/)
  assert.match(problem("https://sqs.eu-central-1.amazonaws.com/"), /not a queue name/)
  assert.match(problem("https://user:secret@host/1/orders"), /credentials/)
  assert.doesNotMatch(problem("https://user:secret@host/1/orders"), /secret/)
})

test("a custom endpoint stands in front of the queue's own path", () => {
  const url = "https://sqs.eu-central-1.amazonaws.com/123456789012/orders"
  assert.equal(QueueId.urlAt(url, "http://127.0.0.1:4566/"), "http://127.0.0.1:4566/123456789012/orders")
  assert.equal(QueueId.urlAt(url, undefined), url)
  assert.equal(QueueId.urlAt(url, "no url"), url)
})
