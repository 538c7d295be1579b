/**
 * How fast parked records return: additive increase, multiplicative decrease over a token bucket, so that a cluster that
 * has just come back is not pushed over again.
 */

/** Records per second right after recovery. */
const firstRate = 10_000
const slowest = 100
/** Slow start doubles at every healthy answer up to here; beyond it each one adds a step. */
const step = 20_000

export class Pacer {
  readonly #most: number
  #rate: number
  #threshold: number
  #credit = 0
  #at = 0

  /** @param most records per second at most */
  constructor(most = Number.POSITIVE_INFINITY) {
    this.#most = most
    this.#rate = Math.min(firstRate, most)
    this.#threshold = Number.POSITIVE_INFINITY
  }

  /** Records per second at present. */
  get rate(): number {
    return this.#rate
  }

  /** Back to the rate right after recovery. */
  restart(): void {
    this.#rate = Math.min(firstRate, this.#most)
    this.#threshold = Number.POSITIVE_INFINITY
    this.#credit = 0
  }

  /** Takes leave for some records; returns how long to wait first, ms. */
  take(records: number, now: number): number {
    const earned = this.#at === 0 ? 0 : ((now - this.#at) * this.#rate) / 1000
    this.#at = now
    // At most a tenth of a second of idleness is made up for.
    this.#credit = Math.min(this.#credit + earned, this.#rate / 10) - records
    return this.#credit >= 0 ? 0 : (-this.#credit / this.#rate) * 1000
  }

  /** A healthy answer came. */
  speedUp(): void {
    const faster = this.#rate < this.#threshold ? this.#rate * 2 : this.#rate + step
    // No faster than is used: credit would otherwise grow without bound while the queue is nearly empty.
    this.#rate = Math.min(faster, this.#most, 10_000_000)
  }

  /** Kafka was slow, or live traffic needs the room. */
  slowDown(): void {
    this.#rate = Math.max(slowest, this.#rate / 2)
    this.#threshold = this.#rate
  }
}
