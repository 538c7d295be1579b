/**
 * What descriptions of wrong requests are made of.
 */
/** A request that is wrong in one way, and what must be answered. */
export interface Bad {
  readonly name: string
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array<ArrayBuffer>
  readonly status: number
  /** In the answer's body. */
  readonly says: RegExp
  /** Without the token that may do everything. */
  readonly bare?: boolean
}

export const records = "/v1/topics/events/records"
export const v3 = "/v3/clusters/c/topics/events/records"
export const v2 = "/topics/events"
export const maxBodyBytes = 2 * 1024 * 1024
/** `max_record_bytes` of the output. */
export const maxRecordBytes = 16 * 1024

export const json = { "content-type": "application/json" }
export const ndjson = { "content-type": "application/x-ndjson" }
export const v2Json = { "content-type": "application/vnd.kafka.json.v2+json" }
export const v2Binary = { "content-type": "application/vnd.kafka.binary.v2+json" }
export const bytes = (...values: ReadonlyArray<number>) => new Uint8Array(values)
export const nested = (open: string, close: string, depth: number) => `${open.repeat(depth)}1${close.repeat(depth)}`

/** Every kind of JSON but the ones named. */
export const kinds: Readonly<Record<string, string>> = {
  null: "null",
  number: "1.5",
  boolean: "true",
  string: '"a?"',
  array: "[1]",
  object: '{"a":1}'
}
export const allBut = (...fine: ReadonlyArray<string>) => Object.entries(kinds).filter(([kind]) => !fine.includes(kind))
