/**
 * The command line: `spillway serve --config a.yaml --config b.yaml`.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import manifest from "../package.json" with { type: "json" }
import * as Breaker from "./cli/breaker.ts"
import * as Config from "./cli/config.ts"
import * as Dlq from "./cli/dlq.ts"
import * as Doctor from "./cli/doctor.ts"
import * as Environment from "./cli/environment.ts"
import * as Exit from "./cli/exit.ts"
import * as Log from "./cli/log.ts"
import * as Publish from "./cli/publish.ts"
import * as Queues from "./cli/queues.ts"
import * as Retry from "./cli/retry.ts"
import * as Serve from "./cli/serve.ts"
import * as Status from "./cli/status.ts"

const spillway = Command.make("spillway").pipe(
  Command.withDescription(
    `${manifest.description}

Examples:
  spillway config check --config app.yaml
  spillway serve --config app.yaml --config machine.yaml
  spillway config show --config app.yaml | less`
  ),
  Command.withSubcommands([
    Serve.command,
    Retry.command,
    Publish.command,
    Status.command,
    Breaker.command,
    Config.command,
    Doctor.command,
    Dlq.command,
    Queues.command
  ])
)

const complain = (code: number, message: string): Effect.Effect<void> =>
  Effect.zipRight(
    Exit.end(code),
    Effect.sync(() => {
      if (message !== "") process.stderr.write(`${message}\n`)
    })
  )

const help = Effect.promise(() => import("./cli/help.ts"))

/** Package managers pass a bare "--" on; there is nothing behind it that is not an option. */
const given = process.argv.slice(2).filter(argument => argument !== "--")

const level = Log.levelOf(process.env.SPILLWAY_LOG_LEVEL)

const about = { name: "spillway", version: manifest.version }
const argv = ["", "", ...given]

/** Parsing looks at every command there is, which takes milliseconds: `serve` starts without. */
const parsed =
  given[0] === "serve"
    ? Command.run(Command.withSubcommands(Command.make("spillway"), [Serve.command]), about)(argv)
    : Command.run(spillway, about)(argv)

const run = parsed.pipe(
  Effect.catchAll(error => {
    // The library has already said what is wrong with the arguments.
    if (ValidationError.isValidationError(error)) {
      return Effect.flatMap(help, ({ hint }) => complain(Exit.codes.usage, hint(spillway.descriptor, given)))
    }
    return complain(error._tag === "ConfigError" ? Exit.codes.config : error.code, error.message)
  }),
  Effect.catchAllCause(cause => complain(Exit.codes.software, Cause.pretty(cause))),
  Effect.provide(Environment.layer),
  Effect.provide(Log.layer(Log.formatOf(process.env.SPILLWAY_LOG), level))
)

/** A page of help, a script of completions: what is only read. Undefined where there is something to be done. */
const text = Effect.gen(function* () {
  if (given.length > 1 && !given.some(word => word === "--help" || word === "-h" || word === "--completions")) return
  if (given[0] !== "--completions") return (yield* help).page(spillway.descriptor, given)
  const { completions } = yield* Effect.promise(() => import("./cli/completions.ts"))
  return yield* completions(spillway.descriptor, "spillway", given[1] ?? "") ?? Effect.succeed(undefined)
})

const program = Effect.flatMap(text, page =>
  page === undefined ? run : Effect.sync(() => process.stdout.write(`${page}\n`))
)

const wrongLevel = complain(Exit.codes.usage, `SPILLWAY_LOG_LEVEL: expected one of ${Log.levelNames.join(", ")}`)

await Effect.runPromise(level === undefined ? wrongLevel : program)
// Output that waits for a slow reader is part of the account.
for (const stream of [process.stdout, process.stderr]) await new Promise(resolve => stream.write("", resolve))
process.exit(Exit.chosen())
