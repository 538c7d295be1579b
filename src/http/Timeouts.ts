/**
 * One coarse timer for all open requests, in place of one timer each.
 */

/** Parts of the timeout at which the requests are looked through: one is told at most this share late. */
const looksPerTimeout = 8

export class Timeouts {
  readonly #timeoutMs: number
  readonly #open = new Map<() => void, number>()
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** Calls `late` once, unless `done` was called with it before the time is over. */
  begin(late: () => void): void {
    this.#open.set(late, performance.now())
    this.#timer ??= setInterval(() => this.#look(), Math.max(1, this.#timeoutMs / looksPerTimeout))
  }

  done(late: () => void): void {
    this.#open.delete(late)
  }

  #look(): void {
    const before = performance.now() - this.#timeoutMs
    for (const [late, since] of this.#open) {
      // In the order they began.
      if (since > before) break
      this.#open.delete(late)
      late()
    }
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
