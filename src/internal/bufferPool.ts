/**
 * Reuses batch buffers by power-of-two size class, so that steady load allocates nothing.
 */

const minimumBytes = 1024
/** Larger buffers are left to the garbage collector: they are rare and would pin memory. */
const maximumPooledBytes = 4 * 1024 * 1024

export class BufferPool {
  readonly #free = new Map<number, Array<Buffer>>()
  readonly #limitBytes: number
  #pooledBytes = 0

  /** @param limitBytes most bytes kept for reuse */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** A buffer of at least `bytes`, its content undefined. */
  take(bytes: number): Buffer {
    const size = sizeClass(bytes)
    const buffer = this.#free.get(size)?.pop()
    if (buffer === undefined) return Buffer.allocUnsafeSlow(size)
    this.#pooledBytes -= size
    return buffer
  }

  /** Hands a buffer back. The caller must be its only owner: nothing may read it afterwards. */
  give(buffer: Buffer): void {
    const size = buffer.length
    if (size > maximumPooledBytes || this.#pooledBytes + size > this.#limitBytes) return
    const free = this.#free.get(size)
    if (free === undefined) this.#free.set(size, [buffer])
    else free.push(buffer)
    this.#pooledBytes += size
  }
}

const sizeClass = (bytes: number): number =>
  bytes <= minimumBytes ? minimumBytes : bytes > 2 ** 30 ? bytes : 2 ** (32 - Math.clz32(bytes - 1))
