/**
 * Faults at random under load, and the account of every record: lost 0, and each duplicate explained.
 *
 *     npm run chaos -- --minutes 5 --seed 7
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { parseArgs } from "node:util"
import { Histogram } from "../src/internal/histogram.ts"
import { eventually } from "../test/support/eventually.ts"
import { binary, ChaosSite, type RuntimeName, type SqsName } from "./chaos/ChaosSite.ts"
import { abrupt, faults } from "./chaos/faults.ts"
import { type FaultName, faultNames, schedule } from "./chaos/schedule.ts"
import { reach } from "./chaos/verdict.ts"
import { count, Screen, time } from "./quickstart/Screen.ts"

const usage = `Usage: npm run chaos -- [options]

  --minutes M      how long faults are inflicted; 3 by default
  --seed S         of the schedule; a random one by default
  --runtime R      of the service and the library: bun (default), deno, binary (dist/spillway; the library on Bun)
  --sqs Q          fauxqs or elasticmq; by default the seed decides
  --faults A,B     only these, in an order of the seed's choice
  --keep-logs      keep the logs of a run that went well, too
  --json           end with one line of JSON on standard output; the story goes to standard error
  --help           this text

faults: ${faultNames.join(", ")}
`

const fail = (message: string): never => {
  console.error(`${message}\n\n${usage}`)
  process.exit(64)
}

const oneOf = <A extends string>(name: string, text: string, all: ReadonlyArray<A>): A =>
  all.find(one => one === text) ?? fail(`--${name}: ${text} is none of ${all.join(", ")}`)

const readOptions = () => {
  const text = { type: "string" } as const
  const flag = { type: "boolean", default: false } as const
  try {
    const options = {
      minutes: text,
      seed: text,
      runtime: text,
      sqs: text,
      faults: text,
      json: flag,
      help: flag,
      "keep-logs": flag
    }
    const { values } = parseArgs({ options })
    const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed)
    const minutes = Number(values.minutes ?? "3")
    if (!Number.isSafeInteger(seed) || seed < 0) return fail("--seed: a whole number is expected")
    if (!(minutes > 0)) return fail("--minutes: a number above 0 is expected")
    const sqsNames: ReadonlyArray<SqsName> = ["fauxqs", "elasticmq"]
    const runtimes: ReadonlyArray<RuntimeName> = ["bun", "deno", "binary"]
    return {
      seed,
      minutes,
      help: values.help,
      json: values.json,
      keepLogs: values["keep-logs"],
      runtime: oneOf("runtime", values.runtime ?? "bun", runtimes),
      sqs: oneOf("sqs", values.sqs ?? sqsNames[seed % 2] ?? "fauxqs", sqsNames),
      names:
        values.faults === undefined
          ? faultNames
          : values.faults.split(",").map(name => oneOf<FaultName>("faults", name, faultNames))
    }
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error))
  }
}

const options = readOptions()
if (options.help) {
  console.log(usage)
  process.exit(0)
}

if (options.runtime === "binary" && !existsSync(binary)) fail(`${binary} is not there: npm run build`)

/** For one fault, its own waits included. */
const faultDeadlineMs = 240_000
const healDeadlineMs = 90_000
/** For the spools and the fallback queues to be empty at the end. */
const drainDeadlineMs = 180_000
const shownIds = 40

const within = <A>(what: string, ms: number, work: Promise<A>): Promise<A> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
const pass = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const round = (ms: number): number => Math.round(ms * 10) / 10

const screen = new Screen(options.json ? process.stderr : process.stdout, (process.env.NO_COLOR ?? "") !== "")
const directory = mkdtempSync(join(tmpdir(), `spillway-chaos-${options.seed}-`))
let site: ChaosSite | undefined

const run = async (): Promise<boolean> => {
  const { minutes, names, runtime, seed, sqs } = options
  screen.line(screen.paint("bold", `Chaos: seed ${seed}, ${minutes} min, service on ${runtime}, SQS by ${sqs}`))
  const here = await ChaosSite.start({ runtime, sqs, directory })
  site = here
  here.startLoad()
  await pass(3000)
  await here.heal(healDeadlineMs)
  const lap = () => {
    const laps = here.meters.map(meter => meter.lap())
    const fates: Record<string, number> = {}
    for (const one of laps) for (const [fate, n] of Object.entries(one.fates)) fates[fate] = (fates[fate] ?? 0) + n
    const told = Object.entries(fates).map(([fate, n]) => `${count(n)} ${fate}`)
    return { told: told.join(", "), worst: Math.max(...laps.map(({ worstMs }) => worstMs)) }
  }
  const inflicted: Partial<Record<FaultName, number>> = {}
  const failover = new Histogram()
  const endsAt = performance.now() + minutes * 60_000
  lap()
  for (const step of schedule(seed, names)) {
    if (performance.now() >= endsAt) break
    const at = performance.now()
    here.strike()
    here.log("faults", JSON.stringify(step))
    await within(step.fault, faultDeadlineMs, faults[step.fault](here, step))
    const { firstStoreAt } = here.witness
    const failoverMs = firstStoreAt === undefined ? undefined : firstStoreAt - here.struckAt
    const lasted = performance.now() - at
    await here.heal(healDeadlineMs)
    inflicted[step.fault] = (inflicted[step.fault] ?? 0) + 1
    if (failoverMs !== undefined && abrupt.has(step.fault)) failover.add(failoverMs, 1)
    const { told, worst } = lap()
    const first = failoverMs === undefined ? "" : `, first diverted after ${time(failoverMs)}`
    const when = `${((at - here.startedAt) / 1000).toFixed(0).padStart(4)} s`
    screen.line(
      `${when}  ${step.fault.padEnd(26)} ${time(lasted).padStart(7)}  ${told}; slowest ${time(worst)}${first}`
    )
    await pass(step.calmMs)
  }
  await here.heal(healDeadlineMs)
  await here.stopLoad()
  await screen.live(
    () => `${count(here.witness.parked)} records still parked`,
    eventually("the spools and the fallback queues to be empty", drainDeadlineMs, async () => {
      // In this order: what leaves a spool may go to a queue.
      if ((await here.spooled()) !== 0) return undefined
      await here.witness.idle()
      return here.witness.parked === 0 ? true : undefined
    }).catch((error: unknown) => screen.bad(error instanceof Error ? error.message : String(error)))
  )
  await here.status()
  await here.endProcesses()
  const verdict = await reach(here)

  const sum = { pending: 0, delivered: 0, diverted: 0, spooled: 0, rejected: 0, refused: 0 }
  for (const ledger of here.ledgers.all) {
    const tally = ledger.tally()
    for (const fate of ["pending", "delivered", "diverted", "spooled", "rejected", "refused"] as const)
      sum[fate] += tally[fate]
  }
  const quantiles = (of: Histogram) => ({
    p50: round(of.quantile(0.5)),
    p99: round(of.quantile(0.99)),
    max: round(of.max)
  })
  const publish = new Histogram()
  for (const meter of here.meters) publish.include(meter.publish)
  const result = {
    seed,
    minutes,
    runtime,
    sqs,
    faults: inflicted,
    accepted: sum.delivered + sum.diverted + sum.spooled,
    delivered: sum.delivered,
    diverted: sum.diverted,
    spooled: sum.spooled,
    rejected: sum.rejected,
    refused: sum.refused,
    deadLettered: verdict.deadLettered,
    goneWithTopic: verdict.goneWithTopic,
    waiting: verdict.waiting,
    lost: verdict.lost.length,
    duplicated: verdict.duplicated,
    explained: verdict.explained,
    unexplainedDuplicates: verdict.unexplained.length,
    misordered: verdict.misordered.length,
    misplaced: verdict.misplaced.length,
    late: here.meters.reduce((all, meter) => all + meter.late, 0),
    publishMs: quantiles(publish),
    failoverMs: quantiles(failover),
    counters: here.tally.sum
  }
  for (const what of ["lost", "unexplained", "misordered", "misplaced"] as const) {
    for (const one of verdict[what].slice(0, shownIds)) screen.bad(`${what}: ${one}`)
    for (const one of verdict[what]) here.log("verdict", `${what}: ${one}`)
  }
  await new Promise(resolve => process.stdout.write(`${JSON.stringify(result)}\n`, resolve))
  const sound = result.lost + result.unexplainedDuplicates + result.misordered + result.misplaced === 0
  return sound && verdict.waiting === 0
}

let leaving = false
const leave = async (code: number): Promise<never> => {
  leaving = true
  const kept = code !== 0 || options.keepLogs
  if (kept) site?.keepLogs()
  await Promise.race([site?.close(), pass(8000)])
  if (!kept) rmSync(directory, { recursive: true, force: true })
  else screen.line(`Seed ${options.seed}. The logs are in ${directory}`)
  process.exit(code)
}
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (!leaving) void leave(130)
  })
}

try {
  await leave((await run()) ? 0 : 1)
} catch (error) {
  if (!leaving) {
    screen.quiet()
    screen.bad(error instanceof Error ? error.message : String(error))
    await leave(1)
  }
}
