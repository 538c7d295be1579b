/**
 * The search for repetitions that LZ4 and Snappy share: greedy, by a hash of the next four bytes, stepping wider the longer
 * nothing is found. What the two formats differ in is how a repetition is written down.
 */

/** Bytes looked at together: a repetition reaches no further back, so that places fit in 16 bits. */
export const blockBytes = 64 * 1024

/** A format of blocks of at most `blockBytes`, each of which can be written without the others. */
export interface BlockCodec {
  /** Bytes so many may need while they are written, and at most when they are. */
  readonly bound: (bytes: number) => number
  readonly head: Uint8Array
  /** Writes the block from `from` up to `to` of what `input` and `view` both show; returns the position behind. */
  readonly block: (input: Uint8Array, view: DataView, from: number, to: number, out: Uint8Array, at: number) => number
  readonly end: Uint8Array
}

/** How a format writes what is found. Each writes at `at` and returns the position behind. */
export interface Notation {
  /** The bytes from `from` up to `to` as they are, then `length` (at least 4) that stand `offset` further back already. */
  readonly repetition: (
    out: Uint8Array,
    at: number,
    input: Uint8Array,
    from: number,
    to: number,
    offset: number,
    length: number
  ) => number
  /** The last bytes of a block as they are; there may be none. */
  readonly rest: (out: Uint8Array, at: number, input: Uint8Array, from: number, to: number) => number
}

const hashBits = 13
const places = new Uint16Array(1 << hashBits)
/** Knuth's multiplicative hash: 2^32 by the golden ratio. */
const hash = (four: number): number => Math.imul(four, 0x9e3779b1) >>> (32 - hashBits)

/** LZ4 wants the last five bytes as they are, and no repetition to begin in the last twelve; Snappy loses nothing by it. */
const plainEnd = 5
const quietEnd = 12
/** After 2^n places without a repetition the step grows by one. */
const patience = 6

/** Writes the block from `from` up to `to`, at most `blockBytes`, of what `view` and `input` both show. */
export const writeBlock = (
  notation: Notation,
  input: Uint8Array,
  view: DataView,
  from: number,
  to: number,
  out: Uint8Array,
  at: number
): number => {
  places.fill(0)
  const lastStart = to - quietEnd
  const end = to - plainEnd
  let written = from
  let here = from + 1
  let misses = 1 << patience
  while (here <= lastStart) {
    const four = view.getInt32(here, true)
    const slot = hash(four)
    const before = from + (places[slot] ?? 0)
    places[slot] = here - from
    if (view.getInt32(before, true) !== four) {
      here += misses++ >>> patience
      continue
    }
    misses = 1 << patience
    const offset = here - before
    let start = here
    while (start > written && start - offset > from && input[start - 1] === input[start - offset - 1]) start--
    let stop = here + 4
    let difference = 0
    while (stop <= end - 4) {
      difference = view.getInt32(stop, true) ^ view.getInt32(stop - offset, true)
      if (difference !== 0) break
      stop += 4
    }
    // The lowest bit that differs says how many of the four bytes are the same.
    if (difference !== 0) stop += (31 - Math.clz32(difference & -difference)) >>> 3
    else while (stop < end && input[stop] === input[stop - offset]) stop++
    at = notation.repetition(out, at, input, written, start, offset, stop - start)
    written = stop
    here = stop
    if (here <= lastStart) places[hash(view.getInt32(here - 2, true))] = here - 2 - from
  }
  return notation.rest(out, at, input, written, to)
}

/** Below so many bytes a loop beats a call into the runtime. */
const fewBytes = 64

/** Copies the bytes from `from` up to `to`; returns the position behind. */
export const copyBytes = (out: Uint8Array, at: number, input: Uint8Array, from: number, to: number): number => {
  if (to - from > fewBytes) {
    out.set(input.subarray(from, to), at)
    return at + to - from
  }
  for (let i = from; i < to; i++) out[at++] = input[i] ?? 0
  return at
}

/** Repeats `length` bytes that stand `offset` further back, where the two may overlap; returns the position behind. */
export const repeatBytes = (out: Uint8Array, at: number, offset: number, length: number): number => {
  const end = at + length
  if (length > fewBytes && offset >= length) {
    out.copyWithin(at, at - offset, end - offset)
    return end
  }
  for (let i = at; i < end; i++) out[i] = out[i - offset] ?? 0
  return end
}
