/**
 * The command line: `spillway serve --config a.yaml --config b.yaml`.
 */
import process from "node:process"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "./cli/exit.ts"
import * as Log from "./cli/log.ts"
import * as PlainServe from "./cli/plainServe.ts"
import { serve } from "./cli/startService.ts"

const complain = (code: number, message: string): Effect.Effect<void> =>
  Effect.zipRight(
    Exit.end(code),
    Effect.sync(() => {
      if (message !== "") process.stderr.write(`${message}\n`)
    })
  )

/** Package managers pass a bare "--" on; there is nothing behind it that is not an option. */
const given = process.argv.slice(2).filter(argument => argument !== "--")

const level = Log.levelOf(process.env.SPILLWAY_LOG_LEVEL)

const plain = PlainServe.read(given)

const command =
  plain === undefined
    ? Effect.flatMap(
        Effect.promise(() => import("./cli/commandLine.ts")),
        ({ run }) => run(given)
      )
    : serve(plain)

const program = command.pipe(
  Effect.catchAll(error => complain(error._tag === "ConfigError" ? Exit.codes.config : error.code, error.message)),
  Effect.catchAllCause(cause => complain(Exit.codes.software, Cause.pretty(cause))),
  Effect.provide(Log.layer(Log.formatOf(process.env.SPILLWAY_LOG), level))
)

const wrongLevel = complain(Exit.codes.usage, `SPILLWAY_LOG_LEVEL: expected one of ${Log.levelNames.join(", ")}`)

await Effect.runPromise(level === undefined ? wrongLevel : program)
// Output that waits for a slow reader is part of the account.
for (const stream of [process.stdout, process.stderr]) await new Promise(resolve => stream.write("", resolve))
process.exit(Exit.chosen())
