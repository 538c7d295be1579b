/**
 * Spillway in a minute: a real Kafka, a local SQS and the service under load, through two outages and a restart, and
 * then the account. Exit code 0 only when nothing published is lost.
 *
 *     npm run quickstart [-- --json | --stay]
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { show, toJson } from "./quickstart/result.ts"
import { Screen } from "./quickstart/Screen.ts"
import { Site } from "./quickstart/Site.ts"
import { Story } from "./quickstart/Story.ts"
import { stay } from "./quickstart/stay.ts"

const usage = `Usage: npm run quickstart [-- options]

  --json   end with the result as one line of JSON on standard output; the story goes to standard error
  --stay   leave everything running at the end, with lines to try; Ctrl-C ends it
  --help   this text
`

const readOptions = () => {
  try {
    const flag = { type: "boolean", default: false } as const
    return parseArgs({ options: { json: flag, stay: flag, help: { ...flag, short: "h" } } }).values
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    process.exit(64)
  }
}

const options = readOptions()
if (options.help) {
  console.log(usage)
  process.exit(0)
}

const noColour = (process.env.NO_COLOR ?? "") !== ""
const screen = new Screen(options.json ? process.stderr : process.stdout, noColour)
const site = await Site.create()
const story = new Story(screen, site)

let leaving = false

/** Ends everything, then the process. What does not end in time is killed by the guard once this process is gone. */
const leave = async (code: number): Promise<never> => {
  leaving = true
  story.abandon()
  const late = new Promise(resolve => setTimeout(resolve, 5000))
  await Promise.race([site.close(), late])
  process.exit(code)
}

const fail = async (error: unknown): Promise<void> => {
  // Whatever breaks while everything is being ended is no news.
  if (leaving) return
  screen.quiet()
  screen.bad(error instanceof Error ? error.message : String(error))
  screen.line()
  screen.line("The quickstart could not finish; everything it started is being ended.")
  screen.line("Next: install what the message asks for, or, when a wait was too short, try again on a quieter machine.")
  screen.line("Anything else is a bug: please report the output above.")
  await leave(1)
}

let exitCode = 130
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (leaving) return
    story.abandon()
    screen.line("Ending everything.")
    void leave(exitCode)
  })
}

try {
  screen.line(
    screen.paint("bold", "Spillway: one Kafka, one SQS, one service, two outages. Nothing published may be lost.")
  )
  const started = performance.now()
  const told = await story.tell()
  show(screen, told)
  const lost = told.account.lost.length
  exitCode = lost === 0 ? 0 : 1
  const took = `${Math.round((performance.now() - started) / 1000)} s`
  if (lost === 0) screen.good(`Nothing was lost (${took})`)
  else screen.bad(`${lost} records were lost: this is a bug, please report it with the output above (${took})`)
  if (options.json) await new Promise(resolve => process.stdout.write(`${JSON.stringify(toJson(told))}\n`, resolve))
  if (options.stay) await stay(screen, site)
  await leave(exitCode)
} catch (error) {
  await fail(error)
}
