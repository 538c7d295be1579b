/**
 * The load of a video pipeline scaled to one machine: JSON documents of 100 KB with keys over 768 partitions, callers that
 * each wait for the acknowledgement, as many as the brokers take; with zstd and without, beside Kafka's Java client under
 * the same load, in alternating rounds.
 *
 *     bun bench/highlight.ts                       three rounds, one broker, 256 callers
 *     bun bench/highlight.ts --brokers 3 --rounds 1
 *     bun bench/highlight.ts --callers 64 --only spillway --json
 *
 * The Java client is a small program of its own (`peers/java`), which needs a JDK. The exit status is 1 when a record was not
 * acknowledged.
 */
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { runJavaSource } from "../test/support/Java.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { root } from "../test/support/RunningService.ts"
import { runCommand } from "../test/support/runCommand.ts"
import { brokerProperties } from "./brokerProperties.ts"
import { documents, zstdRatio } from "./documents.ts"
import { median, memoryOf, quantile, roundsOf } from "./proc.ts"
import { aligned } from "./report.ts"
import { makeBreaker, makeKafka, makeProducer } from "./spillwayRows.ts"
import { Flow, measure } from "./window.ts"

const { values: options } = parseArgs({
  options: {
    brokers: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    callers: { type: "string", default: "256" },
    seconds: { type: "string", default: "6" },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "boolean", default: false },
    /** What a process of its own is to do. */
    job: { type: "string" }
  }
})
const rounds = roundsOf(options.rounds)

const topic = "documents"
const partitions = 768
const recordBytes = 100_000
/** More than batches hold, so that zstd does not find a document twice in one. */
const documentCount = 64

interface HighlightJob {
  readonly brokers: ReadonlyArray<string>
  readonly compression: "none" | "zstd"
  readonly callers: number
  readonly warmUpMs: number
  readonly measureMs: number
}

interface Figures {
  readonly recordsPerSecond: number
  readonly cpuMicrosPerRecord: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly peakRssMiB: number
}

/** This process as the contender. */
const runSpillway = (job: HighlightJob): Promise<Figures> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const values = documents(recordBytes, documentCount)
        const producer = yield* makeProducer({ ...job, topic }, yield* makeKafka(job), yield* makeBreaker)
        yield* Effect.orDie(producer.reach)
        const flow = new Flow()
        const latencies: Array<number> = []
        const opened = performance.now() + job.warmUpMs
        let next = 0
        const caller = async () => {
          while (flow.running) {
            const n = next++
            const from = performance.now()
            const value = values[n % documentCount] ?? null
            await producer.publishPromise({ topic, key: `session-${(n * 7919) % 10_007}`, value }).then(() => {
              flow.acknowledged++
            }, flow.fail)
            if (from >= opened && flow.running) latencies.push(performance.now() - from)
          }
        }
        const callers = () => Promise.all(Array.from({ length: job.callers }, caller))
        const measured = yield* Effect.promise(() =>
          measure({ ...job, name: "spillway", size: 0, topic }, flow, callers)
        )
        return {
          recordsPerSecond: measured.recordsPerSecond,
          cpuMicrosPerRecord: measured.cpuMicrosPerRecord ?? 0,
          p50Ms: quantile(latencies, 0.5),
          p99Ms: quantile(latencies, 0.99),
          peakRssMiB: memoryOf(process.pid).peak
        }
      })
    )
  )

const parsed = (stdout: string): Figures => JSON.parse(stdout.trim().split("\n").at(-1) ?? "")

const clients = {
  spillway: async (job: HighlightJob): Promise<Figures> => {
    const args = [fileURLToPath(import.meta.url), "--job", JSON.stringify(job)]
    return parsed((await runCommand({ file: process.execPath, args })).stdout)
  },
  java: async ({ brokers, callers, compression, measureMs, warmUpMs }: HighlightJob): Promise<Figures> => {
    const args = [brokers.join(","), topic, compression, ...[callers, warmUpMs, measureMs].map(String)]
    const input = `${documents(recordBytes, documentCount).join("\n")}\n`
    return parsed((await runJavaSource(join(root, "bench/peers/java/Load.java"), args, { input })).stdout)
  }
}
type Client = keyof typeof clients
const names: ReadonlyArray<Client> = ["spillway", "java"]

interface Sample extends Figures {
  readonly client: Client
  readonly compression: "none" | "zstd"
  readonly round: number
}

const compare = async (): Promise<void> => {
  const chosen = names.filter(name => options.only.length === 0 || options.only.includes(name))
  const say = (line: string) => {
    if (!options.json) console.log(line)
  }
  const ratio = zstdRatio(documents(recordBytes, documentCount))
  say(`documents of ${recordBytes} bytes, ${ratio.toFixed(1)} times smaller by zstd`)
  const cluster = await Kafka.start({
    brokers: options.brokers === "3" ? 3 : 1,
    topics: [{ name: topic, partitions }],
    jvm: ["-Xmx1g"],
    properties: brokerProperties(32 * 1024 * 1024)
  })
  const samples: Array<Sample> = []
  const failures: Array<string> = []
  const measureMs = Number(options.seconds) * 1000
  const job = { brokers: cluster.bootstrap, callers: Number(options.callers), warmUpMs: 3000, measureMs }
  try {
    say("warming up the brokers …")
    await clients.spillway({ ...job, compression: "none", warmUpMs: 8000, measureMs: 1000 })
    for (let round = 1; round <= rounds; round++) {
      for (const compression of ["none", "zstd"] as const) {
        for (const client of chosen) {
          const label = `round ${round}  ${client}, ${compression}`.padEnd(28)
          try {
            const figures = await clients[client]({ ...job, compression })
            samples.push({ client, compression, round, ...figures })
            say(`${label} ${((figures.recordsPerSecond * recordBytes) / 1e6).toFixed(0)} MB/s`)
          } catch (cause) {
            failures.push(`${label.trim()}: ${cause instanceof Error ? cause.message : String(cause)}`)
            say(`${label} failed: ${cause instanceof Error ? cause.message : String(cause)}`)
          }
        }
      }
    }
  } finally {
    await cluster.stop()
  }

  const of = (client: Client, compression: string) =>
    samples.filter(sample => sample.client === client && sample.compression === compression)
  const rows = (["none", "zstd"] as const).flatMap(compression =>
    chosen.flatMap(client => {
      const mine = of(client, compression)
      if (mine.length === 0) return []
      const middle = (figure: keyof Figures) => median(mine.map(sample => sample[figure]))
      const ratios = mine.flatMap(sample => {
        const theirs = of("java", compression).find(({ round }) => round === sample.round)
        return theirs === undefined ? [] : [sample.recordsPerSecond / theirs.recordsPerSecond]
      })
      return [
        {
          name: client,
          compression,
          megabytesPerSecond: (middle("recordsPerSecond") * recordBytes) / 1e6,
          cpuMicrosPerMegabyte: (middle("cpuMicrosPerRecord") * 1e6) / recordBytes,
          p50Ms: middle("p50Ms"),
          p99Ms: middle("p99Ms"),
          peakRssMiB: middle("peakRssMiB"),
          ...(client === "java" || ratios.length === 0 ? {} : { java: Number(median(ratios).toFixed(2)) })
        }
      ]
    })
  )
  const heads = ["", "compression", "MB/s", "CPU us/MB", "p50", "p99", "peak RSS", "java"]
  const lines = rows.map(row => [
    row.name,
    row.compression,
    row.megabytesPerSecond.toFixed(0),
    row.cpuMicrosPerMegabyte.toFixed(0),
    `${row.p50Ms.toFixed(1)} ms`,
    `${row.p99Ms.toFixed(1)} ms`,
    `${row.peakRssMiB.toFixed(0)} MiB`,
    row.java === undefined ? "" : `${row.java.toFixed(2)}x`
  ])
  if (options.json) console.log(JSON.stringify({ rows, zstdRatio: Number(ratio.toFixed(2)), failures }))
  else console.log(`\n${aligned([heads, ...lines])}`)
  process.exit(failures.length === 0 ? 0 : 1)
}

if (options.job === undefined) await compare()
else {
  const job: HighlightJob = JSON.parse(options.job)
  console.log(JSON.stringify(await runSpillway(job)))
  process.exit()
}
