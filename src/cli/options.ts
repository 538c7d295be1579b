/**
 * Options that several commands share.
 */
import * as Options from "@effect/cli/Options"

/** The configuration's files, in the order they are merged. */
export const config = Options.text("config").pipe(
  Options.withAlias("c"),
  Options.withDescription("A YAML file; give it several times to merge files, the later one wins."),
  Options.atLeast(1)
)
