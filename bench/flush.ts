/**
 * What a shutdown costs when Kafka is frozen: the service with records in its buffer gets SIGTERM, or EC2's spot notice
 * from its mock; how long until each record is durable, and how much memory that takes.
 *
 *     bun bench/flush.ts                                   10 000 records of 1 KiB, and 100 of 1 MiB
 *     bun bench/flush.ts --records 10000 --bytes 1024
 *     bun bench/flush.ts --spot                            the same on a spot notice, polled every 5 s
 *
 * Values are random hexadecimal text, which compresses to about half: a MiB of random bytes fits into no SQS message.
 */
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { eventually } from "../test/support/eventually.ts"
import * as Fauxqs from "../test/support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../test/support/Guard.ts"
import * as Kafka from "../test/support/Kafka.ts"
import * as MetadataMock from "../test/support/MetadataMock.ts"
import { parkedIds } from "../test/support/parkedIds.ts"
import { start } from "../test/support/RunningService.ts"

const { values } = parseArgs({
  options: {
    records: { type: "string" },
    bytes: { type: "string", default: "1024" },
    spot: { type: "boolean", default: false }
  }
})
const cases: ReadonlyArray<readonly [records: number, bytes: number]> =
  values.records === undefined
    ? [
        [10_000, 1024],
        [100, 1024 * 1024]
      ]
    : [[Number(values.records), Number(values.bytes)]]

const topic = "events"
const queue = "parked"
const bodyBytes = 6 * 1024 * 1024
const seconds = (ms: number) => (ms / 1000).toFixed(2)
const quantile = (sorted: ReadonlyArray<number>, q: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0

const measure = async (records: number, bytes: number): Promise<boolean> => {
  const directory = temporaryDirectory("flush")
  const [cluster, sqs] = await Promise.all([
    Kafka.start({ topics: [{ name: topic, partitions: 6 }] }),
    Fauxqs.start({ persistent: false })
  ])
  // EC2 announces the end this long after the mock has begun, s.
  const delay = 45
  const begunAt = performance.now()
  const mock = values.spot
    ? await MetadataMock.start(["spot", "--mock-delay-sec", `${delay}`], join(directory, "mock.log"))
    : undefined
  try {
    const config = join(directory, "flush.yaml")
    const secrets = "access_key_id: local, secret_access_key: local-secret"
    writeFileSync(
      config,
      `
stream:
  output: { out: { topic: ${topic}, write_timeout: 20s, max_record_bytes: 2MiB } }
  producer: { events: { output: out, retry: { queue_id: ${queue}, create: true } } }
kafka: { connection: { default: { brokers: "${cluster.bootstrap.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${sqs.endpoint}", ${secrets} } } } } }
http: { port: 0, request_timeout: 2m }
`
    )
    const env: Record<string, string> = mock === undefined ? {} : { AWS_EC2_METADATA_SERVICE_ENDPOINT: mock.endpoint }
    const service = await start(["--config", config], { env })
    const status = async () => (await fetch(`${service.url}/v1/status`)).json()
    await eventually("readiness", 20_000, async () => ((await fetch(`${service.url}/readyz`)).ok ? true : undefined))
    if (values.spot)
      await eventually(
        "the time to publish",
        60_000,
        () => performance.now() - begunAt > (delay - 8) * 1000 || undefined
      )
    // Not earlier: the breaker would open, and nothing would be left in memory for the notice to flush.
    cluster.broker(1).freeze()
    const durableAt: Array<number> = []
    const perBody = Math.max(1, Math.min(1000, Math.floor(bodyBytes / bytes)))
    const answers: Array<Promise<void>> = []
    for (let from = 0; from < records; from += perBody) {
      const count = Math.min(perBody, records - from)
      const lines = Array.from({ length: count }, (_, index) =>
        JSON.stringify({
          id: `r${from + index}`,
          key: `k${from + index}`,
          value: randomBytes(Math.ceil(bytes / 2))
            .toString("hex")
            .slice(0, bytes)
        })
      )
      const request = fetch(`${service.url}/v1/topics/${topic}/records`, {
        method: "POST",
        body: lines.join("\n"),
        headers: { "content-type": "application/x-ndjson" }
      })
      answers.push(
        request.then(async response => {
          const { results } = await response.json()
          for (const { outcome } of results) if (outcome === "diverted") durableAt.push(performance.now())
        })
      )
    }
    await eventually("all records in memory", 60_000, async () =>
      (await status()).accounting.inMemory === records ? true : undefined
    )
    const before = memory(service.pid)
    let noticedAt = performance.now()
    if (mock === undefined) service.signal("SIGTERM")
    else noticedAt = begunAt + delay * 1000
    let peak = before
    const sampling = setInterval(() => {
      peak = Math.max(peak, memory(service.pid))
    }, 20)
    const [{ code, stdout }] = await Promise.all([service.ended, ...answers])
    clearInterval(sampling)
    const endedAt = performance.now()
    const sorted = durableAt.map(at => at - noticedAt).sort((a, b) => a - b)
    const parked = new Set((await parkedIds(sqs.endpoint, queue)).ids)
    console.log(`${records} records of ${bytes} bytes, ${mock === undefined ? "SIGTERM" : "spot notice"}, Kafka frozen`)
    console.log(`  durable       ${durableAt.length} told, ${parked.size} different ones in SQS`)
    console.log(`  durable after ${seconds(quantile(sorted, 0.5))} s p50, ${seconds(sorted.at(-1) ?? 0)} s the last`)
    console.log(`  process ended ${seconds(endedAt - noticedAt)} s after the notice, exit code ${code}`)
    console.log(`  RSS           ${before} MiB before, ${peak} MiB at most`)
    for (const line of stdout.split("\n")) if (/shutting down within|^shutdown /.test(line)) console.log(`  ${line}`)
    return parked.size === records
  } finally {
    await mock?.kill()
    await Promise.all([cluster.stop(), sqs.stop()])
    deleteDirectory(directory)
  }
}

/** MiB; by Linux's /proc, elsewhere 0. */
const memory = (pid: number | undefined): number => {
  const file = `/proc/${pid}/status`
  if (!existsSync(file)) return 0
  try {
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(file, "utf8"))?.[1] ?? 0) / 1024)
  } catch {
    return 0
  }
}

let good = true
for (const [records, bytes] of cases) good = (await measure(records, bytes)) && good
process.exit(good ? 0 : 1)
