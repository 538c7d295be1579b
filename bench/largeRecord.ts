/**
 * One very large record, by hand: through `publish` into Kafka, and with Kafka down into S3 and back. Says whether the
 * bytes are the same, how long the event loop stood still at most, and the most memory the process had.
 *
 *     bun bench/largeRecord.ts                 100 MB that do not compress
 *     bun bench/largeRecord.ts --megabytes 20 --compressible
 */
import { createHash, randomBytes } from "node:crypto"
import process from "node:process"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../src/AppConfig.ts"
import * as Drivers from "../src/Drivers.ts"
import * as Spillway from "../src/Spillway.ts"
import { bucket } from "../test/support/Bucket.ts"
import { eventually } from "../test/support/eventually.ts"
import * as Kafka from "../test/support/Kafka.ts"
import type { KafkaCluster } from "../test/support/KafkaCluster.ts"
import { readAll } from "../test/support/KafkaJsReader.ts"
import { headerText } from "../test/support/StoredRecord.ts"
import { withSqs } from "./withSqs.ts"

const { values } = parseArgs({
  options: { megabytes: { type: "string", default: "100" }, compressible: { type: "boolean", default: false } }
})
const bytes = Number(values.megabytes) * 1_000_000

const configuration = (brokers: ReadonlyArray<string>, endpoint: string): string => `
stream:
  output:
    out: { connection: default, topic: events, write_timeout: 20s, max_record_bytes: 100MiB }
  producer:
    events:
      output: out
      retry: { queue_id: parked, after: 0s, wait_time: 1, visibility_timeout: 25s, create: true, claim_check: { bucket: claims } }
kafka: { connection: { default: { brokers: "${brokers.join(",")}", request_timeout: 20s } } }
cloud:
  aws:
    sqs: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: l, secret_access_key: l } } }
    s3: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: l, secret_access_key: l } } }
buffer: { max_bytes: 512MiB }
http: { request_timeout: 1m }
breaker: { open_min: 500ms, open_max: 2s }
`

/** Runs something; how long it took, and the longest turn of the event loop meanwhile. */
const watched = async <A>(work: () => Promise<A>) => {
  let last = performance.now()
  let longestMs = 0
  const look = () => {
    const now = performance.now()
    longestMs = Math.max(longestMs, now - last)
    last = now
  }
  const timer = setInterval(look, 1)
  const from = performance.now()
  try {
    const result = await work()
    look()
    return { result, ms: performance.now() - from, longestMs }
  } finally {
    clearInterval(timer)
  }
}

const say = (what: string, { longestMs, ms }: { readonly longestMs: number; readonly ms: number }): void => {
  const peak = process.resourceUsage().maxRSS / 1024
  console.log(
    `${what.padEnd(28)} ${ms.toFixed(0).padStart(7)} ms   longest block ${longestMs.toFixed(0).padStart(5)} ms   peak RSS ${peak.toFixed(0).padStart(5)} MiB`
  )
}

const measure = async (spillway: Spillway.Service, cluster: KafkaCluster, stored: ReturnType<typeof bucket>) => {
  await eventually("the topic", 60_000, () => (spillway.status().health.readiness === "accepting" ? true : undefined))
  await spillway.publishPromise({ topic: "events", id: "warm", value: "warm" })
  const value = values.compressible ? Buffer.alloc(bytes, "a line of text that comes again\n") : randomBytes(bytes)
  const sent = createHash("sha256").update(value).digest("hex")
  console.log(`before the first record: peak RSS ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`)
  const publish = (id: string) => spillway.publishPromise({ topic: "events", id, value })

  const straight = await watched(() => publish("straight"))
  say(`publish: ${straight.result.outcome}`, straight)
  const [broker] = cluster.brokers
  await broker?.kill()
  // The outage is noticed by a small one, so that what follows is the large one's own time.
  await spillway.publishPromise({ topic: "events", id: "notice", value: "notice" })
  const parked = await watched(() => publish("parked"))
  say(`Kafka down: ${parked.result.outcome}`, parked)
  console.log(`objects in the bucket: ${(await stored.keys()).length}`)
  await broker?.restart()
  const back = await watched(() =>
    eventually("the replay", 180_000, () => (spillway.status().accounting.redelivered >= 2 ? true : undefined))
  )
  say("broker up until replayed", back)
  await eventually("an empty bucket", 30_000, async () => ((await stored.keys()).length === 0 ? true : undefined))
  const found = new Map(
    (await readAll(cluster, "events", { deadlineMs: 180_000 })).map(record => [
      headerText(record, "spillway-id"),
      createHash("sha256")
        .update(record.value ?? "")
        .digest("hex")
    ])
  )
  const equal = found.get("straight") === sent && found.get("parked") === sent
  console.log(`bytes equal: ${equal}; records in Kafka: ${found.size}; objects left: ${(await stored.keys()).length}`)
  return equal
}

const cluster = await Kafka.start({
  topics: [{ name: "events", partitions: 1, config: { "max.message.bytes": "104857600" } }],
  jvm: ["-Xms512m", "-Xmx1g", "-XX:+UseSerialGC"]
})
try {
  const equal = await withSqs(async endpoint => {
    await (await fetch(`${endpoint}/claims`, { method: "PUT" })).text()
    const parsed = AppConfig.parse([{ file: "large.yaml", text: configuration(cluster.bootstrap, endpoint) }], {})
    if (Either.isLeft(parsed)) throw parsed.left
    const use = (spillway: Spillway.Service) =>
      Effect.promise(() => measure(spillway, cluster, bucket(endpoint, "claims")))
    return Effect.runPromise(Effect.scoped(Effect.flatMap(Spillway.make(parsed.right, Drivers.live, "large"), use)))
  })
  process.exitCode = equal ? 0 : 1
} finally {
  await cluster.stop()
}
