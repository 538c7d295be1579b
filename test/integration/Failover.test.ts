import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"
import * as Drivers from "../../src/Drivers.ts"
import * as Spillway from "../../src/Spillway.ts"
import { eventually } from "../support/eventually.ts"
import { configuration, type FaultRunOptions, type FaultRunResult, faultRun } from "../support/FaultRun.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import * as Kafka from "../support/Kafka.ts"
import { readAll } from "../support/KafkaJsReader.ts"

const writeTimeoutMs = 1000

const assertNothingLost = (result: FaultRunResult): void => {
  assert.equal(result.failed, 0, JSON.stringify(result))
  assert.equal(result.lost, 0, JSON.stringify(result))
  assert.equal(result.unexplained, 0, JSON.stringify(result))
  assert.equal(result.deadLettered, 0, JSON.stringify(result))
  assert.equal(result.receivesWhileOpen, 0, JSON.stringify(result))
  assert.equal(result.inKafka, result.published, JSON.stringify(result))
}

const run = async (options: FaultRunOptions): Promise<FaultRunResult> => {
  const sqs = await Fauxqs.start({ persistent: false })
  try {
    return await faultRun(options, sqs.endpoint)
  } finally {
    await sqs.stop()
  }
}

const options = { rate: 500, calmMs: 1500, writeTimeoutMs } as const

describe("failover on real brokers", () => {
  it("loses nothing when the only broker is killed", async () => {
    const result = await run({ ...options, brokers: 1, fault: "kill", faultMs: 4000 })
    assertNothingLost(result)
    assert.ok(result.diverted > 0)
  })

  it("loses nothing when the only broker freezes", async () => {
    const result = await run({ ...options, brokers: 1, fault: "freeze", faultMs: 4000 })
    assertNothingLost(result)
    assert.ok(result.diverted > 0)
  })

  it("diverts nothing when one of three brokers is shut down in order, and loses nothing when one freezes", async () => {
    const controlled = await run({
      ...options,
      brokers: 3,
      fault: "controlled",
      faultMs: 3000,
      writeTimeoutMs: 5000
    })
    assertNothingLost(controlled)
    assert.equal(controlled.diverted, 0)
    const frozen = await run({ ...options, brokers: 3, fault: "freeze", faultMs: 6000 })
    assertNothingLost(frozen)
    assert.ok(frozen.diverted > 0)
  })

  it("accepts records while Kafka was never there, says degraded, and delivers all once it is", async () => {
    const [cluster, sqs] = await Promise.all([
      Kafka.start({ topics: [{ name: "events", partitions: 6 }] }),
      Fauxqs.start({ persistent: false })
    ])
    try {
      await cluster.brokers[0]?.kill()
      const text = configuration(cluster, sqs.endpoint, { writeTimeoutMs })
      const parsed = AppConfig.parse([{ file: "down.yaml", text }], {})
      if (Either.isLeft(parsed)) throw parsed.left
      await Effect.runPromise(
        Effect.scoped(
          Effect.flatMap(Spillway.make(parsed.right, Drivers.live, "down-from-the-start"), spillway =>
            Effect.promise(async () => {
              const records = Array.from({ length: 200 }, (_, i) => ({ topic: "events", key: `k${i}`, value: `v${i}` }))
              const receipts = await Promise.all(records.map(record => spillway.publishPromise(record)))
              for (const receipt of receipts) {
                assert.equal(receipt.outcome, "diverted")
                assert.equal(receipt.partition, undefined)
              }
              assert.equal(spillway.status().health.readiness, "degraded")
              await cluster.brokers[0]?.restart()
              await eventually("the replay", 60_000, () =>
                spillway.status().accounting.redelivered === 200 ? true : undefined
              )
              const stored = await readAll(cluster, "events")
              const values = new Set(stored.map(({ value }) => Buffer.from(value ?? []).toString()))
              assert.equal(values.size, 200)
              assert.equal(spillway.status().health.readiness, "accepting")
            })
          )
        )
      )
    } finally {
      await Promise.all([cluster.stop(), sqs.stop()])
    }
  })
})
