/**
 * Spillway beside kafkajs, @platformatic/kafka, the Java client and franz-go on one real Kafka, in alternating rounds.
 *
 *     bun bench/main.ts                      everything, three rounds: about twenty minutes
 *     bun bench/main.ts --quick              one short round: about three minutes
 *     bun bench/main.ts --only offer --only kafkajs --size 200 --json
 *     bun bench/main.ts --brokers 3          three brokers, replication factor 3
 *     bun bench/main.ts --runtime deno       Spillway's own rows once more on Deno
 *     bun bench/main.ts --html bench.html    the page of the result, here as well as in .cache/bench
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Kafka from "../test/support/Kafka.ts"
import { runCommand } from "../test/support/runCommand.ts"
import { brokerProperties } from "./brokerProperties.ts"
import { benchPage } from "./page/benchPage.ts"
import { goRuns } from "./peers.ts"
import { median, roundsOf } from "./proc.ts"
import {
  type BenchResult,
  type LatencySample,
  latencyTable,
  type Sample,
  summarize,
  summarizeLatency,
  table
} from "./report.ts"
import { type Contender, contenders, type LatencyStep, planOf, progress, type Step } from "./rows.ts"
import { commitOf, machine, versionsOf } from "./surroundings.ts"
import type { Job, Measured } from "./window.ts"
import { withSqs } from "./withSqs.ts"

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    size: { type: "string", multiple: true, default: [] },
    runtime: { type: "string", default: "bun" },
    rounds: { type: "string" },
    brokers: { type: "string", default: "1" },
    html: { type: "string" },
    out: { type: "string", default: fileURLToPath(new URL("../.cache/bench", import.meta.url)) }
  }
})
const { quick } = options
if (options.runtime !== "bun" && options.runtime !== "deno") throw new Error("--runtime is bun or deno")
if (options.brokers !== "1" && options.brokers !== "3") throw new Error("--brokers is 1 or 3")
const brokers = options.brokers === "3" ? 3 : 1
const onDeno = options.runtime === "deno"
const rounds = roundsOf(options.rounds ?? (quick ? "1" : "3"))
const go = goRuns()
const all = contenders({ deno: onDeno, go })
const plan = planOf(all, { only: options.only, sizes: options.size.map(Number), quick, rounds, brokers })
if (plan.steps.length === 0) throw new Error("no row has this name, this size and this number of brokers")
const duration = quick ? { warmUpMs: 1000, measureMs: 1500 } : { warmUpMs: 1500, measureMs: 3000 }

/** With `--json` standard output holds the result only. */
const say = (line: string): void => (options.json ? console.error(line) : console.log(line))
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const deno = here("../node_modules/.bin/deno")

const run = async (runtime: Contender["runtime"], job: Job): Promise<Measured> => {
  const [file, ...args] = runtime === "deno" ? [deno, "run", "-A", "--no-check"] : [process.execPath]
  const command = { file, args: [...args, here("contender.ts"), JSON.stringify(job)] }
  const { stdout } = await runCommand(command, { deadlineMs: 180_000 })
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "")
}

const versions = await versionsOf({ deno: onDeno ? deno : undefined, go })
say(`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.platform}`)
say(
  Object.entries(versions)
    .map(entry => entry.join(" "))
    .join(", ")
)

const beganAt = performance.now()
const topicOf = ({ partitions = 6 }: Pick<Contender, "partitions">): string => `bench-${partitions}`
const topics = new Set([6, ...plan.steps.map(({ contender }) => contender.partitions ?? 6)])
const cluster = await Kafka.start({
  brokers,
  topics: [...topics].map(partitions => ({ name: topicOf({ partitions }), partitions })),
  properties: brokerProperties()
})
const jobOf = (name: string, size: number, topic: string): Job => ({
  name,
  size,
  topic,
  brokers: cluster.bootstrap,
  ...duration
})

/**
 * A broker's JVM compiles while it works: without this the first row would pay for all. Many small requests, as HTTP makes
 * them, take other ways through it than few large ones, and the first records of many partitions make it many files.
 */
const warmBroker = async (): Promise<void> => {
  say("warming up the broker …")
  const [first] = all
  const others = new Set(plan.steps.map(({ contender }) => contender))
  for (const contender of [first, ...others]) {
    if (contender === undefined) continue
    if (contender !== first && contender.name !== "http" && contender.partitions === undefined) continue
    const warmUpMs = (contender === first ? 6000 : 3000) * (brokers === 3 ? 2 : 1)
    await run("bun", { ...jobOf(contender.name, 1000, topicOf(contender)), warmUpMs, measureMs: 100 })
  }
}

const samples: Array<Sample> = []
const latencies: Array<LatencySample> = []
const failures: Array<string> = []
const ownSeconds = (duration.warmUpMs + duration.measureMs) / 1000 + 0.5
/** What a row takes beside its window was measured: SQS must start, Java and the one who drains go on to the end. */
const expected = [
  ...plan.steps.map(({ contender: { name, runtime, sqs } }) => {
    return ownSeconds * (name === "draining" ? 2 : runtime === "java" ? 1.3 : 1) + (sqs ? 1.5 : 0)
  }),
  ...plan.latency.map(() => ownSeconds)
]
let done = 0
let firstAt = 0

const row = async (label: string, measure: () => Promise<string>): Promise<void> => {
  let figure: string
  try {
    figure = await measure()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    failures.push(`${label}: ${why}`)
    figure = `failed: ${why}\n`
  }
  const where = progress(expected, ++done, (performance.now() - firstAt) / 1000)
  say(`${label.padEnd(44)} ${figure.padStart(20)}   ${where}`)
}

const throughput = ({ contender, round, size }: Step): Promise<void> => {
  const { compression = "none", name, runtime, sqs } = contender
  return row(`round ${round}  ${name} ${size} B (${runtime})`, async () => {
    const job = { ...jobOf(name, size, topicOf(contender)), compression }
    const measured = sqs ? await withSqs(endpoint => run(runtime, { ...job, sqs: endpoint })) : await run(runtime, job)
    samples.push({ name, size, runtime, round, ...measured })
    return `${Math.round(measured.recordsPerSecond).toLocaleString("en")} records/s`
  })
}

/** The highest rate of a client, or of the slowest of all of them. */
const highest = (client: LatencyStep["of"], size: number): number => {
  const rate = (name: string) =>
    median(
      samples
        .filter(one => one.name === name && one.size === size && one.runtime === "bun")
        .map(one => one.recordsPerSecond)
    )
  return client === "offer" ? rate("offer") : Math.min(...["offer", "kafkajs", "platformatic"].map(rate))
}

const latency = ({ client, of, round, share, size }: LatencyStep): Promise<void> => {
  const rate = Math.round(highest(of, size) * share)
  return row(`round ${round}  latency of ${client} at ${rate.toLocaleString("en")}/s`, async () => {
    if (rate === 0) throw new Error("no highest rate was measured")
    const measured = await run("bun", { ...jobOf(`latency-${client}`, size, topicOf({})), rate })
    latencies.push({ client, of, round, share, size, rate, ...measured })
    return `p99 ${measured.latencyMs?.p99.toFixed(1)} ms`
  })
}

try {
  await warmBroker()
  firstAt = performance.now()
  for (const step of plan.steps) await throughput(step)
  for (const step of plan.latency) await latency(step)
} finally {
  await cluster.stop()
}

const result: BenchResult = {
  version: 2,
  date: new Date().toISOString(),
  command: ["bun bench/main.ts", ...process.argv.slice(2)].join(" "),
  commit: await commitOf(),
  tookSeconds: Math.round((performance.now() - beganAt) / 1000),
  machine,
  versions,
  settings: {
    brokers,
    "replication factor": brokers,
    "min.insync.replicas": brokers === 3 ? 2 : 1,
    acks: "all",
    compression: "none",
    partitions: 6,
    "seconds of warm-up": duration.warmUpMs / 1000,
    "seconds of window": duration.measureMs / 1000
  },
  rounds,
  rows: summarize(samples),
  latency: summarizeLatency(latencies),
  failures
}
mkdirSync(options.out, { recursive: true })
writeFileSync(join(options.out, "result.json"), `${JSON.stringify(result)}\n`)
for (const file of [join(options.out, "index.html"), options.html ?? []].flat()) writeFileSync(file, benchPage(result))

say(`\n${table(result.rows)}`)
if (result.latency.length > 0) say(`\n${latencyTable(result.latency)}`)
say(`\n${result.tookSeconds} s; ${options.html ?? join(options.out, "index.html")} shows it as a page`)
if (options.json) console.log(JSON.stringify(result))
process.exit(failures.length === 0 ? 0 : 1)
