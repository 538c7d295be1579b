/**
 * Nothing a test run starts outlives it, however the run ends (normally, by a crash, by any signal, SIGKILL included).
 *
 * A small shell process waits on a pipe that only this process holds open. When this process is gone the pipe ends, and
 * the shell kills what was registered (SIGKILL also ends a frozen process) and deletes the registered directories.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const script = `
trap '' INT TERM HUP
pids=' '
containers=''
while IFS=' ' read -r op arg; do
  case $op in
    pid) pids="$pids$arg " ;;
    gone) rest=' '; for p in $pids; do [ "$p" = "$arg" ] || rest="$rest$p "; done; pids=$rest ;;
    container) containers="$containers $arg" ;;
    dir) set -- "$@" "$arg" ;;
  esac
done
for p in $pids; do kill -KILL "$p"; done
for c in $containers; do docker rm -f "$c"; done
for d in "$@"; do rm -rf -- "$d" || { sleep 1; rm -rf -- "$d"; }; done
`

let shell: ChildProcess | undefined

const tell = (line: string): void => {
  if (shell === undefined) {
    shell = spawn("/bin/sh", ["-c", script], { detached: true, stdio: ["pipe", "ignore", "ignore"] })
    shell.unref()
    const pipe = shell.stdin
    if (pipe !== null && "unref" in pipe && typeof pipe.unref === "function") pipe.unref()
    // The shell ignores signals and outlives us; should it be killed all the same, the run goes on unguarded.
    pipe?.on("error", () => undefined)
  }
  shell.stdin?.write(`${line}\n`)
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
