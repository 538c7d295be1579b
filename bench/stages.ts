/**
 * Where a record's CPU time goes, by stage: rows of the benchmark once more under Bun's CPU profiler, every sample given to
 * the first function on its stack that a stage knows, and what copying, checksumming and compressing the same bytes costs by
 * itself.
 *
 *     bun bench/stages.ts                       offer, keyed-6, keyed-768, http, parking and draining
 *     bun bench/stages.ts --only offer --size 1000 --json
 *
 * Microseconds per record of the process that is measured. The profiler sees the thread that runs JavaScript; `other threads`
 * (the collector, the compiler, zlib's pool) is what the process took beyond that, by Linux's account.
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { constants, zstdCompressSync } from "node:zlib"
import { crc32c } from "../src/internal/crc32c.ts"
import { batchOf } from "../test/support/batches.ts"
import { deleteDirectory, guardProcess, releaseProcess, temporaryDirectory } from "../test/support/Guard.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { brokerProperties } from "./brokerProperties.ts"
import { events } from "./events.ts"
import { median } from "./proc.ts"
import { aligned } from "./report.ts"
import { type Job, type Measured, nextId } from "./window.ts"
import { withSqs } from "./withSqs.ts"

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    size: { type: "string", default: "200" },
    seconds: { type: "string", default: "5" },
    json: { type: "boolean", default: false }
  }
})
const size = Number(options.size)
const measureMs = Number(options.seconds) * 1000

interface Subject {
  readonly name: string
  readonly partitions: number
  readonly sqs: boolean
  /** What begins the part that is measured, if not the window: the first sample with this file on its stack. */
  readonly since?: string
}
const subjects: ReadonlyArray<Subject> = [
  { name: "offer", partitions: 6, sqs: false },
  { name: "keyed-6", partitions: 6, sqs: false },
  { name: "keyed-768", partitions: 768, sqs: false },
  { name: "http", partitions: 6, sqs: false },
  { name: "parking", partitions: 6, sqs: true },
  { name: "draining", partitions: 6, sqs: true, since: "src/internal/receiver.ts" }
]
const chosen = subjects.filter(({ name }) => options.only.length === 0 || options.only.includes(name))
if (chosen.length === 0) throw new Error(`--only is one of ${subjects.map(({ name }) => name).join(", ")}`)

/** Stages in a record's order. The first whose expression fits `function file` of a frame has it; what fits none asks its caller. */
const stages: ReadonlyArray<readonly [name: string, frames: RegExp]> = [
  ["checksum", /wasm|crc32|bodyChecksum\.ts|^writeChecksum /],
  ["socket: write", /^(writeBuffered|_write|_writev|_writeGeneric|writeGeneric) |^write (node:net)?$/],
  ["socket: read", /internal:streams|^(onread|data|read) node:net/],
  ["the benchmark itself", / bench\//],
  ["HTTP: connection and head", /src\/http\/server\//],
  ["HTTP: route and answer", /src\/http\//],
  [
    "record: check, room, clock",
    /recordCheck\.ts|ownRecord\.ts|src\/encoding\/|^(offer|#admit|#full|#wait) .*accumulator\.ts/
  ],
  ["partition", /partitioner\.ts|murmur|placement\.ts/],
  ["encoding and id", /batchBuilder\.ts|varint\.ts|zigzag\.ts|RecordId\.ts|traceContext\.ts/],
  ["receipts", /^(listen|succeed|fail|tell) .*lane\.ts|Receipt\.ts/],
  ["batch: open and close", /lane\.ts|bufferPool\.ts|batchLayout\.ts|^(#open|#lane) .*accumulator\.ts|RecordBatch\.ts/],
  [
    "batch: turn, breaker, outcome",
    /accumulator\.ts|src\/Producer\.ts|breakerState\.ts|CircuitBreaker\.ts|histogram\.ts/
  ],
  ["request and answer", /src\/KafkaClient|kafkaProtocol\.ts|producerIdentity\.ts|node_modules\/kafkajs/],
  ["packing", /pack\.ts|Envelope\.ts|[cC]ompression\.ts/],
  ["SQS client", /@aws-sdk|@smithy|FallbackQueue\/|sqs[A-Z]\w*\.ts|sharedCalls\.ts|node:_?http/],
  ["fallback writer", /FallbackWriter\.ts|park\.ts|backlog\.ts/],
  [
    "replay",
    /RetryDaemon\.ts|receiver\.ts|replay\w*\.ts|settlement\.ts|copies\.ts|parkedMessage\.ts|visibility\.ts|pacer\.ts/
  ],
  ["Effect", /node_modules\/effect\//]
]
const elsewhere = "the rest"

interface Profile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
    readonly children?: ReadonlyArray<number>
  }>
  /** Microseconds, as the deltas are. */
  readonly startTime: number
  readonly endTime: number
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const root = fileURLToPath(new URL("..", import.meta.url))

/** Shares of the samples by stage, and how long before its end the part began that they are of, s. */
const read = (profile: Profile, since: string | undefined) => {
  const frames = new Map(
    profile.nodes.map(({ callFrame: { functionName, url }, id }) => [
      id,
      `${functionName} ${url.replace(/^file:\/\//, "").replace(root, "")}`
    ])
  )
  const callers = new Map(profile.nodes.flatMap(({ children = [], id }) => children.map(child => [child, id] as const)))
  const stackOf = (leaf: number): ReadonlyArray<string> => {
    const stack: Array<string> = []
    for (let id: number | undefined = leaf; id !== undefined; id = callers.get(id)) stack.push(frames.get(id) ?? "")
    return stack
  }
  const stageOf = (stack: ReadonlyArray<string>): string => {
    for (const frame of stack) {
      const found = stages.find(([, expression]) => expression.test(frame))
      if (found !== undefined) return found[0]
    }
    return elsewhere
  }
  const stackOfNode = new Map(profile.nodes.map(({ id }) => [id, stackOf(id)]))
  let from = profile.endTime - measureMs * 1000
  if (since !== undefined) {
    let at = profile.startTime
    for (const [index, sample] of profile.samples.entries()) {
      at += profile.timeDeltas[index] ?? 0
      if (stackOfNode.get(sample)?.some(frame => frame.includes(since)) !== true) continue
      from = at
      break
    }
  }
  const counts = new Map<string, number>()
  const unknown = new Map<string, number>()
  let total = 0
  let at = profile.startTime
  for (const [index, sample] of profile.samples.entries()) {
    at += profile.timeDeltas[index] ?? 0
    if (at < from) continue
    // One sample a millisecond while there is something to do; the waiting between them is nobody's.
    const stack = stackOfNode.get(sample) ?? []
    const stage = stageOf(stack)
    counts.set(stage, (counts.get(stage) ?? 0) + 1)
    if (stage === elsewhere) unknown.set(stack[0] ?? "", (unknown.get(stack[0] ?? "") ?? 0) + 1)
    total++
  }
  const shares = new Map([...counts].map(([stage, count]) => [stage, count / Math.max(1, total)]))
  return { shares, seconds: (profile.endTime - from) / 1e6, samples: total, unknown }
}

interface Ticks {
  readonly at: number
  readonly user: number
  readonly system: number
  readonly main: number
}

const ticksIn = (file: string): readonly [user: number, system: number] => {
  const stat = readFileSync(file, "utf8")
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number)
  return [user, system]
}

/** CPU time of a process and of its first thread, the one that runs JavaScript, looked at until it ends. */
const watchTicks = (pid: () => number | undefined) => {
  const seen: Array<Ticks> = []
  const timer = setInterval(() => {
    try {
      const watched = pid()
      if (watched === undefined) return
      const [user, system] = ticksIn(`/proc/${watched}/stat`)
      const main = ticksIn(`/proc/${watched}/task/${watched}/stat`)
      seen.push({ at: performance.now(), user, system, main: main[0] + main[1] })
    } catch {
      // It has ended.
    }
  }, 50)
  return {
    stop: () => clearInterval(timer),
    /** Of the last so many seconds. */
    last: (seconds: number) => {
      const end = seen.at(-1)
      const from = seen.find(({ at }) => at >= (end?.at ?? 0) - seconds * 1000)
      if (end === undefined || from === undefined || end === from) return { system: 0, main: 1 }
      const all = end.user - from.user + end.system - from.system
      return { system: (end.system - from.system) / all, main: Math.min(1, (end.main - from.main) / all) }
    }
  }
}

const childOf = (pid: number): number | undefined => {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
    .trim()
    .split(" ")
    .filter(Boolean)
    .map(Number)
  return children.find(child => readFileSync(`/proc/${child}/cmdline`, "utf8").includes("httpServer.ts"))
}

/** The contender under the profiler: of `http` it is the server that counts, a child of it. */
const profiled = async (subject: Subject, job: Job) => {
  const directory = temporaryDirectory("stages")
  const contender = fileURLToPath(new URL("contender.ts", import.meta.url))
  const child = spawn(process.execPath, [contender, JSON.stringify(job)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, BUN_OPTIONS: `--cpu-prof --cpu-prof-dir=${directory}` }
  })
  const { pid } = child
  if (pid === undefined) throw new Error("the contender cannot be started")
  guardProcess(pid)
  let server: number | undefined
  const measured = (): number | undefined => {
    if (subject.name !== "http") return pid
    server ??= childOf(pid)
    return server
  }
  const ticks = watchTicks(measured)
  try {
    let said = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      said += text
    })
    const code = await new Promise(resolve => child.once("close", resolve))
    if (code !== 0) throw new Error(`${subject.name} ended with ${code}`)
    const figures: Measured = JSON.parse(said.trim().split("\n").at(-1) ?? "")
    const file = readdirSync(directory).find(name => name.includes(`.${measured()}.`))
    if (file === undefined) throw new Error(`${subject.name} left no profile`)
    const { seconds, ...shown } = read(JSON.parse(readFileSync(join(directory, file), "utf8")), subject.since)
    const { main, system } = ticks.last(seconds)
    const total = figures.cpuMicrosPerRecord ?? 0
    return {
      name: subject.name,
      samples: shown.samples,
      cpuMicrosPerRecord: total,
      user: total * (1 - system),
      system: total * system,
      otherThreads: total * (1 - main),
      stages: Object.fromEntries([...shown.shares].map(([stage, share]) => [stage, share * total * main])),
      unknown: [...shown.unknown].sort((a, b) => b[1] - a[1]).slice(0, 5)
    }
  } finally {
    ticks.stop()
    releaseProcess(pid)
    deleteDirectory(directory)
  }
}

/** Microseconds per record, the median of many repetitions. */
const floors = () => {
  const records = Math.min(1000, Math.floor(1_000_000 / (size + 64)))
  const values = events(size).slice(0, records)
  const now = Date.now()
  const batch = batchOf(values.map(value => ({ key: null, value, id: nextId(), timestamp: now })))
  const target = Buffer.alloc(batch.length)
  const params = { [constants.ZSTD_c_compressionLevel]: 1 }
  const frame = zstdCompressSync(batch, { params })
  const body = frame.toString("base64")
  const timed = (work: () => void): number => {
    const times = Array.from({ length: 400 }, () => {
      const from = performance.now()
      work()
      return performance.now() - from
    })
    return (median(times.slice(200)) * 1000) / records
  }
  return {
    "its values copied one by one": timed(() => {
      let at = 0
      for (const value of values) {
        target.set(value, at)
        at += value.length
      }
    }),
    "its batch copied in one piece": timed(() => target.set(batch)),
    "its batch's CRC-32C": timed(() => void crc32c(batch)),
    "its batch by zstd, level 1": timed(() => void zstdCompressSync(batch, { params })),
    "what zstd leaves, as base64": timed(() => void frame.toString("base64")),
    "the MD5 of that": timed(() => void createHash("md5").update(body).digest())
  }
}

const cluster = await Kafka.start({
  topics: [...new Set(chosen.map(({ partitions }) => partitions))].map(partitions => ({
    name: `bench-${partitions}`,
    partitions
  })),
  properties: brokerProperties()
})
const rows: Array<Awaited<ReturnType<typeof profiled>>> = []
try {
  for (const subject of chosen) {
    if (!options.json) console.log(`${subject.name} …`)
    const { name, partitions } = subject
    const topic = `bench-${partitions}`
    const job: Job = { name, size, topic, brokers: cluster.bootstrap, warmUpMs: 3000, measureMs }
    rows.push(subject.sqs ? await withSqs(sqs => profiled(subject, { ...job, sqs })) : await profiled(subject, job))
  }
} finally {
  await cluster.stop()
}
const least = floors()

if (options.json) console.log(JSON.stringify({ rows, floors: least, size }))
else {
  const us = (value: number | undefined): string => (value === undefined || value === 0 ? "" : value.toFixed(3))
  const line = (name: string, of: (row: (typeof rows)[number]) => number | undefined) => [
    name,
    ...rows.map(row => us(of(row)))
  ]
  const names = [...stages.map(([name]) => name), elsewhere].filter(name =>
    rows.some(row => (row.stages[name] ?? 0) > 0)
  )
  console.log(
    `\n${aligned([
      ["us per record", ...rows.map(({ name }) => name)],
      ...names.map(name => line(name, row => row.stages[name])),
      line("other threads", row => row.otherThreads),
      line("all", row => row.cpuMicrosPerRecord),
      line("of it user", row => row.user),
      line("of it system", row => row.system)
    ])}`
  )
  console.log(`\nwhat a record of ${size} B costs at least:`)
  for (const [name, value] of Object.entries(least)) console.log(`${name.padEnd(32)} ${us(value)}`)
}
process.exit()
