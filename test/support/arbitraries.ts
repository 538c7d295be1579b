/**
 * Records as fast-check makes them up: every shape a caller may hand in.
 */
import fc from "fast-check"
import type { Headers } from "../../src/Record.ts"

export interface GeneratedRecord {
  readonly key: Uint8Array | string | null | undefined
  readonly value: Uint8Array | string | null
  readonly headers: Headers | undefined
  readonly id: string | undefined
  readonly timestamp: number
}

/** Any UTF-16 text, lone surrogates included. */
const anyText = fc
  .array(fc.nat(0xffff), { maxLength: 60 })
  .map(units => units.map(unit => String.fromCharCode(unit)).join(""))
const text = fc.oneof(fc.string({ maxLength: 60 }), anyText, fc.constant("é".repeat(20)))
const bytes = fc.uint8Array({ maxLength: 200 })

export const record: fc.Arbitrary<GeneratedRecord> = fc.record({
  key: fc.oneof(text, bytes, fc.constant(null), fc.constant(undefined), fc.constant("")),
  value: fc.oneof(text, bytes, fc.constant(null), fc.constant("")),
  headers: fc.oneof(
    fc.constant(undefined),
    fc.array(
      fc.tuple(
        fc.oneof(fc.constantFrom("", "a", "same", "spillway-id"), text),
        fc.oneof(text, bytes, fc.constant(null), fc.constant(""))
      ),
      { maxLength: 5 }
    )
  ),
  id: fc.oneof(fc.constant(undefined), fc.string({ minLength: 1, maxLength: 256 })),
  timestamp: fc.oneof(fc.constantFrom(0, 253_402_300_799_999), fc.nat(), fc.integer({ min: 1.7e12, max: 1.8e12 }))
})
