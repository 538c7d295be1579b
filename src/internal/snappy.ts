/**
 * Snappy as Kafka's Java client writes it: blocks in the framing of xerial's snappy-java. Other clients send one block
 * without it; both are read.
 *
 * @see https://github.com/google/snappy/blob/main/format_description.txt
 * @see https://github.com/xerial/snappy-java, SnappyOutputStream
 */
import { type BlockCodec, blockBytes, copyBytes, type Notation, repeatBytes, writeBlock } from "./blocks.ts"

/** Magic, version 1, readable by version 1; big-endian. */
const framingHead = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1)
const magicBytes = 8

/** The lowest two bits of an element say what it is. */
const kinds = { plain: 0, near: 1, far: 2, farther: 3 }
/** A longer run of plain bytes has its length behind the tag. */
const longestShort = 60
const longestRepetition = 64
/** What a near repetition can say. */
const near = { offset: 2048, length: 11 }
/** Three bytes can stand for 64 at most. */
const bestRatio = 22

const writePlain = (out: Uint8Array, at: number, input: Uint8Array, from: number, to: number): number => {
  const length = to - from - 1
  if (length < longestShort) out[at++] = length << 2
  else {
    out[at++] = (length < 256 ? longestShort : longestShort + 1) << 2
    out[at++] = length
    if (length >= 256) out[at++] = length >>> 8
  }
  return copyBytes(out, at, input, from, to)
}

const writeFar = (out: Uint8Array, at: number, offset: number, length: number): number => {
  out[at++] = ((length - 1) << 2) | kinds.far
  out[at++] = offset
  out[at++] = offset >>> 8
  return at
}

const notation: Notation = {
  repetition: (out, at, input, from, to, offset, length) => {
    if (to > from) at = writePlain(out, at, input, from, to)
    let left = length
    // What is left must be no shorter than four for the near form.
    for (; left >= longestRepetition + 4; left -= longestRepetition) at = writeFar(out, at, offset, longestRepetition)
    if (left > longestRepetition) {
      at = writeFar(out, at, offset, longestRepetition - 4)
      left -= longestRepetition - 4
    }
    if (left > near.length || offset >= near.offset) return writeFar(out, at, offset, left)
    out[at++] = ((offset >>> 8) << 5) | ((left - 4) << 2) | kinds.near
    out[at++] = offset
    return at
  },
  rest: (out, at, input, from, to) => (to > from ? writePlain(out, at, input, from, to) : at)
}

/** Blocks with their length in front, big-endian. */
export const codec: BlockCodec = {
  // By Snappy's own `MaxCompressedLength` for each block.
  bound: bytes => framingHead.length + Math.ceil(bytes / blockBytes) * (4 + 32) + bytes + Math.ceil(bytes / 6),
  head: framingHead,
  block: (input, view, from, to, out, at) => {
    const begin = at + 4
    let end = begin
    let left = to - from
    for (; left >= 128; left >>>= 7) out[end++] = (left & 127) | 128
    out[end++] = left
    end = writeBlock(notation, input, view, from, to, out, end)
    for (let i = 0; i < 4; i++) out[at + i] = (end - begin) >>> (24 - 8 * i)
    return end
  },
  end: new Uint8Array()
}

/**
 * What the bytes hold, framed or not.
 *
 * @param limit most bytes they may hold
 * @throws RangeError where they are not whole, or hold more
 */
export const read = (input: Uint8Array, limit: number): Uint8Array => {
  const blocks: Array<Block> = []
  let size = 0
  const find = (from: number, to: number) => {
    const block = readLength(input, from, to)
    size += block.length
    if (size > limit) throw new RangeError(`more than ${limit} bytes`)
    blocks.push(block)
  }
  if (!framed(input)) find(0, input.length)
  else {
    for (let at = framingHead.length; at < input.length; ) {
      if (at + 4 > input.length) throw new RangeError("the Snappy framing is cut off")
      let length = 0
      for (let i = 0; i < 4; i++) length = length * 256 + (input[at + i] ?? 0)
      at += 4
      if (at + length > input.length) throw new RangeError("a Snappy block is cut off")
      find(at, at + length)
      at += length
    }
  }
  const out = Buffer.allocUnsafeSlow(size)
  let filled = 0
  for (const block of blocks) {
    readBlock(input, block, out, filled)
    filled += block.length
  }
  return out
}

const framed = (input: Uint8Array): boolean => {
  if (input.length < framingHead.length) return false
  for (let i = 0; i < magicBytes; i++) if (input[i] !== framingHead[i]) return false
  return true
}

interface Block {
  /** Where its elements are. */
  readonly from: number
  readonly to: number
  /** Bytes it says it holds. */
  readonly length: number
}

const readLength = (input: Uint8Array, from: number, to: number): Block => {
  let length = 0
  let at = from
  for (let scale = 1; ; scale *= 128) {
    if (at >= to || at - from === 5) throw new RangeError("a Snappy block has no length")
    const byte = input[at++] ?? 0
    length += (byte & 127) * scale
    if (byte < 128) break
  }
  // Nothing is allocated on the word of bytes that cannot keep it.
  if (length > (to - at) * bestRatio) throw new RangeError(`a Snappy block of ${to - at} bytes cannot hold ${length}`)
  return { from: at, to, length }
}

const readLittle = (input: Uint8Array, at: number, bytes: number): number => {
  let value = 0
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (input[at + i] ?? 0)
  return value
}

const readBlock = (input: Uint8Array, block: Block, out: Uint8Array, begin: number): void => {
  const end = begin + block.length
  let at = block.from
  let written = begin
  while (at < block.to) {
    const tag = input[at++] ?? 0
    const kind = tag & 3
    if (kind === kinds.plain) {
      let length = tag >>> 2
      if (length >= longestShort) {
        const bytes = length - longestShort + 1
        length = readLittle(input, at, bytes)
        at += bytes
      }
      length++
      if (at + length > block.to || written + length > end)
        throw new RangeError("bytes of a Snappy block reach past its end")
      written = copyBytes(out, written, input, at, at + length)
      at += length
      continue
    }
    let length: number
    let offset: number
    if (kind === kinds.near) {
      length = ((tag >>> 2) & 7) + 4
      offset = ((tag >>> 5) << 8) | (input[at] ?? 0)
      at += 1
    } else {
      const bytes = kind === kinds.far ? 2 : 4
      length = (tag >>> 2) + 1
      offset = readLittle(input, at, bytes)
      at += bytes
    }
    if (at > block.to || offset === 0 || offset > written - begin || written + length > end) {
      throw new RangeError("a repetition in a Snappy block reaches out of it")
    }
    written = repeatBytes(out, written, offset, length)
  }
  if (written !== end) throw new RangeError("a Snappy block holds less than it says")
}
