import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { differencesOf } from "../../src/internal/sqsProvision.ts"

const deadLetterQueue = { _tag: "Name", name: "parked-dlq" } as const
const asCreated = { MessageRetentionPeriod: "1209600", MaximumMessageSize: "1048576" }
const policy = (maxReceiveCount: number, queue: string) => ({
  RedrivePolicy: JSON.stringify({
    deadLetterTargetArn: `arn:aws:sqs:eu-central-1:123456789012:${queue}`,
    maxReceiveCount
  })
})

const found = (...args: Parameters<typeof differencesOf>) =>
  differencesOf(...args).map(({ attribute, is, shouldBe }) => [attribute, is, shouldBe])

describe("how a queue differs from what it should be", () => {
  it("finds nothing in a queue as it is created, nor in one without a redrive policy", () => {
    assert.deepEqual(found({ ...asCreated, ...policy(1000, "parked-dlq") }, deadLetterQueue), [])
    assert.deepEqual(found(asCreated, deadLetterQueue), [])
    assert.deepEqual(found(asCreated, undefined), [])
    // What the queue does not say is no difference.
    assert.deepEqual(found({ RedrivePolicy: "no JSON" }, deadLetterQueue), [])
  })

  it("names what is too little", () => {
    assert.deepEqual(found({ MessageRetentionPeriod: "345600", MaximumMessageSize: "262144" }, undefined), [
      ["MessageRetentionPeriod", "345600", "1209600"],
      ["MaximumMessageSize", "262144", "1048576"]
    ])
  })

  it("names a redrive policy that takes records away", () => {
    assert.deepEqual(found({ ...asCreated, ...policy(3, "parked-dlq") }, deadLetterQueue), [
      ["RedrivePolicy", "maxReceiveCount 3", "none, or 1000"]
    ])
    assert.deepEqual(found({ ...asCreated, ...policy(1000, "elsewhere") }, deadLetterQueue), [
      ["RedrivePolicy", "to elsewhere", "to parked-dlq"]
    ])
    // A dead-letter queue that is looked through must have none at all.
    assert.deepEqual(found({ ...asCreated, ...policy(1000, "graveyard") }, undefined), [
      ["RedrivePolicy", "maxReceiveCount 1000", "none"]
    ])
  })
})
