/**
 * What `spillway doctor` says of three real brokers behind TLS, set up rightly, wrongly, and with one of them dead and
 * frozen. Slower than a test should be, so it is run by hand: `bun scripts/doctor-three-brokers.ts [--verbose]`. Ends with 1
 * when a finding is missing or there is one too many.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import * as Effect from "effect/Effect"
import * as AppConfig from "../src/AppConfig.ts"
import * as Doctor from "../src/Doctor.ts"
import { eventually } from "../test/support/eventually.ts"
import * as Fauxqs from "../test/support/Fauxqs.ts"
import * as Kafka from "../test/support/Kafka.ts"

const verbose = process.argv.includes("--verbose")
const directory = mkdtempSync(join(tmpdir(), "spillway-doctor-"))
let unexpected = 0

const say = (text: string) => process.stdout.write(`${text}\n`)

const [kafka, aws] = await Promise.all([
  Kafka.start({ brokers: 3, security: { tls: true } }),
  Fauxqs.start({ persistent: false })
])

const configure = (topic: string): string => {
  const file = join(directory, `${topic}.yaml`)
  writeFileSync(join(directory, "ca.pem"), kafka.secure?.ca ?? "")
  writeFileSync(
    file,
    `
kafka: { connection: { default: { brokers: "${kafka.secure?.bootstrap.join(",")}", tls: { enabled: true, ca_file: ca.pem } } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${aws.endpoint}", access_key_id: local, secret_access_key: local } } } } }
stream:
  output: { out: { connection: default, topic: ${topic}, max_record_bytes: 500KiB } }
  producer: { events: { output: out, retry: { queue_id: parked } } }
`
  )
  return file
}

const examine = async (title: string, topic: string, expected: ReadonlyArray<string>) => {
  const config = await Effect.runPromise(AppConfig.load([configure(topic)], {}))
  const startedAt = performance.now()
  const evidence = await Effect.runPromise(Doctor.examine(config))
  const tookMs = Math.round(performance.now() - startedAt)
  const results = Doctor.diagnose(evidence)
  const findings = results
    .filter(({ severity }) => severity !== "ok")
    .map(({ code, severity }) => `${severity} ${code}`)
  const same = JSON.stringify([...findings].sort()) === JSON.stringify([...expected].sort())
  if (!same) unexpected++
  say(`${same ? "as expected" : "UNEXPECTED"}: ${title} (${tookMs} ms): ${findings.join(", ") || "nothing"}`)
  if (verbose || !same) {
    const report = { results, reachedNothing: Doctor.reachedNothing(evidence) }
    say(Doctor.renderText(report, { colour: process.stdout.isTTY === true, verbose }))
  }
}

try {
  const sqs = {
    MessageRetentionPeriod: String(14 * 86_400),
    MaximumMessageSize: "1048576",
    SqsManagedSseEnabled: "true",
    Policy: '{"Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:PurgeQueue","Resource":"*"}]}'
  }
  for (const name of ["parked", "parked-dlq"]) aws.createQueue(name, sqs)
  const config = { "retention.ms": "2592000000" }
  const topics: ReadonlyArray<Kafka.TopicSpec> = [
    { name: "right", partitions: 6, config },
    { name: "one", replicationFactor: 1, config: { ...config, "min.insync.replicas": "1" } },
    { name: "two", replicationFactor: 2, config },
    { name: "all", config: { ...config, "min.insync.replicas": "3" } },
    { name: "alone", config: { ...config, "min.insync.replicas": "1" } }
  ]
  for (const { name, ...spec } of topics) await kafka.createTopic(name, spec)
  await kafka.inSync("right")

  await examine("three brokers, three replicas, two in sync", "right", [])
  await examine("one replica", "one", ["error replication-factor"])
  await examine("two replicas, both in sync", "two", ["warning min-insync-replicas", "warning replication-factor"])
  await examine("three of three in sync", "all", ["warning min-insync-replicas"])
  await examine("one of three in sync", "alone", ["error min-insync-replicas"])

  await kafka.broker(3).kill()
  const dead = ["error advertised-broker", "warning seed-broker"]
  await examine("a dead broker that is still named", "right", dead)
  await eventually("the end of its session", 60_000, async () => {
    const { partitions } = await kafka.describeTopic("right")
    return partitions.every(({ inSyncReplicas }) => inSyncReplicas.length === 2) ? true : undefined
  })
  await examine("a dead broker, given up", "right", ["warning seed-broker", "warning in-sync-replicas"])
  await kafka.broker(3).restart()
  await kafka.settled()
  await kafka.inSync("right")
  await examine("the broker is back", "right", [])
  kafka.broker(3).freeze()
  await examine("a frozen broker", "right", dead)
  kafka.broker(3).resume()
} finally {
  await Promise.all([kafka.stop(), aws.stop()])
  rmSync(directory, { recursive: true })
}
process.exit(unexpected === 0 ? 0 : 1)
