/**
 * What a partition costs in memory once a record has gone to it and nothing more: the growth of a process by a client and a
 * producer whose topic has so many partitions, after one record to each, when the buffers of what was sent have been given up.
 * What a partition costs is how much more that is than with the fewest.
 *
 *     bun bench/idlePartitions.ts                     6, 768 and 6 000 partitions, three processes each
 *     bun bench/idlePartitions.ts --partitions 6 --partitions 768 --rounds 1 --json
 *
 * `heap` is what the collector leaves of JavaScript's objects; `RSS` has the noise of a whole process in it. The exit status is
 * 1 when a record was not acknowledged.
 */
import process from "node:process"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Kafka from "../test/support/Kafka.ts"
import { runCommand } from "../test/support/runCommand.ts"
import { median, memoryOf, pause, roundsOf } from "./proc.ts"
import { aligned } from "./report.ts"
import { makeBreaker, makeKafka, makeProducer } from "./spillwayRows.ts"
import type { Job } from "./window.ts"

const { values: options } = parseArgs({
  options: {
    partitions: { type: "string", multiple: true, default: ["6", "768", "6000"] },
    rounds: { type: "string", default: "3" },
    /** Seconds of idling before the second look. */
    idle: { type: "string", default: "5" },
    json: { type: "boolean", default: false },
    /** What a process of its own is to do. */
    job: { type: "string" }
  }
})
const rounds = roundsOf(options.rounds)

interface IdleJob extends Job {
  readonly partitions: number
  readonly idleMs: number
}
interface Growth {
  readonly heapBytes: number
  readonly externalBytes: number
  readonly rssBytes: number
}

const warmTopic = "warm"

declare const Bun: { readonly gc: (synchronous: boolean) => void }

/** What is left when nothing can be collected any more. */
const settledMemory = async () => {
  for (let times = 0; times < 5; times++) {
    Bun.gc(true)
    await pause(200)
  }
  const { arrayBuffers, external, heapUsed } = process.memoryUsage()
  return { heap: heapUsed, external: external + arrayBuffers, rss: memoryOf(process.pid).rss * 2 ** 20 }
}

const grow = (job: IdleJob): Promise<Growth> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const producerOf = (topic: string) =>
          Effect.gen(function* () {
            const own = { ...job, topic }
            const producer = yield* makeProducer(own, yield* makeKafka(own), yield* makeBreaker)
            yield* Effect.orDie(producer.reach)
            return (partition: number) =>
              producer.publishPromise({ topic, key: null, value: "x".repeat(200), partition })
          })
        // Another producer, so that its code is there before the first look.
        const warm = yield* producerOf(warmTopic)
        for (let times = 0; times < 200; times++) {
          yield* Effect.promise(() => Promise.all(Array.from({ length: 20 }, () => warm(0))))
        }
        yield* Effect.sleep(job.idleMs)
        const before = yield* Effect.promise(settledMemory)
        const publish = yield* producerOf(job.topic)
        for (let from = 0; from < job.partitions; from += 500) {
          const some = Array.from({ length: Math.min(500, job.partitions - from) }, (_, index) => from + index)
          yield* Effect.promise(() => Promise.all(some.map(publish)))
        }
        yield* Effect.sleep(job.idleMs)
        const after = yield* Effect.promise(settledMemory)
        return {
          heapBytes: after.heap - before.heap,
          externalBytes: after.external - before.external,
          rssBytes: after.rss - before.rss
        }
      })
    )
  )

const compare = async (): Promise<void> => {
  const counts = options.partitions.map(Number)
  const cluster = await Kafka.start({
    topics: [
      { name: warmTopic, partitions: 1 },
      ...counts.map(partitions => ({ name: `idle-${partitions}`, partitions }))
    ],
    jvm: ["-Xmx2g"],
    // Two files of 10 MiB a partition otherwise.
    properties: { "log.index.size.max.bytes": String(64 * 1024) }
  })
  const grown = new Map<number, Array<Growth>>()
  try {
    for (let round = 1; round <= rounds; round++) {
      for (const partitions of counts) {
        const job: IdleJob = {
          name: "idle",
          size: 200,
          topic: `idle-${partitions}`,
          brokers: cluster.bootstrap,
          warmUpMs: 0,
          measureMs: 0,
          partitions,
          idleMs: Number(options.idle) * 1000
        }
        const args = [fileURLToPath(import.meta.url), "--job", JSON.stringify(job)]
        const { stdout } = await runCommand({ file: process.execPath, args })
        const growth: Growth = JSON.parse(stdout.trim().split("\n").at(-1) ?? "")
        grown.set(partitions, [...(grown.get(partitions) ?? []), growth])
      }
    }
  } finally {
    await cluster.stop()
  }
  const fewest = Math.min(...counts)
  const of = (partitions: number, figure: keyof Growth) =>
    median((grown.get(partitions) ?? []).map(growth => growth[figure]))
  const rows = counts.map(partitions => {
    const each = (figure: keyof Growth) =>
      partitions === fewest
        ? undefined
        : Math.round((of(partitions, figure) - of(fewest, figure)) / (partitions - fewest))
    return {
      partitions,
      heapKiB: Math.round(of(partitions, "heapBytes") / 1024),
      rssKiB: Math.round(of(partitions, "rssBytes") / 1024),
      heapBytesEach: each("heapBytes"),
      bufferBytesEach: each("externalBytes"),
      rssBytesEach: each("rssBytes")
    }
  })
  if (options.json) console.log(JSON.stringify({ rows }))
  else {
    const heads = ["partitions", "heap in all", "RSS in all", "heap a partition", "buffers", "RSS"]
    const lines = rows.map(row => [
      String(row.partitions),
      ...[row.heapKiB, row.rssKiB].map(kibibytes => `${kibibytes.toLocaleString("en")} KiB`),
      ...[row.heapBytesEach, row.bufferBytesEach, row.rssBytesEach].map(bytes =>
        bytes === undefined ? "" : `${bytes.toLocaleString("en")} B`
      )
    ])
    console.log(aligned([heads, ...lines]))
  }
  process.exit()
}

if (options.job === undefined) await compare()
else {
  const job: IdleJob = JSON.parse(options.job)
  console.log(JSON.stringify(await grow(job)))
  process.exit()
}
