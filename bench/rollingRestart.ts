/**
 * What a rolling restart of three brokers costs under load, with idempotent producing and without: one broker after the
 * other is ended and started again, the next one when every replica is in sync.
 *
 *     bun bench/rollingRestart.ts                        controlled shutdowns, 5 000 records/s
 *     bun bench/rollingRestart.ts --how kill             SIGKILL in place of them
 *     bun bench/rollingRestart.ts --how kill --write-timeout 15000 --idempotent true --seconds 5 --rate 1000 --json
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { type Account, FaultLoad, topic } from "../test/support/FaultLoad.ts"
import { configuration, type Settings, warmUp, withSpillway } from "../test/support/FaultRun.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { aligned } from "./report.ts"
import { withSqs } from "./withSqs.ts"

const { values } = parseArgs({
  options: {
    how: { type: "string", default: "controlled" },
    idempotent: { type: "string" },
    rate: { type: "string", default: "5000" },
    seconds: { type: "string", default: "3" },
    "write-timeout": { type: "string", default: "1000" },
    json: { type: "boolean", default: false }
  }
})
const { how } = values
if (how !== "controlled" && how !== "kill") throw new Error("--how is controlled or kill")
const modes = [true, false].filter(mode => values.idempotent === undefined || values.idempotent === String(mode))
if (modes.length === 0) throw new Error("--idempotent is true or false")

interface Row extends Account {
  readonly idempotent: boolean
  /** s, from the first broker's end until the last one is in sync. */
  readonly restartSeconds: number
  readonly duplicatesPerMillion: number
}

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

const run = async (settings: Settings & { readonly idempotent: boolean }, endpoint: string): Promise<Row> => {
  const cluster = await Kafka.start({ brokers: 3, topics: [{ name: topic, partitions: 6 }] })
  try {
    return await withSpillway(configuration(cluster, endpoint, settings), async spillway => {
      const load = new FaultLoad(spillway)
      await warmUp(spillway)
      load.start(Number(values.rate))
      const calm = () => pause(Number(values.seconds) * 1000)
      await calm()
      const beganAt = performance.now()
      for (const broker of cluster.brokers) {
        if (how === "kill") await broker.kill()
        else await broker.shutdown()
        await broker.restart()
        await cluster.inSync(topic)
      }
      const restartSeconds = (performance.now() - beganAt) / 1000
      await calm()
      await load.stop()
      await load.replayed()
      const account = await load.account(cluster)
      const duplicatesPerMillion = (account.duplicated / account.published) * 1_000_000
      return { idempotent: settings.idempotent, restartSeconds, ...account, duplicatesPerMillion }
    })
  } finally {
    await cluster.stop()
  }
}

const count = (value: number): string => Math.round(value).toLocaleString("en")
const columns: ReadonlyArray<readonly [string, (row: Row) => string]> = [
  ["", ({ idempotent }) => (idempotent ? "idempotent" : "not idempotent")],
  ["restart", ({ restartSeconds }) => `${restartSeconds.toFixed(0)} s`],
  ["published", ({ published }) => count(published)],
  ["delivered", ({ delivered }) => count(delivered)],
  ["diverted", ({ diverted }) => count(diverted)],
  ["unknown", ({ divertedUnknown }) => count(divertedUnknown)],
  ["unknown at replay", ({ replayUnknown }) => count(replayUnknown)],
  ["duplicates", ({ duplicated }) => count(duplicated)],
  ["per million", ({ duplicatesPerMillion }) => count(duplicatesPerMillion)],
  ["unexplained", ({ unexplained }) => count(unexplained)],
  ["lost", ({ lost }) => count(lost)],
  ["failed", ({ failed }) => count(failed)],
  ["p99 publish", ({ p99PublishMs }) => `${count(p99PublishMs)} ms`],
  ["worst publish", ({ worstPublishMs }) => `${count(worstPublishMs)} ms`]
]

const rows: Array<Row> = []
for (const idempotent of modes) {
  if (!values.json) console.log(`three brokers, ${how}, ${idempotent ? "" : "not "}idempotent …`)
  const settings = { writeTimeoutMs: Number(values["write-timeout"]), idempotent }
  rows.push(await withSqs(endpoint => run(settings, endpoint)))
}
if (values.json) console.log(JSON.stringify({ how, rows }))
else
  console.log(`\n${aligned([columns.map(([head]) => head), ...rows.map(row => columns.map(([, cell]) => cell(row)))])}`)
process.exit(rows.every(({ failed, lost, unexplained }) => lost === 0 && failed === 0 && unexplained === 0) ? 0 : 1)
