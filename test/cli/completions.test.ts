import * as assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { describe, test } from "node:test"
import * as Command from "@effect/cli/Command"
import * as Effect from "effect/Effect"
import { completions } from "../../src/cli/completions.ts"
import * as Options from "../../src/cli/options.ts"

const leaf = Command.make("check", { config: Options.config, json: Options.json }).pipe(
  Command.withDescription("Check it.\n\nAt length, and it's quoted.")
)
const group = Command.make("config").pipe(Command.withDescription("Things."), Command.withSubcommands([leaf]))
const other = Command.make("serve", { config: Options.config }).pipe(Command.withDescription("Serve. Or not."))
const root = Command.make("spillway").pipe(Command.withSubcommands([other, group])).descriptor

const script = (shell: string): Promise<string> =>
  Effect.runPromise(completions(root, "spillway", shell) ?? assert.fail("a shell that is known"))

describe("completions", () => {
  test("in bash: commands, the commands below them, their options", async () => {
    const text = await script("bash")
    const complete = (...words: ReadonlyArray<string>): ReadonlyArray<string> => {
      const set = `COMP_WORDS=(${words.map(word => `"${word}"`).join(" ")}); COMP_CWORD=${words.length - 1}`
      const ask = `_spillway_bash_completions "${words[0]}"; printf '%s\\n' "\${COMPREPLY[@]}"`
      const { stdout } = spawnSync("bash", ["--norc", "-c", `${text}\n${set}\n${ask}`], { encoding: "utf8" })
      return stdout.trim().split("\n")
    }
    assert.deepEqual(complete("spillway", "se"), ["serve"])
    assert.deepEqual(complete("/usr/bin/spillway", "config", "ch"), ["check"])
    assert.deepEqual(complete("spillway", "config", "check", "--c"), ["--config", "--completions"])
    assert.deepEqual(complete("spillway", "serve", "--j"), [""])
  })

  test("in every shell: the program's name, no wizard, a sentence for each command, files for --config", async () => {
    for (const shell of ["sh", "bash", "fish", "zsh"]) {
      const text = await script(shell)
      assert.match(text, /\bspillway\b/)
      assert.doesNotMatch(text, /wizard|At length|Or not/)
    }
    assert.match(await script("zsh"), /'check:Check it\.'/)
    assert.match(await script("zsh"), /'--config\[[^\]]+\]:file:_files'/)
    assert.match(await script("fish"), /-l config -r -F /)
  })

  test("a shell that is not known", () => {
    assert.equal(completions(root, "spillway", "ksh"), undefined)
  })
})
