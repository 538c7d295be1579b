/**
 * How long the service takes from its start to its first record, with Kafka and SQS there: from its sources on both runtimes
 * and as the compiled binary, in alternating rounds.
 *
 *     bun bench/startup.ts                     five rounds of each, with a binary built for it
 *     bun bench/startup.ts --runs 9 --idle 0   no wait for the idle service's memory
 *     bun bench/startup.ts --only binary --json
 *
 * The exit status is 1 when the service did not take the record.
 */
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import { eventually } from "../test/support/eventually.ts"
import { deleteDirectory, guardProcess, releaseProcess, temporaryDirectory } from "../test/support/Guard.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { root } from "../test/support/RunningService.ts"
import { runCommand } from "../test/support/runCommand.ts"
import { median, memoryOf, pause } from "./proc.ts"
import { aligned } from "./report.ts"
import { withSqs } from "./withSqs.ts"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    /** Seconds between the first record and the look at the memory. */
    idle: { type: "string", default: "5" },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false }
  }
})

const directory = temporaryDirectory("startup")
const binary = join(directory, "spillway")
const main = join(root, "src/main.ts")
const ways = [
  { name: "bun, sources", file: process.execPath, args: [main] },
  { name: "binary", file: binary, args: [] },
  { name: "deno, sources", file: join(root, "node_modules/.bin/deno"), args: ["run", "-A", "--no-check", main] }
]
const chosen = ways.filter(({ name }) => values.only.length === 0 || values.only.some(only => name.startsWith(only)))
if (chosen.length === 0) throw new Error("--only is bun, binary or deno")

const configuration = (brokers: ReadonlyArray<string>, endpoint: string): string => `
stream:
  output: { out: { topic: events } }
  producer: { events: { output: out, retry: { queue_id: parked, create: true } } }
kafka: { connection: { default: { brokers: "${brokers.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: l, secret_access_key: l } } } } }
http: { port: 0 }
`

interface Start {
  readonly listeningMs: number
  readonly readyMs: number
  readonly recordMs: number
  readonly rss: number
  readonly anonymous: number
}

/** Asked every 2 ms from the line on with which the service says where it listens, so that the asking takes no start-up time. */
const startOnce = async (way: (typeof ways)[number], config: string): Promise<Start> => {
  const from = performance.now()
  const child = spawn(way.file, [...way.args, "serve", "--config", config], {
    cwd: directory,
    stdio: ["ignore", "pipe", "inherit"]
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${way.file} cannot be started`)
  guardProcess(pid)
  const ended = new Promise<void>(resolve => child.once("exit", () => resolve()))
  try {
    let said = ""
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text
        const address = /listening on (http:\/\/[^ ]+)/.exec(said)?.[1]
        if (address !== undefined) resolve(address)
      })
      child.once("exit", code => reject(new Error(`${way.name} ended with ${code}\n${said}`)))
    })
    const listeningMs = performance.now() - from
    await eventually("readiness", 20_000, async () => ((await fetch(`${url}/readyz`)).ok ? true : undefined), {
      everyMs: 2
    })
    const readyMs = performance.now() - from
    const { status } = await fetch(`${url}/v1/topics/events/records`, { method: "POST", body: '{"n":1}' })
    const recordMs = performance.now() - from
    if (status !== 201) throw new Error(`${way.name} answered its first record with ${status}`)
    await pause(Number(values.idle) * 1000)
    const { anonymous, rss } = memoryOf(pid)
    return { listeningMs, readyMs, recordMs, rss, anonymous }
  } finally {
    child.kill("SIGTERM")
    await ended
    releaseProcess(pid)
  }
}

if (chosen.some(({ name }) => name === "binary")) {
  await runCommand({ file: process.execPath, args: [join(root, "scripts/build.ts"), binary] })
}
const cluster = await Kafka.start({ topics: [{ name: "events", partitions: 6 }] })
const starts = new Map<string, Array<Start>>()
try {
  await withSqs(async endpoint => {
    const config = join(directory, "startup.yaml")
    writeFileSync(config, configuration(cluster.bootstrap, endpoint))
    // The first of each finds nothing in the file system's cache, and creates the queue.
    for (let run = 0; run <= Number(values.runs); run++) {
      for (const way of chosen) {
        const start = await startOnce(way, config)
        if (run > 0) starts.set(way.name, [...(starts.get(way.name) ?? []), start])
      }
    }
  })
} finally {
  await cluster.stop()
  deleteDirectory(directory)
}

const rows = chosen.map(({ name }) => {
  const all = starts.get(name) ?? []
  const of = (figure: keyof Start) => Math.round(median(all.map(start => start[figure])))
  return {
    name,
    runs: all.length,
    listeningMs: of("listeningMs"),
    readyMs: of("readyMs"),
    slowestReadyMs: Math.round(Math.max(...all.map(({ readyMs }) => readyMs))),
    firstRecordMs: of("recordMs"),
    rssMiB: of("rss"),
    anonymousMiB: of("anonymous")
  }
})
if (values.json) console.log(JSON.stringify({ rows }))
else {
  const heads = ["", "runs", "listening", "ready", "slowest", "first record", "RSS", "of it anonymous"]
  const lines = rows.map(row => [
    row.name,
    String(row.runs),
    ...[row.listeningMs, row.readyMs, row.slowestReadyMs, row.firstRecordMs].map(ms => `${ms} ms`),
    ...[row.rssMiB, row.anonymousMiB].map(mib => `${mib} MiB`)
  ])
  console.log(aligned([heads, ...lines]))
}
process.exit()
