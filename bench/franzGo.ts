/** franz-go, in a small Go program of its own (`peers/franz-go`), built once into `.cache/`. */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { runCommand } from "../test/support/runCommand.ts"
import { events } from "./events.ts"
import type { Job, Measured } from "./window.ts"

const source = fileURLToPath(new URL("peers/franz-go", import.meta.url))
const cache = fileURLToPath(new URL("../.cache", import.meta.url))

/** Whether its row can run here. */
export const goRuns = (): boolean => spawnSync("go", ["version"], { stdio: "ignore" }).status === 0

export const franzGoVersion =
  /franz-go (v\S+)/.exec(readFileSync(join(source, "go.mod"), "utf8"))?.[1] ?? "of an unknown version"

/** The program; built anew when its source or its modules change. */
const build = (): string => {
  const hash = createHash("sha256")
  for (const name of ["main.go", "go.mod", "go.sum"]) hash.update(readFileSync(join(source, name)))
  const program = join(cache, `franz-go-${hash.digest("hex").slice(0, 12)}`)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  const { error, status, stderr } = spawnSync("go", ["build", "-o", program, "."], { cwd: source, encoding: "utf8" })
  if (error !== undefined || status !== 0)
    throw new Error(`Go could not build bench/peers/franz-go: ${error ?? stderr}`)
  return program
}

export const runFranzGo = async (job: Job): Promise<Measured> => {
  const input = `${events(job.size, job.compression).join("\n")}\n`
  const { stdout } = await runCommand({ file: build(), args: [JSON.stringify(job)] }, { deadlineMs: 120_000, input })
  return JSON.parse(stdout)
}
