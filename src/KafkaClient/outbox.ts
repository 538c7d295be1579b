/**
 * What leaves over a broker's socket, in order. A large piece leaves slice by slice, each once the socket is done with the
 * one before: Bun keeps a copy of what the system does not take at once, and stands still while it copies a large record.
 */

/** The part of a socket that is needed; the callback comes once the bytes are the caller's again, or will not leave. */
export interface Writes {
  readonly write: (bytes: Uint8Array, done?: () => void) => unknown
}

/** Up to this size a piece leaves in one write, bytes. */
export const sliceBytes = 256 * 1024

export class Outbox {
  readonly #socket: () => Writes | null | undefined
  /** What has yet to leave behind a slice; undefined when none is on its way. */
  #behind: Array<Uint8Array> | undefined
  #waiting: Array<() => void> = []

  constructor(socket: () => Writes | null | undefined) {
    this.#socket = socket
  }

  write(piece: Uint8Array): void {
    if (this.#behind !== undefined) this.#behind.push(piece)
    else if (piece.length <= sliceBytes) this.#socket()?.write(piece)
    else {
      this.#behind = [piece]
      this.#next()
    }
  }

  /** Resolves when whoever writes to the socket itself would not write into the middle of a piece. */
  get empty(): Promise<void> {
    return this.#behind === undefined ? Promise.resolve() : new Promise(resolve => this.#waiting.push(resolve))
  }

  /** Forgets what has not left. */
  clear(): void {
    this.#behind = undefined
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #next(): void {
    const piece = this.#behind?.shift()
    if (piece === undefined) return this.clear()
    if (piece.length > sliceBytes) this.#behind?.unshift(piece.subarray(sliceBytes))
    this.#socket()?.write(piece.subarray(0, sliceBytes), () => this.#next())
  }
}
