/**
 * One coarse timer for all open requests, in place of one timer each.
 */

/** Parts of the timeout at which the requests are looked through: one is told at most this share late. */
const looksPerTimeout = 8

/** Something with a time limit; a member of the list of all that are open, in the order they began. */
export abstract class Timed {
  /** For `Timeouts` alone. */
  since = 0
  previous: Timed | undefined
  next: Timed | undefined
  /** Called once, unless `done` was called before the time was over. */
  abstract late(): void
}

export class Timeouts {
  readonly #timeoutMs: number
  #first: Timed | undefined
  #last: Timed | undefined
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  begin(timed: Timed): void {
    timed.since = performance.now()
    timed.previous = this.#last
    if (this.#last === undefined) this.#first = timed
    else this.#last.next = timed
    this.#last = timed
    this.#timer ??= setInterval(() => this.#look(), Math.max(1, this.#timeoutMs / looksPerTimeout))
  }

  /** Takes it out; does nothing when it is out already. */
  done(timed: Timed): void {
    const { next, previous } = timed
    if (previous === undefined && this.#first !== timed) return
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    timed.previous = undefined
    timed.next = undefined
  }

  #look(): void {
    const before = performance.now() - this.#timeoutMs
    while (this.#first !== undefined && this.#first.since <= before) {
      const timed = this.#first
      this.done(timed)
      timed.late()
    }
    if (this.#first !== undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
