/**
 * Follows Kafka's wire format on a stream of chunks: where each request or answer begins, and its first bytes.
 *
 * @see https://kafka.apache.org/protocol#protocol_common (size, then a header that starts with fixed fields)
 */

/** A run of bytes that belongs to one frame. */
export interface Segment {
  /** The frame's first bytes, its size included. */
  readonly head: Buffer
  readonly bytes: Buffer
}

/** Size, api key, api version, correlation id. */
export const requestHeadBytes = 12
/** Size, correlation id. */
export const responseHeadBytes = 8

export const produceApiKey = 0

export const apiKeyOf = (head: Buffer): number => head.readInt16BE(4)
/** Of a request or of an answer, whichever `head` is. */
export const correlationIdOf = (head: Buffer): number => head.readInt32BE(head.length - 4)

const empty: Buffer = Buffer.alloc(0)

export class FrameFollower {
  readonly #headBytes: number
  #held = empty
  #head = empty
  #left = 0

  constructor(headBytes: number) {
    this.#headBytes = headBytes
  }

  /** Cuts what arrived at frame borders. Fewer bytes than a head are held until there are more. */
  push(chunk: Buffer): ReadonlyArray<Segment> {
    const segments: Array<Segment> = []
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    this.#held = empty
    while (rest.length > 0) {
      if (this.#left === 0) {
        if (rest.length < this.#headBytes) {
          this.#held = rest
          break
        }
        this.#head = rest.subarray(0, this.#headBytes)
        this.#left = rest.readInt32BE(0) + 4
        if (this.#left < this.#headBytes) throw new Error("this is not Kafka's protocol: use the protocol raw")
      }
      const taken = rest.subarray(0, Math.min(this.#left, rest.length))
      segments.push({ head: this.#head, bytes: taken })
      this.#left -= taken.length
      rest = rest.subarray(taken.length)
    }
    return segments
  }
}
