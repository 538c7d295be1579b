/**
 * What the service says of itself, asked several times a second and added up over its restarts.
 */
import type { FallbackStatus, Status } from "../../src/Spillway.ts"
import type { Site } from "./Site.ts"

const everyMs = 150

export class Watch {
  /** The last answer of the running service; undefined while there is none. */
  status: Status | undefined
  /** Highest replay rate seen since it was last set to 0, records per second. */
  topReplayRate = 0
  readonly #site: Site
  readonly #earlier = { redelivered: 0, divertedUnknown: 0, replayUnknown: 0 }
  #current = { instance: "", redelivered: 0, divertedUnknown: 0, replayUnknown: 0 }
  #lastSample: { readonly at: number; readonly redelivered: number } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #stopped = false

  constructor(site: Site) {
    this.#site = site
    void this.#loop()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** Records replayed to Kafka by all instances. */
  get redelivered(): number {
    return this.#earlier.redelivered + this.#current.redelivered
  }
  /** Attempts that may have reached Kafka all the same, at publish or at replay: each may be a duplicate. */
  get unknown(): number {
    const { divertedUnknown, replayUnknown } = this.#earlier
    return divertedUnknown + replayUnknown + this.#current.divertedUnknown + this.#current.replayUnknown
  }
  get breaker(): string {
    return this.status?.connections[0]?.breaker.state ?? "-"
  }

  async refresh(): Promise<void> {
    const status = await this.#site.service.status()
    this.status = status
    if (status === undefined) return
    if (status.instance !== this.#current.instance) {
      this.#earlier.redelivered += this.#current.redelivered
      this.#earlier.divertedUnknown += this.#current.divertedUnknown
      this.#earlier.replayUnknown += this.#current.replayUnknown
    }
    const fallbacks = status.connections.flatMap((connection): ReadonlyArray<FallbackStatus> => connection.fallbacks)
    const { divertedUnknown, redelivered } = status.accounting
    const replayUnknown = fallbacks.reduce((sum, { replay }) => sum + replay.unknown, 0)
    this.#current = { instance: status.instance, redelivered, divertedUnknown, replayUnknown }
    this.#sample()
  }

  #sample(): void {
    const now = performance.now()
    const last = this.#lastSample
    if (last !== undefined && now - last.at < 500) return
    this.#lastSample = { at: now, redelivered: this.redelivered }
    if (last === undefined) return
    const rate = ((this.redelivered - last.redelivered) / (now - last.at)) * 1000
    this.topReplayRate = Math.max(this.topReplayRate, rate)
  }

  async #loop(): Promise<void> {
    await this.refresh()
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#loop(), everyMs)
  }
}
