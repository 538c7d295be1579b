/**
 * `serve` as a command.
 */
import * as Command from "@effect/cli/Command"
import * as CliOptions from "@effect/cli/Options"
import * as Options from "./options.ts"
import { serve } from "./runService.ts"

const withoutRetry = CliOptions.boolean("without-retry").pipe(
  CliOptions.withDescription(
    "Divert, but do not replay: what lies in the fallback queues is left to other instances, or to `spillway retry`."
  )
)

export const command = Command.make("serve", { config: Options.config, withoutRetry }, serve).pipe(
  Command.withDescription(
    `Take records over HTTP and see them to Kafka, or safely past it.

Runs until SIGTERM, SIGINT or a spot notice, then settles every record it has and ends with an account of them: with 0 when each found a durable place, with 1 when not. SPILLWAY_LOG=json makes the log one JSON object a line.

Example:
  spillway serve --config app.yaml --config machine.yaml`
  )
)
