/**
 * The whole test run, from a bare clone: static checks, then every test file on Bun, then the same files on Deno, but for
 * those in a browser: what it shows does not depend on the runtime, and they are run on Bun.
 *
 *     npm test                        everything
 *     npm test -- test/Record.test.ts    these files only, without the static checks
 *     npm test -- --bun                  on one runtime only (or --deno)
 *
 * The last line of output is `N passed, N failed` (and `, N skipped` if any were). A static check counts as one test; so
 * does a test file that ends badly without naming a failure. Each file has a process of its own. They run one after the other,
 * but for those on the test clock, which mostly wait for a turn of the event loop: they run beside the others, one after the
 * other as well, and each one's output follows when it has ended.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import process from "node:process"
import { countTests } from "./junit.mjs"
import { bin, fetchJars, root, setup } from "./setup.mjs"

const fileDeadlineMs = 15 * 60_000
const testDeadlineMs = 120_000
/** How long what a process has written is waited for when it has ended. */
const lastOutputMs = 1000

const totals = { passed: 0, skipped: 0, failures: [] }
const active = new Set()
let interrupted = false

/** The process and all that it has started. */
const kill = (child, signal) => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // It has ended.
  }
}

const heading = text => `\n=== ${text} ===`

/**
 * Runs to the end under a heading, with live output or, `beside` others, all of it at the end; the exit code, or why there is
 * none.
 */
const run = (title, file, args, beside = false) =>
  new Promise(settle => {
    const output = beside ? "pipe" : "inherit"
    if (!beside) console.log(heading(title))
    const child = spawn(file, args, { cwd: root, stdio: ["ignore", output, output], detached: true })
    active.add(child)
    const chunks = [`${heading(title)}\n`]
    const streams = [child.stdout, child.stderr]
    for (const stream of streams) stream?.setEncoding("utf8").on("data", text => chunks.push(text))
    let expired = false
    const timer = setTimeout(() => {
      expired = true
      kill(child, "SIGKILL")
    }, fileDeadlineMs)
    let result
    child.once("error", error => {
      result = error.message
    })
    child.once("exit", (code, signal) => {
      result = code ?? `ended by ${signal}`
      kill(child, "SIGKILL")
      // A process that has left the group may hold the other end for as long as it lives.
      setTimeout(() => {
        for (const stream of streams) stream?.destroy()
      }, lastOutputMs).unref()
    })
    child.once("close", () => {
      clearTimeout(timer)
      active.delete(child)
      if (beside) process.stdout.write(chunks.join(""))
      settle(expired ? `not finished within ${fileDeadlineMs / 1000} s` : result)
    })
  })

const inWords = result => (typeof result === "number" ? `exit code ${result}` : result)

const testFilesUnder = directory =>
  readdirSync(join(root, directory), { recursive: true })
    .map(path => `${directory}/${path}`)
    .filter(path => path.endsWith(".test.ts"))
    .sort()

const sources = () =>
  readdirSync(join(root, "src"), { recursive: true })
    .map(path => `src/${path}`)
    .filter(path => path.endsWith(".ts"))
    .sort()

const check = async (name, command, args) => {
  if (interrupted) return
  const result = await run(name, bin(command), args)
  if (result === 0) totals.passed++
  else totals.failures.push(`${name}: ${inWords(result)}`)
}

const runtimes = {
  bun: (file, report) => [
    "test",
    `--timeout=${testDeadlineMs}`,
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    file
  ],
  deno: (file, report) => ["test", "--allow-all", "--no-check", `--junit-path=${report}`, file]
}

const testFile = async (runtime, file, report, beside) => {
  if (interrupted) return
  rmSync(report, { force: true })
  const result = await run(`${runtime} ${file}`, bin(runtime), runtimes[runtime](`./${file}`, report), beside)
  let counts = { passed: 0, skipped: 0, failures: [] }
  try {
    counts = countTests(readFileSync(report, "utf8"))
  } catch {
    // No report: it ended before any test did, which the checks below count.
  }
  totals.passed += counts.passed
  totals.skipped += counts.skipped
  for (const { message, name } of counts.failures) totals.failures.push(`${runtime} ${file}: ${name}: ${message}`)
  if (counts.failures.length > 0) return
  if (result !== 0) totals.failures.push(`${runtime} ${file}: ${inWords(result)}`)
  else if (counts.passed + counts.skipped === 0) totals.failures.push(`${runtime} ${file}: ran no test`)
}

const onTestClock = file => {
  try {
    return /\b(TestContext|onTestClock)\b/.test(readFileSync(join(root, file), "utf8"))
  } catch {
    return false
  }
}

const main = async () => {
  const args = process.argv.slice(2)
  const unknown = args.find(arg => arg.startsWith("-") && arg !== "--bun" && arg !== "--deno")
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}; there are --bun, --deno and test files`)
  const named = args.filter(arg => !arg.startsWith("-")).map(path => relative(root, resolve(path)))
  const chosen = Object.keys(runtimes).filter(name => args.includes(`--${name}`))
  const on = chosen.length === 0 ? Object.keys(runtimes) : chosen

  setup()
  if (named.length === 0) {
    if (!fetchJars()) console.log("The tests against real servers will fail: see above what is missing.")
    await check("types (tsc)", "tsc", ["--noEmit"])
    await check("types of the dashboard (tsc)", "tsc", ["--noEmit", "--project", "src/http/dashboard"])
    await check("lint and format (biome)", "biome", ["check"])
    await check("dead code (knip)", "knip", ["--no-progress"])
    await check("types on Deno (deno check)", "deno", ["check", "--quiet", ...sources()])
  }
  const files = named.length === 0 ? testFilesUnder("test") : named
  if (files.length === 0) totals.failures.push("no test files found")
  const reports = mkdtempSync(join(tmpdir(), "spillway-reports-"))
  try {
    const runs = on.flatMap(runtime =>
      files
        .filter(file => runtime === "bun" || !file.startsWith("test/browser/"))
        .map(file => ({ runtime, file, beside: files.length > 1 && onTestClock(file) }))
    )
    const lane = async beside => {
      const report = join(reports, `report-${beside}.xml`)
      for (const { runtime, file } of runs.filter(run => run.beside === beside))
        await testFile(runtime, file, report, beside)
    }
    await Promise.all([lane(false), lane(true)])
  } finally {
    rmSync(reports, { recursive: true, force: true })
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    interrupted = true
    for (const child of active) kill(child, signal === "SIGHUP" ? "SIGTERM" : signal)
  })
}

try {
  await main()
} catch (error) {
  totals.failures.push(error.message)
}
if (interrupted) totals.failures.push("the run was interrupted")
if (totals.failures.length > 0) {
  console.log(heading("failures"))
  for (const failure of totals.failures) console.log(`- ${failure}`)
}
const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : ""
console.log(`\n${totals.passed} passed, ${totals.failures.length} failed${skipped}`)
process.exitCode = totals.failures.length === 0 ? 0 : 1
