/**
 * The service as its users run it: a process of its own, on the runtime the test runs on, or the compiled binary.
 */
import { spawn } from "node:child_process"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { eventually } from "./eventually.ts"
import { guardProcess, releaseProcess } from "./Guard.ts"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export interface Options {
  /** A compiled binary; by default the sources. */
  readonly binary?: string
  /** A module that the process loads before its own; not for binaries. */
  readonly preload?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Its standard input; none by default. */
  readonly input?: string | Uint8Array
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

const isDeno = "Deno" in globalThis

const commandOf = ({ binary, preload }: Options): ReadonlyArray<string> => {
  if (binary !== undefined) return [binary]
  const first = preload === undefined ? [] : ["--preload", preload]
  const main = join(root, "src/main.ts")
  return isDeno ? [process.execPath, "run", "-A", "--no-check", ...first, main] : [process.execPath, ...first, main]
}

export class RunningService {
  readonly ended: Promise<Ended>
  /** Nobody reads what it writes from here on. */
  readonly closeOutput: () => void
  readonly #pid: number | undefined
  #running = true
  #stdout = ""
  #stderr = ""

  constructor(args: ReadonlyArray<string>, options: Options = {}) {
    const [file = "", ...first] = commandOf(options)
    const child = spawn(file, [...first, ...args], {
      cwd: options.cwd ?? root,
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env }
    })
    child.stdin.on("error", () => undefined)
    child.stdin.end(options.input)
    this.closeOutput = () => {
      child.stdout.destroy()
      child.stderr.destroy()
    }
    const { pid } = child
    this.#pid = pid
    if (pid !== undefined) guardProcess(pid)
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text
    })
    this.ended = new Promise(resolve => {
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        if (this.#running && pid !== undefined) releaseProcess(pid)
        this.#running = false
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr })
      }
      child.once("error", error => {
        this.#stderr += error.message
        end(null, null)
      })
      child.once("close", end)
    })
  }

  /** Process id; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#pid
  }

  /** What it wrote so far. */
  get output(): string {
    return `${this.#stdout}${this.#stderr}`
  }

  get url(): string {
    return /listening on (http:\/\/[^ ]+)/.exec(this.#stdout)?.[1] ?? ""
  }

  signal(signal: NodeJS.Signals): void {
    // Not the child's own `kill`: on Deno it works once only, and then hides the exit code.
    if (this.#running && this.#pid !== undefined) process.kill(this.#pid, signal)
  }

  /** Waits for it to write something; fails when it ends without. */
  says(what: RegExp, deadlineMs = 20_000): Promise<RegExpExecArray> {
    return eventually(`${what} from the service`, deadlineMs, () => what.exec(this.output) ?? undefined, {
      everyMs: 10,
      giveUp: () => (this.#running ? undefined : `it ended and had written\n${this.output}`)
    })
  }

  /** Signals, and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    this.signal(signal)
    return this.ended
  }
}

/** A service that listens. */
export const start = async (args: ReadonlyArray<string>, options: Options = {}): Promise<RunningService> => {
  const service = new RunningService(["serve", ...args], options)
  try {
    await service.says(/listening on http/)
  } catch (error) {
    await service.end("SIGKILL")
    throw error
  }
  return service
}
