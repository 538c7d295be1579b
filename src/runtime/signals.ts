/**
 * Why a process must end, as the system and the runtime tell it.
 */
import process from "node:process"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export type Notice =
  | { readonly _tag: "Signal"; readonly signal: "SIGTERM" | "SIGINT" }
  /** Something threw where nobody caught it. */
  | { readonly _tag: "Uncaught"; readonly error: unknown }

const signals = ["SIGTERM", "SIGINT"] as const

/** Calls back for each notice until the scope ends. Meanwhile none of them ends the process by itself. */
export const listen = (onNotice: (notice: Notice) => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const onSignal = signals.map(signal => [signal, () => onNotice({ _tag: "Signal", signal })] as const)
      const onUncaught = (error: unknown) => onNotice({ _tag: "Uncaught", error })
      for (const [signal, handler] of onSignal) process.on(signal, handler)
      process.on("uncaughtException", onUncaught)
      process.on("unhandledRejection", onUncaught)
      return { onSignal, onUncaught }
    }),
    ({ onSignal, onUncaught }) =>
      Effect.sync(() => {
        for (const [signal, handler] of onSignal) process.off(signal, handler)
        process.off("uncaughtException", onUncaught)
        process.off("unhandledRejection", onUncaught)
      })
  )
