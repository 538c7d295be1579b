/**
 * What a fault costs: a broker killed, frozen or shut down under load, on one broker and on three.
 *
 *     bun bench/faults.ts                      all cases, 20 s of fault each
 *     bun bench/faults.ts --brokers 3 --fault kill --seconds 20 --rate 1000 --json
 */
import { parseArgs } from "node:util"
import { type Fault, type FaultRunResult, faultRun } from "../test/support/FaultRun.ts"

const { values } = parseArgs({
  options: {
    brokers: { type: "string" },
    fault: { type: "string" },
    seconds: { type: "string", default: "20" },
    rate: { type: "string", default: "1000" },
    "write-timeout": { type: "string", default: "1000" },
    json: { type: "boolean", default: false }
  }
})

const cases: ReadonlyArray<readonly [1 | 3, Fault]> = [
  [1, "kill"],
  [1, "freeze"],
  [3, "kill"],
  [3, "freeze"],
  [3, "controlled"]
]
const rows: Array<FaultRunResult & { brokers: number; fault: Fault }> = []
for (const [brokers, fault] of cases) {
  if (values.brokers !== undefined && Number(values.brokers) !== brokers) continue
  if (values.fault !== undefined && values.fault !== fault) continue
  if (!values.json) console.log(`${brokers} broker(s), ${fault} for ${values.seconds} s …`)
  const result = await faultRun({
    brokers,
    fault,
    rate: Number(values.rate),
    calmMs: 4000,
    faultMs: Number(values.seconds) * 1000,
    writeTimeoutMs: Number(values["write-timeout"])
  })
  rows.push({ brokers, fault, ...result })
  if (!values.json) {
    for (const [name, value] of Object.entries(result)) {
      console.log(
        `  ${name.padEnd(18)} ${typeof value === "number" && !Number.isInteger(value) ? value.toFixed(1) : value}`
      )
    }
  }
}
if (values.json) console.log(JSON.stringify({ rows }))
process.exit(rows.every(({ failed, lost, unexplained }) => lost === 0 && failed === 0 && unexplained === 0) ? 0 : 1)
