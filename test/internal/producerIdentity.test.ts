import assert from "node:assert/strict"
import { test } from "node:test"
import { readHeader } from "../../src/internal/batchLayout.ts"
import { ProducerIdentity } from "../../src/internal/producerIdentity.ts"
import type { ProduceBatch } from "../../src/KafkaClient.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import { batchOf } from "../support/batches.ts"

const batch = (count: number, partition = 0, topic = "t"): ProduceBatch => ({
  topic,
  partition,
  recordCount: count,
  bytes: batchOf([{ value: "v" }]),
  idempotent: true
})

/** Producer id, epoch and sequence as they stand in the bytes, under a valid checksum. */
const stamped = (sent: ProduceBatch): ReadonlyArray<bigint | number> => {
  assert.equal(RecordBatch.info(sent.bytes)._tag, "Right")
  const { baseSequence, producerEpoch, producerId } = readHeader(sent.bytes)
  return [producerId, producerEpoch, baseSequence]
}

const send = (identity: ProducerIdentity, sent: ProduceBatch): ReadonlyArray<bigint | number> => {
  identity.stamp(sent)
  return stamped(sent)
}

test("sequences count records, for each partition of each topic apart", () => {
  const identity = new ProducerIdentity(9n, 4)
  const sent = [batch(3), batch(5), batch(1), batch(2, 1), batch(2, 0, "u")]
  const found = sent.map(one => {
    const stamp = send(identity, one)
    identity.delivered(one)
    return stamp
  })
  assert.deepEqual(found, [
    [9n, 4, 0],
    [9n, 4, 3],
    [9n, 4, 8],
    [9n, 4, 0],
    [9n, 4, 0]
  ])
})

test("a retry keeps its stamp, also behind an unknown fate", () => {
  const identity = new ProducerIdentity(9n, 4)
  const one = batch(3)
  const first = send(identity, one)
  one.maybeWritten = true
  assert.deepEqual(send(identity, one), first)
  assert.deepEqual(send(identity, one), first)
  identity.delivered(one)
  assert.deepEqual(send(identity, batch(1)), [9n, 4, 3])
})

test("what was certainly not written gives its sequences back", () => {
  const identity = new ProducerIdentity(9n, 4)
  const refused = batch(3)
  send(identity, refused)
  identity.refused(refused)
  assert.equal(refused.stamp, undefined)
  assert.deepEqual(send(identity, batch(5)), [9n, 4, 0])
})

test("what may have been written does not: the next batch starts a new epoch", () => {
  const identity = new ProducerIdentity(9n, 4)
  const unknown = batch(3)
  send(identity, unknown)
  unknown.maybeWritten = true
  identity.refused(unknown)
  assert.notEqual(unknown.stamp, undefined)
  const next = batch(2)
  assert.deepEqual(send(identity, next), [9n, 5, 0])
  identity.delivered(next)
  assert.deepEqual(send(identity, batch(1)), [9n, 5, 2])
  assert.deepEqual(send(identity, batch(1, 1)), [9n, 4, 0])
})

test("a late word about a batch of an older epoch changes nothing", () => {
  const identity = new ProducerIdentity(9n, 4)
  const old = batch(3)
  send(identity, old)
  const next = batch(2)
  send(identity, next)
  identity.refused(old)
  identity.delivered(old)
  assert.deepEqual(send(identity, next), [9n, 5, 0])
  identity.delivered(next)
  assert.deepEqual(send(identity, batch(1)), [9n, 5, 2])
})

test("a batch left from an older epoch is stamped anew when it is tried again", () => {
  const identity = new ProducerIdentity(9n, 4)
  const old = batch(3)
  send(identity, old)
  const next = batch(2)
  send(identity, next)
  identity.delivered(next)
  assert.deepEqual(send(identity, old), [9n, 5, 2])
})

test("fenced: the same batch goes out under a new epoch", () => {
  const identity = new ProducerIdentity(9n, 4)
  const one = batch(3)
  send(identity, one)
  identity.fenced(one)
  identity.refused(one)
  assert.deepEqual(send(identity, one), [9n, 5, 0])
})

test("another producer id stamps anew", () => {
  const one = batch(3)
  send(new ProducerIdentity(9n, 4), one)
  assert.deepEqual(send(new ProducerIdentity(10n, 0), one), [10n, 0, 0])
})

test("sequences wrap at 2^31 as the broker counts them", () => {
  const identity = new ProducerIdentity(9n, 0)
  const most = batch(2 ** 31 - 2)
  send(identity, most)
  identity.delivered(most)
  const over = batch(5)
  assert.deepEqual(send(identity, over), [9n, 0, 2 ** 31 - 2])
  identity.delivered(over)
  assert.deepEqual(send(identity, batch(1)), [9n, 0, 3])
})

test("asks for a new producer id before an epoch would be used twice, also by what is under way until there is one", () => {
  const identity = new ProducerIdentity(9n, 32_698)
  const one = batch(1)
  send(identity, one)
  identity.fenced(one)
  assert.equal(identity.exhausted, false)
  assert.deepEqual(send(identity, one), [9n, 32_699, 0])
  identity.fenced(one)
  assert.equal(identity.exhausted, true)
  assert.deepEqual(send(identity, one), [9n, 32_700, 0])
  // Its fate is not known when the next one leaves, which is before a request has ended.
  assert.deepEqual(send(identity, batch(1)), [9n, 32_701, 0])
})
