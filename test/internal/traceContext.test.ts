import assert from "node:assert/strict"
import { it } from "node:test"
import fc from "fast-check"
import * as TraceContext from "../../src/internal/traceContext.ts"

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
const span = "00f067aa0ba902b7"

it("reads what the recommendation allows, and nothing else", () => {
  assert.deepEqual(TraceContext.parse(`00-${trace}-${span}-01`), { traceId: trace, spanId: span, sampled: true })
  assert.equal(TraceContext.parse(`00-${trace}-${span}-00`)?.sampled, false)
  // Only the lowest bit says that it is sampled.
  assert.equal(TraceContext.parse(`00-${trace}-${span}-02`)?.sampled, false)
  assert.equal(TraceContext.parse(`00-${trace}-${span}-0b`)?.sampled, true)
  // A later version is read as far as it is known.
  assert.equal(TraceContext.parse(`cc-${trace}-${span}-01-what-is-to-come`)?.traceId, trace)
  for (const wrong of [
    "",
    "x",
    `00-${trace}-${span}-1`,
    `00-${trace}-${span}-01-more`,
    `cc-${trace}-${span}-01more`,
    `ff-${trace}-${span}-01`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${"0".repeat(32)}-${span}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    ` 00-${trace}-${span}-01`
  ]) {
    assert.equal(TraceContext.parse(wrong), undefined, wrong)
  }
})

it("reads back what it writes", () => {
  for (const sampled of [true, false]) {
    const context = { traceId: TraceContext.newTraceId(), spanId: TraceContext.newSpanId(), sampled }
    assert.deepEqual(TraceContext.parse(TraceContext.format(context)), context)
  }
})

it("never throws, whatever a header holds", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.uint8Array(), fc.constant(null)), value => {
      assert.equal(TraceContext.read(value), undefined)
    })
  )
})

it("gives ids that differ", () => {
  const ids = new Set(Array.from({ length: 2000 }, () => TraceContext.newSpanId()))
  assert.equal(ids.size, 2000)
})

it("takes its part of the traces, by their ids alone", () => {
  assert.ok(TraceContext.isAmong("0".repeat(32), 0.000001))
  assert.ok(!TraceContext.isAmong("f".repeat(32), 0.999))
  assert.ok(TraceContext.isAmong("f".repeat(32), 1))
  assert.ok(!TraceContext.isAmong("0".repeat(32), 0))
})

it("replaces what headers carried, and leaves the others as they were", () => {
  const context = { traceId: trace, spanId: span, sampled: true }
  const carried = TraceContext.carrying(
    [
      ["a", "1"],
      ["traceparent", "old"],
      ["a", null]
    ],
    context
  )
  assert.deepEqual(carried, [
    ["a", "1"],
    ["a", null],
    ["traceparent", `00-${trace}-${span}-01`]
  ])
})
