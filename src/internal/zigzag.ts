/**
 * Kafka's variable-length integers: zigzag, then base 128, least significant group first.
 *
 * @see KIP-98, "varint" of the message format v2 (the encoding of Protocol Buffers' sint32 and sint64)
 */

/** Encoded size of a 32-bit zigzag varint, bytes. */
export const varintSize = (value: number): number => {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x200000 ? 3 : zigzag < 0x10000000 ? 4 : 5
}

/** Writes a 32-bit zigzag varint; returns the position behind it. */
export const writeVarint = (buffer: Uint8Array, position: number, value: number): number => {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  let at = position
  while (zigzag >= 0x80) {
    buffer[at++] = (zigzag & 0x7f) | 0x80
    zigzag >>>= 7
  }
  buffer[at++] = zigzag
  return at
}

/** Encoded size of a 64-bit zigzag varint given as a safe integer, bytes. */
export const varlongSize = (value: number): number => {
  if (value >= -0x40000000 && value < 0x40000000) return varintSize(value)
  let zigzag = value >= 0 ? value * 2 : -value * 2 - 1
  let size = 1
  while (zigzag >= 0x80) {
    zigzag = Math.floor(zigzag / 128)
    size++
  }
  return size
}

/** Writes a 64-bit zigzag varint given as a safe integer below 2^52; returns the position behind it. */
export const writeVarlong = (buffer: Uint8Array, position: number, value: number): number => {
  if (value >= -0x40000000 && value < 0x40000000) return writeVarint(buffer, position, value)
  let zigzag = value >= 0 ? value * 2 : -value * 2 - 1
  let at = position
  while (zigzag >= 0x80) {
    buffer[at++] = (zigzag % 128) | 0x80
    zigzag = Math.floor(zigzag / 128)
  }
  buffer[at++] = zigzag
  return at
}

/** Reads zigzag varints one after the other; `ok` turns false at the first read past the end or over-long number. */
export class VarintReader {
  readonly bytes: Uint8Array
  readonly end: number
  position: number
  ok = true

  constructor(bytes: Uint8Array, position: number, end: number) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  /** The next number, exact up to 2^53; 0 once `ok` is false. */
  next(): number {
    let factor = 1
    let zigzag = 0
    for (let read = 0; read < 10; read++) {
      if (this.position >= this.end) break
      const byte = this.bytes[this.position++] ?? 0
      zigzag += (byte & 0x7f) * factor
      if (byte < 0x80) return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
      factor *= 128
    }
    this.ok = false
    return 0
  }

  /** A view of the next `length` bytes; empty once `ok` is false. */
  take(length: number): Uint8Array {
    if (length < 0 || length > this.end - this.position) {
      this.ok = false
      return this.bytes.subarray(0, 0)
    }
    const view = this.bytes.subarray(this.position, this.position + length)
    this.position += length
    return view
  }
}
