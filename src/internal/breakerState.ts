/**
 * One breaker as a plain state machine: closed, open, half-open. Time is handed in; nothing here waits.
 */
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as Intervals from "effect/ScheduleIntervals"

export type State = "closed" | "open" | "half-open"

export interface Thresholds {
  /** Failures in a row that open it. */
  readonly consecutiveFailures: number
  /** Width of the sliding window, ms. */
  readonly windowMs: number
  /** Fewest calls in the window for its rates to count. */
  readonly minimumVolume: number
  /** Share of failed calls in the window that opens it, 0 to 1. */
  readonly failureRate: number
  /** A call at least this slow counts as slow; undefined switches the rule off. */
  readonly slowCallMs: number | undefined
  /** Share of slow calls in the window that opens it, 0 to 1. */
  readonly slowCallRate: number
  /** Calls let through while half-open; that many successes close it. */
  readonly probes: number
  /** How long an unanswered probe holds its place, ms. */
  readonly probeTimeoutMs: number
}

/** How long it stays open each time, one step per opening in a row; begins anew once closed. */
export type OpenSchedule = Schedule.Schedule<unknown, unknown, never>

/** Leave to make one call. Handed back through `settle`. */
export interface Permit {
  readonly probe: boolean
  readonly generation: number
}

interface Bucket {
  start: number
  calls: number
  failures: number
  slow: number
}

const buckets = 10
/** When a schedule is used up, ms. */
const fallbackIntervalMs = 30_000

export class BreakerState {
  readonly #thresholds: Thresholds
  readonly #schedule: OpenSchedule
  readonly #onChange: (state: State, reason: string) => void
  #state: State = "closed"
  #reason = ""
  #generation = 0
  #consecutive = 0
  #window: Array<Bucket> = []
  #openUntil = 0
  #since: number
  #probing: Array<number> = []
  #succeeded = 0
  #scheduleState: unknown
  #scheduleStarted = false

  constructor(
    thresholds: Thresholds,
    schedule: OpenSchedule,
    now: number,
    onChange: (state: State, reason: string) => void
  ) {
    this.#thresholds = thresholds
    this.#schedule = schedule
    this.#onChange = onChange
    this.#since = now
  }

  get state(): State {
    return this.#state
  }
  /** Why it last left "closed"; empty while closed. */
  get reason(): string {
    return this.#reason
  }
  /** When the present state began, ms since the epoch. */
  get since(): number {
    return this.#since
  }
  /** When an open breaker may be probed, whole ms since the epoch. */
  get openUntil(): number {
    return this.#openUntil
  }
  /** Nothing to remember: closed, and no failure since the last success. */
  get idle(): boolean {
    return this.#state === "closed" && this.#consecutive === 0
  }

  /** Leave to call, or undefined: divert at once. An open breaker stays shut until `halfOpen`. */
  acquire(now: number): Permit | undefined {
    if (this.#state === "closed") return { probe: false, generation: this.#generation }
    if (this.#state === "open") return undefined
    this.#probing = this.#probing.filter(until => until > now)
    if (this.#probing.length + this.#succeeded >= this.#thresholds.probes) return undefined
    this.#probing.push(now + this.#thresholds.probeTimeoutMs)
    return { probe: true, generation: this.#generation }
  }

  /** What came of a permitted call. `ignored`: it says nothing about Kafka (a fault of the record, a cancelled call). */
  settle(
    permit: Permit,
    result: "success" | "failure" | "ignored",
    durationMs: number,
    now: number,
    why: string
  ): void {
    if (permit.generation !== this.#generation) return
    if (permit.probe) this.#probing.shift()
    if (result === "ignored") return
    if (permit.probe) {
      if (result === "failure") return this.#open(now, why)
      this.#succeeded++
      if (this.#succeeded >= this.#thresholds.probes) this.close(now)
      return
    }
    this.count(result === "failure", durationMs, now, why)
  }

  /** Counts a call while closed. Also for evidence without a permit: no broker can be reached at all. */
  count(failure: boolean, durationMs: number, now: number, why: string): void {
    if (this.#state !== "closed") return
    this.#consecutive = failure ? this.#consecutive + 1 : 0
    const { consecutiveFailures, failureRate, minimumVolume, slowCallMs, slowCallRate } = this.#thresholds
    const bucket = this.#bucket(now)
    bucket.calls++
    if (failure) bucket.failures++
    if (slowCallMs !== undefined && durationMs >= slowCallMs) bucket.slow++
    if (this.#consecutive >= consecutiveFailures) return this.#open(now, why)
    let calls = 0
    let failures = 0
    let slow = 0
    for (const one of this.#window) {
      calls += one.calls
      failures += one.failures
      slow += one.slow
    }
    if (calls < minimumVolume) return
    if (failures / calls >= failureRate) this.#open(now, `${failures} of ${calls} calls failed, last: ${why}`)
    else if (slowCallMs !== undefined && slow / calls >= slowCallRate) {
      this.#open(now, `${slow} of ${calls} calls took ${slowCallMs} ms or longer`)
    }
  }

  /** Lets probes through. Only an open breaker changes. */
  halfOpen(now: number): void {
    if (this.#state !== "open") return
    this.#enter("half-open", now, this.#reason)
  }

  /** Opens it once more, for the schedule's next interval: reachability was tried and failed. */
  reopen(now: number, why: string): void {
    if (this.#state !== "closed") this.#open(now, why)
  }

  open(now: number, why: string): void {
    this.#open(now, why)
  }

  close(now: number): void {
    this.#scheduleStarted = false
    this.#consecutive = 0
    this.#window = []
    this.#enter("closed", now, "")
  }

  #open(now: number, why: string): void {
    this.#openUntil = now + this.#nextInterval(now)
    this.#consecutive = 0
    this.#window = []
    this.#enter("open", now, why)
  }

  #enter(state: State, now: number, reason: string): void {
    const changed = state !== this.#state
    this.#state = state
    this.#reason = reason
    this.#generation++
    this.#probing = []
    this.#succeeded = 0
    if (!changed) return
    this.#since = now
    this.#onChange(state, reason)
  }

  #nextInterval(now: number): number {
    const state = this.#scheduleStarted ? this.#scheduleState : this.#schedule.initial
    const [next, , decision] = Effect.runSync(this.#schedule.step(now, undefined, state))
    this.#scheduleState = next
    this.#scheduleStarted = true
    return ScheduleDecision.isContinue(decision)
      ? Math.max(0, Math.round(Intervals.start(decision.intervals) - now))
      : fallbackIntervalMs
  }

  #bucket(now: number): Bucket {
    const width = this.#thresholds.windowMs / buckets
    const start = Math.floor(now / width) * width
    const last = this.#window[this.#window.length - 1]
    if (last !== undefined && last.start === start) return last
    const oldest = now - this.#thresholds.windowMs
    this.#window = this.#window.filter(one => one.start > oldest)
    const bucket = { start, calls: 0, failures: 0, slow: 0 }
    this.#window.push(bucket)
    return bucket
  }
}
