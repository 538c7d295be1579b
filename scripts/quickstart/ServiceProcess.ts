/**
 * The service as its users run it: a process of its own, asked over HTTP and ended by signals.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import type { Status } from "../../src/Spillway.ts"
import { guardProcess, releaseProcess } from "../../test/support/Guard.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const startDeadlineMs = 20_000
const keptLines = 200

const fromSource: ReadonlyArray<string> = [process.execPath, join(root, "src/main.ts")]

export interface Options {
  /** What runs the service: by default its sources, on the runtime of this process. */
  readonly command?: ReadonlyArray<string>
  /** The token of its configuration, to ask for its status. */
  readonly token?: string
  /** Told each line it writes, from the first. */
  readonly onLine?: (line: string) => void
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const within = async <A>(work: Promise<A>, ms: number, late: () => A): Promise<A> => {
  let timer: ReturnType<typeof setTimeout> | undefined
  const timeout = new Promise<A>((resolve, reject) => {
    timer = setTimeout(() => {
      try {
        resolve(late())
      } catch (error) {
        reject(error)
      }
    }, ms)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

export class ServiceProcess {
  readonly #child: ChildProcess
  readonly #base: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #lines: Array<string> = []
  readonly #listeners = new Set<(line: string) => void>()
  readonly #ended: Promise<Ended>
  #running = true

  private constructor(configFile: string, base: string, { command = fromSource, onLine, token }: Options) {
    this.#base = base
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    if (onLine !== undefined) this.onLine(onLine)
    const [file = "", ...first] = command
    // Its own process group: a Ctrl-C in the terminal is for whoever started this to handle.
    const child = spawn(file, [...first, "serve", "--config", configFile], {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"]
    })
    this.#child = child
    const { pid } = child
    if (pid !== undefined) guardProcess(pid)
    this.#read(child.stdout)
    this.#read(child.stderr)
    this.#ended = new Promise(resolve => {
      const end = (ended: Ended) => {
        if (this.#running && pid !== undefined) releaseProcess(pid)
        this.#running = false
        resolve(ended)
      }
      child.once("error", error => {
        this.#lines.push(error.message)
        end({ code: null, signal: null })
      })
      child.once("close", (code, signal) => end({ code, signal }))
    })
  }

  /** Resolves when it listens. Fails with the end of its log when it does not. */
  static async start(configFile: string, base: string, options: Options = {}): Promise<ServiceProcess> {
    const service = new ServiceProcess(configFile, base, options)
    let heard = () => {}
    const listening = new Promise<string>(resolve => {
      heard = service.onLine(line => {
        if (/listening on http/.test(line)) resolve("listening")
      })
    })
    const ended = service.#ended.then(({ code, signal }) => `it ended with ${signal ?? `code ${code}`}`)
    const result = await within(Promise.race([listening, ended]), startDeadlineMs, () => "it did not say so in time")
    heard()
    if (result === "listening") return service
    await service.kill()
    throw new Error(`the service did not start: ${result}\n--- end of its log ---\n${service.tail()}`)
  }

  get running(): boolean {
    return this.#running
  }

  /** Calls back for each line it writes; the answer ends that. */
  onLine(listener: (line: string) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tail(lines = 20): string {
    return this.#lines.slice(-lines).join("\n")
  }

  /** `GET /v1/status`; `undefined` when it does not answer within a second. */
  async status(): Promise<Status | undefined> {
    try {
      const signal = AbortSignal.timeout(1000)
      const response = await fetch(`${this.#base}/v1/status`, { headers: this.#headers, signal })
      if (!response.ok) return undefined
      const status: Status = await response.json()
      return status
    } catch {
      return undefined
    }
  }

  /** SIGTERM, as a platform would. Fails when it is not over within `deadlineMs`. */
  async terminate(deadlineMs: number): Promise<Ended> {
    this.#signal("SIGTERM")
    return this.ended(deadlineMs)
  }

  /** Its end, which something else has brought about. Fails when it is not over within `deadlineMs`. */
  ended(deadlineMs: number): Promise<Ended> {
    return within(this.#ended, deadlineMs, () => {
      throw new Error(`the service is still running after ${deadlineMs} ms\n${this.tail()}`)
    })
  }

  async kill(): Promise<void> {
    this.#signal("SIGKILL")
    await this.#ended
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#running) this.#child.kill(signal)
  }

  #read(stream: NodeJS.ReadableStream | null): void {
    let rest = ""
    stream?.setEncoding("utf8")
    stream?.on("data", (chunk: string | Buffer) => {
      const lines = `${rest}${String(chunk)}`.split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        this.#lines.push(line)
        if (this.#lines.length > keptLines) this.#lines.shift()
        for (const listener of this.#listeners) listener(line)
      }
    })
  }
}
