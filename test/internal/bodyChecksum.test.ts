import assert from "node:assert/strict"
import { it } from "node:test"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { readHeader, stamp, writeChecksum } from "../../src/internal/batchLayout.ts"
import { bodyChecksum, largeBatchBytes } from "../../src/internal/bodyChecksum.ts"
import { combine, crc32c } from "../../src/internal/crc32c.ts"
import { batchOf, noise } from "../support/batches.ts"
import { turnsDuring } from "../support/turns.ts"

it("checksums of parts combine to that of the whole", () => {
  const part = fc.uint8Array({ maxLength: 3000 })
  fc.assert(
    fc.property(part, part, (first, second) => {
      const whole = crc32c(Buffer.concat([first, second]))
      assert.equal(combine(crc32c(first), crc32c(second), second.length), whole)
    })
  )
  const zeros = new Uint8Array(2 ** 20 + 3)
  assert.equal(
    combine(crc32c(Buffer.from("123456789")), crc32c(zeros), zeros.length),
    crc32c(Buffer.concat([Buffer.from("123456789"), zeros]))
  )
})

it("a large batch's checksum is worked out in turns, and its stamp is the same as at once", async () => {
  const batch = batchOf([{ key: "k", value: noise(3 * largeBatchBytes, 7), id: "a" }])
  const { result: body, turns } = await turnsDuring(() => Effect.runPromise(bodyChecksum(batch)))
  assert.ok(turns >= 3, `${turns} turns`)
  stamp(batch, 7n, 3, 11)
  const atOnce = readHeader(batch)
  writeChecksum(Buffer.from(batch.buffer, batch.byteOffset, batch.length).fill(0, 17, 21), body)
  assert.deepEqual(readHeader(batch), atOnce)
  stamp(batch, 8n, 0, 0)
  const other = readHeader(batch)
  stamp(batch, 8n, 0, 0, body)
  assert.deepEqual(readHeader(batch), other)
})
