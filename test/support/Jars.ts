/**
 * The jars of the servers under test, fetched once by Maven into `.cache/` (git-ignored), keyed by version and by the
 * content of their pom. Several processes may ask at the same time: one fetches, the others wait, and a half-finished
 * fetch is never visible.
 */
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join, resolve } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { eventually } from "./eventually.ts"

export type JarSet = "kafka" | "elasticmq"

export const kafkaVersion = "4.1.2"
export const elasticmqVersion = "1.7.1"

const versions = { kafka: kafkaVersion, elasticmq: elasticmqVersion } as const
const root = resolve(fileURLToPath(new URL("../..", import.meta.url)))
const cache = join(root, ".cache")
const fetchDeadlineMs = 15 * 60_000

const pomOf = (set: JarSet): string => fileURLToPath(new URL(`./jars/${set}.pom.xml`, import.meta.url))

const directoryOf = (set: JarSet): string => {
  const fingerprint = createHash("sha256")
    .update(readFileSync(pomOf(set)))
    .digest("hex")
    .slice(0, 8)
  return join(cache, `${set}-${versions[set]}-${fingerprint}`)
}

/** Whether the jars are here already. */
export const hasJars = (set: JarSet): boolean => existsSync(directoryOf(set))

export const hasMaven = (): boolean => {
  const found = spawnSync("mvn", ["--version"], { stdio: "ignore" })
  return found.error === undefined && found.status === 0
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/** True when this process got the lock. A lock whose owner is gone is taken over; at worst two processes fetch. */
const tryLock = (path: string): boolean => {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" })
    return true
  } catch {
    try {
      const owner = Number(readFileSync(path, "utf8"))
      const abandoned = owner > 0 ? !isAlive(owner) : Date.now() - statSync(path).mtimeMs > 5_000
      if (abandoned) rmSync(path, { force: true })
    } catch {
      // Released between the two looks: the next round sees.
    }
    return false
  }
}

const copyDependencies = (
  set: JarSet,
  into: string,
  onProgress: (files: number) => void
): Promise<string | undefined> =>
  new Promise((settle, fail) => {
    const maven = spawn(
      "mvn",
      ["-B", "-f", pomOf(set), "dependency:copy-dependencies", `-DoutputDirectory=${into}`, "-DincludeScope=runtime"],
      { stdio: ["ignore", "pipe", "pipe"] }
    )
    let files = 0
    let tail = ""
    const read = (chunk: Buffer): void => {
      const text = chunk.toString("utf8")
      const downloaded = text.split("Downloaded from").length - 1
      if (downloaded > 0) {
        files += downloaded
        onProgress(files)
      }
      tail = (tail + text).slice(-2_000)
    }
    maven.stdout.on("data", read)
    maven.stderr.on("data", read)
    maven.once("error", fail)
    maven.once("close", code => settle(code === 0 ? undefined : tail))
  })

const fetchInto = async (set: JarSet, target: string): Promise<void> => {
  console.error(`Fetching ${set} ${versions[set]} with Maven into .cache (once) ...`)
  const started = Date.now()
  let shown = started
  const staging = mkdtempSync(join(cache, `.${set}-`))
  try {
    let failure: string | undefined
    for (let attempt = 0; attempt < 2; attempt++) {
      failure = await copyDependencies(set, staging, files => {
        if (Date.now() - shown < 2_000) return
        shown = Date.now()
        console.error(`  ${set}: ${files} files downloaded`)
      })
      if (failure === undefined) break
    }
    if (failure !== undefined) throw new Error(`Maven could not fetch the jars of ${set} ${versions[set]}:\n${failure}`)
    try {
      renameSync(staging, target)
    } catch (error) {
      if (!existsSync(target)) throw error
    }
  } finally {
    rmSync(staging, { recursive: true, force: true })
  }
  const jars = readdirSync(target).length
  console.error(`  ${set}: ${jars} jars ready after ${((Date.now() - started) / 1000).toFixed(1)} s`)
}

/** The directory with the jars of `set`; fetches them first if need be (progress on stderr). */
export const jarDirectory = async (set: JarSet): Promise<string> => {
  const target = directoryOf(set)
  if (existsSync(target)) return target
  mkdirSync(cache, { recursive: true })
  const lock = `${target}.lock`
  return eventually(
    `jars of ${set}`,
    fetchDeadlineMs,
    async () => {
      if (existsSync(target)) return target
      if (!tryLock(lock)) return undefined
      try {
        if (!existsSync(target)) await fetchInto(set, target)
      } catch (error) {
        failed.set(set, error instanceof Error ? error.message : String(error))
        throw error
      } finally {
        rmSync(lock, { force: true })
      }
      return target
    },
    { everyMs: 200, giveUp: () => failed.get(set) }
  )
}

const failed = new Map<JarSet, string>()
