/**
 * The parent's side of `library.ts`.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Status } from "../../src/Spillway.ts"
import { eventually } from "../../test/support/eventually.ts"
import { guardProcess, releaseProcess } from "../../test/support/Guard.ts"
import type { Fate } from "../quickstart/publishOverHttp.ts"
import type { Meter } from "./HttpLoad.ts"
import type { Ledger } from "./Ledger.ts"

interface Told {
  readonly count: number
  readonly answers: ReadonlyArray<readonly [number: number, fate: Fate, ms: number, partition: number, offset: number]>
  readonly status: Status
}

export interface LibraryOptions {
  /** What runs TypeScript: `bun`, or `deno run …`. */
  readonly runtime: ReadonlyArray<string>
  readonly configFile: string
  readonly ledger: Ledger
  readonly rate: number
  readonly meter: Meter
  readonly startedAt: number
  readonly onStatus: (status: Status) => void
  readonly log: (line: string) => void
}

const answerDeadlineMs = 30_000

export class LibraryProcess {
  readonly #child: ChildProcess
  readonly #ledger: Ledger
  #answered = 0
  #issued = 0
  #running = true
  #status: Status | undefined

  constructor(options: LibraryOptions) {
    const { configFile, ledger, log, meter, onStatus, rate, runtime, startedAt } = options
    const [file = "", ...first] = runtime
    const script = join(fileURLToPath(new URL(".", import.meta.url)), "library.ts")
    const child = spawn(file, [...first, script, configFile, ledger.topic, String(rate)], {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"]
    })
    this.#child = child
    this.#ledger = ledger
    const { pid } = child
    if (pid !== undefined) guardProcess(pid)
    child.once("close", (code, signal) => {
      this.#running = false
      if (pid !== undefined) releaseProcess(pid)
      log(`ended with ${signal ?? `code ${code}`}`)
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => log(text.trimEnd()))
    let rest = ""
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = `${rest}${chunk}`.split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        // Effect's own log lines go to standard output as well.
        if (!line.startsWith('{"count"')) {
          log(line)
          continue
        }
        const { answers, count, status }: Told = JSON.parse(line)
        this.#issued = count
        while (ledger.count < count) ledger.issue(performance.now() - startedAt)
        for (const [number, fate, ms, partition, offset] of answers) {
          this.#answered++
          ledger.answered(number, { fate, partition, offset }, ms)
          meter.answered(fate, ms)
        }
        this.#status = status
        onStatus(status)
      }
    })
  }

  get running(): boolean {
    return this.#running
  }

  /** As it last told; undefined until it has. */
  get status(): Status | undefined {
    return this.#status
  }

  /** Ends its load; resolves when every record has its answer. */
  async stopLoad(): Promise<void> {
    this.#child.stdin?.write("stop\n")
    await eventually("the library's answers", answerDeadlineMs, () =>
      this.#answered === this.#issued && this.#answered === this.#ledger.count ? true : undefined
    )
  }

  /** Ends the process in order. */
  async end(): Promise<void> {
    if (!this.#running) return
    const closed = once(this.#child, "close")
    this.#child.stdin?.end()
    await closed
  }

  kill(): void {
    if (this.#running) this.#child.kill("SIGKILL")
  }
}
