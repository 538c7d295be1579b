/**
 * promtool, Prometheus's own checker: the one on the PATH, else taken once out of Debian's package `prometheus` into `.cache/`
 * (git-ignored), which needs apt but installs nothing. A machine without either skips what needs it, and says so.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { root } from "./RunningService.ts"

const cache = join(root, ".cache")
const directory = join(cache, "promtool")

const succeeds = (file: string, args: ReadonlyArray<string>, cwd?: string): boolean => {
  const { error, status } = spawnSync(file, [...args], { stdio: "ignore", timeout: 120_000, ...(cwd ? { cwd } : {}) })
  return error === undefined && status === 0
}

const download = (into: string): boolean => {
  const got = () => succeeds("apt-get", ["download", "prometheus"], into)
  return got() || (process.getuid?.() === 0 && succeeds("apt-get", ["update"]) && got())
}

/** The program, or undefined when it cannot be had. Two that fetch it at the same time do no harm. */
const find = (): string | undefined => {
  if (succeeds("promtool", ["--version"])) return "promtool"
  const cached = join(directory, "usr", "bin", "promtool")
  if (existsSync(cached)) return cached
  mkdirSync(cache, { recursive: true })
  const staging = mkdtempSync(join(cache, ".promtool-"))
  try {
    if (!download(staging)) return undefined
    const packed = readdirSync(staging).find(name => name.endsWith(".deb"))
    const unpacked = join(staging, "unpacked")
    if (packed === undefined || !succeeds("dpkg-deb", ["-x", packed, unpacked], staging)) return undefined
    try {
      renameSync(unpacked, directory)
    } catch (cause) {
      if (!existsSync(cached)) throw cause
    }
    return succeeds(cached, ["--version"]) ? cached : undefined
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

const program = find()

/** Why promtool cannot be had here; undefined when it can. */
export const missing: string | undefined =
  program === undefined ? "promtool is not installed, and Debian's package prometheus cannot be had" : undefined

/** Runs it. What it said, standard error too, and whether it was content. */
export const promtool = (
  args: ReadonlyArray<string>,
  input = ""
): { readonly content: boolean; readonly said: string } => {
  const { status, stderr, stdout } = spawnSync(program ?? "promtool", [...args], { input, encoding: "utf8" })
  return { content: status === 0, said: `${stdout}${stderr}`.trim() }
}
