/** Peers in Go: a small program each under `peers/`, built once into `.cache/`. */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export type Peer = "franz-go" | "benthos"

const sourceOf = (peer: Peer): string => fileURLToPath(new URL(`peers/${peer}`, import.meta.url))
const cache = fileURLToPath(new URL("../.cache", import.meta.url))

/** Whether their rows can run here. */
export const goRuns = (): boolean => spawnSync("go", ["version"], { stdio: "ignore" }).status === 0

export const peerVersion = (peer: Peer): string =>
  new RegExp(`/${peer}(?:/v4)? (v\\S+)`).exec(readFileSync(join(sourceOf(peer), "go.mod"), "utf8"))?.[1] ??
  "of an unknown version"

/** The program; built anew when its source or its modules change. */
export const buildPeer = (peer: Peer): string => {
  const source = sourceOf(peer)
  const hash = createHash("sha256")
  for (const name of ["main.go", "go.mod", "go.sum"]) hash.update(readFileSync(join(source, name)))
  const program = join(cache, `${peer}-${hash.digest("hex").slice(0, 12)}`)
  if (existsSync(program)) return program
  mkdirSync(cache, { recursive: true })
  const { error, status, stderr } = spawnSync("go", ["build", "-o", program, "."], { cwd: source, encoding: "utf8" })
  if (error !== undefined || status !== 0) throw new Error(`Go could not build bench/peers/${peer}: ${error ?? stderr}`)
  return program
}
