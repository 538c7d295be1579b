/**
 * How a command ends: exit codes as in BSD's sysexits.h, set once and used by `main` when everything is written.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

export const codes = {
  ok: 0,
  /** The command did its work, and what it found or did is not all well. */
  findings: 1,
  usage: 64,
  /** What was given to be published, or to be read, is not what it should be. */
  data: 65,
  /** A server that is needed cannot be reached, or refuses. */
  unavailable: 69,
  software: 70,
  config: 78
} as const

/** Ends a command with a sentence on standard error that says what to do. */
export class CommandError extends Data.TaggedError("CommandError")<{
  readonly code: number
  readonly message: string
}> {}

let code: number = codes.ok

/** The exit code of a command that comes to its end by itself. */
export const end = (withCode: number): Effect.Effect<void> =>
  Effect.sync(() => {
    code = withCode
  })

export const chosen = (): number => code
