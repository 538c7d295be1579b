/**
 * `serve` as a command.
 */
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as CliOptions from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as Options from "./options.ts"
import { serve } from "./startService.ts"

const withoutRetry = CliOptions.boolean("without-retry").pipe(
  CliOptions.withDescription(
    "Divert, but do not replay: what lies in the fallback queues is left to other instances, or to `spillway retry`."
  )
)

const workers = CliOptions.integer("workers").pipe(
  CliOptions.withPseudoName("number"),
  CliOptions.withDescription(
    "Processes that take records on the one port, each with all that one process has; this one starts and watches them. 1 by default; more on Linux only. As many as there are processors is the most that makes sense."
  ),
  CliOptions.withDefault(1),
  CliOptions.mapEffect(number =>
    number >= 1 && number <= 999
      ? Effect.succeed(number)
      : Effect.fail(ValidationError.invalidValue(HelpDoc.p(`--workers: expected 1 to 999, got ${number}`)))
  )
)

export const command = Command.make("serve", { config: Options.config, withoutRetry, workers }, serve).pipe(
  Command.withDescription(
    `Take records over HTTP and see them to Kafka, or safely past it.

Runs until SIGTERM, SIGINT or a spot notice, then settles every record it has and ends with an account of them: with 0 when each found a durable place, with 1 when not. SPILLWAY_LOG=json makes the log one JSON object a line.

Example:
  spillway serve --config app.yaml --config machine.yaml
  spillway serve --config app.yaml --workers 4`
  )
)
