/**
 * The load: ad events over HTTP at a steady rate with bounded concurrency, and what was answered for each record.
 */

import { type AdEvent, adEvent } from "./adEvents.ts"
import { topic } from "./configuration.ts"
import { OpenWork } from "./OpenWork.ts"
import { type Fate, type PublishRequest, publishOverHttp } from "./publishOverHttp.ts"

/** While connections open, before the first outage, while Kafka is down, and otherwise. */
export type Phase = "warm-up" | "before" | "during" | "after"

export interface Answered {
  readonly fate: Fate
  /** Of the request that carried it. */
  readonly ms: number
  readonly phase: Phase
}

const singles = 4
const burst = 20
const mostRequests = 200
export class Load {
  readonly answers = new Map<string, Answered>()
  /** Records by fate, so far. */
  readonly counts: Record<Fate, number> = { delivered: 0, diverted: 0, spooled: 0, rejected: 0, refused: 0 }
  phase: Phase = "warm-up"
  /** `performance.now()` of the first answer that said diverted since this was last set to undefined. */
  firstDivertedAt: number | undefined
  readonly #url: string
  readonly #rate: number
  readonly #authorization: Readonly<Record<string, string>>
  readonly #open = new OpenWork()
  #timer: ReturnType<typeof setInterval> | undefined

  /**
   * @param rate records per second
   * @param token shown to the service, which has it from its configuration
   */
  constructor(base: string, rate: number, token?: string) {
    this.#url = `${base}/v1/topics/${topic}/records`
    this.#rate = rate
    this.#authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
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
    await this.#open.ended()
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
    for (let index = 0; index < singles; index++) this.#open.add(this.publish(adEvent()))
    const many = Array.from({ length: burst - singles }, adEvent)
    const lines = many.map(({ id, key, type, value }) =>
      JSON.stringify({ id, key, value, headers: { "event-type": type } })
    )
    const headers = { "content-type": "application/x-ndjson" }
    this.#open.add(this.#send(many, { body: `${lines.join("\n")}\n`, headers }))
  }

  async #send(events: ReadonlyArray<AdEvent>, request: PublishRequest) {
    const from = this.phase
    const at = performance.now()
    const results = await publishOverHttp(this.#url, events.length, {
      ...request,
      headers: { ...request.headers, ...this.#authorization }
    })
    const now = performance.now()
    // A request that saw any of an outage belongs to it.
    const phase = from === "during" || this.phase === "during" ? "during" : from
    events.forEach(({ id }, index) => {
      const fate = results[index]?.fate ?? "refused"
      this.counts[fate]++
      if (fate === "diverted") this.firstDivertedAt ??= now
      this.answers.set(id, { fate, ms: now - at, phase })
    })
  }
}

/** One figure for each phase that is reported. */
export const byPhase = <A>(read: (phase: Phase) => A) => ({
  before: read("before"),
  during: read("during"),
  after: read("after")
})
