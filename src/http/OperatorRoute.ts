/**
 * The operator's calls, as a family that asks for the right to operate.
 */
import type { Answer, Refuse } from "./Answer.ts"
import type { Receiver, Respond } from "./Exchange.ts"
import type { RequestHead } from "./RequestHead.ts"
import type { Route } from "./Route.ts"

/** The answer, what goes on with the request, or undefined: nothing is there. */
type Handle = (head: RequestHead) => Answer | ((respond: Respond) => Receiver | undefined) | undefined

/** @param prefix of all its paths */
export const make = (handle: Handle, prefix: string, refuse: Refuse): Route => {
  const call = {
    methods: undefined,
    allows: ({ operator }: { readonly operator: boolean }) => operator,
    denial: "this token or certificate does not allow the operator API",
    intake: false,
    refuse,
    open: (head: RequestHead, respond: Respond): Receiver | undefined => {
      const found = handle(head)
      if (typeof found === "function") return found(respond)
      respond(found ?? refuse("NotFound", `nothing is at ${head.path}`))
      return undefined
    }
  }
  return path => (path.startsWith(prefix) ? call : undefined)
}
