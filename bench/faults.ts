/**
 * What a fault costs: a broker frozen, killed, shut down or never there, under load, on one broker and on three; and how
 * fast comes back what it has left in the queue.
 *
 *     bun bench/faults.ts                      all cases, 30 s of fault each
 *     bun bench/faults.ts --brokers 3 --fault kill --seconds 20 --rate 1000 --json
 *     bun bench/faults.ts --brokers 1 --fault kill --backlog 200000
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { type Fault, type FaultRunResult, faultRun } from "../test/support/FaultRun.ts"
import { aligned } from "./report.ts"
import { withSqs } from "./withSqs.ts"

const { values } = parseArgs({
  options: {
    brokers: { type: "string" },
    fault: { type: "string" },
    seconds: { type: "string", default: "30" },
    rate: { type: "string", default: "500" },
    backlog: { type: "string" },
    runners: { type: "string", default: "1" },
    "write-timeout": { type: "string", default: "1000" },
    json: { type: "boolean", default: false }
  }
})
const rate = Number(values.rate)
const seconds = Number(values.seconds)

interface Case {
  readonly brokers: 1 | 3
  readonly fault: Fault
  readonly seconds: number
  readonly backlog: number
}

const cases: ReadonlyArray<Case> = [
  { brokers: 1, fault: "freeze", seconds, backlog: 0 },
  { brokers: 1, fault: "kill", seconds, backlog: 0 },
  { brokers: 1, fault: "kill", seconds: Math.min(seconds, 10), backlog: 200_000 },
  { brokers: 1, fault: "absent", seconds: 800 / rate, backlog: 0 },
  { brokers: 3, fault: "freeze", seconds, backlog: 0 },
  { brokers: 3, fault: "kill", seconds, backlog: 0 },
  { brokers: 3, fault: "controlled", seconds, backlog: 0 }
]
const chosen = cases.filter(
  ({ backlog, brokers, fault }) =>
    (values.brokers === undefined || Number(values.brokers) === brokers) &&
    (values.fault === undefined || values.fault === fault) &&
    (values.backlog === undefined || Number(values.backlog) === backlog)
)
if (chosen.length === 0) throw new Error("no case has these brokers, this fault and this backlog")

type Row = Case & FaultRunResult
const ms = (value: number | undefined): string => (value === undefined ? "" : `${value.toFixed(0)} ms`)
const count = (value: number): string => value.toLocaleString("en")
const columns: ReadonlyArray<readonly [string, (row: Row) => string]> = [
  [
    "",
    ({ backlog, brokers, fault }) => `${brokers} broker(s), ${fault}${backlog === 0 ? "" : `, ${count(backlog)} more`}`
  ],
  ["published in it", ({ duringFault }) => count(duringFault.published)],
  ["durable", ({ duringFault }) => count(duringFault.durable)],
  ["in SQS at its end", ({ inQueue }) => count(inQueue)],
  ["first in SQS", ({ failoverMs }) => ms(failoverMs)],
  ["worst publish", ({ worstPublishMs }) => ms(worstPublishMs)],
  ["p99 while open", row => (row.diverted === 0 ? "" : ms(row.openP99Ms))],
  ["in both", ({ duplicated }) => count(duplicated)],
  ["unexplained", ({ unexplained }) => count(unexplained)],
  ["lost", ({ lost }) => count(lost)],
  ["failed", ({ failed }) => count(failed)],
  ["back", ({ replay }) => count(replay.records)],
  ["records/s", ({ replay }) => (replay.ms === 0 ? "" : count(Math.round((replay.records * 1000) / replay.ms)))]
]
/** Nothing is there to replay to while the only broker is gone: what was diverted is in the queue. */
const parked = ({ brokers, duringFault, fault, inQueue }: Row): boolean =>
  brokers === 3 || fault !== "absent" || inQueue >= duringFault.durable
const good = (row: Row): boolean => row.lost === 0 && row.failed === 0 && row.unexplained === 0 && parked(row)

const rows: Array<Row> = []
for (const one of chosen) {
  if (!values.json) console.log(`${one.brokers} broker(s), ${one.fault} for ${one.seconds} s …`)
  const options = { rate, calmMs: 4000, faultMs: one.seconds * 1000, writeTimeoutMs: Number(values["write-timeout"]) }
  const run = (endpoint: string) => faultRun({ ...one, ...options, runners: Number(values.runners) }, endpoint)
  rows.push({ ...one, ...(await withSqs(run)) })
}
if (!values.json)
  console.log(`\n${aligned([columns.map(([head]) => head), ...rows.map(row => columns.map(([, cell]) => cell(row)))])}`)
if (values.json) console.log(JSON.stringify({ rows }))
process.exit(rows.every(good) ? 0 : 1)
