import assert from "node:assert/strict"
import { test } from "node:test"
import * as Elasticmq from "../support/Elasticmq.ts"
import * as Fauxqs from "../support/Fauxqs.ts"

const call = async (endpoint: string, action: string, input: object): Promise<string> => {
  const headers = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": `AmazonSQS.${action}`,
    authorization: "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request"
  }
  const signal = AbortSignal.timeout(1_000)
  const response = await fetch(endpoint, { method: "POST", headers, body: JSON.stringify(input), signal })
  const text = await response.text()
  if (!response.ok) throw new Error(`${action} answered ${response.status}: ${text}`)
  return text
}

test("ElasticMQ freezes, resumes, dies and comes back empty on the same port", async () => {
  const sqs = await Elasticmq.start()
  try {
    const { QueueUrl } = JSON.parse(await call(sqs.endpoint, "CreateQueue", { QueueName: "parked" }))
    await call(sqs.endpoint, "SendMessage", { QueueUrl, MessageBody: "body" })
    assert.match(await call(sqs.endpoint, "ReceiveMessage", { QueueUrl }), /"Body":"body"/)
    const tooLarge = call(sqs.endpoint, "SendMessage", { QueueUrl, MessageBody: "x".repeat(1_100_000) })
    await assert.rejects(tooLarge, /answered 400/)
    sqs.freeze()
    await assert.rejects(call(sqs.endpoint, "ListQueues", {}), { name: "TimeoutError" })
    sqs.resume()
    assert.match(await call(sqs.endpoint, "ListQueues", {}), /parked/)
    const before = sqs.pid()
    await sqs.kill()
    await assert.rejects(call(sqs.endpoint, "ListQueues", {}))
    await sqs.restart()
    assert.notEqual(sqs.pid(), before)
    assert.doesNotMatch(await call(sqs.endpoint, "ListQueues", {}), /parked/)
  } finally {
    await sqs.stop()
  }
  assert.equal(sqs.pid(), undefined)
})

test("fauxqs goes down and comes back on the same port with what it held", async () => {
  const sqs = await Fauxqs.start()
  try {
    const QueueUrl = sqs.createQueue("parked", { VisibilityTimeout: "7" })
    await call(sqs.endpoint, "SendMessage", { QueueUrl, MessageBody: "body" })
    await sqs.down()
    await assert.rejects(call(sqs.endpoint, "ListQueues", {}))
    assert.throws(() => sqs.server(), /down/)
    await sqs.up()
    assert.equal(sqs.server().inspectQueue("parked")?.attributes.VisibilityTimeout, "7")
    assert.match(await call(sqs.endpoint, "ReceiveMessage", { QueueUrl }), /"Body":"body"/)
  } finally {
    await sqs.stop()
  }
  await assert.rejects(call(sqs.endpoint, "ListQueues", {}))
})

test("fauxqs in memory forgets", async () => {
  const sqs = await Fauxqs.start({ persistent: false })
  try {
    sqs.createQueue("parked")
    await sqs.down()
    await sqs.up()
    assert.equal(sqs.server().inspectQueue("parked"), undefined)
  } finally {
    await sqs.stop()
  }
})
