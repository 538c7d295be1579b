/**
 * Records over HTTP at a steady rate: single ones and NDJSON, in requests of ten.
 */

import { Histogram } from "../../src/internal/histogram.ts"
import { OpenWork } from "../quickstart/OpenWork.ts"
import { type Fate, publishOverHttp } from "../quickstart/publishOverHttp.ts"
import { promisedMs } from "./configuration.ts"
import type { Ledger } from "./Ledger.ts"

const perRequest = 10
const mostRequests = 100
const keys = 97
const valueBytes = 100
/** What the machine may add to a publish's budgets before it is called late, ms. */
const slackMs = 1000

/** Latencies and fates of one source, for the lines on the terminal and the result. */
export class Meter {
  readonly publish = new Histogram()
  readonly counts: Record<string, number> = {}
  /** Those that were durable later than the configuration promises. */
  late = 0
  /** Since the last `lap`. */
  #lap: Record<string, number> = {}
  #worst = 0

  answered(fate: string, ms: number): void {
    this.counts[fate] = (this.counts[fate] ?? 0) + 1
    this.#lap[fate] = (this.#lap[fate] ?? 0) + 1
    if (fate === "refused" || fate === "rejected") return
    this.publish.add(ms, 1)
    if (ms > promisedMs + slackMs) this.late++
    this.#worst = Math.max(this.#worst, ms)
  }

  lap(): { readonly fates: Readonly<Record<string, number>>; readonly worstMs: number } {
    const result = { fates: this.#lap, worstMs: this.#worst }
    this.#lap = {}
    this.#worst = 0
    return result
  }
}

export interface HttpLoadOptions {
  readonly base: string
  readonly ledger: Ledger
  /** Records per second. */
  readonly rate: number
  readonly meter: Meter
  readonly startedAt: number
  readonly log: (line: string) => void
}

export class HttpLoad {
  readonly #options: HttpLoadOptions
  readonly #url: string
  readonly #open = new OpenWork()
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(options: HttpLoadOptions) {
    this.#options = options
    this.#url = `${options.base}/v1/topics/${options.ledger.topic}/records`
  }

  start(): void {
    let credit = 0
    let last = performance.now()
    this.#timer = setInterval(() => {
      const now = performance.now()
      credit = Math.min(credit + ((now - last) / 1000) * this.#options.rate, this.#options.rate)
      last = now
      while (credit >= perRequest && this.#open.size < mostRequests) {
        credit -= perRequest
        this.#open.add(this.#send(1))
        this.#open.add(this.#send(perRequest - 1))
      }
    }, 10)
  }

  /** Resolves when every request has its answer. Fails if one could not be understood. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#open.ended()
  }

  /** One record more, of this size. */
  async sendLarge(bytes: number): Promise<Fate> {
    const [fate = "refused"] = await this.#send(1, bytes)
    return fate
  }

  async #send(count: number, size = valueBytes): Promise<ReadonlyArray<Fate>> {
    const { ledger, log, meter, startedAt } = this.#options
    const at = performance.now()
    const numbers = Array.from({ length: count }, () => ledger.issue(at - startedAt))
    const [first = 0] = numbers
    const key = (number: number) => `key-${number % keys}`
    const value = (number: number) => `{"number":${number},"text":"${"x".repeat(size)}"}`
    const results =
      count === 1
        ? await publishOverHttp(this.#url, 1, {
            body: value(first),
            headers: { "spillway-key": key(first), "spillway-id": ledger.idOf(first) }
          })
        : await publishOverHttp(this.#url, count, {
            body: numbers
              .map(number => JSON.stringify({ id: ledger.idOf(number), key: key(number), value: value(number) }))
              .join("\n"),
            headers: { "content-type": "application/x-ndjson" }
          })
    const ms = performance.now() - at
    return numbers.map((number, index) => {
      const result = results[index] ?? { fate: "refused" as const }
      ledger.answered(number, result, ms)
      meter.answered(result.fate, ms)
      if (result.fate === "refused" || result.fate === "rejected" || ms > promisedMs + slackMs) {
        log(`${ledger.idOf(number)} ${result.fate} ${result.reason ?? ""} ${Math.round(ms)} ms`)
      }
      return result.fate
    })
  }
}
