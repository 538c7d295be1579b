/**
 * Bytes that arrive in pieces, as one: grown by doubling, so that a sender of single bytes costs no more than their number.
 */
import { Buffer } from "node:buffer"

const smallest = 1024

export class GrowingBuffer {
  #bytes: Buffer = Buffer.alloc(0)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** What it takes of memory, bytes. */
  get capacity(): number {
    return this.#bytes.length
  }

  /** Valid until the next `append`. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Forgets the bytes, and keeps their room. */
  clear(): void {
    this.#length = 0
  }

  /** @param expected how long the whole will be, if that is known; believed only as far as it is filled, bytes */
  append(piece: Uint8Array, expected = 0): void {
    const length = this.#length + piece.length
    if (length > this.#bytes.length) {
      const doubled = Math.max(smallest, 2 * length)
      const grown = Buffer.allocUnsafeSlow(expected > length ? Math.min(doubled, expected) : doubled)
      grown.set(this.bytes)
      this.#bytes = grown
    }
    this.#bytes.set(piece, this.#length)
    this.#length = length
  }
}
