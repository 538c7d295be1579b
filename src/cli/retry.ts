/**
 * `retry`: nothing but the replay of what lies in the fallback queues.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import * as AppConfig from "../AppConfig.ts"
import * as Exit from "./exit.ts"
import * as Options from "./options.ts"
import { withoutSpool } from "./parts.ts"
import { run } from "./runService.ts"

const description = `Only bring back what lies in the fallback queues, on a host of its own.

It takes the configuration of serve, which may run with --without-retry then. There is no intake; the pages for health, metrics and status are there, on http.host and http.port. The spool stays with the service whose disk it is on. Supervision, shutdown and exit codes are those of serve.

Example:
  spillway retry --config spillway.yaml`

export const command = Command.make("retry", { config: Options.config }, ({ config: files }) =>
  Effect.gen(function* () {
    const config = yield* AppConfig.load(files, process.env)
    if (!Object.values(config.producers).some(({ retry }) => retry.enabled)) {
      const message = "there is nothing to replay: no producer has retry.enabled: true"
      return yield* new Exit.CommandError({ code: Exit.codes.config, message })
    }
    return yield* Exit.end(yield* run({ config: withoutSpool(config), intake: false }))
  }).pipe(Effect.scoped)
).pipe(Command.withDescription(description))
