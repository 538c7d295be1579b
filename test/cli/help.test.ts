import * as assert from "node:assert/strict"
import { describe, test } from "node:test"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { hint, page } from "../../src/cli/help.ts"

const leaf = Command.make("put", {
  topic: Args.text({ name: "topic" }).pipe(Args.withDescription("Where to.")),
  key: Options.text("key").pipe(
    Options.withAlias("k"),
    Options.optional,
    Options.withDescription("A key, and a sentence about it that is long enough to need a second line of its own.")
  ),
  mode: Options.choice("a-rather-long-option-name", ["one", "two"]).pipe(Options.withDescription("How."))
}).pipe(
  Command.withDescription(
    `Put one thing somewhere. Then say so.

A second paragraph that goes on for long enough that nobody could read it in a single line of eighty columns.
  kept   as   it is

Examples:
  spillway things put topic`
  )
)
const group = Command.make("things").pipe(Command.withDescription("Things."), Command.withSubcommands([leaf]))
const other = Command.make("other").pipe(Command.withDescription("Other things, first."))
const root = Command.make("spillway").pipe(
  Command.withDescription("It runs."),
  Command.withSubcommands([other, group])
).descriptor

describe("help", () => {
  test("of the program: the commands in their order, each with its first sentence", () => {
    for (const args of [[], ["--help"], ["-h"], ["nonsense", "--help"]]) {
      assert.match(
        page(root, args) ?? "",
        /^It runs\.\n\nUsage:\n {2}spillway <command>\n\nCommands:\n {2}other {3}Other things, first\.\n {2}things {2}Things\.\n\nEvery command/
      )
    }
  })

  test("of a command: prose, usage, arguments, options, examples, in 80 columns", () => {
    const text = page(root, ["things", "put", "--help"]) ?? ""
    assert.equal(
      text,
      `Put one thing somewhere. Then say so.

A second paragraph that goes on for long enough that nobody could read it in a
single line of eighty columns.
  kept   as   it is

Usage:
  spillway things put [--key text] --a-rather-long-option-name one|two
      <topic>

Arguments:
  <topic>  Where to.

Options:
  -k, --key text              A key, and a sentence about it that is long enough
                              to need a second line of its own.
  --a-rather-long-option-name one|two
                              How.

Examples:
  spillway things put topic`
    )
    for (const line of text.split("\n")) assert.ok(line.length <= 80, line)
  })

  test("of a command that is only the head of others, also when it is not asked for", () => {
    const text = page(root, ["things"]) ?? ""
    assert.match(text, /Commands:\n {2}put {2}Put one thing somewhere\.$/)
    assert.equal(page(root, ["things", "-h"]), text)
  })

  test("is not in the way of a command that does something, nor of mistakes", () => {
    for (const args of [["other"], ["things", "put", "t"], ["things", "pot"], ["--version"]]) {
      assert.equal(page(root, args), undefined)
    }
    assert.equal(hint(root, ["things", "pot"]), "See: spillway things --help")
    assert.equal(hint(root, ["things", "put", "--nope"]), "See: spillway things put --help")
  })
})
