/**
 * Everything SQLite can throw, mapped to what it means for the spool. Total: what is in no table says that the disk cannot
 * be written.
 *
 * @see https://www.sqlite.org/rescode.html
 */
import { SpoolError, type SpoolReason } from "../Spool.ts"

/** Primary result codes of SQLite. */
const byCode: ReadonlyMap<number, SpoolReason> = new Map([
  [5, "Locked"],
  [6, "Locked"],
  [11, "Corrupt"],
  [13, "Full"],
  [24, "Corrupt"],
  [26, "Corrupt"]
])
/** Deno names no code when a file cannot be opened. */
const byWords: ReadonlyArray<readonly [words: string, reason: SpoolReason]> = [
  ["is locked", "Locked"],
  ["is full", "Full"],
  ["malformed", "Corrupt"],
  ["not a database", "Corrupt"]
]

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined

/** What anything thrown means. */
export const reasonOf = (thrown: unknown): SpoolReason => {
  if (thrown instanceof SpoolError) return thrown.reason
  const code = member(thrown, "errcode")
  if (typeof code === "number") return byCode.get(code & 0xff) ?? "Unwritable"
  const message = String(member(thrown, "message") ?? thrown)
  return byWords.find(([words]) => message.includes(words))?.[1] ?? "Unwritable"
}

const meanings: Readonly<Record<SpoolReason, string>> = {
  Full: "has no room",
  Unwritable: "cannot be written",
  Locked: "is in use by another process",
  Corrupt: "cannot be read as a spool"
}

export const spoolError = (path: string, thrown: unknown): SpoolError => {
  if (thrown instanceof SpoolError) return thrown
  const reason = reasonOf(thrown)
  const message = `spool ${path} ${meanings[reason]}: ${String(member(thrown, "message") ?? thrown)}`
  return new SpoolError({ reason, path, message, retryable: reason !== "Corrupt", cause: thrown })
}
