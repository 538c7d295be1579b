import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"
import * as Drivers from "../../src/Drivers.ts"
import * as Spillway from "../../src/Spillway.ts"
import { bucket } from "../support/Bucket.ts"
import { noise } from "../support/batches.ts"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"
import { headerText } from "../support/StoredRecord.ts"

const sha256 = (bytes: Uint8Array | null) =>
  createHash("sha256")
    .update(bytes ?? new Uint8Array())
    .digest("hex")

const configuration = (brokers: ReadonlyArray<string>, endpoint: string): string => `
stream:
  output:
    out: { connection: default, topic: events, write_timeout: 3s, max_record_bytes: 32MiB }
  producer:
    events:
      output: out
      retry: { queue_id: parked, after: 0s, wait_time: 1, visibility_timeout: 5s, create: true, claim_check: { bucket: claims, prefix: large } }
kafka: { connection: { default: { brokers: "${brokers.join(",")}" } } }
cloud:
  aws:
    sqs: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: local, secret_access_key: local } } }
    s3: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: local, secret_access_key: local } } }
breaker: { open_min: 500ms, open_max: 2s }
`

describe("a record of 20 MB on real servers", () => {
  it("is parked in S3 while Kafka is down, and is in Kafka byte for byte when it is back, and nowhere else", async () => {
    const config = { "max.message.bytes": "33554432" }
    const [cluster, sqs] = await Promise.all([
      Kafka.start({ topics: [{ name: "events", partitions: 2, config }] }),
      Fauxqs.start({ persistent: false })
    ])
    try {
      sqs.server().createBucket("claims")
      const stored = bucket(sqs.endpoint, "claims")
      await cluster.brokers[0]?.kill()
      const parsed = AppConfig.parse([{ file: "large.yaml", text: configuration(cluster.bootstrap, sqs.endpoint) }], {})
      if (Either.isLeft(parsed)) throw parsed.left
      const parked = () => {
        const queue = sqs.server().inspectQueue("parked")
        return queue === undefined
          ? 0
          : queue.messages.ready.length + queue.messages.delayed.length + queue.messages.inflight.length
      }
      await Effect.runPromise(
        Effect.scoped(
          Effect.flatMap(Spillway.make(parsed.right, Drivers.live, "large"), spillway =>
            Effect.promise(async () => {
              const large = noise(20_000_000, 1)
              const records = [
                { topic: "events", key: "k", id: "large", value: large },
                { topic: "events", key: "k", id: "small", value: "small" }
              ]
              const receipts = await Promise.all(records.map(record => spillway.publishPromise(record)))
              assert.deepEqual(
                receipts.map(({ id, outcome }) => [id, outcome]),
                [
                  ["large", "diverted"],
                  ["small", "diverted"]
                ]
              )
              const keys = await stored.keys()
              assert.equal(keys.length, 1)
              assert.match(keys[0] ?? "", /^large\/events\//)
              assert.match((await stored.checksum(keys[0] ?? "")) ?? "", /-3$/)
              assert.equal(parked(), 2)

              await cluster.brokers[0]?.restart()
              await eventually("the replay", 90_000, () =>
                spillway.status().accounting.redelivered === 2 ? true : undefined
              )
              const inKafka = await readAll(cluster, "events")
              const found = inKafka.map(record => [headerText(record, "spillway-id"), sha256(record.value)])
              assert.deepEqual(found.sort(), [
                ["large", sha256(large)],
                ["small", sha256(Buffer.from("small"))]
              ])
              await eventually("an empty queue and bucket", 10_000, async () =>
                parked() === 0 && (await stored.keys()).length === 0 ? true : undefined
              )
              assert.equal(spillway.status().accounting.deadLettered, 0)
            })
          )
        )
      )
    } finally {
      await Promise.all([cluster.stop(), sqs.stop()])
    }
  })
})
