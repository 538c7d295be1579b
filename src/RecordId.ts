/**
 * Record ids: UUIDv7 (RFC 9562), one random draw per record batch, then counted upwards, so that an id costs a few
 * bytes per record and no object.
 */

/** Characters of an id that are the same for all records of a sequence. */
export const prefixLength = 28
export const idLength = 36

const hexDigits = new Uint8Array(Array.from("0123456789abcdef", digit => digit.charCodeAt(0)))
const entropy = new Uint8Array(4096)
let drawn = entropy.length

/** The ids of one record batch: `prefix` and a 32-bit counter that starts at `start`. */
export interface IdSequence {
  readonly prefix: string
  readonly start: number
}

/**
 * A new sequence. 42 random bits follow the millisecond; the counter starts in the lower half of its 32 bits, so a
 * batch would need two thousand million records to overflow it (RFC 9562, section 6.2, method 2).
 *
 * @param now ms since the epoch
 */
export const sequence = (now: number): IdSequence => {
  if (drawn + 10 > entropy.length) {
    crypto.getRandomValues(entropy)
    drawn = 0
  }
  const at = drawn
  drawn += 10
  const byte = (offset: number) => entropy[at + offset] ?? 0
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0")
  const time = hex(now, 12)
  const randomA = hex(((byte(0) << 8) | byte(1)) & 0x0fff, 3)
  const variant = hex((((byte(2) << 8) | byte(3)) & 0x3fff) | 0x8000, 4)
  const middle = hex((byte(4) << 8) | byte(5), 4)
  const start = ((byte(6) & 0x7f) << 24) | (byte(7) << 16) | (byte(8) << 8) | byte(9)
  return { prefix: `${time.slice(0, 8)}-${time.slice(8)}-7${randomA}-${variant}-${middle}`, start }
}

/** The n-th id of a sequence. */
export const at = (ids: IdSequence, index: number): string =>
  ids.prefix + (ids.start + index).toString(16).padStart(8, "0")

/** Writes the last eight characters of an id, `start` plus its place; returns the position behind them. */
export const writeCounter = (buffer: Uint8Array, position: number, counter: number): number => {
  buffer[position] = hexDigits[(counter >>> 28) & 15] ?? 0
  buffer[position + 1] = hexDigits[(counter >>> 24) & 15] ?? 0
  buffer[position + 2] = hexDigits[(counter >>> 20) & 15] ?? 0
  buffer[position + 3] = hexDigits[(counter >>> 16) & 15] ?? 0
  buffer[position + 4] = hexDigits[(counter >>> 12) & 15] ?? 0
  buffer[position + 5] = hexDigits[(counter >>> 8) & 15] ?? 0
  buffer[position + 6] = hexDigits[(counter >>> 4) & 15] ?? 0
  buffer[position + 7] = hexDigits[counter & 15] ?? 0
  return position + 8
}
