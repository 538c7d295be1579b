import assert from "node:assert/strict"
import { describe, it } from "node:test"
import fc from "fast-check"
import { crc32c } from "../../src/internal/crc32c.ts"
import { makeChecksum, mostBytes, vectorsAreThere } from "../../src/internal/crc32cModule.ts"
import { noise } from "../support/batches.ts"

/** By its definition, a bit at a time. */
const byDefinition = (bytes: Uint8Array): number => {
  let sum = 0xffffffff
  for (const byte of bytes) {
    sum ^= byte
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ ((sum & 1) === 0 ? 0 : 0x82f63b78)
  }
  return ~sum >>> 0
}

/** Around where the next larger word comes in, and where it has gone through all that it can. */
const lengths = [4, 8, 320, 640, 1264, 1280, 2528, 4096, 20_000].flatMap(at =>
  Array.from({ length: 37 }, (_, index) => Math.max(0, at + index - 18))
)

describe("the checksum's module", () => {
  for (const vectors of [true, false]) {
    const form = vectors ? "with vectors" : "without vectors"
    if (vectors && !vectorsAreThere) {
      it(form, { skip: "the processor has no vectors for WebAssembly" }, () => {})
      continue
    }
    const checksum = makeChecksum(vectors)

    it(`${form}: is CRC-32C at every length around its steps, after longer and shorter ones`, () => {
      // Long and short by turns: what is left in its memory must not count.
      for (const [index, length] of lengths.entries()) {
        for (const bytes of [noise(length, index), noise(lengths.at(-1 - index) ?? 0, index + 1)])
          assert.equal(checksum(bytes, 0), byDefinition(bytes), `${bytes.length} bytes`)
      }
    })

    it(`${form}: goes on from what is in front`, () => {
      const part = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ maxLength: 6000, size: "max" }))
      fc.assert(
        fc.property(part, part, (first, second) => {
          const sum = checksum(second, checksum(first, 0))
          assert.equal(sum, byDefinition(Buffer.concat([first, second])))
        })
      )
    })

    it(`${form}: tells any single bit`, () => {
      const bytes = Buffer.from(noise(5000, 3))
      const sum = checksum(bytes, 0)
      for (let bit = 0; bit < bytes.length * 8; bit += 7) {
        const byte = bytes[bit >> 3] ?? 0
        bytes[bit >> 3] = byte ^ (1 << (bit & 7))
        assert.notEqual(checksum(bytes, 0), sum, `bit ${bit}`)
        bytes[bit >> 3] = byte
      }
      assert.equal(checksum(bytes, 0), sum)
    })
  }

  it("takes as much as it says, and a longer message in parts", () => {
    const bytes = noise(3 * mostBytes + 5, 11)
    for (const length of [mostBytes - 1, mostBytes, mostBytes + 1, bytes.length]) {
      const message = bytes.subarray(0, length)
      assert.equal(crc32c(message), byDefinition(message), `${length} bytes`)
    }
  })
})
