import assert from "node:assert/strict"
import { test } from "node:test"
import { headerBytes } from "../../src/internal/batchLayout.ts"
import { largeBatchBytes } from "../../src/internal/bodyChecksum.ts"
import { BufferPool } from "../../src/internal/bufferPool.ts"
import * as Protocol from "../../src/internal/kafkaProtocol.ts"

const int8 = (value: number): Buffer => Buffer.of(value & 0xff)
const int16 = (value: number): Buffer => Buffer.of((value >> 8) & 0xff, value & 0xff)
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const string = (text: string | null): Buffer =>
  text === null ? int16(-1) : Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)])
const array = (...items: ReadonlyArray<Buffer>): Buffer => Buffer.concat([int32(items.length), ...items])
const all = (...parts: ReadonlyArray<Buffer>): Buffer => Buffer.concat(parts)

const batch = (topic: string, partition: number, text: string) => ({
  topic,
  partition,
  recordCount: 1,
  bytes: Buffer.from(text),
  idempotent: false
})

const request = { correlationId: 42, clientId: "me", version: 7, timeoutMs: 900 }
const noPool = new BufferPool(0)
/** A large batch is written as it is. */
const large = "x".repeat(64 * 1024 + 1)

test("a Produce request is byte for byte Kafka's, grouped by topic; large batches uncopied, small ones in one piece", () => {
  for (const [first, second, pieces] of [
    ["first", "second", 1],
    [large, "second", 3],
    ["first", large, 2],
    [large, large, 4]
  ] as const) {
    const batches = [batch("tö", 1, first), batch("u", 0, second), batch("tö", 2, "third")]
    const framed = Protocol.produceFrame({ ...request, batches }, noPool)
    const body = all(
      int16(0),
      int16(7),
      int32(42),
      string("me"),
      string(null),
      int16(-1),
      int32(900),
      array(
        all(
          string("tö"),
          array(all(int32(1), int32(first.length), Buffer.from(first)), all(int32(2), int32(5), Buffer.from("third")))
        ),
        all(string("u"), array(all(int32(0), int32(second.length), Buffer.from(second))))
      )
    )
    assert.equal(Buffer.concat(framed.pieces).toString("hex"), all(int32(body.length), body).toString("hex"))
    assert.equal(framed.pieces.length, pieces)
    for (const { bytes } of batches) assert.equal(framed.pieces.includes(bytes), bytes.length > 64 * 1024)
  }
})

test("a request's memory is used again once it is released, and not before", () => {
  const pool = new BufferPool(1024 * 1024)
  const framed = () => Protocol.produceFrame({ ...request, batches: [batch("t", 1, "a"), batch("t", 2, "b")] }, pool)
  const first = framed()
  const second = framed()
  const memoryOf = ({ pieces: [piece] }: Protocol.Framed) => piece?.buffer
  assert.notEqual(memoryOf(first), memoryOf(second))
  first.release()
  assert.equal(memoryOf(framed()), memoryOf(first))
})

test("a batch alone with room in front is one piece with its head, in the memory it has", () => {
  const pool = new BufferPool(1024 * 1024)
  const alone = batch("t", 1, large)
  const expected = Buffer.concat(Protocol.produceFrame({ ...request, batches: [alone] }, pool).pieces)
  const headLength = expected.length - alone.bytes.length
  const memory = Buffer.alloc(70_000, 0xff)
  memory.set(alone.bytes, 60)
  const bytes = memory.subarray(60, 60 + alone.bytes.length)
  const framed = (room: number, more: ReadonlyArray<ReturnType<typeof batch>> = [], own: Uint8Array = bytes) =>
    Protocol.produceFrame({ ...request, batches: [{ ...alone, bytes: own, room }, ...more] }, pool)

  const { pieces, release } = framed(60)
  const [piece, ...none] = pieces
  assert.deepEqual(none, [])
  assert.equal(piece?.buffer, memory.buffer)
  assert.equal(Buffer.from(piece ?? []).toString("hex"), expected.toString("hex"))
  // Nothing outside of its room was touched, and a batch behind another finds its own bytes whole.
  assert.ok(memory.subarray(0, 60 - headLength).every(byte => byte === 0xff))
  assert.ok(memory.subarray(60 + bytes.length).every(byte => byte === 0xff))
  // The memory is the batch's, not the request's.
  release()
  assert.notEqual(pool.take(memory.length).buffer, memory.buffer)

  memory.fill(0xff, 0, 60)
  const untouched = [framed(headLength - 1), framed(0), framed(60, [batch("t", 2, "second")])]
  for (const one of untouched) assert.ok(one.pieces.length > 1 && one.pieces.includes(bytes))
  assert.ok(memory.subarray(0, 60).every(byte => byte === 0xff))
  // Other bytes than those the room was in front of: there is none at the begin of their memory.
  const other = new Uint8Array(alone.bytes)
  assert.ok(framed(60, [], other).pieces.includes(other))
})

test("a large batch leaves uncopied but for its header, which may be written to meanwhile", () => {
  const request = { correlationId: 42, clientId: "me", version: 7, timeoutMs: 900 }
  const memory = Buffer.alloc(60 + largeBatchBytes, 7)
  const bytes = memory.subarray(60)
  const large = { ...batch("t", 1, ""), bytes, room: 60 }
  const { pieces } = Protocol.produceFrame({ ...request, batches: [large] }, new BufferPool(0))
  const before = Buffer.concat(pieces)
  assert.ok(memory.subarray(0, 60).every(byte => byte === 7))
  assert.ok(before.subarray(before.length - bytes.length).equals(bytes))
  assert.equal(before.readInt32BE(0), before.length - 4)
  assert.equal(pieces.at(-1)?.buffer, memory.buffer)
  bytes.fill(0, 0, headerBytes)
  assert.ok(Buffer.concat(pieces).equals(before))
})

test("small requests carry their length, header and body", () => {
  const body = Protocol.metadataBody(["a", "bü"])
  assert.equal(body.toString("hex"), all(array(string("a"), string("bü")), int8(0)).toString("hex"))
  const framed = Buffer.concat(Protocol.frame(3, 6, 7, "me", body))
  const rest = all(int16(3), int16(6), int32(7), string("me"), body)
  assert.equal(framed.toString("hex"), all(int32(rest.length), rest).toString("hex"))
  assert.equal(Protocol.initProducerIdBody().toString("hex"), all(string(null), int32(60_000)).toString("hex"))
})

test("Produce answers of every version name each partition's own outcome", () => {
  for (const version of [3, 4, 5, 6, 7, 8]) {
    const partition = (index: number, code: number, culprits: Buffer, message: string | null) =>
      all(
        int32(index),
        int16(code),
        int64(77n),
        int64(-1n),
        version >= 5 ? int64(0n) : Buffer.alloc(0),
        version >= 8 ? all(culprits, string(message)) : Buffer.alloc(0)
      )
    const culprits = array(all(int32(4), string("bad key")), all(int32(6), string(null)))
    const answer = all(
      array(
        all(string("t"), array(partition(0, 0, array(), null), partition(1, 87, culprits, null))),
        all(string("u"), array(partition(2, 87, culprits, "as a whole")))
      ),
      int32(0)
    )
    const read = Protocol.readProduce(answer, version)
    assert.deepEqual(
      read.map(({ baseOffset, errorCode, partition: index, topic }) => [topic, index, errorCode, baseOffset]),
      [
        ["t", 0, 0, 77n],
        ["t", 1, 87, 77n],
        ["u", 2, 87, 77n]
      ]
    )
    const newest = version >= 8
    assert.deepEqual(
      read.map(one => [one.culprits, one.message]),
      [
        [[], null],
        [newest ? [4, 6] : [], newest ? "bad key" : null],
        [newest ? [4, 6] : [], newest ? "as a whole" : null]
      ]
    )
  }
})

test("Metadata answers of both shapes", () => {
  for (const version of [4, 5, 6]) {
    const partition = (code: number, index: number, leader: number) =>
      all(
        int16(code),
        int32(index),
        int32(leader),
        array(int32(1), int32(2)),
        array(int32(2)),
        version >= 5 ? array(int32(1)) : Buffer.alloc(0)
      )
    const answer = all(
      int32(0),
      array(
        all(int32(1), string("a"), int32(9092), string(null)),
        all(int32(2), string("b"), int32(9093), string("rack"))
      ),
      string("cluster"),
      int32(1),
      array(
        all(int16(0), string("t"), int8(0), array(partition(0, 0, 2), partition(5, 1, -1))),
        all(int16(3), string("absent"), int8(0), array())
      )
    )
    const replicas = { replicas: [1, 2], inSyncReplicas: [2] }
    assert.deepEqual(Protocol.readMetadata(answer, version), {
      brokers: [
        { id: 1, host: "a", port: 9092 },
        { id: 2, host: "b", port: 9093 }
      ],
      topics: [
        {
          errorCode: 0,
          topic: "t",
          partitions: [
            { errorCode: 0, partition: 0, leader: 2, ...replicas },
            { errorCode: 5, partition: 1, leader: -1, ...replicas }
          ]
        },
        { errorCode: 3, topic: "absent", partitions: [] }
      ]
    })
  }
})

test("an answer cut short is an error, never a shorter answer", () => {
  const produced = all(
    array(all(string("topic"), array(all(int32(0), int16(0), int64(1n), int64(-1n), int64(0n))))),
    int32(0)
  )
  for (let length = 0; length < produced.length - 4; length++) {
    assert.throws(() => Protocol.readProduce(produced.subarray(0, length), 7), RangeError, String(length))
  }
  const identity = all(int32(0), int16(0), int64(12n), int16(3))
  assert.deepEqual(Protocol.readInitProducerId(identity), { errorCode: 0, producerId: 12n, epoch: 3 })
  for (let length = 0; length < identity.length; length++) {
    assert.throws(() => Protocol.readInitProducerId(identity.subarray(0, length)), RangeError)
  }
})
