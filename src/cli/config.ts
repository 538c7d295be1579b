/**
 * `config`: what a configuration says, and what is wrong with it, before anything is started.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "./exit.ts"
import * as Options from "./options.ts"

const heavy = Effect.promise(() => import("./configReport.ts"))

const write = (text: string): Effect.Effect<void> => Effect.sync(() => process.stdout.write(`${text}\n`))

const check = Command.make("check", { config: Options.config, json: Options.json }, ({ config, json }) =>
  Effect.gen(function* () {
    const { check } = yield* heavy
    const { good, text } = yield* check(config, process.env, json)
    yield* write(text)
    yield* Exit.end(good ? Exit.codes.ok : Exit.codes.config)
  })
).pipe(
  Command.withDescription(
    `List every fault of a configuration, or say what it does.

Needs the files alone: nothing is connected to, nothing is changed. All files and the environment variables are checked in one run, each fault with its line, its key, what was expected and what was found. Secrets are never shown. Ends with 0 when the configuration is good, with 78 when it is not.

Examples:
  spillway config check --config app.yaml --config machine.yaml
  spillway config check --config app.yaml --json | jq '.issues[].path'`
  )
)

const show = Command.make("show", { config: Options.config, json: Options.json }, ({ config, json }) =>
  Effect.gen(function* () {
    const { show } = yield* heavy
    yield* write(yield* show(config, process.env, json))
  })
).pipe(
  Command.withDescription(
    `Print every value that holds, and where it is from.

A value is from a file and line, from an environment variable, or the default. Secrets are shown as <redacted>. The configuration must be good; otherwise its faults are listed on standard error and the command ends with 78.

Examples:
  spillway config show --config app.yaml --config machine.yaml
  spillway config show --config app.yaml --json | jq '.[].path'`
  )
)

const schema = Command.make("schema", {}, () =>
  Effect.flatMap(heavy, ({ schema }) => write(JSON.stringify(schema, undefined, 2)))
).pipe(
  Command.withDescription(
    `Print the JSON Schema of a configuration file, for editors.

Editors complete and check a YAML file whose first line names it:
  # yaml-language-server: $schema=spillway.schema.json

Example:
  spillway config schema > spillway.schema.json`
  )
)

export const command = Command.make("config").pipe(
  Command.withDescription(
    `Check and explain a configuration without starting anything.

Examples:
  spillway config check --config spillway.yaml
  spillway config show --config spillway.yaml
  spillway config schema > spillway.schema.json`
  ),
  Command.withSubcommands([check, show, schema])
)
