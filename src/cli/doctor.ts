/**
 * `doctor`: looks at what a configuration names, and says what could lose records there.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as CliOptions from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as AppConfig from "../AppConfig.ts"
import * as Exit from "./exit.ts"
import * as Options from "./options.ts"

const description = `Check a deployment against what keeps records: the Kafka clusters, topics, queues and buckets that the configuration names, and the deadlines and the spool's disk of the configuration itself.

Needs the configuration, network and credentials of the service; run it where the service runs. Creates nothing and writes no record; one message without records passes through each fallback queue, and one small object through each bucket.

Ends with 0 when there is no error, 1 when there is, 69 when nothing could be reached.

Example: spillway doctor --config spillway.yaml --verbose`

const json = CliOptions.boolean("json").pipe(
  CliOptions.withDescription("One JSON document on standard output in place of the text.")
)
const verbose = CliOptions.boolean("verbose").pipe(
  CliOptions.withAlias("v"),
  CliOptions.withDescription("A line for each check that found nothing wrong, too.")
)

export const command = Command.make("doctor", { config: Options.config, json, verbose }, options =>
  Effect.gen(function* () {
    const config = yield* AppConfig.load(options.config, process.env)
    const Doctor = yield* Effect.promise(() => import("../Doctor.ts"))
    const evidence = yield* Doctor.examine(config)
    const report = { results: Doctor.diagnose(evidence), reachedNothing: Doctor.reachedNothing(evidence) }
    const colour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined
    const text = options.json ? Doctor.toJson(report) : Doctor.renderText(report, { colour, verbose: options.verbose })
    yield* Effect.sync(() => process.stdout.write(text))
    const bad = report.results.some(({ severity }) => severity === "error")
    yield* Exit.end(report.reachedNothing ? Exit.codes.unavailable : bad ? Exit.codes.findings : Exit.codes.ok)
  })
).pipe(Command.withDescription(description))
