import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { describe, it } from "node:test"
import { gunzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { deflate, inflate } from "../../src/internal/largeCompression.ts"
import { turnsDuring } from "../support/turns.ts"

const MiB = 1024 * 1024
const text = Buffer.alloc(9 * MiB, "a line of text that comes again\n")
const random = randomBytes(9 * MiB)

describe("compressing in slices", () => {
  for (const [codec, expand] of [
    ["zstd", zstdDecompressSync],
    ["gzip", gunzipSync]
  ] as const) {
    it(`makes one frame of ${codec} out of pieces, and others have their turns`, async () => {
      const pieces = [text.subarray(0, 5), text.subarray(5, 4 * MiB), text.subarray(4 * MiB)]
      const { result, turns } = await turnsDuring(() => Effect.runPromise(deflate(pieces, codec)))
      assert.ok(result !== undefined)
      const frame = Buffer.concat(result)
      assert.ok(frame.length < text.length / 10)
      assert.ok(expand(frame).equals(text))
      assert.ok(turns >= 9, `${turns} turns`)
    })

    it(`makes one frame of ${codec} out of few bytes, and none of those that do not get smaller`, async () => {
      const result = await Effect.runPromise(deflate([text.subarray(0, 5), text.subarray(5, MiB)], codec))
      assert.ok(result !== undefined)
      const frame = Buffer.concat(result)
      assert.ok(frame.length < MiB / 10)
      assert.ok(expand(frame).equals(text.subarray(0, MiB)))
      assert.equal(await Effect.runPromise(deflate([random.subarray(0, MiB)], codec)), undefined)
    })
  }

  it("gives up on what does not get smaller, before it has all been tried", async () => {
    assert.equal(await Effect.runPromise(deflate([random], "zstd")), undefined)
    // What comes behind the trial no longer counts.
    assert.equal(await Effect.runPromise(deflate([random.subarray(0, 5 * MiB), text], "zstd")), undefined)
    assert.notEqual(await Effect.runPromise(deflate([text, random], "zstd")), undefined)
  })
})

describe("expanding in slices", () => {
  const expand = (frame: Uint8Array, length: number) => Effect.runPromise(Effect.either(inflate(frame, length)))

  it("gives back what was compressed, and others have their turns", async () => {
    for (const content of [text, random]) {
      const { result, turns } = await turnsDuring(() => expand(zstdCompressSync(content), content.length))
      assert.ok(content.equals(Either.getOrThrow(result)))
      assert.ok(turns >= 1, `${turns} turns`)
    }
    assert.ok((await turnsDuring(() => expand(zstdCompressSync(random), random.length))).turns >= 9)
  })

  it("fails when there is more or less than announced, and when the frame is cut off or none", async () => {
    const frame = zstdCompressSync(text)
    assert.ok(Either.isLeft(await expand(frame, text.length - 1)))
    assert.ok(Either.isLeft(await expand(frame, text.length + 1)))
    assert.ok(Either.isLeft(await expand(frame.subarray(0, frame.length / 2), text.length)))
    assert.ok(Either.isLeft(await expand(random, text.length)))
  })

  it("fails, and does no more harm, wherever a frame is damaged", async () => {
    const content = Buffer.from(text)
    for (let at = 0; at < content.length; at += 97) content[at] = random[at] ?? 0
    const frame = zstdCompressSync(content)
    const answers = new Set<string>()
    for (let part = 0; part < 24; part++) {
      const damaged = Buffer.from(frame)
      const at = 20 + Math.floor((part * frame.length) / 24)
      damaged.fill(0xff, at, at + 40)
      for (const length of [content.length, 5 * MiB]) {
        const read = await expand(damaged, length)
        // Where it can be read all the same: the pack has a checksum.
        answers.add(Either.isRight(read) ? "read" : /than/.test(read.left.message) ? "length" : "broken")
      }
    }
    assert.ok(answers.has("broken") && answers.has("length"), Array.from(answers).join())
  })
})
