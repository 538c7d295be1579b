import assert from "node:assert/strict"
import { test } from "node:test"
import { BufferPool } from "../../src/internal/bufferPool.ts"

test("a buffer that was handed back is taken again, by who asks for its size", () => {
  const pool = new BufferPool(1024 * 1024)
  const buffer = pool.take(5000)
  assert.equal(buffer.length, 8192)
  assert.notEqual(pool.take(5000), buffer)
  pool.give(buffer)
  assert.notEqual(pool.take(9000), buffer)
  assert.equal(pool.take(4097), buffer)
})

test("no more is kept than the limit, and nothing large", () => {
  const pool = new BufferPool(10_000)
  for (let i = 0; i < 10; i++) pool.give(Buffer.alloc(4096))
  assert.equal(pool.pooledBytes, 8192)
  const roomy = new BufferPool(2 ** 30)
  roomy.give(Buffer.alloc(8 * 1024 * 1024))
  assert.equal(roomy.pooledBytes, 0)
})

test("a pool keeps what it needs, and gets empty while nobody needs anything", () => {
  const pool = new BufferPool(1024 * 1024)
  const [first, second, ...others] = Array.from({ length: 8 }, () => pool.take(1024))
  for (const buffer of [...others, second, first]) if (buffer !== undefined) pool.give(buffer)
  pool.trim()
  assert.equal(pool.pooledBytes, 8 * 1024)
  const used = [pool.take(1024), pool.take(1024)]
  assert.deepEqual(used, [first, second])
  for (const buffer of used) pool.give(buffer)
  pool.trim()
  assert.equal(pool.pooledBytes, 2 * 1024)
  pool.trim()
  assert.equal(pool.pooledBytes, 0)
  assert.equal(pool.take(1024).length, 1024)
})
