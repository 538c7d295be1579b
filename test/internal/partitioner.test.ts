import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { type Balancer, fnv1a, murmur2, Partitioner, type PartitionView } from "../../src/internal/partitioner.ts"

const of = (text: string): Uint8Array => Buffer.from(text, "utf8")

const view = (count: number, given: Partial<PartitionView> = {}): PartitionView => ({
  count,
  usable: () => true,
  bytes: () => 0,
  ...given
})

test("murmur2 is that of Kafka's Utils (vectors of its own UtilsTest)", () => {
  const known: ReadonlyArray<readonly [string, number]> = [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107]
  ]
  for (const [key, hash] of known) assert.equal(murmur2(of(key), of(key).length), hash, key)
})

test("FNV-1a is that of its authors (draft-eastlake-fnv, appendix C)", () => {
  const known: ReadonlyArray<readonly [string, number]> = [
    ["", 0x811c9dc5],
    ["a", 0xe40c292c],
    ["foobar", 0xbf9cf968]
  ]
  for (const [key, hash] of known) assert.equal(fnv1a(of(key), of(key).length) >>> 0, hash, key)
})

test("keyed balancers name the partition of the reference", () => {
  // 0xbf9cf968 as a signed number is -1080231576; its remainder by 7 is -3, and kafka-go takes the sign off.
  assert.equal(new Partitioner("hash").choose("foobar", view(7)), 1080231576 % 7)
  // CRC-32 (IEEE) of "123456789" is 0xcbf43926.
  assert.equal(new Partitioner("crc32").choose("123456789", view(7)), 0xcbf43926 % 7)
  assert.equal(new Partitioner("murmur2").choose("foobar", view(7)), (-790332482 & 0x7fffffff) % 7)
  assert.equal(new Partitioner("default").choose("21", view(1000)), (-973932308 & 0x7fffffff) % 1000)
})

test("text and its UTF-8 bytes go to the same partition, and a scratch buffer left behind matters to nobody", () => {
  const balancers: ReadonlyArray<Balancer> = ["default", "murmur2", "hash", "crc32"]
  fc.assert(
    fc.property(
      fc.constantFrom(...balancers),
      fc.oneof(fc.string({ minLength: 1 }), fc.constant("é\ud800x"), fc.string({ minLength: 1000, maxLength: 3000 })),
      fc.integer({ min: 2, max: 500 }),
      (balancer, key, count) => {
        const partitioner = new Partitioner(balancer)
        const chosen = partitioner.choose(key, view(count))
        assert.ok(Number.isInteger(chosen) && chosen >= 0 && chosen < count)
        partitioner.choose("another and longer key that is not ascii: é", view(count))
        assert.equal(partitioner.choose(of(key), view(count)), chosen)
        assert.equal(partitioner.choose(key, view(count)), chosen)
      }
    )
  )
})

test("an empty key is a key for Java's rule and none for crc32", () => {
  assert.equal(new Partitioner("default").choose("", view(1000)), (murmur2(of(""), 0) & 0x7fffffff) % 1000)
  const chosen = new Set(Array.from({ length: 200 }, () => new Partitioner("crc32").choose("", view(10))))
  assert.ok(chosen.size > 1)
})

test("a key keeps its partition even when that is not usable", () => {
  const nowhere = view(10, { usable: () => false })
  for (const balancer of ["default", "murmur2", "hash", "crc32"] as const) {
    assert.equal(
      new Partitioner(balancer).choose("key", nowhere),
      new Partitioner(balancer).choose("key", view(10)),
      balancer
    )
  }
})

test("without a key the default sticks until the batch is closed, then moves on over all partitions", () => {
  const partitioner = new Partitioner("default")
  const seen = new Set<number>()
  for (let batch = 0; batch < 300; batch++) {
    const chosen = partitioner.choose(null, view(5))
    for (let i = 0; i < 5; i++) assert.equal(partitioner.choose(undefined, view(5)), chosen)
    seen.add(chosen)
    partitioner.rotate()
  }
  assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4])
  assert.ok(partitioner.choose(null, view(5)) < 5)
  assert.ok(partitioner.choose(null, view(2)) < 2)
})

test("without a key a partition that is not usable is avoided, and a busy one unless all are; when none is usable, any will do", () => {
  for (const balancer of ["default", "murmur2", "hash", "crc32", "round_robin", "least_bytes"] as const) {
    for (let i = 0; i < 50; i++) {
      assert.equal(new Partitioner(balancer).choose(null, view(4, { usable: one => one === 2 })), 2, balancer)
    }
    const usable = (one: number) => one !== 0
    for (let i = 0; i < 50; i++) {
      const busy = (one: number) => one !== 3
      assert.equal(new Partitioner(balancer).choose(null, view(4, { usable, busy })), 3, balancer)
      assert.notEqual(new Partitioner(balancer).choose(null, view(4, { usable, busy: () => true })), 0, balancer)
    }
    const chosen = new Partitioner(balancer).choose(null, view(4, { usable: () => false }))
    assert.ok(Number.isInteger(chosen) && chosen >= 0 && chosen < 4, balancer)
  }
})

test("round robin takes turns; least bytes goes where least waits", () => {
  const turns = new Partitioner("round_robin")
  assert.deepEqual(
    Array.from({ length: 7 }, () => turns.choose("a key changes nothing", view(3))),
    [0, 1, 2, 0, 1, 2, 0]
  )
  const waiting = [5, 3, 1, 9]
  const bytes = (partition: number) => waiting[partition] ?? 0
  assert.equal(new Partitioner("least_bytes").choose(null, view(4, { bytes })), 2)
  assert.equal(new Partitioner("least_bytes").choose(null, view(4, { bytes, usable: one => one !== 2 })), 1)
})

test("one partition is one partition", () => {
  assert.equal(new Partitioner("default").choose("key", view(1)), 0)
})
