import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import { checksum, partsOf } from "../../src/internal/partDigest.ts"
import { noise } from "../support/batches.ts"

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest()

describe("partDigest", () => {
  it("cuts into parts that are views, the last one shorter", () => {
    const bytes = noise(25, 1)
    assert.deepEqual(
      partsOf([bytes], 10).map(part => [part().length, part().buffer === bytes.buffer]),
      [
        [10, true],
        [10, true],
        [5, true]
      ]
    )
    assert.equal(partsOf([bytes], 25).length, 1)
    assert.deepEqual(
      partsOf([], 10).map(part => part().length),
      [0]
    )
  })

  it("copies only the parts that lie in several pieces", async () => {
    const pieces = [noise(3, 1), noise(25, 2), noise(4, 3)]
    const parts = partsOf(pieces, 10).map(part => part())
    assert.ok(Buffer.concat(parts).equals(Buffer.concat(pieces)))
    assert.deepEqual(
      parts.map(part => pieces.some(({ buffer }) => buffer === part.buffer)),
      [false, true, false, true]
    )
    const whole = await Effect.runPromise(checksum([Buffer.concat(pieces)], 10))
    assert.equal(await Effect.runPromise(checksum(pieces, 10)), whole)
  })

  it("is the plain SHA-256 of one part, and S3's composite of several", async () => {
    const bytes = noise(25, 1)
    assert.equal(await Effect.runPromise(checksum([bytes], 25)), sha256(bytes).toString("base64"))
    const digests = [bytes.subarray(0, 10), bytes.subarray(10, 20), bytes.subarray(20)].map(sha256)
    const composite = `${sha256(Buffer.concat(digests)).toString("base64")}-3`
    assert.equal(await Effect.runPromise(checksum([bytes], 10)), composite)
  })
})
