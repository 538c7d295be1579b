import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { randomBytes } from "node:crypto"
import { describe, it } from "node:test"
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib"
import { contentLength } from "../../src/internal/zstdFrame.ts"

const block = (type: number, size: number, content: Uint8Array, last: boolean) => {
  const header = Buffer.alloc(3)
  header.writeUIntLE((size << 3) | (type << 1) | (last ? 1 : 0), 0, 3)
  return Buffer.concat([header, content])
}

/** A frame of blocks as they are and one of a single byte repeated, which announces its length in `width` bytes. */
const frameOf = (width: 1 | 2 | 4 | 8) => {
  const size = { 1: 20, 2: 300, 4: 70_000, 8: 80_000 }[width]
  const raw = randomBytes(size - 10)
  const announced = Buffer.alloc(8)
  announced.writeBigUInt64LE(BigInt(width === 2 ? size - 256 : size))
  const singleSegment = 0x20
  const descriptor = ({ 1: 0, 2: 1, 4: 2, 8: 3 }[width] << 6) | singleSegment
  const frame = Buffer.concat([
    Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor]),
    announced.subarray(0, width),
    block(0, raw.length, raw, false),
    block(1, 10, Buffer.from([7]), true)
  ])
  assert.equal(zstdDecompressSync(frame).length, size)
  return { frame, size }
}

describe("a frame of zstd", () => {
  it("says how much it holds, in each of the ways there are", () => {
    for (const width of [1, 2, 4, 8] as const) {
      const { frame, size } = frameOf(width)
      assert.equal(contentLength(frame), size)
    }
  })

  it("made by a codec is passed over to its end, whatever its blocks are, and with a checksum", () => {
    for (const length of [200, 3000, 22_000, 1_000_000]) {
      const text = Buffer.from("to be or not to be, ".repeat(length / 20))
      const bytes = Buffer.concat([text, randomBytes(length), Buffer.alloc(length)])
      for (const params of [{}, { [constants.ZSTD_c_checksumFlag]: 1 }, { [constants.ZSTD_c_windowLog]: 10 }]) {
        const found = contentLength(zstdCompressSync(bytes, { params }))
        // Not every runtime's codec announces it.
        assert.equal(found ?? bytes.length, bytes.length)
      }
    }
  })

  it("says nothing when it is not alone or not whole, wherever it is cut", () => {
    const { frame } = frameOf(2)
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7])
    assert.equal(contentLength(Buffer.concat([frame, frame])), undefined)
    assert.equal(contentLength(Buffer.concat([skippable, frame])), undefined)
    assert.equal(contentLength(Buffer.concat([frame, skippable])), undefined)
    for (let length = 0; length < frame.length; length++)
      assert.equal(contentLength(frame.subarray(0, length)), undefined)
  })

  it("says nothing when it does not announce it, and when it is something else", () => {
    const { frame } = frameOf(1)
    const windowed = Buffer.concat([frame.subarray(0, 4), Buffer.from([0, 0]), frame.subarray(6)])
    assert.equal(zstdDecompressSync(windowed).length, 20)
    assert.equal(contentLength(windowed), undefined)
    assert.equal(contentLength(randomBytes(1000)), undefined)
  })
})
