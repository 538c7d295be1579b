/**
 * Cross-origin requests from browsers (Fetch Standard, "HTTP-CORS protocol"): off unless an origin is named.
 */
import type { Answer } from "./Answer.ts"
import type { Respond } from "./Exchange.ts"
import type { RequestHead } from "./RequestHead.ts"

/** How long a browser may keep a preflight's answer, seconds. */
const maxAge = "600"
const names = /^[\w!#$%&'*+.^`|~, -]{0,1000}$/

export interface Cors {
  /** The answer to a preflight; undefined when the request is none. */
  readonly preflight: (head: RequestHead) => Answer | undefined
  /** Answers so that the page may read it. */
  readonly wrap: (head: RequestHead, respond: Respond) => Respond
}

export const make = (origins: ReadonlyArray<string>): Cors => {
  const known = new Set(origins)
  const originOf = (head: RequestHead): string | undefined => {
    if (known.size === 0) return undefined
    const origin = head.header("origin")
    return origin !== null && known.has(origin) ? origin : undefined
  }
  return {
    preflight: head => {
      if (head.method !== "OPTIONS" || head.header("access-control-request-method") === null) return undefined
      const origin = originOf(head)
      if (origin === undefined) return undefined
      const asked = head.header("access-control-request-headers") ?? ""
      return {
        status: 204,
        headers: {
          "access-control-allow-origin": origin,
          "access-control-allow-methods": "GET, HEAD, POST",
          ...(asked !== "" && names.test(asked) ? { "access-control-allow-headers": asked } : {}),
          "access-control-max-age": maxAge,
          vary: "origin, access-control-request-headers"
        },
        body: ""
      }
    },
    wrap: (head, respond) => {
      const origin = originOf(head)
      if (origin === undefined) return respond
      const headers = {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "retry-after",
        vary: "origin"
      }
      return answer => respond({ ...answer, headers: { ...answer.headers, ...headers } })
    }
  }
}
