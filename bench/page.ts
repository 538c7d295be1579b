/**
 * The page of results that are stored already, as `main.ts` writes it itself.
 *
 *     bun bench/page.ts .cache/bench/result.json bench.html
 *     bun bench/faults.ts --json >faults.json; bun bench/page.ts .cache/bench/result.json faults.json all.html
 *
 * A file holds what a benchmark of the repository printed with `--json`: its last line is the result. Results of `main.ts`
 * come first, others as tables (and lines, where a row holds a series over time).
 */
import { readFileSync, writeFileSync } from "node:fs"
import { basename } from "node:path"
import { resultsPage, type Stored } from "./page/resultsPage.ts"

const files = process.argv.slice(2)
const out = files.pop()
if (out === undefined || files.length === 0 || !out.endsWith(".html"))
  throw new Error("bun bench/page.ts result.json [other.json …] page.html")

const read = (file: string): Stored => {
  const text = readFileSync(file, "utf8").trim()
  const line = text.startsWith("{\n") ? text : (text.split("\n").at(-1) ?? "")
  try {
    return { name: basename(file).replace(/\.jsonl?$/, ""), content: JSON.parse(line) }
  } catch (cause) {
    throw new Error(`${file}: its last line is no JSON`, { cause })
  }
}

writeFileSync(out, resultsPage(files.map(read)))
console.log(out)
