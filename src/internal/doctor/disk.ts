/**
 * What kind of disk a file is or will be on, by Linux's own account of its mounts (proc_pid_mountinfo(5)).
 */
import { readFile, realpath, statfs } from "node:fs/promises"
import { dirname, sep } from "node:path"
import { type DiskEvidence, type Look, seen, unseen } from "./evidence.ts"

interface Mount {
  readonly point: string
  readonly fileSystem: string
  readonly device: string
}

/** Spaces and backslashes are written as octal numbers. */
const plain = (text: string): string =>
  text.replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

/** The mount a path is on: the longest that it begins with, the last of equals. */
export const mountOf = (path: string, mountinfo: string): Mount | undefined => {
  let best: Mount | undefined
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ")
    const point = plain(before.split(" ")[4] ?? "")
    const [fileSystem = "", device = ""] = after.split(" ").map(plain)
    if (point === "" || !(path === point || path.startsWith(point.endsWith(sep) ? point : `${point}${sep}`))) continue
    if (best === undefined || point.length >= best.point.length) best = { point, fileSystem, device }
  }
  return best
}

/** The nearest directory that is there. */
const existing = async (path: string): Promise<string> => {
  try {
    return await realpath(path)
  } catch (cause) {
    const parent = dirname(path)
    if (parent === path) throw cause
    return existing(parent)
  }
}

/** `nvme1n1p1` is a part of `nvme1n1`, `sda1` of `sda`. */
const modelOf = async (device: string): Promise<string> => {
  const [, disk] = /^\/dev\/(nvme\d+n\d+|[a-z]+)/.exec(device) ?? []
  return disk === undefined
    ? ""
    : readFile(`/sys/block/${disk}/device/model`, "utf8").then(
        text => text.trim(),
        () => ""
      )
}

/** Never rejects. */
export const inspect = async (path: string): Promise<Look<DiskEvidence>> => {
  try {
    const at = await existing(path)
    const mount = mountOf(at, await readFile("/proc/self/mountinfo", "utf8"))
    if (mount === undefined) return unseen("the system does not say where it is mounted")
    const { bavail, bsize } = await statfs(at)
    const { device, fileSystem } = mount
    return seen({ fileSystem, device, model: await modelOf(device), freeBytes: bavail * bsize })
  } catch (cause) {
    return unseen(cause instanceof Error ? cause.message : String(cause))
  }
}
