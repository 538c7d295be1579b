/**
 * The commands as @effect/cli holds them: which are below which, and what each says of itself.
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Descriptor from "@effect/cli/CommandDescriptor"
import type * as HelpDoc from "@effect/cli/HelpDoc"
import type * as Span from "@effect/cli/HelpDoc/Span"

export type Command = Descriptor.Command<unknown>

export const settings = CliConfig.make({ showBuiltIns: false, showAllNames: false })

export const textOf = (span: Span.Span): string => {
  switch (span._tag) {
    case "Text":
    case "URI":
      return span.value.replaceAll(" | ", "|")
    case "Sequence":
      return `${textOf(span.left)}${textOf(span.right)}`
    default:
      return textOf(span.value)
  }
}

const blocks = (doc: HelpDoc.HelpDoc): ReadonlyArray<HelpDoc.HelpDoc> =>
  doc._tag === "Sequence" ? [...blocks(doc.left), ...blocks(doc.right)] : doc._tag === "Empty" ? [] : [doc]

export const paragraphs = (doc: HelpDoc.HelpDoc): ReadonlyArray<string> =>
  blocks(doc).flatMap(block => (block._tag === "Paragraph" ? textOf(block.value).split("\n\n") : []))

/** What stands below one of the headings of @effect/cli. */
export const below = (doc: HelpDoc.HelpDoc, heading: string): ReadonlyArray<HelpDoc.HelpDoc> => {
  const all = blocks(doc)
  const from = all.findIndex(block => block._tag === "Header" && textOf(block.value) === heading)
  if (from < 0) return []
  const to = all.findIndex((block, index) => index > from && block._tag === "Header")
  return all.slice(from + 1, to < 0 ? all.length : to)
}

const isCommand = (value: unknown): value is Command =>
  typeof value === "object" && value !== null && Descriptor.TypeId in value

/** The commands below, in the order they were given. @effect/cli tells those of the first level only. */
export const commandsOf = (command: Command): ReadonlyArray<readonly [name: string, command: Command]> => {
  if ("children" in command && Array.isArray(command.children)) {
    return command.children
      .filter(isCommand)
      .flatMap(child => [...Descriptor.getNames(child)].map(name => [name, child] as const))
  }
  return "command" in command && isCommand(command.command) ? commandsOf(command.command) : []
}

export const description = (command: Command): ReadonlyArray<string> =>
  below(Descriptor.getHelp(command, settings), "DESCRIPTION").flatMap(paragraphs)

export const firstSentence = (text = ""): string => /^.*?\.(?=\s|$)/s.exec(text)?.[0] ?? text

/** The command itself, without those below it. */
export const headOf = (command: Command): Command => {
  if ("parent" in command && isCommand(command.parent)) return headOf(command.parent)
  return "command" in command && isCommand(command.command) ? headOf(command.command) : command
}
