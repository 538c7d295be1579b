/**
 * The help of a command, in 80 columns and without colours: what it does, how it is called, its options, the commands below
 * it with a sentence each, and examples. @effect/cli's own help repeats its built-in options on every page and wraps nothing.
 *
 * A description's first sentence is what the list of commands shows; an empty line begins a paragraph; a paragraph that
 * begins with "Example" is set last, its lines as they are.
 */
import * as Descriptor from "@effect/cli/CommandDescriptor"
import type * as HelpDoc from "@effect/cli/HelpDoc"
import * as Usage from "@effect/cli/Usage"
import {
  below,
  type Command,
  commandsOf,
  description,
  firstSentence,
  paragraphs,
  settings,
  textOf
} from "./commandTree.ts"

const columns = 80
/** The widest a list's first column may be. */
const widest = 26

const program = "spillway"

const footer = `Every command takes --help and --log-level <level>; --version shows the version.
Completions: spillway --completions bash|fish|zsh prints a script for the shell.
Ends with 0: done, 1: done, and not all is well, 64: wrong arguments, 65: wrong
data, 69: a server is away, 70: a fault of Spillway's own, 78: wrong
configuration. Everything is in docs/cli.md.`

const wrap = (text: string, indent: number): string => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(/\s+/)) {
    if (line !== "" && indent + line.length + 1 + word.length > columns) {
      lines.push(line)
      line = word
    } else line = line === "" ? word : `${line} ${word}`
  }
  return [...lines, line].join(`\n${" ".repeat(indent)}`)
}

/** A paragraph; lines in it that are indented stay as they are. */
const prose = (text: string): string =>
  text
    .split(/\n(?= )|(?<=\n .*)\n/)
    .map(part => (part.startsWith(" ") ? part : wrap(part, 0)))
    .join("\n")

/** Two columns; what is too long for the first has a line of its own. */
const list = (rows: ReadonlyArray<readonly [name: string, text: string]>): string => {
  const width = Math.min(widest, Math.max(...rows.map(([name]) => name.length)))
  const indent = 2 + width + 2
  return rows
    .map(([name, text]) => {
      const first = name.length > width ? `  ${name}\n${" ".repeat(indent)}` : `  ${name.padEnd(width)}  `
      return `${first}${wrap(text, indent)}`.trimEnd()
    })
    .join("\n")
}

/** Sentences of @effect/cli that say what the name of the option says already. */
const idle =
  /^(A user-defined piece of text|A true or false value|An integer|A floating point number|A file|This (setting is optional|option (must|may) be repeated .*))\.$/

const definitions = (docs: ReadonlyArray<HelpDoc.HelpDoc>): string =>
  list(
    docs.flatMap(doc =>
      doc._tag !== "DescriptionList"
        ? []
        : doc.definitions.map(([name, text]): readonly [string, string] => [
            textOf(name)
              .replace(/^\((.*)\)/, "$1")
              .replace(/ (\d\+|\.\.\.)$/, "...")
              .trim(),
            paragraphs(text)
              .filter(sentence => !idle.test(sentence) && !sentence.startsWith("One of the following: "))
              .join(" ")
          ])
    )
  )

/** The command that the first words name, as far as they name one. */
const find = (
  root: Command,
  words: ReadonlyArray<string>
): readonly [command: Command, path: ReadonlyArray<string>] => {
  const [word, ...rest] = words
  const [, child] = commandsOf(root).find(([name]) => name === word) ?? []
  if (word === undefined || child === undefined) return [root, []]
  const [command, path] = find(child, rest)
  return [command, [word, ...path]]
}

const asking: ReadonlyArray<string> = ["--help", "-h"]

/** Where to read on, for somebody whose arguments are not understood. */
export const hint = (root: Command, args: ReadonlyArray<string>): string =>
  `See: ${[program, ...find(root, args)[1], "--help"].join(" ")}`

/**
 * The page that the arguments ask for: by `--help` or `-h`, or by naming a command that is only the head of others.
 * Undefined when they ask for none.
 */
export const page = (root: Command, args: ReadonlyArray<string>): string | undefined => {
  const words = args.filter(word => !asking.includes(word))
  const [command, path] = find(root, words)
  const commands = commandsOf(command)
  if (words.length === args.length && (commands.length === 0 || words.length > path.length)) return undefined
  const help = Descriptor.getHelp(command, settings)
  const texts = description(command)
  const isExample = (text: string): boolean => text.startsWith("Example")
  const section = (title: string, docs: ReadonlyArray<HelpDoc.HelpDoc>): ReadonlyArray<string> =>
    docs.length === 0 ? [] : [`${title}:\n${definitions(docs)}`]
  const called = [program, ...path].join(" ")
  const usage = Usage.enumerate(Descriptor.getUsage(command), settings)
    .map(span => textOf(span).trim().split(/\s+/).slice(1).join(" "))
    .map(rest => `  ${wrap(`${called} ${commands.length === 0 ? rest : "<command>"}`.trim(), 6)}`)
  return [
    ...texts.filter(text => !isExample(text)).map(prose),
    `Usage:\n${usage.join("\n")}`,
    ...section("Arguments", below(help, "ARGUMENTS")),
    ...section("Options", below(help, "OPTIONS")),
    ...(commands.length === 0
      ? []
      : [`Commands:\n${list(commands.map(([name, child]) => [name, firstSentence(description(child)[0])]))}`]),
    ...texts.filter(isExample),
    ...(path.length === 0 ? [footer] : [])
  ].join("\n\n")
}
