/** What Linux tells about a process, and a few statistics over many of its answers. */
import { readdirSync, readFileSync } from "node:fs"

/** Clock ticks per second, as Linux reports CPU time to user space on all architectures. */
const ticksPerSecond = 100

const field = (pid: number, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024

/** Resident memory now, and at most so far, MiB. `anonymous` is without the pages of files, the program's own among them. */
export const memoryOf = (pid: number): { readonly rss: number; readonly peak: number; readonly anonymous: number } => ({
  rss: field(pid, "VmRSS"),
  peak: field(pid, "VmHWM"),
  anonymous: field(pid, "RssAnon")
})

/** CPU time so far, user and system, microseconds. */
export const cpuOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number)
  return ((user + system) * 1_000_000) / ticksPerSecond
}

/** Open file descriptors. */
export const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

/** 0.5 is the median. */
export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * q
  const below = sorted[Math.floor(at)] ?? 0
  return below + ((sorted[Math.ceil(at)] ?? below) - below) * (at - Math.floor(at))
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/** What `--rounds` says. */
export const roundsOf = (text: string): number => {
  const rounds = Number(text)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds is a number of rounds, not ${text}`)
  return rounds
}

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
