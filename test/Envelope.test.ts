import assert from "node:assert/strict"
import { Buffer } from "node:buffer"
import { randomBytes } from "node:crypto"
import process from "node:process"
import { describe, it } from "node:test"
import { crc32, zstdCompressSync } from "node:zlib"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import fc from "fast-check"
import * as Envelope from "../src/Envelope.ts"
import { turnsDuring } from "./support/turns.ts"

const text = fc.string({ unit: "grapheme", maxLength: 40 })
const whole = fc.maxSafeNat()

const envelope: fc.Arbitrary<Envelope.Envelope> = fc.record({
  topic: text,
  partition: fc.integer({ min: -1, max: 0x7fffffff }),
  partitionCount: fc.nat(),
  partitionFixed: fc.boolean(),
  attempts: fc.nat(),
  firstFailureAt: whole,
  notBefore: whole,
  lastError: text,
  origin: text,
  traceParent: text,
  recordCount: fc.nat(),
  batch: fc.uint8Array({ maxLength: 300 })
})
const envelopes = fc.array(envelope, { maxLength: 12 })

const plain = (values: ReadonlyArray<Envelope.Envelope>) =>
  values.map(value => ({ ...value, batch: Buffer.from(value.batch).toString("hex") }))

const sample = (batch: Uint8Array, rest: Partial<Envelope.Envelope> = {}): Envelope.Envelope => ({
  topic: "orders",
  partition: 3,
  partitionCount: 6,
  partitionFixed: false,
  attempts: 0,
  firstFailureAt: 1_790_000_000_000,
  notBefore: 0,
  lastError: "Availability:CONNECTION_REFUSED",
  origin: "host-1",
  traceParent: "",
  recordCount: 7,
  batch,
  ...rest
})

const fromBody = (body: string) => Effect.runPromise(Effect.either(Envelope.fromBody(body)))
const toBody = (pack: Uint8Array) => Effect.runPromise(Envelope.toBody(pack))
const reasonOf = (result: Either.Either<unknown, Envelope.PackError>): string =>
  Either.match(result, { onLeft: error => error.reason, onRight: () => "read" })

const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))
const flagsOf = (body: string): number | undefined => Buffer.from(body, "base64")[4]

describe("a pack", () => {
  it("reads back what was written", () => {
    fc.assert(
      fc.property(envelopes, values => {
        const read = Envelope.decode(Envelope.encode(values))
        assert.deepEqual(plain(Either.getOrThrow(read)), plain(values))
      })
    )
  })

  it("reads back through a message body", async () => {
    await fc.assert(
      fc.asyncProperty(envelopes, async values => {
        const read = await fromBody(await toBody(Envelope.encode(values)))
        assert.deepEqual(plain(Either.getOrThrow(read)), plain(values))
      }),
      { numRuns: 50 }
    )
  })

  it("has the size announced before it is written", () => {
    fc.assert(
      fc.property(envelopes, values => {
        const content = values.reduce((sum, value) => sum + Envelope.encodedSize(value), 0)
        const { length } = Envelope.encode(values)
        assert.ok(length <= Envelope.packSize(content))
        assert.ok(length > content)
      })
    )
  })

  it("hands out batches as views, not copies", () => {
    const pack = Envelope.encode([sample(Uint8Array.of(1, 2, 3)), sample(Uint8Array.of(4))])
    const [first, second] = Either.getOrThrow(Envelope.decode(pack))
    assert.equal(first?.batch.buffer, pack.buffer)
    assert.deepEqual(Array.from(second?.batch ?? []), [4])
  })

  it("skips header fields a later writer added", () => {
    const pack = Buffer.from(Envelope.encode([sample(Uint8Array.of(9))]))
    // Content starts at 13 with the count; the header's length is one byte here.
    const headerLength = pack[14] ?? 0
    const end = 15 + headerLength
    const content = Buffer.concat([pack.subarray(13, end), Buffer.from("new"), pack.subarray(end)])
    content[1] = headerLength + 3
    const prefix = Buffer.from(pack.subarray(0, 13))
    prefix.writeUInt32BE(content.length, 5)
    prefix.writeUInt32BE(crc32(content), 9)
    const read = Either.getOrThrow(Envelope.decode(Buffer.concat([prefix, content])))
    assert.deepEqual(plain(read), plain([sample(Uint8Array.of(9))]))
  })

  it("writes counts and times that make no sense as 0 instead of failing", () => {
    const strange = sample(Uint8Array.of(1), { attempts: -4, firstFailureAt: Number.NaN, notBefore: -1, partition: -1 })
    const [read] = Either.getOrThrow(Envelope.decode(Envelope.encode([strange])))
    assert.deepEqual([read?.attempts, read?.firstFailureAt, read?.notBefore, read?.partition], [0, 0, 0, -1])
  })
})

describe("a damaged pack", () => {
  it("cut off anywhere is an error, never a crash and never fewer envelopes", () => {
    const pack = Envelope.encode([sample(random(40)), sample(random(10), { topic: "tëst" })])
    for (let length = 0; length < pack.length; length++) {
      assert.equal(reasonOf(Envelope.decode(pack.subarray(0, length))), length < 3 ? "Foreign" : "Corrupt")
    }
  })

  it("with any bit flipped is an error or reads the same", () => {
    const values = [sample(random(40)), sample(random(10), { topic: "tëst" })]
    const pack = Envelope.encode(values)
    let harmless = 0
    for (let bit = 0; bit < pack.length * 8; bit++) {
      const damaged = Uint8Array.from(pack)
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const read = Envelope.decode(damaged)
      if (Either.isLeft(read)) continue
      harmless++
      assert.deepEqual(plain(read.right), plain(values))
    }
    // Only the hint that compressing is not worth it.
    assert.equal(harmless, 1)
  })

  it("never crashes the reader, whatever the bytes", async () => {
    const ours = fc.uint8Array({ maxLength: 200 }).map(rest => Uint8Array.from([0x53, 0x50, 0x57, 1, ...rest]))
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 200 }), ours), async bytes => {
        assert.notEqual(reasonOf(await Effect.runPromise(Effect.either(Envelope.expand(bytes)))), "read")
      })
    )
  })

  it("is told apart by the body: foreign, corrupt, of a later version", async () => {
    const body = await toBody(Envelope.encode([sample(random(50))]))
    const later = Buffer.from(body, "base64")
    later[3] = 2
    assert.equal(reasonOf(await fromBody("")), "Foreign")
    assert.equal(reasonOf(await fromBody('{"attributes":{},"body":"x"}')), "Foreign")
    assert.equal(reasonOf(await fromBody(body.slice(0, -4))), "Corrupt")
    assert.equal(reasonOf(await fromBody(body.slice(0, 4))), "Corrupt")
    assert.equal(reasonOf(await fromBody(later.toString("base64"))), "UnsupportedVersion")
    assert.equal(Envelope.isPackBody(body), true)
  })

  it("in a zstd frame is corrupt when cut off or longer than announced", async () => {
    const pack = Buffer.from(Envelope.encode([sample(new Uint8Array(5000))]))
    const packed = Buffer.from(await Effect.runPromise(Envelope.compress(pack)))
    assert.ok(packed.length < 300)
    const expand = async (bytes: Uint8Array) => reasonOf(await Effect.runPromise(Effect.either(Envelope.expand(bytes))))
    assert.equal(await expand(packed), "read")
    assert.equal(await expand(packed.subarray(0, packed.length - 6)), "Corrupt")
    const bomb = Buffer.concat([packed.subarray(0, 13), zstdCompressSync(new Uint8Array(50_000_000))])
    assert.equal(await expand(bomb), "Corrupt")
    // The first frame is what was announced.
    const behind = Buffer.concat([packed, zstdCompressSync(new Uint8Array(300_000_000))])
    const before = process.memoryUsage().rss
    // Runtimes differ in whether they look behind it.
    assert.match(await expand(behind), /^(Corrupt|read)$/)
    assert.ok(process.memoryUsage().rss - before < 150_000_000)
    const huge = Buffer.from(packed)
    huge.writeUInt32BE(Envelope.maximumContentBytes + 1, 5)
    assert.equal(await expand(huge), "Corrupt")
  })
})

describe("a pack of one large batch", () => {
  const large = (content: Uint8Array) => sample(content, { topic: "tëst" })
  const expand = (pack: Uint8Array) => Effect.runPromise(Effect.either(Envelope.expand(pack)))
  const incompressible = randomBytes(9 * 1024 * 1024)
  const text = Buffer.alloc(9 * 1024 * 1024, "a line of text that comes again\n")

  it("has the batch itself as its last piece when compressing does not help, and is what `encode` makes", async () => {
    const value = large(incompressible)
    const { result: pieces, turns } = await turnsDuring(() => Effect.runPromise(Envelope.packed([value])))
    assert.equal(pieces.at(-1), value.batch)
    assert.ok(Buffer.concat(pieces).equals(Buffer.from(Envelope.encode([value]))))
    assert.ok(turns >= 3, `${turns} turns`)
  })

  it("is compressed when that helps, but not a batch that is compressed already", async () => {
    const pack = Buffer.concat(await Effect.runPromise(Envelope.packed([large(text)])))
    assert.ok(pack.length < text.length / 10)
    assert.deepEqual(plain(Either.getOrThrow(await expand(pack))), plain([large(text)]))
    const already = Buffer.from(text)
    already[16] = 2
    already[22] = 4
    const pieces = await Effect.runPromise(Envelope.packed([large(already)]))
    assert.equal(pieces.at(-1), already)
    assert.equal(pieces[0]?.[4], 2)
  })

  it("is read as views of it, checked in turns, and corrupt with one bit flipped", async () => {
    const pack = Buffer.concat(await Effect.runPromise(Envelope.packed([large(incompressible)])))
    const { result, turns } = await turnsDuring(() => expand(pack))
    const [read] = Either.getOrThrow(result)
    assert.equal(read?.batch.buffer, pack.buffer)
    assert.ok(turns >= 2, `${turns} turns`)
    pack[pack.length - 1] = (pack[pack.length - 1] ?? 0) ^ 1
    assert.equal(reasonOf(await expand(pack)), "Corrupt")
    const squeezed = Buffer.concat(await Effect.runPromise(Envelope.packed([large(text)])))
    assert.equal(reasonOf(await expand(squeezed.subarray(0, squeezed.length - 6))), "Corrupt")
    squeezed.writeUInt32BE(text.length, 5)
    assert.equal(reasonOf(await expand(squeezed)), "Corrupt")
  })
})

describe("the message body", () => {
  it("is compressed when that helps", async () => {
    const pack = Envelope.encode([sample(new Uint8Array(10_000))])
    const body = await toBody(pack)
    assert.ok(body.length < 1000)
    assert.equal(flagsOf(body), 1)
    assert.match(body, /^U1BX[A-Za-z0-9+/]+=*$/)
  })

  it("is not when it does not", async () => {
    const pack = Envelope.encode([sample(random(5000))])
    assert.equal(await toBody(pack), Buffer.from(pack).toString("base64"))
  })

  it("is not when the batches are compressed already", async () => {
    const batch = new Uint8Array(5000)
    batch[16] = 2
    batch[22] = 4
    const body = await toBody(Envelope.encode([sample(batch)]))
    assert.equal(flagsOf(body), 2)
    assert.ok(body.length > 6000)
    const [read] = Either.getOrThrow(await fromBody(body))
    assert.deepEqual(read?.batch.length, 5000)
  })
})
