import assert from "node:assert/strict"
import { describe, it } from "node:test"
import * as Effect from "effect/Effect"
import * as MemoryQueue from "../../src/FallbackQueue/Memory.ts"
import type { Service as Queue, QueueMessage } from "../../src/FallbackQueue.ts"
import { look } from "../../src/internal/queueLook.ts"

declare const Bun: { readonly gc: (now: boolean) => void } | undefined

describe("a look through a queue", () => {
  it("keeps no message once it was looked at: there may be a hundred thousand of a megabyte", {
    skip: typeof Bun === "undefined" ? "no way to collect garbage" : false
  }, async () => {
    const messages = 60
    const seen: Array<WeakRef<QueueMessage>> = []
    const handedBack: Array<string> = []
    const queue: Queue = {
      ...MemoryQueue.make(),
      receive: ({ max }) =>
        Effect.sync(() =>
          Array.from({ length: Math.min(max, messages - seen.length) }, () => {
            const name = `${seen.length}`
            const body = name.repeat(1000)
            const message = { messageId: name, receiptHandle: name, body, attributes: {}, receiveCount: 1, sentAt: 0 }
            seen.push(new WeakRef(message))
            return message
          })
        ),
      changeVisibility: handle => Effect.sync(() => void handedBack.push(handle))
    }
    const alive = look(queue, { visibilitySeconds: 30, maxMessages: messages }, ({ next }) =>
      Effect.gen(function* () {
        while ((yield* next).length > 0) yield* Effect.yieldNow()
        for (let turn = 0; turn < 5; turn++) yield* Effect.sleep(1)
        Bun?.gc(true)
        return seen.filter(one => one.deref() !== undefined).length
      })
    )
    const left = await Effect.runPromise(alive)
    assert.equal(seen.length, messages)
    assert.equal(handedBack.length, messages)
    assert.ok(left < messages / 2, `${left} of ${messages} are still in memory`)
  })
})
