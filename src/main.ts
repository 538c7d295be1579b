/**
 * The command line: `spillway serve --config a.yaml --config b.yaml`.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import manifest from "../package.json" with { type: "json" }
import * as Doctor from "./cli/doctor.ts"
import * as Environment from "./cli/environment.ts"
import * as Exit from "./cli/exit.ts"
import * as Log from "./cli/log.ts"
import * as Serve from "./cli/serve.ts"

const spillway = Command.make("spillway").pipe(
  Command.withDescription(manifest.description),
  Command.withSubcommands([Serve.command, Doctor.command])
)

const complain = (code: number, message: string): Effect.Effect<void> =>
  Effect.zipRight(
    Exit.end(code),
    Effect.sync(() => {
      if (message !== "") process.stderr.write(`${message}\n`)
    })
  )

/** Package managers pass a bare "--" on; there is nothing behind it that is not an option. */
const given = process.argv.slice(2).filter(argument => argument !== "--")
const args = given.length === 0 ? ["--help"] : given

const level = Log.levelOf(process.env.SPILLWAY_LOG_LEVEL)

const program = Command.run(spillway, { name: "spillway", version: manifest.version })(["", "", ...args]).pipe(
  Effect.catchAll(error => {
    // The library has already said what is wrong with the arguments.
    if (ValidationError.isValidationError(error)) return complain(Exit.codes.usage, "")
    return complain(error._tag === "ConfigError" ? Exit.codes.config : error.code, error.message)
  }),
  Effect.catchAllCause(cause => complain(Exit.codes.software, Cause.pretty(cause))),
  Effect.provide(Environment.layer),
  Effect.provide(Log.layer(Log.formatOf(process.env.SPILLWAY_LOG), level))
)

const wrongLevel = complain(Exit.codes.usage, `SPILLWAY_LOG_LEVEL: expected one of ${Log.levelNames.join(", ")}`)

await Effect.runPromise(level === undefined ? wrongLevel : program)
// Output that waits for a slow reader is part of the account.
for (const stream of [process.stdout, process.stderr]) await new Promise(resolve => stream.write("", resolve))
process.exit(Exit.chosen())
