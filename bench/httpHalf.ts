/**
 * How long a POST of one record takes while the service has half of what it can do.
 *
 *     bun bench/httpHalf.ts             three rounds of a few seconds
 *     bun bench/httpHalf.ts --json
 *
 * First the row `http`: its connections post as fast as they are answered. Then requests are due at half of that rate, evenly
 * spread, whether or not those before them are answered, over the same number of connections. A request's time counts from the
 * moment it was due: one that waits for a connection, or for a generator that is late, has waited. The same at the same rate
 * with a bare server that sends the body back says what of it is the machine and the generator.
 */
import { parseArgs } from "node:util"
import * as Kafka from "../test/support/Kafka.ts"
import { eventCount } from "./events.ts"
import {
  answerLength,
  type BunSocket,
  connect,
  connectionsOf,
  requestsOf,
  runHttp,
  statusOf,
  withServer
} from "./httpLoad.ts"
import { roundsOf } from "./proc.ts"
import { aligned } from "./report.ts"
import type { Job } from "./window.ts"

const { values: options } = parseArgs({
  options: { json: { type: "boolean", default: false }, rounds: { type: "string", default: "3" } }
})
const rounds = roundsOf(options.rounds)
const measureMs = 4000
const warmUpMs = 2000

/** One request at a time. */
class Line {
  dueAt = 0
  socket: BunSocket | undefined
  #received: Buffer = Buffer.alloc(0)
  #unsent: Buffer = this.#received

  begin(request: Buffer, dueAt: number): void {
    this.dueAt = dueAt
    this.#unsent = request
    this.flush()
  }

  flush(): void {
    if (this.#unsent.length > 0) this.#unsent = this.#unsent.subarray(this.socket?.write(this.#unsent) ?? 0)
  }

  /** The status, once the answer is whole. */
  take(chunk: Buffer): string | undefined {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk])
    if (answerLength(this.#received) === 0) return undefined
    const status = this.#received.toString("latin1", 9, 12)
    this.#received = this.#received.subarray(0, 0)
    return status
  }
}

interface Paced {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  readonly most: number
}

/** @param rate requests due per second */
const pace = async (job: Job, port: number, rate: number): Promise<Paced> => {
  const requests = requestsOf(job)
  const idle: Array<Line> = []
  const due: Array<number> = []
  let dueFrom = 0
  let next = 0
  let failure: string | undefined
  const times: Array<number> = []
  let counting = false
  const begin = (line: Line, dueAt: number) => line.begin(requests[next++ & (eventCount - 1)] ?? Buffer.alloc(0), dueAt)
  const answered = (line: Line, status: string) => {
    if (status !== statusOf(job)) failure ??= `answered ${status}`
    if (counting) times.push(performance.now() - line.dueAt)
    const waited = due[dueFrom]
    if (waited === undefined) {
      idle.push(line)
      return
    }
    dueFrom++
    begin(line, waited)
  }
  const lines = await Promise.all(
    Array.from({ length: connectionsOf(job) }, async () => {
      const line = new Line()
      line.socket = await connect(port, {
        data: (_, chunk) => {
          const status = line.take(chunk)
          if (status !== undefined) answered(line, status)
        },
        drain: () => line.flush()
      })
      return line
    })
  )
  idle.push(...lines)
  const from = performance.now()
  let begun = 0
  let countFrom = 0
  await new Promise<void>(resolve => {
    const timer = setInterval(() => {
      const elapsed = performance.now() - from
      if (!counting && elapsed >= warmUpMs) {
        counting = true
        countFrom = performance.now()
      }
      for (const wanted = (elapsed / 1000) * rate; begun < wanted; begun++) {
        const dueAt = from + (begun / rate) * 1000
        const line = idle.pop()
        if (line === undefined) due.push(dueAt)
        else begin(line, dueAt)
      }
      if (elapsed < warmUpMs + measureMs) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  counting = false
  const seconds = (performance.now() - countFrom) / 1000
  for (const { socket } of lines) socket?.end()
  if (failure !== undefined) throw new Error(failure)
  times.sort((a, b) => a - b)
  const at = (q: number) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0
  return { rate: times.length / seconds, p50: at(0.5), p99: at(0.99), most: at(1) }
}

const cluster = await Kafka.start({ topics: [{ name: "bench", partitions: 6 }] })
const rows: Array<Paced & { readonly round: number; readonly highest: number; readonly echo: Paced }> = []
try {
  const job: Job = { name: "http", size: 1000, topic: "bench", brokers: cluster.bootstrap, warmUpMs, measureMs }
  // The broker's JVM compiles while it works.
  await runHttp({ ...job, warmUpMs: 6000, measureMs: 500 })
  for (let round = 1; round <= rounds; round++) {
    const { recordsPerSecond: highest } = await runHttp(job)
    const half = (of: Job) => withServer(of, ({ port }) => pace(of, port, highest / 2))
    rows.push({ round, highest, ...(await half(job)), echo: await half({ ...job, name: "http-echo" }) })
  }
} finally {
  await cluster.stop()
}
const rounded = (ms: number) => ms.toFixed(1)
const count = (value: number) => Math.round(value).toLocaleString("en")
if (options.json) console.log(JSON.stringify({ rows }))
else {
  const heads = ["round", "highest/s", "kept/s", "p50 ms", "p99 ms", "most ms", "echo p50 ms", "echo p99 ms"]
  const cells = rows.map(row => [
    `${row.round}`,
    count(row.highest),
    count(row.rate),
    rounded(row.p50),
    rounded(row.p99),
    rounded(row.most),
    rounded(row.echo.p50),
    rounded(row.echo.p99)
  ])
  console.log(aligned([heads, ...cells]))
}
process.exit(0)
