/**
 * Spillway beside kafkajs, @platformatic/kafka and the Java client on one real Kafka, in alternating rounds.
 *
 *     bun bench/main.ts                      everything, three rounds
 *     bun bench/main.ts --quick --only offer --only kafkajs --size 200 --json
 *     bun bench/main.ts --runtime deno       Spillway's own rows once more on Deno
 */
import { cpus, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { kafkaVersion } from "../test/support/Jars.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { runCommand } from "../test/support/runCommand.ts"
import { franzGoVersion, goRuns } from "./franzGo.ts"
import { type BenchResult, type Sample, summarize, table } from "./report.ts"
import type { Job, Measured } from "./window.ts"
import { withSqs } from "./withSqs.ts"

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    size: { type: "string", multiple: true, default: [] },
    runtime: { type: "string", default: "bun" },
    rounds: { type: "string" }
  }
})
if (options.runtime !== "bun" && options.runtime !== "deno") throw new Error("--runtime is bun or deno")

interface Contender {
  readonly name: string
  /** Of the topic; 6 unless it says otherwise. */
  readonly partitions?: number
  readonly runtime: "bun" | "deno" | "go" | "java"
  readonly sizes: ReadonlyArray<number>
  readonly sqs: boolean
  /** Of its record batches; none unless it says otherwise. */
  readonly compression?: Job["compression"]
}

const onKafka = [200, 1000]
const manyPartitions = [6, 96, 768]
const onDeno = options.runtime === "deno"
const spillway = (runtime: "bun" | "deno"): ReadonlyArray<Contender> => [
  { name: "offer", runtime, sizes: onKafka, sqs: false },
  { name: "promise", runtime, sizes: onKafka, sqs: false },
  { name: "publishAll", runtime, sizes: onKafka, sqs: false },
  { name: "effect", runtime, sizes: onKafka, sqs: false },
  { name: "parking", runtime, sizes: [200], sqs: true },
  { name: "draining", runtime, sizes: [200], sqs: true }
]
const compressed = (name: string, runtime: Contender["runtime"]): ReadonlyArray<Contender> =>
  (["zstd", "lz4", "snappy", "gzip"] as const).map(compression => ({
    ...{ name: `${name}-${compression}`, runtime, sizes: onKafka, sqs: false, compression }
  }))
const contenders: ReadonlyArray<Contender> = [
  ...spillway("bun"),
  ...(onDeno ? spillway("deno") : []),
  { name: "kafkajs", runtime: "bun", sizes: onKafka, sqs: false },
  { name: "platformatic", runtime: "bun", sizes: onKafka, sqs: false },
  { name: "java", runtime: "java", sizes: onKafka, sqs: false },
  ...(goRuns() ? [{ name: "franz-go", runtime: "go", sizes: onKafka, sqs: false } as const] : []),
  { name: "static", runtime: "bun", sizes: onKafka, sqs: false },
  ...manyPartitions.map(
    partitions => ({ name: `keyed-${partitions}`, partitions, runtime: "bun", sizes: onKafka, sqs: false }) as const
  ),
  ...compressed("offer", "bun"),
  ...(onDeno ? compressed("offer", "deno") : []),
  ...compressed("java", "java"),
  ...(goRuns() ? compressed("franz-go", "go") : []),
  { name: "http", runtime: "bun", sizes: [1000], sqs: false },
  { name: "http-echo", runtime: "bun", sizes: [1000], sqs: false },
  { name: "sqs-singles", runtime: "bun", sizes: [200], sqs: true }
]
const chosen = contenders.filter(({ name }) => options.only.length === 0 || options.only.includes(name))
if (chosen.length === 0) throw new Error(`--only is one of ${contenders.map(({ name }) => name).join(", ")}`)
const sizes = onKafka.filter(size => options.size.length === 0 || options.size.includes(String(size)))
const rounds = Number(options.rounds ?? (options.quick ? 1 : 3))
const duration = options.quick ? { warmUpMs: 1000, measureMs: 1500 } : { warmUpMs: 1500, measureMs: 3000 }

const say = (line: string): void => {
  if (!options.json) console.log(line)
}
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const deno = here("../node_modules/.bin/deno")
const commandOf = (runtime: Contender["runtime"]): { readonly file: string; readonly args: ReadonlyArray<string> } =>
  runtime === "deno"
    ? { file: deno, args: ["run", "-A", "--no-check", here("contender.ts")] }
    : { file: process.execPath, args: [here("contender.ts")] }

const runContender = async (contender: Contender, job: Job): Promise<Measured> => {
  const { args, file } = commandOf(contender.runtime)
  const { stdout } = await runCommand({ file, args: [...args, JSON.stringify(job)] }, { deadlineMs: 180_000 })
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "")
}

const firstLine = async (file: string, args: ReadonlyArray<string>): Promise<string> => {
  const { stderr, stdout } = await runCommand({ file, args })
  return (stdout.trim() === "" ? stderr : stdout).split("\n")[0]?.trim() ?? ""
}

const machine = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  platform: `${process.platform} ${process.arch}`
}
const versions = {
  bun: process.versions.bun ?? "",
  ...(onDeno ? { deno: await firstLine(deno, ["--version"]) } : {}),
  java: await firstLine("java", ["-version"]).catch(() => "in Docker"),
  ...(goRuns() ? { "franz-go": franzGoVersion } : {}),
  kafka: kafkaVersion
}
say(`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}`)
say(
  Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ")
)

const topicOf = ({ partitions = 6 }: Contender): { readonly name: string; readonly partitions: number } => ({
  name: `bench-${partitions}`,
  partitions
})
const plain: Contender = { name: "offer", runtime: "bun", sizes: onKafka, sqs: false }
const topics = new Map([plain, ...chosen].map(topicOf).map(topic => [topic.name, topic]))
const cluster = await Kafka.start({
  topics: [...topics.values()],
  properties: {
    // What was measured is thrown away at once: at 300 MB/s a disk is soon full.
    "log.retention.bytes": String(64 * 1024 * 1024),
    "log.segment.bytes": String(64 * 1024 * 1024),
    "log.retention.check.interval.ms": "2000",
    "log.segment.delete.delay.ms": "1000"
  }
})
/**
 * A broker's JVM compiles while it works: without this the first row would pay for all. Many small requests, as HTTP makes
 * them, take other ways through it than few large ones, and the first records of many partitions make it many files.
 */
const warmBroker = async (): Promise<void> => {
  say("warming up the broker …")
  const others = chosen.filter(({ name }) => name === "http" || name.startsWith("keyed"))
  for (const contender of [plain, ...others]) {
    const { name } = contender
    const topic = topicOf(contender).name
    const job: Job = { name, size: 1000, topic, brokers: cluster.bootstrap, warmUpMs: 6000, measureMs: 1000 }
    await runContender(contender, job)
  }
}
const samples: Array<Sample> = []
const failures: Array<string> = []
try {
  await warmBroker()
  for (let round = 1; round <= rounds; round++) {
    for (const size of sizes) {
      for (const contender of chosen) {
        if (!contender.sizes.includes(size)) continue
        const { compression = "none", name, runtime } = contender
        const topic = topicOf(contender).name
        const job: Job = { name, size, topic, brokers: cluster.bootstrap, ...duration, compression }
        const label = `round ${round}  ${name} ${size} B (${runtime})`
        try {
          const measured = contender.sqs
            ? await withSqs(sqs => runContender(contender, { ...job, sqs }))
            : await runContender(contender, job)
          samples.push({ name, size, runtime, round, ...measured })
          say(`${label.padEnd(40)} ${Math.round(measured.recordsPerSecond).toLocaleString("en")} records/s`)
        } catch (cause) {
          failures.push(`${label}: ${cause instanceof Error ? cause.message : String(cause)}`)
          say(`${label} failed: ${cause instanceof Error ? cause.message : String(cause)}`)
        }
      }
    }
  }
} finally {
  await cluster.stop()
}
const result: BenchResult = { machine, versions, rounds, rows: summarize(samples), failures }
say(`\n${table(result.rows)}`)
if (options.json) console.log(JSON.stringify(result))
process.exit(failures.length === 0 ? 0 : 1)
