/**
 * The command line as @effect/cli reads it.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import manifest from "../../package.json" with { type: "json" }
import type { ConfigError } from "../AppConfig.ts"
import * as Breaker from "./breaker.ts"
import * as Config from "./config.ts"
import * as Dlq from "./dlq.ts"
import * as Doctor from "./doctor.ts"
import * as Environment from "./environment.ts"
import * as Exit from "./exit.ts"
import * as Publish from "./publish.ts"
import * as Queues from "./queues.ts"
import * as Retry from "./retry.ts"
import * as Serve from "./serve.ts"
import * as Status from "./status.ts"

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

const about = { name: "spillway", version: manifest.version }

const help = Effect.promise(() => import("./help.ts"))

/** A page of help, a script of completions: what is only read. Undefined where there is something to be done. */
const text = (given: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    if (given.length > 1 && !given.some(word => word === "--help" || word === "-h" || word === "--completions")) return
    if (given[0] !== "--completions") return (yield* help).page(spillway.descriptor, given)
    const { completions } = yield* Effect.promise(() => import("./completions.ts"))
    return yield* completions(spillway.descriptor, "spillway", given[1] ?? "") ?? Effect.succeed(undefined)
  })

const command = (given: ReadonlyArray<string>): Effect.Effect<void, ConfigError | Exit.CommandError> =>
  Command.run(
    spillway,
    about
  )(["", "", ...given]).pipe(
    Effect.catchIf(ValidationError.isValidationError, () =>
      // The library has already said what is wrong with the arguments.
      Effect.flatMap(help, ({ hint }) => {
        const message = hint(spillway.descriptor, given)
        return Effect.fail(new Exit.CommandError({ code: Exit.codes.usage, message }))
      })
    ),
    Effect.provide(Environment.layer)
  )

export const run = (given: ReadonlyArray<string>): Effect.Effect<void, ConfigError | Exit.CommandError> =>
  Effect.flatMap(text(given), page =>
    page === undefined ? command(given) : Effect.sync(() => void process.stdout.write(`${page}\n`))
  )
