/**
 * Nothing a test run starts outlives it, however the run ends (normally, by a crash, by any signal, SIGKILL included).
 *
 * A small shell process waits for the end of a pipe that only this process holds open. When this process is gone, the
 * shell kills what is in the register (SIGKILL also ends a frozen process) and deletes the registered directories.
 * The register is a file, written synchronously: bytes written into the pipe might still sit in a buffer of ours when we
 * are killed.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const script = `
trap '' INT TERM HUP
cat >/dev/null
register=$1
shift
pids=' '
containers=''
while IFS=' ' read -r op arg; do
  case $op in
    pid) pids="$pids$arg " ;;
    gone) rest=' '; for p in $pids; do [ "$p" = "$arg" ] || rest="$rest$p "; done; pids=$rest ;;
    container) containers="$containers $arg" ;;
    dir) set -- "$@" "$arg" ;;
  esac
done <"$register"
for p in $pids; do kill -KILL "$p"; done
for c in $containers; do docker rm -f "$c"; done
for d in "$@"; do rm -rf -- "$d" || { sleep 1; rm -rf -- "$d"; }; done
`

interface Watch {
  readonly register: string
  /** Kept so that its end of the pipe stays open as long as this process lives. */
  readonly shell: ChildProcess
}

let watch: Watch | undefined

const startWatch = (): Watch => {
  const directory = mkdtempSync(join(tmpdir(), "spillway-guard-"))
  const register = join(directory, "register")
  writeFileSync(register, `dir ${directory}\n`)
  const stdio = ["pipe", "ignore", "ignore"] as const
  const shell = spawn("/bin/sh", ["-c", script, "spillway-guard", register], { detached: true, stdio: [...stdio] })
  shell.unref()
  const pipe = shell.stdin
  if (pipe !== null && "unref" in pipe && typeof pipe.unref === "function") pipe.unref()
  pipe?.on("error", () => undefined)
  return { register, shell }
}

const tell = (line: string): void => {
  watch ??= startWatch()
  appendFileSync(watch.register, `${line}\n`)
}

/** Kill this process when the run ends. */
export const guardProcess = (pid: number): void => tell(`pid ${pid}`)

/** The process ended: its id may belong to somebody else from now on. */
export const releaseProcess = (pid: number): void => tell(`gone ${pid}`)

/** Remove this Docker container when the run ends. */
export const guardContainer = (name: string): void => tell(`container ${name}`)

/** A new temporary directory, deleted when the run ends at the latest. */
export const temporaryDirectory = (name: string): string => {
  const path = mkdtempSync(join(tmpdir(), `spillway-${name}-`))
  tell(`dir ${path}`)
  return path
}

/** Deletes a temporary directory now. */
export const deleteDirectory = (path: string): void =>
  rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
