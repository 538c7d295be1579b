/**
 * Requests that a browser sends for pages of other sites. Simple ones are sent without asking (Fetch standard,
 * "CORS-safelisted"), with the client's certificate too, and a name of the page's own may have been made to point here (DNS
 * rebinding): where no token is shown, whose page it is must be looked at.
 */
import { isLoopback } from "../internal/loopback.ts"
import type { RequestHead } from "./RequestHead.ts"

/** Whether the request is for this host under a name that nobody else can give it, or names no host. */
export const forLoopback = (head: RequestHead): boolean => {
  const host = head.header("host")
  return host === null || isLoopback(host.replace(/:\d+$/, ""))
}

const own = new Set(["same-origin", "none"])

/** @param open nobody has to show anything: the service is on a loopback address */
export const make =
  (origins: ReadonlyArray<string>, open: boolean) =>
  (head: RequestHead): boolean => {
    if (!open && head.header("authorization") !== null) return false
    const origin = head.header("origin")
    if (origin !== null && origins.includes(origin)) return false
    const site = head.header("sec-fetch-site")
    if (site !== null && !own.has(site)) return true
    if (origin === null) return false
    return (site === null && origin.replace(/^https?:\/\//, "") !== head.header("host")) || (open && !forLoopback(head))
  }
