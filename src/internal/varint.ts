/**
 * Unsigned varints (7 bits a byte, least significant first, as in Kafka and Protocol Buffers) for whole numbers up to
 * 2^53 - 1, with a bounds-checked reader that answers `undefined` instead of throwing.
 */

/** Longest varint of a safe integer: 53 bits in 7-bit groups. */
export const maximumVarintBytes = 8

/** Bytes `write` takes for `value`, a whole number from 0 to 2^53 - 1. */
export const size = (value: number): number => {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++
  return bytes
}

/** Writes `value` at `offset` and returns the offset after it. The caller has made room. */
export const write = (target: Uint8Array, offset: number, value: number): number => {
  let at = offset
  let rest = value
  while (rest >= 0x80) {
    target[at++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[at++] = rest
  return at
}

/** Reads forward through bytes nobody has checked yet. After a failed read the position means nothing. */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #end: number
  #position: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#position = start
    this.#end = end
  }

  get position(): number {
    return this.#position
  }
  get remaining(): number {
    return this.#end - this.#position
  }

  byte(): number | undefined {
    return this.#position < this.#end ? this.#bytes[this.#position++] : undefined
  }

  /** Undefined past the end, and for anything above 2^53 - 1. */
  varint(): number | undefined {
    let value = 0
    let scale = 1
    for (let count = 0; count < maximumVarintBytes; count++) {
      const byte = this.byte()
      if (byte === undefined) return undefined
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return Number.isSafeInteger(value) ? value : undefined
      scale *= 0x80
    }
    return undefined
  }

  /** A view, not a copy. */
  view(length: number): Uint8Array | undefined {
    if (length > this.remaining) return undefined
    const start = this.#position
    this.#position += length
    return this.#bytes.subarray(start, this.#position)
  }

  /** Bytes behind their varint length, as a view. */
  lengthPrefixed(): Uint8Array | undefined {
    const length = this.varint()
    return length === undefined ? undefined : this.view(length)
  }
}
