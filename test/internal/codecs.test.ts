import assert from "node:assert/strict"
import { describe, it } from "node:test"
import fc from "fast-check"
import { type BlockCodec, blockBytes } from "../../src/internal/blocks.ts"
import * as Lz4 from "../../src/internal/lz4.ts"
import * as Snappy from "../../src/internal/snappy.ts"
import { noise } from "../support/batches.ts"

const limit = 64 * 1024 * 1024
const codecs = [
  ["lz4", Lz4.codec, Lz4.read],
  ["snappy", Snappy.codec, Snappy.read]
] as const

/** Writes in memory of exactly the size the codec asks for; what would be written past it is lost. */
const write = (codec: BlockCodec, input: Uint8Array): Buffer => {
  const out = Buffer.alloc(codec.bound(input.length))
  const view = new DataView(input.buffer, input.byteOffset, input.length)
  out.set(codec.head)
  let at = codec.head.length
  for (let from = 0; from < input.length; from += blockBytes) {
    at = codec.block(input, view, from, Math.min(from + blockBytes, input.length), out, at)
  }
  out.set(codec.end, at)
  return out.subarray(0, at + codec.end.length)
}

const hex = (...parts: ReadonlyArray<string>) => Buffer.from(parts.join("").replaceAll(" ", ""), "hex")
const refuses = (read: () => unknown, of: string) => assert.throws(read, RangeError, of)

/** Bytes with repetitions near and far, short and long, and stretches without any. */
const repetitive = fc
  .array(fc.record({ seed: fc.nat(5), length: fc.nat(400), times: fc.integer({ min: 1, max: 40 }) }), { maxLength: 60 })
  .map(parts => Buffer.concat(parts.flatMap(({ length, seed, times }) => Array(times).fill(noise(length, seed)))))
const anything = fc.oneof(
  repetitive,
  fc.uint8Array({ maxLength: 3000 }),
  fc.nat(200_000).map(length => noise(length, 7))
)

for (const [name, codec, read] of codecs) {
  describe(name, () => {
    it("gives back what was written", () => {
      fc.assert(
        fc.property(anything, input => {
          assert.deepEqual(Buffer.from(read(write(codec, input), limit)), Buffer.from(input))
        })
      )
    })

    it("makes small what repeats itself, and little larger what does not", () => {
      const text = Buffer.alloc(1_000_000, "the same again, and ")
      const small = write(codec, text)
      assert.ok(small.length < text.length / 15, String(small.length))
      assert.deepEqual(Buffer.from(read(small, limit)), text)
      assert.ok(write(codec, noise(1_000_000, 3)).length < 1_001_000)
    })

    it("takes no more than its bound also where runs and repetitions alternate at their worst", () => {
      for (let plain = 1; plain < 80; plain++) {
        const parts: Array<Uint8Array> = [noise(64, 1)]
        for (let seed = 2; seed < 900; seed++) parts.push(noise(plain, seed), noise(4, 1))
        const input = Buffer.concat(parts)
        const written = write(codec, input)
        assert.deepEqual(Buffer.from(read(written, limit)), input, String(plain))
      }
    })

    it("refuses bytes that are no such thing, whole or in part, and holds to the limit", () => {
      const whole = write(codec, Buffer.concat([noise(70_000, 1), Buffer.alloc(200_000, "abcdefgh"), noise(9, 2)]))
      for (let length = 1; length < whole.length; length += 997) {
        const part = whole.subarray(0, length)
        // Snappy's framing does not say how many blocks there are: a part that ends behind one is whole.
        const { length: held = -1 } = attempt(() => read(part, limit)) ?? {}
        assert.ok(held === -1 || (name === "snappy" && held % blockBytes === 0), `${length} bytes: ${held}`)
      }
      refuses(() => read(whole, 270_008), "one byte over the limit")
      assert.equal(read(whole, 270_009).length, 270_009)
    })

    it("takes no harm from any bytes, and no more memory than they can stand for", () => {
      const whole = write(codec, Buffer.concat([noise(300, 1), Buffer.alloc(3000, "abcdefgh")]))
      const damaged = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 }).map(changes => {
        const bytes = Buffer.from(whole)
        for (const [at, byte] of changes) bytes[at] = byte
        return bytes
      })
      const headed = fc.uint8Array({ maxLength: 400 }).map(bytes => Buffer.concat([codec.head, bytes]))
      fc.assert(
        fc.property(fc.oneof(damaged, headed, fc.uint8Array({ maxLength: 400 })), bytes => {
          const held = attempt(() => read(bytes, limit))
          if (held !== undefined) assert.ok(held.buffer.byteLength <= 4 * 255 * bytes.length)
        }),
        { numRuns: 2000 }
      )
    })
  })
}

/** Undefined where it throws a RangeError; whatever else it throws is a fault. */
const attempt = <A>(act: () => A): A | undefined => {
  try {
    return act()
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    return undefined
  }
}

describe("lz4 of others", () => {
  const head = "04224d18 6040 82"
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

  it("may have checksums, its size in front, and blocks that refer to those before", () => {
    const all = hex("04224d18 5c40 0a00000000000000 00", "05000080 6162636465 11111111", "00000000", "22222222")
    assert.equal(text(Lz4.read(all, limit)), "abcde")
    const linked = hex("04224d18 4040 00", "04000080 61626364", "09000000 00 0400 50 65666768 69", "00000000")
    assert.equal(text(Lz4.read(linked, limit)), "abcdabcdefghi")
  })

  it("may repeat what it is just writing", () => {
    const block = "1f 61 0100 05 50 6263646566"
    assert.equal(text(Lz4.read(hex(head, "0b000000", block, "00000000"), limit)), `${"a".repeat(25)}bcdef`)
  })

  it("is refused where it reaches out of itself", () => {
    const faulty = [
      ["a repetition of nothing", hex(head, "09000000 10 61 0000 50 6263646566 00000000")],
      ["from before the beginning", hex(head, "0a000000 10 61 0200 50 6263646566 00000000")],
      ["plain bytes past the block", hex(head, "03000000 f0 ff ff 00000000")],
      ["a length without an end", hex(head, "04000000 1f 61 0100 00000000")],
      ["a block longer than the frame", hex(head, "ff000000 10 61")],
      ["a plain block above the block size", hex(head, "01000180", "00".repeat(65_537), "00000000")],
      ["bytes behind the frame", hex(head, "00000000 00")],
      ["no mark of the end", hex(head, "05000080 6162636465")],
      ["a dictionary", hex("04224d18 6140 00 00000000 00000000")],
      ["another version", hex("04224d18 a040 00 00000000")],
      ["a block size that is none", hex("04224d18 6000 00 00000000")],
      ["another magic", hex("05224d18 6040 82 00000000")],
      ["nothing", Buffer.alloc(0)]
    ] as const
    for (const [what, bytes] of faulty) refuses(() => Lz4.read(bytes, limit), what)
  })
})

describe("snappy of others", () => {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

  it("may come without framing, and with every kind of element", () => {
    // Plain with a length of its own, then near, far and farther repetitions.
    const block = hex("10", "f0 05 616263646566", "01 06", "0e 0600", "07 01000000")
    assert.equal(text(Snappy.read(block, limit)), "abcdefabcdefabbb")
  })

  it("is refused where it reaches out of itself, or promises too much", () => {
    const framing = "82534e4150505900 00000001 00000001"
    const faulty = [
      ["a repetition of nothing", hex("05 00 61 01 00")],
      ["from before the beginning", hex("05 00 61 01 02")],
      ["from the block before", hex(framing, "00000003 01 00 61", "00000003 04 01 01")],
      ["plain bytes past the block", hex("05 10 61")],
      ["more than announced", hex("01 04 6162")],
      ["less than announced", hex("05 04 6162")],
      ["a length that no bytes can keep", hex("ffffffff0f 04 6162")],
      ["a length without an end", hex("ffffffffff ffff")],
      ["a block longer than what is there", hex(framing, "000000ff 01 00 61")],
      ["a length that is cut off", hex(framing, "0000")],
      ["an element that is cut off", hex("05 00 61 02 01")],
      ["nothing", Buffer.alloc(0)]
    ] as const
    for (const [what, bytes] of faulty) refuses(() => Snappy.read(bytes, limit), what)
    assert.equal(Snappy.read(hex(framing), limit).length, 0)
    // Known from the length alone: before any memory is taken for it.
    assert.throws(() => Snappy.read(hex("80808010 04 6162"), limit), /cannot hold 33554432$/)
  })
})
