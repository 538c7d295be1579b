import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { lines } from "../../../src/cli/publish/lines.ts"
import { ids, type Prepared } from "../../../src/cli/publish/Prepared.ts"
import { type Options, pump, type Totals } from "../../../src/cli/publish/pump.ts"
import type { Result, Sent } from "../../../src/cli/publish/Result.ts"
import { unavailable } from "../../../src/cli/service.ts"

const delivered = (records: ReadonlyArray<Prepared>): Sent => ({
  results: records.map(({ record }): Result => ({ outcome: "delivered", id: record.id }))
})
const failed = (records: ReadonlyArray<Prepared>): Sent => ({
  results: records.map(
    ({ record }): Result => ({ outcome: "failed", id: record.id, reason: "Overloaded", message: "full" })
  )
})

async function* pieces(...texts: ReadonlyArray<string>) {
  for (const text of texts) yield new TextEncoder().encode(text)
}

const run = async (source: AsyncIterable<Uint8Array>, send: Options["send"], more: Partial<Options> = {}) => {
  const totals: Totals = { records: 0, delivered: 0, diverted: 0, spooled: 0, rejected: 0, failed: 0 }
  const results: Array<readonly [number | undefined, Result]> = []
  const refusal = await pump({
    topic: "events",
    source: lines(source),
    numbered: true,
    send,
    nextId: ids(() => 0),
    inFlight: 4,
    retryForMs: 60_000,
    stop: new AbortController().signal,
    totals,
    onResult: (line, result) => results.push([line, result]),
    ...more
  })
  return { totals, results, refusal }
}

/** Calls that a test answers itself. */
const held = () => {
  const calls: Array<{ readonly records: ReadonlyArray<Prepared>; readonly answer: (sent: Sent) => void }> = []
  const send = (records: ReadonlyArray<Prepared>) =>
    new Promise<Sent>(answer => {
      calls.push({ records, answer })
    })
  return { calls, send }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

describe("records on their way", () => {
  it("are sent as they come, with the number of their line, and each with its id", async () => {
    const sent: Array<ReadonlyArray<Prepared>> = []
    const { refusal, results, totals } = await run(
      pieces('{"value":"a","id":"given"}\n{"val', 'ue":12345678901234567890}\n\n{"value":"c"}\n', '{"value":"d"}'),
      async records => {
        sent.push(records)
        return delivered(records)
      }
    )
    assert.equal(refusal, undefined)
    assert.deepEqual(totals, { records: 4, delivered: 4, diverted: 0, spooled: 0, rejected: 0, failed: 0 })
    assert.deepEqual(
      sent.map(records => records.map(({ line }) => line)),
      [[1], [2, 4], [5]]
    )
    const all = sent.flat()
    assert.deepEqual(
      all.map(({ text }) => text.replace(/"id":"[0-9a-f-]{36}"/, "ID")),
      ['{"value":"a","id":"given"}', '{ID,"value":12345678901234567890}', '{ID,"value":"c"}', '{ID,"value":"d"}']
    )
    assert.deepEqual(
      all.map(({ record }) => record.id),
      results.map(([, { id }]) => id)
    )
    for (const { record, text } of all) assert.equal(JSON.parse(text).id, record.id)
    assert.equal(new Set(all.map(({ record }) => record.id)).size, 4)
  })

  it("are not sent when they cannot be read, and that is said of their line", async () => {
    async function* source() {
      yield* pieces('{"value":1}\n{"kez":1}\nno\n')
      yield new Uint8Array([255, 10])
    }
    const { results, totals } = await run(source(), async records => delivered(records))
    assert.equal(totals.rejected, 3)
    assert.deepEqual(
      results
        .filter(([, { outcome }]) => outcome === "rejected")
        .map(([line, { message }]) => [line, message?.slice(0, 12)]),
      [
        [2, "kez: unknown"],
        [3, "record: not "],
        [4, "not UTF-8"]
      ]
    )
  })

  it("that failed are sent again as the same records, after the pause that was asked for; those that did not are not", async () => {
    const calls: Array<ReadonlyArray<string>> = []
    const at: Array<number> = []
    const { results, totals } = await run(pieces('{"value":1}\n{"value":2}\n{"value":3}\n'), async records => {
      calls.push(records.map(({ record }) => record.id))
      at.push(performance.now())
      if (calls.length > 1) return delivered(records)
      const [first, second] = delivered(records).results
      const [, , third] = failed(records).results
      assert.ok(first && second && third)
      return { results: [first, { ...second, outcome: "rejected" }, third], retryAfterMs: 400 }
    })
    assert.deepEqual(totals, { records: 3, delivered: 2, diverted: 0, spooled: 0, rejected: 1, failed: 0 })
    assert.equal(calls.length, 2)
    assert.deepEqual(calls[1], calls[0]?.slice(2))
    assert.deepEqual(
      results.map(([line]) => line),
      [1, 2, 3]
    )
    assert.ok((at[1] ?? 0) - (at[0] ?? 0) >= 390, "it came back before it was asked to")
  })

  it("that go on failing are given up in time", async () => {
    let calls = 0
    const { results, totals } = await run(
      pieces('{"value":1}\n'),
      async records => {
        calls++
        return failed(records)
      },
      { retryForMs: 250 }
    )
    assert.equal(calls, 2)
    assert.equal(totals.failed, 1)
    assert.equal(results[0]?.[1].reason, "Overloaded")
  })

  it("are never more than allowed at once, and nothing is read ahead of them", async () => {
    const { calls, send } = held()
    let read = 0
    async function* source() {
      for (let i = 0; i < 10; i++) {
        read++
        yield* pieces(`{"value":${i}}\n`)
      }
    }
    const done = run(source(), send, { inFlight: 3 })
    for (let i = 0; i < 20; i++) await turn()
    assert.equal(calls.length, 3)
    assert.equal(read, 4)
    for (let answered = 0; answered < 10; answered++) {
      const call = calls[answered]
      assert.ok(call)
      call.answer(delivered(call.records))
      for (let i = 0; i < 10; i++) await turn()
    }
    assert.equal((await done).totals.delivered, 10)
  })

  it("are bounded in what they take of memory, unless it is one record alone", async () => {
    const { calls, send } = held()
    const large = `{"value":"${"x".repeat(20 * 1024 * 1024)}"}\n`
    const done = run(pieces(large, large, '{"value":"small"}\n'), send)
    for (let i = 0; i < 20; i++) await turn()
    assert.equal(calls.length, 1)
    for (let next = 0; next < 3; next++) {
      const call = calls[next]
      assert.ok(call)
      call.answer(delivered(call.records))
      for (let i = 0; i < 20; i++) await turn()
    }
    assert.equal((await done).totals.delivered, 3)
  })

  it("end when they are stopped: nothing is read or sent again, what is under way is waited for", async () => {
    const { calls, send } = held()
    const stop = new AbortController()
    const done = run(pieces('{"value":1}\n', '{"value":2}\n', '{"value":3}\n'), send, {
      stop: stop.signal,
      inFlight: 2
    })
    for (let i = 0; i < 20; i++) await turn()
    const [first, second] = calls
    assert.ok(first && second)
    first.answer(failed(first.records))
    for (let i = 0; i < 5; i++) await turn()
    stop.abort()
    second.answer(delivered(second.records))
    const { totals } = await done
    assert.equal(calls.length, 2)
    assert.deepEqual([totals.records, totals.delivered, totals.failed], [2, 1, 1])
  })

  it("end when the receiver refuses them all", async () => {
    let calls = 0
    const { refusal, totals } = await run(
      pieces(...Array.from({ length: 100 }, () => '{"value":1}\n')),
      async records => {
        calls++
        return { ...failed(records), refusal: unavailable("no token") }
      },
      { inFlight: 1 }
    )
    assert.equal(refusal?.message, "no token")
    assert.equal(calls, 1)
    assert.equal(totals.failed, 1)
  })

  it("end with the fault of a source that cannot be read on", async () => {
    async function* source() {
      yield* pieces('{"value":1}\n')
      throw new Error("the disk is gone")
    }
    let settled = 0
    await assert.rejects(
      run(source(), async records => {
        await turn()
        settled++
        return delivered(records)
      }),
      /the disk is gone/
    )
    assert.equal(settled, 1)
  })
})

describe("lines", () => {
  const all = async (source: AsyncIterable<Uint8Array>, most?: number) => {
    const found: Array<string> = []
    for await (const some of lines(source, most))
      found.push(...some.map(({ fault, number, text }) => `${number}:${text ?? fault}`))
    return found
  }

  it("are the same however they are cut", async () => {
    const text = "one\n\ntwo é\nthree"
    const bytes = new TextEncoder().encode(text)
    const expected = ["1:one", "2:", "3:two é", "4:three"]
    for (let size = 1; size <= bytes.length; size++) {
      async function* source() {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
      }
      assert.deepEqual(await all(source()), expected, `pieces of ${size}`)
    }
    assert.deepEqual(await all(pieces("a\n")), ["1:a"])
    assert.deepEqual(await all(pieces()), [])
  })

  it("too long to be kept are passed over", async () => {
    const found = await all(pieces("12345", "678", "9\nok\n1234567890\n", "12345678901"), 8)
    const fault = "longer than 8 bytes"
    assert.deepEqual(found, [`1:${fault}`, "2:ok", `3:${fault}`, `4:${fault}`])
  })
})
