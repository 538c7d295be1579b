import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Either from "effect/Either"
import fc from "fast-check"
import * as Envelope from "../../src/Envelope.ts"
import { type ClaimPointer, fromBody, isPointerBody, toBody } from "../../src/internal/claimPointer.ts"

const pointer: ClaimPointer = {
  claim: { bucket: "b", key: "spillway/events/1", bytes: 20_000_000, partBytes: 8_388_608, checksum: "abc=-3" },
  recordCount: 1,
  notBefore: 1_790_000_000_000
}

const reasonOf = (body: string) => {
  const read = fromBody(body)
  return Either.isLeft(read) ? read.left.reason : "read"
}

const changed = (body: string, change: (bytes: Buffer) => Buffer | undefined): string => {
  const bytes = Buffer.from(body, "base64")
  return (change(bytes) ?? bytes).toString("base64")
}

describe("claimPointer", () => {
  it("reads what it writes", () => {
    fc.assert(
      fc.property(
        fc.record({
          bucket: fc.string(),
          key: fc.string({ unit: "grapheme" }),
          bytes: fc.integer({ min: 1, max: 256 * 1024 * 1024 }),
          partBytes: fc.integer({ min: 100_000, max: 2 ** 40 }),
          checksum: fc.string()
        }),
        fc.nat(),
        fc.maxSafeNat(),
        (claim, recordCount, notBefore) => {
          const body = toBody({ claim, recordCount, notBefore })
          assert.ok(isPointerBody(body))
          assert.deepEqual(fromBody(body), Either.right({ claim: { ...claim }, recordCount, notBefore }))
        }
      )
    )
  })

  it("is no pack, and a pack is no pointer", () => {
    const body = toBody(pointer)
    assert.ok(!Envelope.isPackBody(body))
    assert.ok(!isPointerBody(Envelope.bodyOf(Envelope.encode([]))))
    assert.equal(reasonOf("anything"), "Foreign")
  })

  it("notices every single changed bit, and every cut", () => {
    const body = toBody(pointer)
    const { length } = Buffer.from(body, "base64")
    for (let at = 0; at < length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const damaged = changed(body, bytes => {
          bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
          return undefined
        })
        assert.notEqual(reasonOf(damaged), "read")
      }
      assert.notEqual(reasonOf(changed(body, bytes => bytes.subarray(0, at))), "read")
    }
  })

  it("leaves newer versions to those who know them", () => {
    const newer = changed(toBody(pointer), bytes => {
      bytes[3] = 2
      return undefined
    })
    assert.equal(reasonOf(newer), "UnsupportedVersion")
  })

  it("points to nothing larger than a pack may be, nor to endless parts", () => {
    const { claim } = pointer
    for (const part of [{ bytes: 0 }, { bytes: 2 ** 40 }, { partBytes: 0 }, { partBytes: 1000 }]) {
      assert.equal(reasonOf(toBody({ ...pointer, claim: { ...claim, ...part } })), "Corrupt")
    }
  })
})
