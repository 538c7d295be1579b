/**
 * The process that `largeRecord` looks at: Spillway as a library, one large record at a time, and small ones beside it at a
 * steady rate. Each JSON line on standard output is what one phase has shown; a line on standard input begins the next.
 */
import { createHash, randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import process from "node:process"
import { createInterface } from "node:readline"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../src/AppConfig.ts"
import * as Drivers from "../src/Drivers.ts"
import * as Spillway from "../src/Spillway.ts"
import { eventually } from "../test/support/eventually.ts"
import { memoryOf, pause, quantile } from "./proc.ts"

export interface LargeJob {
  readonly configuration: string
  readonly bytes: number
  readonly compressible: boolean
  /** Small records per second. */
  readonly rate: number
}

export interface Phase {
  readonly name: string
  readonly ms: number
  /** The longest turn of the event loop. */
  readonly longestBlockMs: number
  readonly small: { readonly records: number; readonly failed: number; readonly p99Ms: number; readonly maxMs: number }
  readonly peakMiB: number
  /** SHA-256 of the large record. */
  readonly sha256: string
  /** Of the process before it made the large record. */
  readonly baseMiB: number
}

const job: LargeJob = JSON.parse(process.argv[2] ?? "{}")
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Linux counts the most memory afresh from here on. */
const forgetPeak = (): void => writeFileSync("/proc/self/clear_refs", "5")

const everyMs = 1000 / job.rate
let smallIds = 0

/** Small records at their times, whatever became of those before; one that is late is late by the event loop. */
const steadily = (spillway: Spillway.Service, prefix: string) => {
  const latencies: Array<number> = []
  let failed = 0
  let open = 0
  let due = performance.now()
  const tick = () => {
    for (; due <= performance.now(); due += everyMs) {
      const from = due
      open++
      spillway.offer({ topic: "events", id: `${prefix}-${smallIds++}`, value: `{"small":${smallIds}}` }, outcome => {
        open--
        latencies.push(performance.now() - from)
        if (outcome._tag !== "Receipt") failed++
      })
    }
  }
  const timer = setInterval(tick, 1)
  return async () => {
    clearInterval(timer)
    await eventually("the small records' outcomes", 60_000, () => (open === 0 ? true : undefined))
    return { records: latencies.length, failed, p99Ms: quantile(latencies, 0.99), maxMs: Math.max(0, ...latencies) }
  }
}

const phases = async (spillway: Spillway.Service): Promise<void> => {
  await eventually("the topic", 60_000, () => (spillway.status().health.readiness === "accepting" ? true : undefined))
  const warm = steadily(spillway, "warm")
  await pause(2000)
  await warm()
  const base = memoryOf(process.pid).rss
  const value = job.compressible ? Buffer.alloc(job.bytes, "a line of text that comes again\n") : randomBytes(job.bytes)
  const sha256 = createHash("sha256").update(value).digest("hex")

  const phase = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    forgetPeak()
    let last = performance.now()
    let longestBlockMs = 0
    const look = () => {
      const now = performance.now()
      longestBlockMs = Math.max(longestBlockMs, now - last)
      last = now
    }
    const timer = setInterval(look, 1)
    const small = steadily(spillway, "small")
    const from = performance.now()
    await work()
    look()
    const ms = performance.now() - from
    clearInterval(timer)
    const shown: Phase = {
      name,
      ms,
      longestBlockMs,
      small: await small(),
      peakMiB: memoryOf(process.pid).peak,
      sha256,
      baseMiB: base
    }
    console.log(JSON.stringify(shown))
    await lines.next()
  }
  const publish = (id: string) => spillway.publishPromise({ topic: "events", id, value })

  await phase("small ones alone", () => pause(5000))
  await phase("to Kafka", () => publish("straight"))
  // Kafka is down now. That is noticed by a small one, so that what follows is the large one's own time.
  await spillway.publishPromise({ topic: "events", id: "notice", value: "notice" })
  await phase("to S3, Kafka down", () => publish("parked"))
  // Its caller was told that it is durable, and has no use for it any more.
  const { buffer } = value
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
  const replayed = () =>
    eventually("the replay", 180_000, () => {
      const { diverted, redelivered } = spillway.status().accounting
      return redelivered >= diverted ? true : undefined
    })
  await phase("back, Kafka up", replayed)
  await replayed()
}

const parsed = AppConfig.parse([{ file: "large.yaml", text: job.configuration }], {})
if (Either.isLeft(parsed)) throw parsed.left
await Effect.runPromise(
  Effect.scoped(
    Effect.flatMap(Spillway.make(parsed.right, Drivers.live, "large"), spillway =>
      Effect.promise(() => phases(spillway))
    )
  )
)
process.exit(0)
