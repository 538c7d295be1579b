import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import fc from "fast-check"
import * as Envelope from "../../src/Envelope.ts"
import * as Pack from "../../src/internal/pack.ts"
import { messageBytes } from "../../src/internal/sqsSize.ts"

const item = (batch: Uint8Array, rest: Partial<Envelope.Envelope> = {}, firstId = "id-1"): Pack.Packable => ({
  firstId,
  envelope: {
    topic: "orders",
    partition: 0,
    partitionCount: 1,
    partitionFixed: false,
    attempts: 0,
    firstFailureAt: 1,
    notBefore: 0,
    lastError: "Unknown:ATTEMPT_TIMEOUT",
    origin: "host-1",
    traceParent: "",
    recordCount: 2,
    batch,
    ...rest
  }
})

const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))
/** Text that shrinks about as far as JSON events do. */
const events = (length: number): Uint8Array => {
  const lines: Array<string> = []
  for (let n = 0; n * 60 < length; n++)
    lines.push(`{"user":${(n * 7919) % 9973},"action":"click","at":${1.79e12 + n * 31}}`)
  return new TextEncoder().encode(lines.join("\n")).subarray(0, length)
}
const run = <A extends Pack.Packable>(packer: Pack.Packer, items: ReadonlyArray<A>) =>
  Effect.runPromise(packer.pack(items))

const unpack = async (body: string): Promise<ReadonlyArray<Envelope.Envelope>> =>
  Either.getOrThrow(await Effect.runPromise(Effect.either(Envelope.fromBody(body))))

describe("packing", () => {
  it("puts every batch into exactly one message that fits, in order, or names it as too large", async () => {
    const limit = 20_000
    const batch = fc.oneof(
      fc.nat(9_000).map(random),
      fc.nat(40_000).map(events),
      fc.constant(random(16_000)),
      fc.nat(60_000).map(length => new Uint8Array(length))
    )
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(batch, { maxLength: 15 }), { maxLength: 4 }), async rounds => {
        const packer = Pack.makePacker(limit)
        for (const batches of rounds) {
          const items = batches.map(bytes => item(bytes))
          const { packed, tooLarge } = await run(packer, items)
          const large = new Set(tooLarge.map(one => one.item))
          assert.deepEqual(
            packed.flatMap(message => message.items),
            items.filter(one => !large.has(one))
          )
          for (const message of packed) {
            assert.ok(message.bytes <= limit)
            assert.equal(message.bytes, messageBytes(message))
            const read = await unpack(message.body)
            assert.equal(read.length, message.items.length)
            for (const [index, one] of message.items.entries()) {
              assert.deepEqual(Uint8Array.from(read[index]?.batch ?? []), one.envelope.batch)
            }
          }
          for (const { item: one, bytes } of tooLarge) {
            assert.ok(bytes > limit)
            assert.ok(one.envelope.batch.length > limit / 2)
          }
        }
      }),
      { numRuns: 25 }
    )
  })

  it("fills messages further once it has seen how far they shrink", async () => {
    const packer = Pack.makePacker(100_000)
    const first = packer.target()
    assert.ok(first <= 75_000)
    const items = Array.from({ length: 60 }, () => item(events(10_000)))
    const before = (await run(packer, items)).packed.length
    const after = (await run(packer, items)).packed.length
    assert.ok(packer.target() > first * 2)
    assert.ok(after < before / 2)
  })

  it("halves what shrinks less than the messages before it, and aims lower afterwards", async () => {
    const packer = Pack.makePacker(100_000)
    const easy = Array.from({ length: 40 }, () => item(events(10_000)))
    await run(packer, easy)
    const aim = packer.target()
    const hard = Array.from({ length: 40 }, () => item(random(10_000)))
    const { packed, tooLarge } = await run(packer, hard)
    assert.equal(tooLarge.length, 0)
    assert.equal(packed.flatMap(message => message.items).length, 40)
    assert.ok(packed.every(message => message.bytes <= 100_000))
    assert.ok(packer.target() < aim / 2)
  })

  it("bounds what a message unfolds to, however far it shrinks", async () => {
    const packer = Pack.makePacker(1_048_576)
    const zeros = new Uint8Array(1_000_000)
    for (let round = 0; round < 12; round++) await run(packer, [item(zeros)])
    assert.equal(packer.target(), Pack.maximumPackBytes)
    const { packed } = await run(
      packer,
      Array.from({ length: 10 }, () => item(zeros))
    )
    assert.deepEqual(
      packed.map(message => message.items.length),
      [8, 2]
    )
  })

  it("of nothing is nothing", async () => {
    assert.deepEqual(await run(Pack.makePacker(1000), []), { packed: [], tooLarge: [] })
  })
})

describe("the readable attributes", () => {
  it("say version, records, topic, first id and origin", () => {
    assert.deepEqual(Pack.attributesOf([item(random(3)), item(random(3), { recordCount: 5 }, "id-2")]), {
      "spillway-version": "1",
      "spillway-records": "7",
      "spillway-topic": "orders",
      "spillway-first-id": "id-1",
      "spillway-origin": "host-1"
    })
  })

  it("leave out a topic that is not the same for all, and whatever is empty", () => {
    const mixed = [item(random(1), { origin: "" }, ""), item(random(1), { topic: "other" })]
    assert.deepEqual(Pack.attributesOf(mixed), { "spillway-version": "1", "spillway-records": "4" })
  })

  it("hold nothing SQS would refuse a whole message for", () => {
    const [id] = [Pack.attributesOf([item(random(1), {}, `a\u0000b\uD800${"x".repeat(2000)}`)])["spillway-first-id"]]
    assert.match(id ?? "", /^a\?b\?x{252}$/)
  })
})
