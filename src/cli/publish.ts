/**
 * `publish`: records from a file, a pipe or the command line.
 */
import process from "node:process"
import * as Command from "@effect/cli/Command"
import * as CliOptions from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as AppConfig from "../AppConfig.ts"
import * as Exit from "./exit.ts"
import * as Log from "./log.ts"
import * as Options from "./options.ts"
import * as Service from "./service.ts"

const description = `Publish one record, or a file of them as NDJSON, and tell what became of each.

Through a running service (--url), or by a Spillway of its own (--config): Kafka, else the fallback queue; without the spool. Records that could not be stored are sent again for a while under the same id. Those that stay out are named on standard error.

Ends with 0 when every record is durable, with 65 when some were rejected, with 69 when some could not be stored, with 1 when interrupted.

Examples:
  spillway publish --topic events --key user-1 --value '{"n":1}'
  spillway publish --topic events --ndjson --file events.ndjson
  tail -f log | spillway publish --config spillway.yaml --topic events --ndjson`

const optional = (name: string, description: string) =>
  CliOptions.text(name).pipe(CliOptions.withDescription(description), CliOptions.optional)

const whole = (name: string, description: string, fallback: number) =>
  CliOptions.integer(name).pipe(
    CliOptions.withDescription(`${description.slice(0, -1)}; ${fallback} by default.`),
    CliOptions.withDefault(fallback)
  )

const { json, service } = Options

const options = {
  ...service,
  config: CliOptions.repeated(
    CliOptions.withDescription(
      CliOptions.withAlias(CliOptions.text("config"), "c"),
      "Publish from this process, by this configuration; several files are merged."
    )
  ),
  topic: CliOptions.text("topic").pipe(CliOptions.withDescription("Topic the records go to.")),
  value: optional("value", "The record's value, as text."),
  file: optional("file", "File of the value, or with --ndjson of the records; standard input by default."),
  key: optional("key", "The record's key."),
  header: CliOptions.repeated(
    CliOptions.withDescription(
      CliOptions.text("header"),
      "A header of the record, as name=value; several times for several."
    )
  ),
  id: optional("id", "The record's id, on which consumers deduplicate; a new one by default."),
  partition: CliOptions.integer("partition").pipe(
    CliOptions.withDescription("A fixed partition; the balancer's choice by default."),
    CliOptions.optional
  ),
  ndjson: CliOptions.boolean("ndjson").pipe(
    CliOptions.withDescription(
      "Many records, one JSON object to a line: key or keyBase64, value or valueBase64, headers, id, partition, timestamp."
    )
  ),
  inFlight: whole("in-flight", "Requests under way at once; 1 keeps the order of the source.", 4),
  retryFor: whole("retry-for", "Seconds for which records that could not be stored are sent again.", 60),
  json
}

type Given = Command.Command.ParseConfig<typeof options>

const usage = (message: string) => new Exit.CommandError({ code: Exit.codes.usage, message })

const headersOf = (given: ReadonlyArray<string>) =>
  Effect.forEach(given, text => {
    const at = text.indexOf("=")
    return at > 0
      ? Effect.succeed([text.slice(0, at), text.slice(at + 1)] as const)
      : usage(`--header: expected name=value, got ${text}`)
  })

const singleOf = (given: Given) =>
  Effect.gen(function* () {
    const { header, id, key, ndjson, partition, value } = given
    if (ndjson) {
      const [name] = [
        ...(Option.isSome(key) ? ["key"] : []),
        ...(Option.isSome(value) ? ["value"] : []),
        ...(header.length > 0 ? ["header"] : []),
        ...(Option.isSome(id) ? ["id"] : []),
        ...(Option.isSome(partition) ? ["partition"] : [])
      ]
      if (name !== undefined) return yield* usage(`--${name} is for one record; with --ndjson each line has its own`)
      return undefined
    }
    if (Option.isSome(value) && Option.isSome(given.file)) return yield* usage("give --value or --file, not both")
    if (Option.isNone(value) && Option.isNone(given.file) && process.stdin.isTTY === true) {
      return yield* usage("there is nothing to publish: give --value, --file or standard input")
    }
    return {
      key: Option.getOrUndefined(key),
      value: Option.getOrUndefined(value),
      file: Option.getOrUndefined(given.file),
      headers: yield* headersOf(header),
      id: Option.getOrUndefined(id),
      partition: Option.getOrUndefined(partition)
    }
  })

const wayOf = (given: Given) =>
  given.config.length === 0
    ? Effect.map(Service.find(given), service => ({ _tag: "Http", service }) as const)
    : Option.isSome(given.url)
      ? usage("give --url or --config, not both")
      : Effect.map(AppConfig.load(given.config, process.env), config => ({ _tag: "InProcess", config }) as const)

export const command = Command.make("publish", options, given =>
  Effect.gen(function* () {
    const { inFlight, json, retryFor, topic } = given
    if (inFlight < 1) return yield* usage(`--in-flight: expected 1 or more, got ${inFlight}`)
    if (retryFor < 0) return yield* usage(`--retry-for: expected 0 or more seconds, got ${retryFor}`)
    const single = yield* singleOf(given)
    const way = yield* wayOf(given)
    const { run } = yield* Effect.promise(() => import("./publish/run.ts"))
    const file = Option.getOrUndefined(given.file)
    return yield* run({ way, topic, single, file, inFlight, retryForMs: retryFor * 1000, json })
  }).pipe(Effect.provide(Log.aside(Log.formatOf(process.env.SPILLWAY_LOG))))
).pipe(Command.withDescription(description))
