/**
 * A record that no longer depends on memory its caller may use again.
 */
import type { ProducerRecord } from "../Record.ts"

const own = <T>(value: T): T | Uint8Array => (value instanceof Uint8Array ? new Uint8Array(value) : value)

export const ownRecord = (record: ProducerRecord): ProducerRecord => ({
  ...record,
  key: own(record.key),
  value: own(record.value),
  headers: record.headers?.map(([name, value]) => [name, own(value)] as const)
})
