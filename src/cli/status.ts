/**
 * `status`: a running service at a glance.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as CliOptions from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "./exit.ts"
import * as Options from "./options.ts"
import * as Service from "./service.ts"

const description = `Show how a running service is: readiness and why, where every record is, breakers, queues, spool, latency.

Ends with 0, with 1 when the service refuses records, with 69 when it cannot be reached.

Example:
  spillway status --config spillway.yaml --watch`

const watch = CliOptions.boolean("watch").pipe(
  CliOptions.withAlias("w"),
  CliOptions.withDescription("Go on showing it, and what changes. With --json one event to a line.")
)

const { json, service } = Options

const isTerminal = () => process.stdout.isTTY === true

export const command = Command.make("status", { json, watch, ...service }, given =>
  Effect.gen(function* () {
    const { json, watch } = given
    const found = yield* Service.find(given)
    const { palette, picture } = yield* Effect.promise(() => import("./status/picture.ts"))
    const { decode } = yield* Effect.promise(() => import("./status/StatusPage.ts"))
    const colours = palette(isTerminal() && (process.env.NO_COLOR ?? "") === "")
    if (watch) {
      const following = yield* Effect.promise(() => import("./status/watch.ts"))
      return yield* Effect.tryPromise({
        try: () => following.watch({ service: found, json, palette: colours, redraw: isTerminal() }),
        catch: cause => (cause instanceof Exit.CommandError ? cause : Service.unreachable(found, cause))
      })
    }
    const answer = yield* Service.ask(found, "/v1/status")
    const status = yield* Effect.try({
      try: () => decode(answer),
      catch: () => Service.unavailable(`what answers at ${found.url} is no Spillway`)
    })
    process.stdout.write(
      json ? `${JSON.stringify(answer)}\n` : picture(status, yield* Clock.currentTimeMillis, colours)
    )
    return yield* Exit.end(status.health.readiness === "refusing" ? Exit.codes.findings : Exit.codes.ok)
  })
).pipe(Command.withDescription(description))
