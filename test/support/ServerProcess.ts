/**
 * One server process that can be killed, frozen, resumed, shut down and started again.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs"
import process from "node:process"
import type { Command } from "./Engine.ts"
import { guardContainer, guardProcess, releaseProcess } from "./Guard.ts"

interface Run {
  readonly child: ChildProcess
  readonly container: string | undefined
  readonly ended: Promise<void>
  alive: boolean
}

const dockerVerb: Readonly<Record<string, ReadonlyArray<string>>> = {
  SIGKILL: ["kill"],
  SIGTERM: ["kill", "--signal", "TERM"],
  SIGSTOP: ["pause"],
  SIGCONT: ["unpause"]
}

const pauseCell = new Int32Array(new SharedArrayBuffer(4))

/** By Linux's /proc; elsewhere there is nothing to ask, and the signal is taken at its word. */
const allThreadsStopped = (pid: number): boolean => {
  const tasks = `/proc/${pid}/task`
  if (!existsSync(tasks)) return true
  return readdirSync(tasks).every(thread => {
    try {
      // `tid (name) state ...`; the name may hold anything.
      return /^ [Tt] /.test(readFileSync(`${tasks}/${thread}/stat`, "utf8").replace(/^.*\)/s, ""))
    } catch {
      return true
    }
  })
}

export class ServerProcess {
  readonly name: string
  /** Standard output and error, appended over restarts. */
  readonly logFile: string
  readonly #command: () => Promise<Command>
  #run: Run | undefined
  #frozen = false

  constructor(name: string, logFile: string, command: () => Promise<Command>) {
    this.name = name
    this.logFile = logFile
    this.#command = command
  }

  /** Process id while it runs. */
  get pid(): number | undefined {
    return this.#run?.alive === true ? this.#run.child.pid : undefined
  }
  get running(): boolean {
    return this.pid !== undefined
  }
  get frozen(): boolean {
    return this.running && this.#frozen
  }

  /** Starts the process; whether it is ready to serve is for the caller to ask. */
  async start(): Promise<void> {
    if (this.running) throw new Error(`${this.name} is running already`)
    const { args, container, file } = await this.#command()
    const log = openSync(this.logFile, "a")
    try {
      // Its own process group: a Ctrl-C in the terminal is this run's to handle, not the server's.
      const child = spawn(file, [...args], { detached: true, stdio: ["ignore", log, log] })
      child.unref()
      let settle = (): void => undefined
      const ended = new Promise<void>(resolve => {
        settle = resolve
      })
      const run: Run = { child, container, ended, alive: true }
      const end = (): void => {
        if (run.alive && child.pid !== undefined) releaseProcess(child.pid)
        run.alive = false
        settle()
      }
      child.once("exit", end)
      child.once("error", end)
      if (child.pid !== undefined) guardProcess(child.pid)
      if (container !== undefined) guardContainer(container)
      this.#run = run
      this.#frozen = false
    } finally {
      closeSync(log)
    }
  }

  /** SIGKILL: gone at once, as when the machine loses power. Resolves when the process has ended. */
  async kill(): Promise<void> {
    if (this.frozen && this.#run?.container !== undefined) this.#signal("SIGCONT")
    this.#signal("SIGKILL")
    await this.#ended()
  }

  /**
   * SIGSTOP: connections stay open and nothing answers. Returns when every thread has stopped: `kill` only asks for it,
   * and a thread on the other core goes on for a moment.
   */
  freeze(): void {
    this.#signal("SIGSTOP")
    this.#frozen = true
    const { pid } = this
    if (pid === undefined || this.#run?.container !== undefined) return
    const giveUpAt = performance.now() + 2_000
    while (!allThreadsStopped(pid) && performance.now() < giveUpAt) Atomics.wait(pauseCell, 0, 0, 1)
  }

  /** SIGCONT after `freeze`. */
  resume(): void {
    this.#signal("SIGCONT")
    this.#frozen = false
  }

  /** SIGTERM, and SIGKILL when the process has not ended within `deadlineMs`. True when it ended by itself. */
  async shutdown(deadlineMs = 30_000): Promise<boolean> {
    if (!this.running) return true
    if (this.frozen) this.resume()
    this.#signal("SIGTERM")
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<false>(resolve => {
      timer = setTimeout(() => resolve(false), deadlineMs)
    })
    const inTime = await Promise.race([this.#ended().then(() => true), late])
    clearTimeout(timer)
    if (!inTime) await this.kill()
    return inTime
  }

  /** The last lines of the log. */
  tail(lines = 30): string {
    try {
      return readFileSync(this.logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n")
    } catch {
      return "(no log)"
    }
  }

  async #ended(): Promise<void> {
    const run = this.#run
    if (run === undefined) return
    run.child.ref()
    await run.ended
  }

  #signal(signal: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void {
    const run = this.#run
    if (run === undefined || !run.alive || run.child.pid === undefined) return
    if (run.container !== undefined) {
      spawnSync("docker", [...(dockerVerb[signal] ?? ["kill"]), run.container], { stdio: "ignore" })
      return
    }
    try {
      process.kill(run.child.pid, signal)
    } catch (error) {
      // It ended a moment ago: what the signal wanted has happened, or cannot any more.
      if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error
    }
  }
}
