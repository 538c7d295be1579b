/**
 * A WebAssembly module that works out CRC-32C without looking most bytes up: no runtime offers the processor's instruction,
 * and tables were the dearest part of a record's way. See docs/decisions/crc-by-words.md.
 *
 * A message is a polynomial, its checksum the remainder by Castagnoli's polynomial, and
 *
 *     x^79 + x^75 + x^71 + x^58 + x^18 + x^12 + x + 1
 *
 * is one of that one's multiples. So is its every 2^n-th power, which has the same terms with exponents 2^n times as large:
 * a word of 2^n bits in front may be left out, if it is added (by exclusive or) to the words 4, 8, 21, ... behind. Words of 128
 * bits go first, then of 64 and of 32, then what is left, some 300 bytes, by eight tables ("slicing by 8").
 *
 * @see K. Russell, "Chorba: A novel CRC32 implementation" (arXiv 2412.16398), for the idea
 */

type Code = ReadonlyArray<number>

/** How far behind a word it is added, in words: 79 less each other exponent. */
const distances = [4, 8, 21, 61, 67, 78, 79]
const furthest = Math.max(...distances)

/** Castagnoli's, reflected. */
export const polynomial = 0x82f63b78
const tables = 8
const tableBytes = 256 * 4
/** In front of the message so many zeros must be, since words look back at those in front of them; in whole vectors. */
const zerosBytes = furthest * 16
const messageAt = tables * tableBytes + zerosBytes
/** Of 64 KiB. */
const pages = 5
/** Longest message taken at once, bytes. */
export const mostBytes = 256 * 1024

/** LEB128, of small numbers that are not negative. */
const unsigned = (value: number): Code => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)])
const signed = (value: number): Code =>
  value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)]

const i32 = 0x7f
const i64 = 0x7e

/** Parameters and variables; all but `long` are 32-bit integers. */
const from = 0
const length = 1
const sum = 2
const end = 3
const first = 4
const second = 5
const long = 6

const get = (local: number): Code => [0x20, local]
const set = (local: number): Code => [0x21, local]
const constant = (value: number): Code => [0x41, ...signed(value)]
const load32 = (offset: number): Code => [0x28, 2, ...unsigned(offset)]
const store32 = (offset: number): Code => [0x36, 2, ...unsigned(offset)]
const load8: Code = [0x2d, 0, 0]
const add: Code = [0x6a]
const subtract: Code = [0x6b]
const and: Code = [0x71]
const xor: Code = [0x73]
const shiftLeft: Code = [0x74]
const shiftRight: Code = [0x76]
const less: Code = [0x49]
const atLeast: Code = [0x4f]

const moved = (local: number, bytes: number): Code => [...get(local), ...constant(bytes), ...add, ...set(local)]
const left: Code = [...get(end), ...get(from), ...subtract]
const onlyIf = (condition: Code, work: Code): Code => [...condition, 0x04, 0x40, ...work, 0x0b]
const asLongAs = (condition: Code, work: Code): Code => [0x03, 0x40, ...onlyIf(condition, [...work, 0x0c, 1]), 0x0b]
const atLeastLeft = (bytes: number): Code => [...left, ...constant(bytes), ...atLeast]

interface Word {
  readonly bytes: number
  readonly load: (offset: number) => Code
  readonly store: (offset: number) => Code
  readonly xor: Code
}
const words32: Word = { bytes: 4, load: load32, store: store32, xor }
const words64: Word = {
  bytes: 8,
  load: offset => [0x29, 3, ...unsigned(offset)],
  store: offset => [0x37, 3, ...unsigned(offset)],
  xor: [0x85]
}
const words128: Word = {
  bytes: 16,
  load: offset => [0xfd, 0, 4, ...unsigned(offset)],
  store: offset => [0xfd, 11, 4, ...unsigned(offset)],
  xor: [0xfd, 81]
}

/** Adds the word at `from` to those behind it and leaves it out, as long as they are all there. `local` is of its type. */
const scatter = ({ bytes, load, store, xor }: Word, local: number): Code =>
  asLongAs(atLeastLeft((furthest + 1) * bytes), [
    ...get(from),
    ...load(0),
    ...set(local),
    ...distances.flatMap(distance => [
      ...get(from),
      ...get(from),
      ...load(distance * bytes),
      ...get(local),
      ...xor,
      ...store(distance * bytes)
    ]),
    ...moved(from, bytes)
  ])

/**
 * The same with one store for each word: it adds to a word all those in front that concern it. In the end the words that
 * are left have only been reached by some, and the others are added distance by distance.
 */
const gather = ({ bytes, load, store, xor }: Word): Code => {
  const reach = furthest * bytes
  // Below twice the reach adding distance by distance is the dearer part.
  return onlyIf(atLeastLeft(2 * reach), [
    // Offsets cannot be negative: everything is seen from `reach` in front.
    ...moved(from, -reach),
    ...moved(end, -reach),
    ...asLongAs(atLeastLeft(reach + bytes), [
      ...get(from),
      ...get(from),
      ...load(reach),
      ...distances.flatMap(distance => [...get(from), ...load(reach - distance * bytes), ...xor]),
      ...store(reach),
      ...moved(from, bytes)
    ]),
    ...moved(from, reach),
    ...moved(end, reach),
    ...distances.flatMap(distance => [
      ...get(from),
      ...constant(distance * bytes),
      ...subtract,
      ...set(first),
      ...asLongAs(
        [...get(first), ...get(from), ...less],
        [
          ...get(first),
          ...get(first),
          ...load(0),
          ...get(first),
          ...load(distance * bytes),
          ...xor,
          ...store(distance * bytes),
          ...moved(first, bytes)
        ]
      )
    ])
  ])
}

/** What `byte` looks up in a table. */
const entry = (table: number, byte: Code): Code => [
  ...byte,
  ...constant(2),
  ...shiftLeft,
  ...load32(table * tableBytes)
]
const byteOf = (local: number, place: number): Code => [
  ...get(local),
  ...constant(8 * place),
  ...shiftRight,
  ...constant(0xff),
  ...and
]

const eightBytes: Code = asLongAs(atLeastLeft(8), [
  ...get(from),
  ...load32(0),
  ...get(sum),
  ...xor,
  ...set(first),
  ...get(from),
  ...load32(4),
  ...set(second),
  ...entry(7, byteOf(first, 0)),
  ...[1, 2, 3].flatMap(place => [...entry(7 - place, byteOf(first, place)), ...xor]),
  ...[0, 1, 2, 3].flatMap(place => [...entry(3 - place, byteOf(second, place)), ...xor]),
  ...set(sum),
  ...moved(from, 8)
])

const oneByte: Code = asLongAs(atLeastLeft(1), [
  ...entry(0, [...get(from), ...load8, ...get(sum), ...xor, ...constant(0xff), ...and]),
  ...get(sum),
  ...constant(8),
  ...shiftRight,
  ...xor,
  ...set(sum),
  ...moved(from, 1)
])

const complement: Code = [...get(sum), ...constant(-1), ...xor]

const code = (vectors: boolean): Code => [
  ...get(from),
  ...get(length),
  ...add,
  ...set(end),
  ...complement,
  ...set(sum),
  ...onlyIf(atLeastLeft((furthest + 1) * words32.bytes), [
    // What came before counts as if it were added to the first bytes.
    ...get(from),
    ...get(from),
    ...load32(0),
    ...get(sum),
    ...xor,
    ...store32(0),
    ...constant(0),
    ...set(sum),
    ...(vectors ? gather(words128) : []),
    ...scatter(words64, long),
    ...scatter(words32, first)
  ]),
  ...eightBytes,
  ...oneByte,
  ...complement,
  0x0b
]

const section = (id: number, content: Code): Code => [id, ...unsigned(content.length), ...content]

const moduleBytes = (vectors: boolean): Uint8Array<ArrayBuffer> => {
  const body = [2, 3, i32, 1, i64, ...code(vectors)]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    // One type, (i32, i32, i32) -> i32; a function of it; a memory; both exported, as `f` and `m`; the function's code.
    ...section(1, [1, 0x60, 3, i32, i32, i32, 1, i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, pages]),
    ...section(7, [2, 1, 0x66, 0, 0, 1, 0x6d, 2, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body])
  ])
}

const fillTables = (memory: ArrayBuffer): void => {
  const entries = new DataView(memory)
  const at = (table: number, byte: number): number => entries.getUint32(table * tableBytes + byte * 4, true)
  for (let table = 0; table < tables; table++) {
    for (let byte = 0; byte < 256; byte++) {
      let value = byte
      if (table === 0) for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ ((value & 1) === 0 ? 0 : polynomial)
      else {
        const before = at(table - 1, byte)
        value = (before >>> 8) ^ at(0, before & 0xff)
      }
      entries.setUint32(table * tableBytes + byte * 4, value, true)
    }
  }
}

/** Of at most `mostBytes`. `before` is the checksum of what is in front of them, 0 when nothing is. */
export type Checksum = (bytes: Uint8Array, before: number) => number

const withVectors = moduleBytes(true)
/** Whether the processor and the runtime have WebAssembly's vectors. */
export const vectorsAreThere = WebAssembly.validate(withVectors)

/** @param vectors with words of 128 bits */
export const makeChecksum = (vectors: boolean): Checksum => {
  const { f, m } = new WebAssembly.Instance(new WebAssembly.Module(vectors ? withVectors : moduleBytes(false))).exports
  if (!(m instanceof WebAssembly.Memory) || typeof f !== "function")
    throw new Error("the module exports something else")
  fillTables(m.buffer)
  const memory = new Uint8Array(m.buffer)
  return (bytes, before) => {
    memory.set(bytes, messageAt)
    return f(messageAt, bytes.length, before) >>> 0
  }
}
