/**
 * Latencies in buckets that grow with what they hold, so that any number of them takes the same memory and each is known to
 * less than one percent: 128 buckets for each doubling of the time, from a microsecond on.
 */
const perDoubling = 128
const doublings = 30

/** ms. `most` is exact. */
export interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly most: number
}

export class Latencies {
  readonly #counts = new Uint32Array(perDoubling * doublings)
  #count = 0
  #mostMs = 0

  get count(): number {
    return this.#count
  }

  readonly add = (ms: number): void => {
    const bucket = Math.floor(Math.log2(Math.max(1, ms * 1000)) * perDoubling)
    const at = Math.min(this.#counts.length - 1, bucket)
    this.#counts[at] = (this.#counts[at] ?? 0) + 1
    this.#count++
    if (ms > this.#mostMs) this.#mostMs = ms
  }

  /** The upper end of the bucket in which the share `q` of all is reached, ms; 0 when there are none. */
  quantile(q: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * q))
    let seen = 0
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      seen += this.#counts[bucket] ?? 0
      if (seen >= wanted) return Math.min(this.#mostMs, 2 ** ((bucket + 1) / perDoubling) / 1000)
    }
    return this.#mostMs
  }

  quantiles(): Quantiles {
    return { p50: this.quantile(0.5), p99: this.quantile(0.99), p999: this.quantile(0.999), most: this.#mostMs }
  }
}
