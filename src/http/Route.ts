/**
 * A family of calls: which paths are its own, what a caller must be allowed, how it is answered.
 */

import type { Service as Spillway } from "../Spillway.ts"
import type { Service as Tracing } from "../Tracing.ts"
import type { Access } from "./Access.ts"
import type { Answer, Refuse, RetryAfter } from "./Answer.ts"
import type { Receiver, Respond } from "./Exchange.ts"
import type { RequestHead } from "./RequestHead.ts"

/** What is at a path. */
export interface Call {
  /** Undefined: it looks at the method itself. */
  readonly methods: ReadonlyArray<string> | undefined
  /** Undefined: no token is asked for. */
  readonly allows: ((access: Access) => boolean) | undefined
  /** Why not, for a caller whose token or certificate does not allow it. */
  readonly denial: string
  /** Takes records, so it is refused once the service shuts down. */
  readonly intake: boolean
  /** The family's own way to say no. */
  readonly refuse: Refuse
  /** Undefined when the request is answered without its body. */
  readonly open: (head: RequestHead, respond: Respond) => Receiver | undefined
}

/** What calls that take records need. */
export interface Intake {
  readonly offer: Spillway["offer"]
  readonly maxBodyBytes: number
  /** Most records in one request: what their results take is bounded, too. */
  readonly maxBatchRecords: number
  /** From the request's first byte to the answer, ms. */
  readonly requestTimeoutMs: number
  readonly retryAfter: RetryAfter
  /** Undefined: records carry the trace of their request on, and nothing is told of it. */
  readonly tracing: Tracing | undefined
}

/** Undefined: the path is none of this family's. */
export type Route = (path: string) => Call | undefined

/** A part of a path as it was meant; undefined when it is badly escaped. */
export const unescape = (part: string): string | undefined => {
  if (!part.includes("%")) return part
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** A call that publishes to a topic; undefined: it is badly escaped in the path. */
export const publishing = (
  topic: string | undefined,
  refuse: Refuse,
  open: (topic: string, head: RequestHead, respond: Respond) => Receiver | undefined
): Call => ({
  methods: ["POST"],
  allows: access => topic === undefined || access.publishes(topic),
  denial: `publishing to topic ${topic} is not allowed with this token or certificate`,
  intake: true,
  refuse,
  open: (head, respond) => {
    if (topic !== undefined) return open(topic, head, respond)
    respond(refuse("InvalidRecord", "the topic in the path is badly escaped"))
    return undefined
  }
})

/** Bodies come as they are: nothing is decompressed. */
export const codingRefused = (head: RequestHead, refuse: Refuse): Answer | undefined => {
  const coding = head.header("content-encoding")
  if (coding === null || coding === "identity") return undefined
  const message = `Content-Encoding ${JSON.stringify(coding)}: send the body as it is`
  return refuse("UnsupportedMediaType", message, { "accept-encoding": "identity" })
}
