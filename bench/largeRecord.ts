/**
 * One very large record, and small ones beside it at a steady rate: into Kafka, and with Kafka down into S3 and back. Says
 * whether every byte and every record arrived, how long the event loop stood still at most, how long the small ones waited,
 * and the memory of the process that publishes, as a multiple of the record.
 *
 *     bun bench/largeRecord.ts                 100 MB that do not compress, 200 small records a second
 *     bun bench/largeRecord.ts --megabytes 20 --compressible --rate 1000 --json
 *
 * The memory is what the process had at most beyond what it had before it made the record: the caller's own copy is in it.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import process from "node:process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { bucket } from "../test/support/Bucket.ts"
import { eventually } from "../test/support/eventually.ts"
import { guardProcess, releaseProcess } from "../test/support/Guard.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { readAll } from "../test/support/KafkaJsReader.ts"
import { headerText } from "../test/support/StoredRecord.ts"
import type { LargeJob, Phase } from "./largePublisher.ts"
import { aligned } from "./report.ts"
import { withSqs } from "./withSqs.ts"

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "100" },
    rate: { type: "string", default: "200" },
    compressible: { type: "boolean", default: false },
    json: { type: "boolean", default: false }
  }
})
const bytes = Number(values.megabytes) * 1_000_000

const configuration = (brokers: ReadonlyArray<string>, sqs: string, s3: string): string => `
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
    sqs: { clients: { default: { region: us-east-1, endpoint: "${sqs}", access_key_id: l, secret_access_key: l } } }
    s3: { clients: { default: { region: us-east-1, endpoint: "${s3}", access_key_id: l, secret_access_key: l } } }
buffer: { max_bytes: 512MiB }
http: { request_timeout: 1m }
breaker: { open_min: 500ms, open_max: 2s }
`

/** Runs the publisher; `after` is told of each phase before the next begins. */
const publisher = async (job: LargeJob, after: (phase: Phase) => Promise<unknown>): Promise<ReadonlyArray<Phase>> => {
  const file = fileURLToPath(new URL("largePublisher.ts", import.meta.url))
  const child = spawn(process.execPath, [file, JSON.stringify(job)], { stdio: ["pipe", "pipe", "inherit"] })
  if (child.pid !== undefined) guardProcess(child.pid)
  const ended = new Promise<number | null>(resolve => child.once("exit", resolve))
  const phases: Array<Phase> = []
  for await (const line of createInterface({ input: child.stdout })) {
    // Others are the log's.
    if (!line.startsWith("{")) continue
    const phase: Phase = JSON.parse(line)
    phases.push(phase)
    await after(phase)
    child.stdin.write("\n")
  }
  const code = await ended
  if (child.pid !== undefined) releaseProcess(child.pid)
  if (code !== 0) throw new Error(`the publisher ended with ${code}`)
  return phases
}

const cluster = await Kafka.start({
  topics: [{ name: "events", partitions: 6, config: { "max.message.bytes": "104857600" } }],
  jvm: ["-Xms512m", "-Xmx1g", "-XX:+UseSerialGC"]
})
let good = false
/** The two services are two servers: the one's uploads keep nobody waiting for the other. */
const run = async (sqs: string, s3: string): Promise<void> => {
  await (await fetch(`${s3}/claims`, { method: "PUT" })).text()
  const stored = bucket(s3, "claims")
  const [broker] = cluster.brokers
  const after = async ({ name }: Phase) => {
    if (name === "to Kafka") await broker?.kill()
    if (name === "to S3, Kafka down") await broker?.restart()
  }
  const job = {
    configuration: configuration(cluster.bootstrap, sqs, s3),
    bytes,
    compressible: values.compressible,
    rate: Number(values.rate)
  }
  const phases = await publisher(job, after)
  await eventually("an empty bucket", 30_000, async () => ((await stored.keys()).length === 0 ? true : undefined))

  const found = new Map(
    (await readAll(cluster, "events", { deadlineMs: 180_000 })).map(record => [
      headerText(record, "spillway-id"),
      record.value
    ])
  )
  const digest = (id: string) =>
    createHash("sha256")
      .update(found.get(id) ?? "")
      .digest("hex")
  const [sent] = phases
  const bytesEqual = sent !== undefined && ["straight", "parked"].every(id => digest(id) === sent.sha256)
  const small = phases.reduce((sum, phase) => sum + phase.small.records - phase.small.failed, 0)
  const smallFound = [...found.keys()].filter(id => id?.startsWith("small-")).length
  const failed = phases.reduce((sum, phase) => sum + phase.small.failed, 0)
  const lost = small - smallFound
  good = bytesEqual && lost === 0 && failed === 0

  const rows = phases.map(phase => ({
    name: phase.name,
    ms: Math.round(phase.ms),
    longestBlockMs: Math.round(phase.longestBlockMs),
    smallRecords: phase.small.records,
    smallP99Ms: Number(phase.small.p99Ms.toFixed(1)),
    smallMaxMs: Number(phase.small.maxMs.toFixed(1)),
    peakMiB: Math.round(phase.peakMiB),
    timesTheRecord: Number((((phase.peakMiB - phase.baseMiB) * 2 ** 20) / bytes).toFixed(2))
  }))
  if (values.json) console.log(JSON.stringify({ rows, bytesEqual, lost, failed }))
  else {
    const heads = ["", "took", "longest block", "small ones", "p99", "max", "peak RSS", "times the record"]
    const cells = rows.map(row => [
      row.name,
      `${row.ms} ms`,
      `${row.longestBlockMs} ms`,
      String(row.smallRecords),
      `${row.smallP99Ms} ms`,
      `${row.smallMaxMs} ms`,
      `${row.peakMiB} MiB`,
      row.timesTheRecord.toFixed(2)
    ])
    console.log(`before the record: ${Math.round(sent?.baseMiB ?? 0)} MiB`)
    console.log(aligned([heads, ...cells]))
    console.log(`bytes equal: ${bytesEqual}; small records lost: ${lost}, failed: ${failed}`)
  }
}

try {
  await withSqs(sqs => withSqs(s3 => run(sqs, s3)))
} finally {
  await cluster.stop()
}
process.exit(good ? 0 : 1)
