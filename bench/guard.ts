/**
 * Has Spillway become slower? Runs the rows that matter and compares their ratios to other clients with those in
 * `baseline.json`: never times, which are the machine's. The exit status is 1 when a ratio fell by more than its tolerance.
 *
 *     bun bench/guard.ts                       five short rounds
 *     bun bench/guard.ts --update              stores what it measured as the new baseline; with --only it keeps the others
 *     bun bench/guard.ts --result result.json  compares a result that `main.ts` has written
 *     bun bench/guard.ts --only offer --only kafkajs    the ratios of these rows only
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { runCommand } from "../test/support/runCommand.ts"
import { compare, fell, ratiosOf, renewed, type Stored, stored, type Verdict } from "./compare.ts"
import { isBenchResult } from "./page/resultsPage.ts"
import { goRuns } from "./peers.ts"
import { aligned, type BenchResult } from "./report.ts"
import { machine } from "./surroundings.ts"

const { values } = parseArgs({
  options: {
    update: { type: "boolean", default: false },
    result: { type: "string" },
    rounds: { type: "string", default: "5" },
    only: { type: "string", multiple: true, default: [] }
  }
})
const file = fileURLToPath(new URL("baseline.json", import.meta.url))

/** Spillway's own, and what their ratios are to. */
const rows = [
  ...["offer", "promise", "publishAll", "effect", "kafkajs", "platformatic", "franz-go", "static"],
  ...["keyed-6", "keyed-768", "http", "http-echo"],
  ...["parking", "parking-floor", "draining", "draining-floor", "sqs-singles"]
].filter(name => name !== "franz-go" || goRuns())

const readResult = (path: string): BenchResult => {
  const content: unknown = JSON.parse(readFileSync(path, "utf8"))
  if (!isBenchResult(content)) throw new Error(`${path} is no result of bench/main.ts`)
  return content
}

const measure = async (): Promise<BenchResult> => {
  const out = fileURLToPath(new URL("../.cache/bench-guard", import.meta.url))
  const only = values.only.length > 0 ? values.only : rows
  const main = fileURLToPath(new URL("main.ts", import.meta.url))
  const args = [main, "--quick", "--rounds", values.rounds, "--out", out, ...only.flatMap(name => ["--only", name])]
  const onStdout = (chunk: Uint8Array): void => void process.stdout.write(chunk)
  rmSync(out, { recursive: true, force: true })
  // A row that failed is missing from the result, and told below.
  await runCommand({ file: process.execPath, args }, { deadlineMs: 3_600_000, onStdout }).catch(console.error)
  return readResult(join(out, "result.json"))
}

const line = ({ before, change, now, verdict }: Verdict): ReadonlyArray<string> => [
  `${before.name} ${before.size} B (${before.runtime})`,
  `${before.of === "cpu" ? "CPU of " : ""}${before.against}`,
  before.ratio.toFixed(2),
  now === undefined ? "" : now.toFixed(2),
  now === undefined ? "" : `${((change - 1) * 100).toFixed(0)} %`,
  `${(before.tolerance * 100).toFixed(0)} %`,
  verdict === "same" ? "" : verdict
]

const result = values.result === undefined ? await measure() : readResult(values.result)
const baseline: Stored | undefined = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined
if (values.update) {
  if (result.failures.length > 0) throw new Error(`rows failed, nothing is stored: ${result.failures.join("; ")}`)
  const next = renewed(values.only.length === 0 ? undefined : baseline, stored(result))
  writeFileSync(file, `${JSON.stringify(next, undefined, 2)}\n`)
  console.log(`${ratiosOf(result).length} ratios stored in bench/baseline.json`)
  process.exit(0)
}
if (baseline === undefined) throw new Error("there is no bench/baseline.json: `bun bench/guard.ts --update` makes it")
const wanted = values.only.length > 0 ? values.only : rows
const chosen = ({ against, name }: Stored["ratios"][number]): boolean =>
  wanted.includes(name) && wanted.includes(against)
const verdicts = compare(baseline.ratios.filter(chosen), ratiosOf(result))
const heads = ["", "times", "stored", "now", "change", "tolerance", ""]
console.log(`\n${aligned([heads, ...verdicts.map(line)])}`)
if (baseline.machine.cpu !== machine.cpu || baseline.machine.cores !== machine.cores) {
  console.log(
    `\nThe baseline is of another machine (${baseline.machine.cpu}, ${baseline.machine.cores} cores): ratios move with the number of cores.`
  )
}
const count = (one: Verdict["verdict"]): number => verdicts.filter(({ verdict }) => verdict === one).length
console.log(
  `\n${count("worse")} worse, ${count("missing")} missing, ${count("better")} better, ${count("same")} the same`
)
process.exit(fell(verdicts) ? 1 : 0)
