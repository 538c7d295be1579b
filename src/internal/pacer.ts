/**
 * How fast parked records return: additive increase, multiplicative decrease over a token bucket, so that a cluster that
 * has just come back is not pushed over again. It begins with one request, and believes what its answer shows.
 */

/** Records per second right after recovery. */
const firstRate = 10_000
const slowest = 100
/** In slow start the rate doubles at least with every healthy answer; after the first slow one each adds a step. */
const step = 20_000
/** Shorter waits are not worth a timer, ms. */
const shortestWaitMs = 1

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

  /** Takes leave for some records. 0: granted, and whoever comes next pays for it; else when to ask again, in so many ms. */
  take(records: number, now: number): number {
    // A clock that is set back earns nothing, and costs nothing: else everybody waited for as long as it was set back.
    const earned = this.#at === 0 ? 0 : (Math.max(0, now - this.#at) * this.#rate) / 1000
    this.#at = now
    // At most a tenth of a second of idleness is made up for.
    this.#credit = Math.min(this.#credit + earned, this.#rate / 10)
    const wait = (-this.#credit / this.#rate) * 1000
    if (wait >= shortestWaitMs) return wait
    this.#credit -= records
    return 0
  }

  /** A healthy answer came: so many records, taken by Kafka in so many ms. That rate is one Kafka has shown to have. */
  speedUp(records: number, ms: number): void {
    const shown = (records / Math.max(1, ms)) * 1000
    const faster = this.#rate < this.#threshold ? Math.max(this.#rate * 2, shown) : this.#rate + step
    // No faster than is used: credit would otherwise grow without bound while the queue is nearly empty.
    this.#rate = Math.min(faster, this.#most, 10_000_000)
  }

  /** Kafka was slow, or live traffic needs the room. */
  slowDown(): void {
    this.#rate = Math.max(slowest, this.#rate / 2)
    this.#threshold = this.#rate
  }
}
