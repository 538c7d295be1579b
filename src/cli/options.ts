/**
 * Options that several commands share.
 */
import * as Options from "@effect/cli/Options"

/** The configuration's files, in the order they are merged. */
export const config = Options.text("config").pipe(
  Options.withAlias("c"),
  Options.withPseudoName("file"),
  Options.withDescription("A YAML file; give it several times to merge files, the later one wins."),
  Options.atLeast(1)
)

export const json = Options.boolean("json").pipe(
  Options.withDescription("One JSON document on standard output, and nothing else there.")
)
