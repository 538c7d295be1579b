/**
 * Reuses batch buffers by power-of-two size class, so that steady load allocates nothing.
 */

const minimumBytes = 1024
/** Larger buffers are not kept: they are rare and would pin memory. */
const maximumPooledBytes = 4 * 1024 * 1024

interface SizeClass {
  readonly free: Array<Buffer>
  /** Fewest that were free at once since the last trim. */
  spare: number
}

export class BufferPool {
  readonly #classes = new Map<number, SizeClass>()
  readonly #limitBytes: number
  #pooledBytes = 0

  /** @param limitBytes most bytes kept for reuse */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Bytes kept for reuse. */
  get pooledBytes(): number {
    return this.#pooledBytes
  }

  /** A buffer of at least `bytes`, its content undefined. */
  take(bytes: number): Buffer {
    const size = sizeOf(bytes)
    const found = this.#classes.get(size)
    const buffer = found?.free.pop()
    if (found === undefined || buffer === undefined) return Buffer.allocUnsafeSlow(size)
    if (found.free.length < found.spare) found.spare = found.free.length
    this.#pooledBytes -= size
    return buffer
  }

  /** Hands a buffer back. The caller must be its only owner: nothing may read it afterwards. */
  give(buffer: Buffer): void {
    const size = buffer.length
    if (size > maximumPooledBytes) return release(buffer)
    if (this.#pooledBytes + size > this.#limitBytes) return
    const found = this.#classes.get(size)
    if (found === undefined) this.#classes.set(size, { free: [buffer], spare: 0 })
    else found.free.push(buffer)
    this.#pooledBytes += size
  }

  /** Leaves to the garbage collector what nobody has needed since the last time: called now and then, idle pools get empty. */
  trim(): void {
    for (const [size, { free, spare }] of this.#classes) {
      free.splice(0, spare)
      this.#pooledBytes -= spare * size
      if (free.length === 0) this.#classes.delete(size)
      else this.#classes.set(size, { free, spare: free.length })
    }
  }
}

/** At once: the garbage collector may let a large one lie while the next is made. */
const release = ({ buffer }: Buffer): void => {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

const sizeOf = (bytes: number): number =>
  bytes <= minimumBytes ? minimumBytes : bytes > maximumPooledBytes ? bytes : 2 ** (32 - Math.clz32(bytes - 1))
