/**
 * This program as a command: how a process starts another one like it.
 */
import process from "node:process"

export interface Command {
  readonly file: string
  /** What stands in front of the program's own arguments. */
  readonly args: ReadonlyArray<string>
}

/** Where the program of a binary compiled by Bun says it lies. */
const compiled = "/$bunfs/"

export const command = (): Command => {
  const main = process.argv[1] ?? ""
  const file = process.execPath
  if (main.startsWith(compiled)) return { file, args: [] }
  // Deno does not tell with which permissions it runs; who may start processes may do everything. It calls sharing a port
  // unstable.
  return {
    file,
    args: [...("Deno" in globalThis ? ["run", "-A", "--no-check", "--unstable-net"] : process.execArgv), main]
  }
}
