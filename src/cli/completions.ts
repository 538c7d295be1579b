/**
 * Scripts that complete commands and options in a shell, as @effect/cli writes them, put right: of a description the first
 * sentence only; in bash the commands below a command are found; --config takes files in every shell; no wizard, which asks questions that
 * nobody answers here.
 */
import * as Descriptor from "@effect/cli/CommandDescriptor"
import * as Effect from "effect/Effect"
import { type Command, commandsOf, description, firstSentence, headOf } from "./commandTree.ts"

const brief = (command: Command): Command => {
  const head = Descriptor.withDescription(headOf(command), firstSentence(description(command)[0]))
  const [first, ...rest] = commandsOf(command).map(([name, child]): [string, Command] => [name, brief(child)])
  return first === undefined ? head : Descriptor.withSubcommands(head, [first, ...rest])
}

/** `spillway,config,check)` where the script has come as far as `spillway__config`. */
const reached = (line: string): string =>
  /^\s*[\w,]+\)$/.test(line) ? line.replace(/,(?=.*,)/g, "__") : line.replace(" --wizard", "")

/** Undefined for a shell that is not known. `program`: its name where the script will be used. */
export const completions = (root: Command, program: string, shell: string): Effect.Effect<string> | undefined => {
  const command = brief(root)
  const lines = (script: ReadonlyArray<string>): string =>
    script.filter(line => !/--wizard\[|-l wizard /.test(line)).join("\n")
  switch (shell) {
    case "sh":
    case "bash":
      return Effect.map(Descriptor.getBashCompletions(command, program), script => lines(script.map(reached)))
    case "fish":
      return Effect.map(Descriptor.getFishCompletions(command, program), script =>
        lines(script.map(line => line.replace(/ -l config -r -f /, " -l config -r -F ")))
      )
    case "zsh":
      return Effect.map(Descriptor.getZshCompletions(command, program), script =>
        lines(script.map(line => line.replace(/('(?:-c|--config)\[[^\]]*\])'/, "$1:file:_files'")))
      )
    default:
      return undefined
  }
}
