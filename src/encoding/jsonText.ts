/**
 * Is this UTF-8 JSON text? One pass over the bytes, nothing allocated, no recursion: it runs per record.
 *
 * @see RFC 8259 (grammar; one value, any type, no byte order mark), RFC 3629 section 4 (well-formed UTF-8)
 */

/** Deepest nesting accepted: what the strictest common consumer takes (Jackson's StreamReadConstraints, 1000). */
export const maxDepth = 1000

/** 1 for an object, 0 for an array, per open level. */
const nesting = new Uint8Array(maxDepth)

/** Why the last `scan` failed. */
let problem = ""
/** Whether whitespace is none of what may stand between tokens. */
let compact = false

/** What was wrong in the last scan that returned a position. */
export const lastProblem = (): string => problem

const ok = -1

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39
const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

const skipSpace = (bytes: Uint8Array, from: number, end: number): number => {
  let at = from
  if (compact) return at
  while (at < end) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
    at++
  }
  return at
}

const stop = (at: number, why: string): number => {
  problem = why
  return ~at
}

/** Bytes of the well-formed UTF-8 sequence at `at`, 0 when there is none. */
const sequence = (bytes: Uint8Array, at: number): number => {
  const lead = bytes[at] ?? 0
  const second = bytes[at + 1]
  if (!isContinuation(second) || second === undefined) return 0
  if (lead >= 0xc2 && lead <= 0xdf) return 2
  if (!isContinuation(bytes[at + 2])) return 0
  // E0 and F0 must not be over-long, ED must not be a surrogate, F4 must not pass U+10FFFF.
  if (lead >= 0xe0 && lead <= 0xef) return (lead === 0xe0 && second < 0xa0) || (lead === 0xed && second > 0x9f) ? 0 : 3
  if (!isContinuation(bytes[at + 3])) return 0
  if (lead >= 0xf0 && lead <= 0xf4) return (lead === 0xf0 && second < 0x90) || (lead === 0xf4 && second > 0x8f) ? 0 : 4
  return 0
}

/** From behind the opening quote to behind the closing one; `~position` of a fault. */
const string = (bytes: Uint8Array, from: number, end: number): number => {
  let at = from
  while (at < end) {
    const byte = bytes[at] ?? 0
    if (byte === 0x22) return at + 1
    if (byte === 0x5c) {
      const escaped = bytes[at + 1]
      if (escaped === 0x75) {
        for (let digit = at + 2; digit < at + 6; digit++) {
          const hex = (bytes[digit] ?? 0) | 0x20
          if (digit >= end || !(isDigit(bytes[digit]) || (hex >= 0x61 && hex <= 0x66)))
            return stop(at, "\\u wants 4 hexadecimal digits")
        }
        at += 6
      } else {
        // " \ / b f n r t
        if (
          at + 1 >= end ||
          !(
            escaped === 0x22 ||
            escaped === 0x5c ||
            escaped === 0x2f ||
            escaped === 0x62 ||
            escaped === 0x66 ||
            escaped === 0x6e ||
            escaped === 0x72 ||
            escaped === 0x74
          )
        )
          return stop(at, "unknown escape in a string")
        at += 2
      }
    } else if (byte < 0x20) return stop(at, "control character in a string")
    else if (byte < 0x80) at++
    else {
      const length = sequence(bytes, at)
      if (length === 0 || at + length > end) return stop(at, "not valid UTF-8")
      at += length
    }
  }
  return stop(end, "unterminated string")
}

const digits = (bytes: Uint8Array, from: number): number => {
  let at = from
  while (isDigit(bytes[at])) at++
  return at
}

/** Behind the number at `from`; `~position` of a fault. */
const number = (bytes: Uint8Array, from: number): number => {
  let at = bytes[from] === 0x2d ? from + 1 : from
  if (!isDigit(bytes[at])) return stop(at, "expected a digit")
  at = bytes[at] === 0x30 ? at + 1 : digits(bytes, at)
  if (bytes[at] === 0x2e) {
    if (!isDigit(bytes[at + 1])) return stop(at + 1, "expected a digit")
    at = digits(bytes, at + 1)
  }
  if (((bytes[at] ?? 0) | 0x20) === 0x65) {
    at++
    if (bytes[at] === 0x2b || bytes[at] === 0x2d) at++
    if (!isDigit(bytes[at])) return stop(at, "expected a digit")
    at = digits(bytes, at)
  }
  return at
}

const literals = ["true", "false", "null"].map(text => new TextEncoder().encode(text))

const literal = (bytes: Uint8Array, from: number): number => {
  for (const word of literals) {
    if (word[0] !== bytes[from]) continue
    for (let index = 1; index < word.length; index++)
      if (bytes[from + index] !== word[index]) return stop(from, "expected true, false or null")
    return from + word.length
  }
  return stop(from, "expected a value")
}

/** Behind the quote, name and colon of a member at `from`; `~position` of a fault. */
const name = (bytes: Uint8Array, from: number, end: number): number => {
  if (bytes[from] !== 0x22 || from >= end) return stop(from, "expected a member name in double quotes")
  const behind = string(bytes, from + 1, end)
  if (behind < 0) return behind
  const colon = skipSpace(bytes, behind, end)
  return bytes[colon] === 0x3a && colon < end ? colon + 1 : stop(colon, 'expected ":"')
}

/** Behind the value at `from`; `~position` of a fault. */
const value = (bytes: Uint8Array, from: number, end: number): number => {
  let depth = 0
  let at = from
  for (;;) {
    // A value starts here.
    const byte = bytes[at]
    if (at >= end) return stop(at, "the text ends where a value was expected")
    if (byte === 0x7b || byte === 0x5b) {
      if (depth === maxDepth) return stop(at, `nested deeper than ${maxDepth} levels`)
      nesting[depth++] = byte === 0x7b ? 1 : 0
      at = skipSpace(bytes, at + 1, end)
      if (bytes[at] !== byte + 2) {
        if (byte === 0x5b) continue
        at = name(bytes, at, end)
        if (at < 0) return at
        at = skipSpace(bytes, at, end)
        continue
      }
      depth--
      at++
    } else {
      at =
        byte === 0x22
          ? string(bytes, at + 1, end)
          : byte === 0x2d || isDigit(byte)
            ? number(bytes, at)
            : literal(bytes, at)
      if (at < 0) return at
    }
    // A value ended here: close what ends with it, or go on behind a comma.
    for (;;) {
      if (depth === 0) return at
      at = skipSpace(bytes, at, end)
      const inObject = nesting[depth - 1] === 1
      if (bytes[at] === 0x2c) {
        at = skipSpace(bytes, at + 1, end)
        if (inObject) {
          at = name(bytes, at, end)
          if (at < 0) return at
          at = skipSpace(bytes, at, end)
        }
        break
      }
      if (bytes[at] !== (inObject ? 0x7d : 0x5d))
        return stop(at, inObject ? 'expected "," or "}"' : 'expected "," or "]"')
      depth--
      at++
    }
  }
}

/**
 * -1 when `bytes` is exactly one JSON value in well-formed UTF-8, else the position of the first fault (`lastProblem`
 * says which).
 */
export const scan = (bytes: Uint8Array): number => {
  const end = bytes.length
  const behind = value(bytes, skipSpace(bytes, 0, end), end)
  if (behind < 0) return ~behind
  const at = skipSpace(bytes, behind, end)
  return at === end ? ok : ~stop(at, "text behind the value")
}

/**
 * The position behind the JSON value at `from`; -1 when there is none, or one with whitespace between its tokens. What is
 * behind that whitespace is not looked at.
 */
export const compactEnd = (bytes: Uint8Array, from: number): number => {
  compact = true
  const behind = value(bytes, from, bytes.length)
  compact = false
  return behind < 0 ? -1 : behind
}
