/** Numbered records over HTTP, a hundred of about 200 bytes per request, at a steady rate or as fast as they are answered. */
import { events } from "./events.ts"
import { pause } from "./proc.ts"

const perRequest = 100
const digits = 10
/** Requests under way at most: behind them a steady load waits. */
const mostAtOnce = 4000

/** How a value begins; its number follows. The reader knows it, too. */
export const valuePrefix = '{"n":"'

const lines = events(180)
  .slice(0, perRequest)
  .map(event => `{"value":${valuePrefix}${"0".repeat(digits)}",${event.toString("latin1").slice(1)}}\n`)
const template = Buffer.from(lines.join(""), "latin1")
const places: Array<number> = []
for (let at = 0, index = 0; index < perRequest; index++) {
  places.push(at)
  at += lines[index]?.length ?? 0
}
const firstDigit = '{"value":'.length + valuePrefix.length

const bodyOf = (first: number) => {
  const body = Buffer.from(template)
  for (let index = 0; index < perRequest; index++) {
    let left = first + index
    const end = (places[index] ?? 0) + firstDigit + digits - 1
    for (let at = end; left > 0; at--) {
      body[at] = 48 + (left % 10)
      left = Math.floor(left / 10)
    }
  }
  return body
}

export class NdjsonLoad {
  readonly #url: string
  /** Records sent so far: their numbers count up from 0. */
  sent = 0
  durable = 0
  /** Answered with 429 or 503: the service says that it has not taken them. */
  refused = 0
  failed = 0
  firstFailure = ""
  /** The numbers of what is not durable. */
  readonly missing = new Set<number>()
  #underWay = 0
  #running = true

  constructor(url: string) {
    this.#url = `${url}/v1/topics/events/records`
  }

  /** Requests without an answer. */
  get underWay(): number {
    return this.#underWay
  }

  readonly stop = (): void => {
    this.#running = false
  }

  /** So many requests at a time, each as soon as one is answered, until it is stopped. */
  readonly flood = (atOnce: number): Promise<unknown> => {
    const one = async () => {
      while (this.#running) await this.#request()
    }
    this.#running = true
    return Promise.all(Array.from({ length: atOnce }, one))
  }

  /** So many records a second until it is stopped and all are answered. */
  readonly steady = async (recordsPerSecond: number): Promise<void> => {
    this.#running = true
    const from = performance.now()
    let begun = 0
    while (this.#running) {
      const due = ((performance.now() - from) * recordsPerSecond) / 1000 / perRequest
      for (; begun < due && this.#underWay < mostAtOnce; begun++) void this.#request()
      await pause(5)
    }
    while (this.#underWay > 0) await pause(5)
  }

  async #request(): Promise<void> {
    const first = this.sent
    this.sent += perRequest
    this.#underWay++
    try {
      const response = await fetch(this.#url, {
        method: "POST",
        body: bodyOf(first),
        headers: { "content-type": "application/x-ndjson" }
      })
      if (response.status === 201 || response.status === 202) {
        await response.arrayBuffer()
        this.durable += perRequest
        return
      }
      const text = await response.text()
      const refused = response.status === 429 || response.status === 503
      if (response.status !== 207 && !refused) return this.#fail(first, `${response.status} ${text}`)
      const { results } = JSON.parse(text)
      if (!Array.isArray(results)) return this.#fail(first, `${response.status} ${text}`, refused)
      results.forEach(({ message, outcome, reason }, index) => {
        if (outcome !== "rejected" && outcome !== "failed") this.durable++
        else {
          this.missing.add(first + index)
          if (reason === "Overloaded" || reason === "Closed") this.refused++
          else {
            this.failed++
            if (this.firstFailure === "") this.firstFailure = `${reason}: ${message}`
          }
        }
      })
    } catch (cause) {
      this.#fail(first, String(cause))
    } finally {
      this.#underWay--
    }
  }

  #fail(first: number, why: string, refused = false): void {
    for (let index = 0; index < perRequest; index++) this.missing.add(first + index)
    if (refused) this.refused += perRequest
    else this.failed += perRequest
    if (this.firstFailure === "") this.firstFailure = why.slice(0, 300)
  }
}
