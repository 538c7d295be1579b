/**
 * One direction of a proxied connection: bytes in order, as late and as slow as asked, with backpressure.
 */
import type { Socket } from "node:net"

/** How bytes travel: each may be read anew for every chunk. */
export interface Pace {
  /** ms before a chunk is passed on. */
  readonly latencyMs: number
  readonly bytesPerSecond: number
}

interface Waiting {
  readonly bytes: Buffer
  readonly at: number
}

/** The source rests while more than this waits. */
const mostWaitingBytes = 1024 * 1024
/** A throttled chunk is cut into pieces of this part of a second. */
const throttlePieceSeconds = 0.05

export class TcpPipe {
  readonly #source: Socket
  readonly #sink: Socket
  readonly #pace: () => Pace
  #queue: Array<Waiting> = []
  #waitingBytes = 0
  #freeAt = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #ended = false

  constructor(source: Socket, sink: Socket, pace: () => Pace) {
    this.#source = source
    this.#sink = sink
    this.#pace = pace
    sink.on("drain", () => {
      if (this.#waitingBytes <= mostWaitingBytes) source.resume()
    })
  }

  write(bytes: Buffer): void {
    const { bytesPerSecond, latencyMs } = this.#pace()
    if (this.#queue.length === 0 && latencyMs === 0 && bytesPerSecond === Number.POSITIVE_INFINITY) {
      this.#pass(bytes)
      return
    }
    const piece = Math.max(1, Math.min(bytes.length, Math.floor(bytesPerSecond * throttlePieceSeconds)))
    for (let from = 0; from < bytes.length; from += piece) {
      const part = bytes.subarray(from, from + piece)
      this.#freeAt = Math.max(this.#freeAt, performance.now()) + (part.length / bytesPerSecond) * 1000
      this.#queue.push({ bytes: part, at: this.#freeAt + latencyMs })
      this.#waitingBytes += part.length
    }
    if (this.#waitingBytes > mostWaitingBytes) this.#source.pause()
    this.#schedule()
  }

  /** Ends the sink once everything waiting has been passed on. */
  end(): void {
    this.#ended = true
    if (this.#queue.length === 0) this.#sink.end()
  }

  /** Forgets what waits. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#queue = []
  }

  #schedule(): void {
    const [first] = this.#queue
    if (first === undefined || this.#timer !== undefined) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        const now = performance.now()
        // A timer may come a fraction of a millisecond early.
        while (this.#queue[0] !== undefined && this.#queue[0].at <= now + 1) {
          const next = this.#queue.shift()
          if (next === undefined) break
          this.#waitingBytes -= next.bytes.length
          this.#pass(next.bytes)
        }
        if (this.#queue.length === 0 && this.#ended) this.#sink.end()
        else this.#schedule()
      },
      Math.max(0, first.at - performance.now())
    )
  }

  #pass(bytes: Buffer): void {
    if (this.#sink.destroyed || this.#sink.writableEnded) return
    if (!this.#sink.write(bytes)) this.#source.pause()
    else if (this.#waitingBytes <= mostWaitingBytes) this.#source.resume()
  }
}
