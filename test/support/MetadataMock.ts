/**
 * amazon-ec2-metadata-mock, AWS's own double of the metadata service, built once by Go into `.cache/` (git-ignored). A
 * machine without Go skips what needs it, and says so.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { eventually } from "./eventually.ts"
import { freePort } from "./ports.ts"
import { root } from "./RunningService.ts"
import { ServerProcess } from "./ServerProcess.ts"

const version = "1.13.0"
const program = "ec2-metadata-mock"
const cache = join(root, ".cache")
const directory = join(cache, `${program}-${version}`)
const buildDeadlineMs = 10 * 60_000

const goRuns = (): boolean => {
  const { error, status } = spawnSync("go", ["version"], { stdio: "ignore" })
  return error === undefined && status === 0
}

/** Why the mock cannot be had here; undefined when it can. */
export const missing: string | undefined =
  existsSync(directory) || goRuns() ? undefined : `Go is not installed: ${program} ${version} cannot be built`

/** The mock's program; builds it first if need be. Two that build at the same time do no harm. */
export const build = (): string => {
  const built = join(directory, program)
  if (existsSync(built)) return built
  if (missing !== undefined) throw new Error(missing)
  mkdirSync(cache, { recursive: true })
  const staging = mkdtempSync(join(cache, `.${program}-`))
  try {
    console.error(`Building ${program} ${version} with Go into .cache (once) ...`)
    const target = `github.com/aws/amazon-ec2-metadata-mock/cmd/${program}@v${version}`
    const { error, status, stderr } = spawnSync("go", ["install", target], {
      env: { ...process.env, GOBIN: staging, GOFLAGS: "-mod=mod" },
      encoding: "utf8",
      timeout: buildDeadlineMs
    })
    if (error !== undefined || status !== 0) throw new Error(`Go could not build ${program}: ${error ?? stderr}`)
    try {
      renameSync(staging, directory)
    } catch (cause) {
      if (!existsSync(built)) throw cause
    }
    return built
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
}

/** A running mock that takes version 2 requests only. */
export const start = async (
  args: ReadonlyArray<string>,
  logFile: string
): Promise<{ readonly endpoint: string; readonly kill: () => Promise<void> }> => {
  const file = build()
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const mock = new ServerProcess(program, logFile, async () => ({
    file,
    args: [...args, "--imdsv2", "--hostname", "127.0.0.1", "--port", `${port}`]
  }))
  await mock.start()
  try {
    // Without a token it refuses, and so it is there.
    await eventually(
      program,
      10_000,
      async () => ((await fetch(`${endpoint}/latest/meta-data/`)).status === 401 ? true : undefined),
      { giveUp: () => (mock.running ? undefined : `it ended\n${mock.tail()}`) }
    )
  } catch (error) {
    await mock.kill()
    throw error
  }
  return { endpoint, kill: () => mock.kill() }
}
