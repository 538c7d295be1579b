/**
 * LZ4's frame format as Kafka's Java client writes it: independent blocks of 64 KiB, no checksum of the content.
 *
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
 */
import { type BlockCodec, blockBytes, copyBytes, type Notation, repeatBytes, writeBlock } from "./blocks.ts"

/** Version 1, independent blocks; 64 KiB; and the second byte of the two's xxHash32, which is always this one. */
const frameHead = Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82)
const magic = 0x184d2204
/** Set in a block's length: its bytes are not compressed. */
const plainFlag = 0x80000000

const version = { mask: 0xc0, one: 0x40 }
const flags = { blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 }
/** By the number in the head's second byte. */
const blockSizes: Readonly<Record<number, number>> = { 4: 64 << 10, 5: 256 << 10, 6: 1 << 20, 7: 4 << 20 }

const longest = 15
const shortestRepetition = 4

const writeMore = (out: Uint8Array, at: number, length: number): number => {
  let left = length
  for (; left >= 255; left -= 255) out[at++] = 255
  out[at++] = left
  return at
}

const notation: Notation = {
  repetition: (out, at, input, from, to, offset, length) => {
    const plain = to - from
    const repeated = length - shortestRepetition
    out[at++] = (Math.min(plain, longest) << 4) | Math.min(repeated, longest)
    if (plain >= longest) at = writeMore(out, at, plain - longest)
    at = copyBytes(out, at, input, from, to)
    out[at++] = offset
    out[at++] = offset >>> 8
    return repeated >= longest ? writeMore(out, at, repeated - longest) : at
  },
  rest: (out, at, input, from, to) => {
    const plain = to - from
    out[at++] = Math.min(plain, longest) << 4
    if (plain >= longest) at = writeMore(out, at, plain - longest)
    return copyBytes(out, at, input, from, to)
  }
}

/** One frame of as many blocks as it takes. A block that compressing makes no smaller is in it as it is. */
export const codec: BlockCodec = {
  bound: bytes => frameHead.length + bytes + 4 * Math.ceil(bytes / blockBytes) + Math.ceil(blockBytes / 255) + 16,
  head: frameHead,
  block: (input, view, from, to, out, at) => {
    const begin = at + 4
    let end = writeBlock(notation, input, view, from, to, out, begin)
    let length = end - begin
    if (length >= to - from) {
      out.set(input.subarray(from, to), begin)
      end = begin + to - from
      length = to - from + plainFlag
    }
    writeInt32(out, at, length)
    return end
  },
  // A block of no bytes marks the end.
  end: Uint8Array.of(0, 0, 0, 0)
}

const writeInt32 = (out: Uint8Array, at: number, value: number): void => {
  for (let i = 0; i < 4; i++) out[at + i] = value >>> (8 * i)
}

/** Little-endian, unsigned. */
const readInt32 = (input: Uint8Array, at: number): number => {
  if (at + 4 > input.length) throw new RangeError("the LZ4 frame is cut off")
  return (
    ((input[at] ?? 0) | ((input[at + 1] ?? 0) << 8) | ((input[at + 2] ?? 0) << 16) | ((input[at + 3] ?? 0) << 24)) >>> 0
  )
}

/**
 * What a frame holds. Its checksums are passed over: the batch's own covers the same bytes.
 *
 * @param limit most bytes it may hold
 * @throws RangeError where it is no whole frame, or holds more
 */
export const read = (input: Uint8Array, limit: number): Uint8Array => {
  if (readInt32(input, 0) !== magic) throw new RangeError("no LZ4 frame")
  const descriptor = input[4] ?? 0
  const blockSize = blockSizes[((input[5] ?? 0) >>> 4) & 7]
  if ((descriptor & version.mask) !== version.one || (descriptor & flags.dictionary) !== 0 || blockSize === undefined) {
    throw new RangeError("an LZ4 frame of an unknown kind")
  }
  let at = (descriptor & flags.contentSize) === 0 ? 7 : 15
  let out = Buffer.allocUnsafeSlow(Math.min(limit, 4 * input.length))
  let filled = 0
  while (true) {
    const word = readInt32(input, at)
    at += 4
    if (word === 0) break
    const plain = word >= plainFlag
    const length = plain ? word - plainFlag : word
    const end = at + length
    if (end > input.length) throw new RangeError("an LZ4 block is cut off")
    const most = Math.min(limit, filled + Math.min(blockSize, plain ? length : 255 * length))
    if (most > out.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(limit, Math.max(most, 2 * out.length)))
      larger.set(out.subarray(0, filled))
      out = larger
    }
    if (plain && filled + length > most) throw new RangeError("an LZ4 block holds too much")
    filled = plain ? copyBytes(out, filled, input, at, end) : readBlock(input, at, end, out, filled, most)
    at = (descriptor & flags.blockChecksum) === 0 ? end : end + 4
  }
  if ((descriptor & flags.contentChecksum) !== 0) at += 4
  if (at !== input.length) throw new RangeError("bytes behind the LZ4 frame, or too few")
  return out.subarray(0, filled)
}

/** Writes what the block holds behind what `out` holds up to `filled`, to which it may refer; returns the position behind. */
const readBlock = (
  input: Uint8Array,
  from: number,
  to: number,
  out: Uint8Array,
  filled: number,
  limit: number
): number => {
  let at = from
  let written = filled
  while (at < to) {
    const token = input[at++] ?? 0
    let plain = token >>> 4
    if (plain === longest) {
      let more = 255
      while (more === 255 && at < to) {
        more = input[at++] ?? 0
        plain += more
      }
    }
    if (at + plain > to || written + plain > limit) throw new RangeError("bytes of an LZ4 block reach past its end")
    written = copyBytes(out, written, input, at, at + plain)
    at += plain
    if (at === to) return written
    if (at + 2 > to) break
    const offset = (input[at] ?? 0) | ((input[at + 1] ?? 0) << 8)
    at += 2
    let repeated = (token & longest) + shortestRepetition
    if ((token & longest) === longest) {
      let more = 255
      while (more === 255 && at < to) {
        more = input[at++] ?? 0
        repeated += more
      }
    }
    if (offset === 0 || offset > written || written + repeated > limit) {
      throw new RangeError("a repetition in an LZ4 block reaches out of it")
    }
    written = repeatBytes(out, written, offset, repeated)
  }
  throw new RangeError("an LZ4 block has no end")
}
