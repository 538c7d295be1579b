/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): what requests and records say of the trace they belong to.
 */
import { Buffer } from "node:buffer"
import { randomFillSync } from "node:crypto"
import type { Headers, HeaderValue } from "../Record.ts"

/** Names of the HTTP and Kafka headers. */
export const parentHeader = "traceparent"
export const stateHeader = "tracestate"

/** A place in a trace. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 of them. */
  readonly spanId: string
  readonly sampled: boolean
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/
/** Length of a version 00 header; later versions may be longer. */
const length = 55
const zeroTrace = "0".repeat(32)
const zeroSpan = "0".repeat(16)

/** Undefined for what is no `traceparent`: the trace begins anew, as the recommendation wants it. */
export const parse = (text: string): TraceContext | undefined => {
  const [, version, traceId, spanId, flags] = form.exec(text) ?? []
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (version === "ff" || (version === "00" && text.length !== length)) return undefined
  if (traceId === zeroTrace || spanId === zeroSpan) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export const format = ({ sampled, spanId, traceId }: TraceContext): string =>
  `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`

/** A header's value as a context; undefined when it is none. */
export const read = (value: HeaderValue | undefined): TraceContext | undefined => {
  if (typeof value === "string") return parse(value)
  return value instanceof Uint8Array ? parse(Buffer.from(value).toString("latin1")) : undefined
}

/** The context that headers carry, sampled or not. */
export const find = (headers: Headers | undefined): TraceContext | undefined => {
  if (headers === undefined) return undefined
  for (let i = 0; i < headers.length; i++) {
    const header = headers[i]
    if (header?.[0] === parentHeader) return read(header[1])
  }
  return undefined
}

/** Headers with this context in place of what they carried. */
export const carrying = (headers: Headers | undefined, context: TraceContext): Headers => [
  ...(headers ?? []).filter(([name]) => name !== parentHeader),
  [parentHeader, format(context)]
]

const pool = Buffer.alloc(4096)
let at = pool.length

const randomHex = (bytes: number): string => {
  if (at + bytes > pool.length) {
    randomFillSync(pool)
    at = 0
  }
  at += bytes
  return pool.toString("hex", at - bytes, at)
}

export const newSpanId = (): string => {
  const id = randomHex(8)
  return id === zeroSpan ? newSpanId() : id
}

export const newTraceId = (): string => {
  const id = randomHex(16)
  return id === zeroTrace ? newTraceId() : id
}

/** Largest number of the 52 random bits of an id that are looked at, and one. */
const scale = 2 ** 52

/** Whether a new trace is among so many of all (0 to 1): by its own id, so that everyone who asks comes to the same. */
export const isAmong = (traceId: string, ratio: number): boolean =>
  ratio >= 1 || Number.parseInt(traceId.slice(-13), 16) < ratio * scale
