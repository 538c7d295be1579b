/**
 * Options that several commands share.
 */
import * as Options from "@effect/cli/Options"

const files = Options.text("config").pipe(
  Options.withAlias("c"),
  Options.withPseudoName("file"),
  Options.withDescription("A YAML file; give it several times to merge files, the later one wins.")
)

/** The configuration's files, in the order they are merged. */
export const config = Options.atLeast(files, 1)

/** A running service: its address, or the configuration it runs with. */
export const service = {
  url: Options.text("url").pipe(
    Options.withPseudoName("address"),
    Options.withDescription("Address of the running service; http://127.0.0.1:8080 by default."),
    Options.optional
  ),
  tokenFile: Options.text("token-file").pipe(
    Options.withPseudoName("file"),
    Options.withDescription("File that holds the bearer token; else SPILLWAY_TOKEN, then the configuration has it."),
    Options.optional
  ),
  config: Options.repeated(
    Options.withDescription(files, "The configuration of the service, in place of --url: host, port and token.")
  )
}

export const json = Options.boolean("json").pipe(
  Options.withDescription("One JSON document on standard output, and nothing else there.")
)
