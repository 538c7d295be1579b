/**
 * The load: ad events over HTTP at a steady rate with bounded concurrency, and what was answered for each record.
 */
import { type AdEvent, adEvent } from "./adEvents.ts"
import { topic } from "./configuration.ts"

/** While connections open, before the first outage, while Kafka is down, and otherwise. */
export type Phase = "warm-up" | "before" | "during" | "after"

/** `refused`: no answer, or one that says it was not the record's fault (429, 5xx). Not published. */
export type Fate = "delivered" | "diverted" | "spooled" | "rejected" | "refused"

export interface Answered {
  readonly fate: Fate
  /** Of the request that carried it. */
  readonly ms: number
  readonly phase: Phase
}

const singles = 4
const burst = 20
const mostRequests = 200
const requestTimeoutMs = 15_000

const fates: ReadonlySet<string> = new Set(["delivered", "diverted", "spooled", "rejected", "refused"])
const isFate = (text: unknown): text is Fate => typeof text === "string" && fates.has(text)

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && name in value ? Reflect.get(value, name) : undefined

/** What a result of the service says of its record; `failed` is retryable, so not its fault. */
const fateOf = (result: unknown): Fate => {
  const outcome = member(result, "outcome")
  if (isFate(outcome)) return outcome
  if (outcome === "failed") return "refused"
  throw new Error(`the service answered a result without an outcome: ${JSON.stringify(result)?.slice(0, 300)}`)
}

export class Load {
  readonly answers = new Map<string, Answered>()
  /** Records by fate, so far. */
  readonly counts: Record<Fate, number> = { delivered: 0, diverted: 0, spooled: 0, rejected: 0, refused: 0 }
  phase: Phase = "warm-up"
  /** `performance.now()` of the first answer that said diverted since this was last set to undefined. */
  firstDivertedAt: number | undefined
  readonly #url: string
  readonly #rate: number
  readonly #open = new Set<Promise<void>>()
  #timer: ReturnType<typeof setInterval> | undefined
  #failure: unknown

  /** @param rate records per second */
  constructor(base: string, rate: number) {
    this.#url = `${base}/v1/topics/${topic}/records`
    this.#rate = rate
  }

  /** Records answered as durable. */
  get published(): number {
    const { delivered, diverted, spooled } = this.counts
    return delivered + diverted + spooled
  }

  start(): void {
    let credit = 0
    let last = performance.now()
    this.#timer = setInterval(() => {
      const now = performance.now()
      credit = Math.min(credit + ((now - last) / 1000) * this.#rate, this.#rate / 5)
      last = now
      while (credit >= burst && this.#open.size + singles < mostRequests) {
        credit -= burst
        this.#burst()
      }
    }, 10)
  }

  /** Ends the load; resolves when every request has its answer. Fails if an answer could not be understood. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#open)
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Publishes one event by itself. */
  async publish(event: AdEvent): Promise<Answered | undefined> {
    await this.#send([event], {
      body: JSON.stringify(event.value),
      headers: {
        "content-type": "application/json",
        "spillway-key": event.key,
        "spillway-id": event.id,
        "spillway-header-event-type": event.type
      }
    })
    return this.answers.get(event.id)
  }

  /** ms at quantile `q` over the published records of a phase; `undefined` when there are none. */
  latency(phase: Phase, q: number): number | undefined {
    const all: Array<number> = []
    for (const { fate, ms, phase: own } of this.answers.values()) {
      if (own === phase && fate !== "refused" && fate !== "rejected") all.push(ms)
    }
    all.sort((a, b) => a - b)
    return all[Math.min(all.length - 1, Math.floor(all.length * q))]
  }

  #burst(): void {
    for (let index = 0; index < singles; index++) this.#track(this.publish(adEvent()))
    const many = Array.from({ length: burst - singles }, adEvent)
    const lines = many.map(({ id, key, type, value }) =>
      JSON.stringify({ id, key, value, headers: { "event-type": type } })
    )
    const headers = { "content-type": "application/x-ndjson" }
    this.#track(this.#send(many, { body: `${lines.join("\n")}\n`, headers }))
  }

  #track(work: Promise<unknown>): void {
    const settled = work.then(
      () => undefined,
      (error: unknown) => {
        this.#failure ??= error
      }
    )
    this.#open.add(settled)
    settled.then(() => this.#open.delete(settled))
  }

  async #send(events: ReadonlyArray<AdEvent>, request: { body: string; headers: Record<string, string> }) {
    const from = this.phase
    const at = performance.now()
    const fatesOf = await this.#ask(events.length, request)
    const now = performance.now()
    // A request that saw any of an outage belongs to it.
    const phase = from === "during" || this.phase === "during" ? "during" : from
    events.forEach(({ id }, index) => {
      const fate = fatesOf[index] ?? "refused"
      this.counts[fate]++
      if (fate === "diverted") this.firstDivertedAt ??= now
      this.answers.set(id, { fate, ms: now - at, phase })
    })
  }

  async #ask(records: number, request: { body: string; headers: Record<string, string> }): Promise<Array<Fate>> {
    let status: number
    let text: string
    try {
      const signal = AbortSignal.timeout(requestTimeoutMs)
      const response = await fetch(this.#url, { method: "POST", ...request, signal })
      status = response.status
      text = await response.text()
    } catch {
      return Array.from({ length: records }, () => "refused")
    }
    if (status >= 500 || status === 429) return Array.from({ length: records }, () => "refused")
    if (status < 200 || status > 299) {
      if (records === 1) return ["rejected"]
      throw new Error(`the service answered ${status} to well-formed records: ${text.slice(0, 300)}`)
    }
    const answer: unknown = JSON.parse(text)
    if (records === 1) return [fateOf(answer)]
    const results = member(answer, "results")
    if (!Array.isArray(results) || results.length !== records) {
      throw new Error(`the service answered ${status} to ${records} records with ${text.slice(0, 300)}`)
    }
    return results.map(fateOf)
  }
}

/** One figure for each phase that is reported. */
export const byPhase = <A>(read: (phase: Phase) => A) => ({
  before: read("before"),
  during: read("during"),
  after: read("after")
})
