/**
 * What a check came to.
 */
import type { Code } from "./catalogue.ts"
import type { Look } from "./evidence.ts"

/**
 * `error`: can lose records, or will not work. `unchecked`: could not be looked at, which is no good news. `ok`: looked at,
 * and as it should be.
 */
export type Severity = "error" | "warning" | "unchecked" | "info" | "ok"

export interface Result {
  readonly code: Code
  readonly severity: Severity
  /** `topic events`, `queue parked`. */
  readonly subject: string
  readonly what: string
  /** The command or the key; empty where nothing is to be done. */
  readonly fix: string
}

/** The results about one subject, in the words of its rules. */
export class Results {
  readonly list: Array<Result> = []
  readonly #subject: string
  constructor(subject: string) {
    this.#subject = subject
  }
  #add(severity: Severity, code: Code, what: string, fix: string): void {
    this.list.push({ code, severity, subject: this.#subject, what, fix })
  }
  error(code: Code, what: string, fix: string): void {
    this.#add("error", code, what, fix)
  }
  warning(code: Code, what: string, fix: string): void {
    this.#add("warning", code, what, fix)
  }
  info(code: Code, what: string, fix: string): void {
    this.#add("info", code, what, fix)
  }
  ok(code: Code, what: string): void {
    this.#add("ok", code, what, "")
  }
  unchecked(code: Code, what: string, fix = ""): void {
    this.#add("unchecked", code, what, fix)
  }
  /** The value, or undefined with a result that says why the checks named could not be made. */
  value<A>(look: Look<A>, codes: ReadonlyArray<Code>, what: string, fix = ""): A | undefined {
    if (look._tag === "Seen") return look.value
    const because = look._tag === "Missing" ? "it does not exist" : look.message
    for (const code of codes) this.unchecked(code, `could not check ${what} because ${because}`, fix)
    return undefined
  }
}
