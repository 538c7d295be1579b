/** What a run says of the machine and the versions it ran with. */
import { cpus, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import { kafkaVersion } from "../test/support/Jars.ts"
import { runCommand } from "../test/support/runCommand.ts"
import { peerVersion } from "./peers.ts"

export const machine = {
  cpu: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  platform: `${process.platform} ${process.arch}`
}

const firstLine = async (file: string, args: ReadonlyArray<string>): Promise<string> => {
  const { stderr, stdout } = await runCommand({ file, args })
  return (stdout.trim() === "" ? stderr : stdout).split("\n")[0]?.trim() ?? ""
}

/** @param options.deno where it is, when it is measured */
export const versionsOf = async (options: {
  readonly deno: string | undefined
  readonly go: boolean
}): Promise<Readonly<Record<string, string>>> => ({
  bun: process.versions.bun ?? "",
  ...(options.deno === undefined ? {} : { deno: await firstLine(options.deno, ["--version"]) }),
  java: await firstLine("java", ["-version"]).catch(() => "in Docker"),
  ...(options.go ? { "franz-go": peerVersion("franz-go"), benthos: peerVersion("benthos") } : {}),
  kafka: kafkaVersion
})

/** The commit the files are of, with `+` when they differ from it. */
export const commitOf = async (): Promise<string> => {
  const git = async (...args: ReadonlyArray<string>): Promise<string> => {
    const cwd = fileURLToPath(new URL("..", import.meta.url))
    return (await runCommand({ file: "git", args: [...args] }, { cwd })).stdout.trim()
  }
  try {
    const changed = await git("status", "--porcelain", "--untracked-files=no")
    return `${await git("rev-parse", "--short", "HEAD")}${changed === "" ? "" : "+"}`
  } catch {
    return "unknown"
  }
}
