/**
 * An hour at half of the highest load, with an outage of Kafka every five minutes: whether memory, open files and the cost of
 * a record stay what they are, and whether every record arrived.
 *
 *     bun bench/soak.ts --minutes 60
 *     bun bench/soak.ts --minutes 6 --rate 20000       a try, at a rate of one's own
 *     bun bench/soak.ts --minutes 60 --json            the last line is the samples, their trends and the cycles as JSON
 *
 * The service is a process of its own, from its sources. It takes NDJSON requests of 100 records of about 200 bytes. The broker
 * is killed and frozen in turn, for 30 s. A reader in Java (it needs a JDK) reads the topic meanwhile and keeps account of every
 * record by its number. The exit status is 1 when a record is lost or failed.
 */
import { spawn } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import { engine } from "../test/support/Engine.ts"
import { eventually } from "../test/support/eventually.ts"
import { deleteDirectory, guardProcess, releaseProcess, temporaryDirectory } from "../test/support/Guard.ts"
import { jvmFlags } from "../test/support/Java.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { root, start } from "../test/support/RunningService.ts"
import { NdjsonLoad, valuePrefix } from "./ndjsonLoad.ts"
import { cpuOf, descriptorsOf, median, memoryOf, pause } from "./proc.ts"
import { aligned } from "./report.ts"
import { trendOf } from "./trend.ts"
import { withSqs } from "./withSqs.ts"

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    /** Records per second; half of the highest by default. */
    rate: { type: "string" },
    /** Minutes between two outages, and how long one lasts, s. */
    every: { type: "string", default: "5" },
    outage: { type: "string", default: "30" },
    /** Minutes before memory is expected to be flat; a third of a run shorter than half an hour. */
    settle: { type: "string", default: "10" },
    json: { type: "boolean", default: false }
  }
})
const runSeconds = Number(values.minutes) * 60
const cycleSeconds = Number(values.every) * 60
const outageSeconds = Number(values.outage)
const settleSeconds = Math.min(Number(values.settle) * 60, runSeconds / 3)
const sampleSeconds = 5
const gibibyte = 2 ** 30

const configuration = (brokers: ReadonlyArray<string>, endpoint: string): string => `
stream:
  output: { out: { topic: events } }
  producer: { events: { output: out, encoding: raw, retry: { queue_id: parked, create: true } } }
kafka: { connection: { default: { brokers: "${brokers.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: l, secret_access_key: l } } } } }
http: { port: 0 }
`

interface Sample {
  /** Seconds since the steady load began. */
  readonly seconds: number
  readonly cycle: number
  readonly phase: "calm" | "outage" | "recovery"
  readonly rssMiB: number
  readonly heapMiB: number
  readonly descriptors: number
  /** Of the service, since the sample before. */
  readonly cpuMicros: number
  readonly records: number
  /** Diverted and not back in Kafka yet. */
  readonly parked: number
}

interface Read {
  readonly seen: number
  readonly copies: number
  readonly missing: ReadonlyArray<readonly [from: number, to: number]>
}

const say = (line: string): void => {
  if (!values.json) console.log(line)
}

/** Reads beside the load; told how many numbers were given, it answers with what it has seen. */
const startReader = async (brokers: ReadonlyArray<string>): Promise<(given: number) => Promise<Read>> => {
  const file = join(root, "bench/peers/java/Reader.java")
  const args = [file, brokers.join(","), "events", String(valuePrefix.length)]
  const command = await engine().java("kafka", [...jvmFlags, "-Xmx768m", ...args])
  const child = spawn(command.file, [...command.args], { stdio: ["pipe", "pipe", "ignore"] })
  if (child.pid !== undefined) guardProcess(child.pid)
  let said = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text
  })
  const ended = new Promise<number | null>(resolve => child.once("close", resolve))
  return async given => {
    child.stdin.end(`${given}\n`)
    const code = await ended
    if (child.pid !== undefined) releaseProcess(child.pid)
    if (code !== 0) throw new Error(`the reader ended with ${code}`)
    return JSON.parse(said)
  }
}

const directory = temporaryDirectory("soak")
const cluster = await Kafka.start({
  topics: [{ name: "events", partitions: 6 }],
  properties: {
    // The reader is never that far behind.
    "log.retention.bytes": String(gibibyte),
    "log.segment.bytes": String(gibibyte / 8),
    "log.retention.check.interval.ms": "5000",
    "log.segment.delete.delay.ms": "1000"
  }
})

const soak = async (endpoint: string): Promise<boolean> => {
  const config = join(directory, "soak.yaml")
  const heapFile = join(directory, "heap")
  writeFileSync(config, configuration(cluster.bootstrap, endpoint))
  const service = await start(["--config", config], {
    preload: join(root, "bench/heapReport.ts"),
    env: { BENCH_HEAP_FILE: heapFile }
  })
  const pid = service.pid ?? 0
  const status = async () => (await fetch(`${service.url}/v1/status`)).json()
  await eventually("readiness", 20_000, async () =>
    (await status()).health.readiness === "accepting" ? true : undefined
  )
  const finish = await startReader(cluster.bootstrap)
  const load = new NdjsonLoad(service.url)

  const flood = load.flood(32)
  await pause(8000)
  const before = load.durable
  await pause(10_000)
  const highest = (load.durable - before) / 10
  load.stop()
  await flood
  const rate = values.rate === undefined ? Math.round(highest / 2) : Number(values.rate)
  const count = (value: number) => Math.round(value).toLocaleString("en")
  say(`the highest load is ${count(highest)} records/s here; ${count(rate)} for ${values.minutes} min`)

  const samples: Array<Sample> = []
  const startedAt = performance.now()
  const seconds = () => (performance.now() - startedAt) / 1000
  const steady = load.steady(rate)
  let outage = false
  let over = false

  const [broker] = cluster.brokers
  if (broker === undefined) throw new Error("no broker")
  const outages = async () => {
    for (let number = 0; ; number++) {
      const from = (number + 0.5) * cycleSeconds
      if (from + outageSeconds + cycleSeconds / 4 > runSeconds) return
      await pause((from - seconds()) * 1000)
      outage = true
      const frozen = number % 2 === 1
      say(`${(seconds() / 60).toFixed(1)} min: the broker is ${frozen ? "frozen" : "killed"}`)
      if (frozen) broker.freeze()
      else await broker.kill()
      await pause(outageSeconds * 1000)
      if (frozen) broker.resume()
      else await broker.restart()
      outage = false
    }
  }

  const sampling = async () => {
    let cpu = cpuOf(pid)
    let durable = load.durable
    for (let at = sampleSeconds; !over; at += sampleSeconds) {
      await pause((at - seconds()) * 1000)
      const { diverted, redelivered } = (await status()).accounting
      const now = { cpu: cpuOf(pid), durable: load.durable }
      samples.push({
        seconds: seconds(),
        cycle: Math.min(Math.floor(seconds() / cycleSeconds), Math.ceil(runSeconds / cycleSeconds) - 1),
        phase: outage ? "outage" : diverted > redelivered ? "recovery" : "calm",
        rssMiB: memoryOf(pid).rss,
        heapMiB: existsSync(heapFile) ? Number(readFileSync(heapFile, "utf8")) / 2 ** 20 : 0,
        descriptors: descriptorsOf(pid),
        cpuMicros: now.cpu - cpu,
        records: now.durable - durable,
        parked: diverted - redelivered
      })
      cpu = now.cpu
      durable = now.durable
    }
  }
  const sampled = sampling()
  await Promise.all([outages(), pause(runSeconds * 1000)])
  load.stop()
  await steady
  over = true
  await sampled
  const settled = await eventually("the replay", 600_000, async () => {
    const { accounting } = await status()
    return accounting.redelivered >= accounting.diverted && accounting.inMemory === 0 ? accounting : undefined
  })
  const read = await finish(load.sent)
  const ended = await service.end()

  let lost = 0
  for (const [from, to] of read.missing) for (let n = from; n < to; n++) if (!load.missing.has(n)) lost++

  const calm = samples.filter(({ phase }) => phase === "calm")
  const afterSettling = (some: ReadonlyArray<Sample>, of: (sample: Sample) => number) =>
    trendOf(
      some.filter(sample => sample.seconds >= settleSeconds).map(sample => ({ at: sample.seconds, value: of(sample) }))
    )
  const trends = {
    rssMiB: afterSettling(samples, ({ rssMiB }) => rssMiB),
    heapMiB: afterSettling(samples, ({ heapMiB }) => heapMiB),
    descriptors: afterSettling(calm, ({ descriptors }) => descriptors),
    // A sample that the load began or ended in says nothing of what a record costs.
    cpuMicrosPerRecord: afterSettling(
      calm.filter(({ records }) => records > (rate * sampleSeconds) / 2),
      ({ cpuMicros, records }) => cpuMicros / records
    )
  }
  const cycles = [...new Set(samples.map(({ cycle }) => cycle))].map(cycle => {
    const own = samples.filter(sample => sample.cycle === cycle)
    const quiet = own.filter(({ phase }) => phase === "calm")
    const of = (some: ReadonlyArray<Sample>, figure: (sample: Sample) => number) => median(some.map(figure))
    return {
      cycle: cycle + 1,
      rssMiB: Math.round(of(own, ({ rssMiB }) => rssMiB)),
      mostRssMiB: Math.round(Math.max(...own.map(({ rssMiB }) => rssMiB))),
      heapMiB: Math.round(of(own, ({ heapMiB }) => heapMiB)),
      descriptors: of(quiet, ({ descriptors }) => descriptors),
      recordsPerSecond: Math.round(own.reduce((sum, { records }) => sum + records, 0) / (own.length * sampleSeconds)),
      cpuMicrosPerRecord: Number(of(quiet, ({ cpuMicros, records }) => cpuMicros / Math.max(1, records)).toFixed(2)),
      recoverySeconds: own.filter(({ phase }) => phase === "recovery").length * sampleSeconds
    }
  })
  const account = {
    sent: load.sent,
    durable: load.durable,
    refused: load.refused,
    failed: load.failed,
    firstFailure: load.firstFailure,
    diverted: settled.diverted,
    redelivered: settled.redelivered,
    inKafka: read.seen,
    copies: read.copies,
    lost
  }

  if (values.json)
    console.log(
      JSON.stringify({
        rows: [
          {
            name: `${values.minutes} min, ${rate} records/s`,
            highest: Math.round(highest),
            account,
            trends,
            samples: samples.map(sample => ({
              ...sample,
              cpuMicrosPerRecord: sample.cpuMicros / Math.max(1, sample.records)
            }))
          },
          ...cycles.map(row => ({ name: `cycle ${row.cycle}`, ...row }))
        ]
      })
    )
  else {
    const heads = ["cycle", "RSS", "most", "heap", "open files", "records/s", "CPU us", "recovery"]
    const lines = cycles.map(row => [
      String(row.cycle),
      `${row.rssMiB} MiB`,
      `${row.mostRssMiB} MiB`,
      `${row.heapMiB} MiB`,
      String(row.descriptors),
      count(row.recordsPerSecond),
      row.cpuMicrosPerRecord.toFixed(2),
      `${row.recoverySeconds} s`
    ])
    console.log(`\n${aligned([heads, ...lines])}`)
    console.log(`\nfrom minute ${(settleSeconds / 60).toFixed(0)} on, per hour:`)
    for (const [name, { flat, median: level, samples: points, slope, within }] of Object.entries(trends)) {
      console.log(
        `${name.padEnd(20)} ${slope.toFixed(2)} ± ${within.toFixed(2)} (median ${level.toFixed(2)}, ${points} samples): ${points < 3 ? "not seen often enough" : flat ? "flat" : "grows"}`
      )
    }
    console.log(
      `\nrecords: ${Object.entries(account)
        .map(([name, value]) => `${name} ${typeof value === "number" ? count(value) : value}`)
        .join(", ")}`
    )
    console.log(ended.stdout.trim().split("\n").at(-1))
  }
  return lost === 0 && load.failed === 0 && ended.code === 0
}

try {
  process.exitCode = (await withSqs(soak)) ? 0 : 1
} finally {
  await cluster.stop()
  deleteDirectory(directory)
}
process.exit()
