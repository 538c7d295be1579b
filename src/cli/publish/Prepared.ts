/**
 * Records before they are sent: checked, and each with its id, so that sending one again is no new record.
 */
import { parse } from "../../http/RecordJson.ts"
import type { ProducerRecord } from "../../Record.ts"
import * as RecordId from "../../RecordId.ts"
import type { Line } from "./lines.ts"
import type { Result } from "./Result.ts"

export interface Prepared {
  /** Of the source; undefined: the record is no line of any. */
  readonly line: number | undefined
  readonly record: ProducerRecord & { readonly id: string }
  /** The record as JSON on one line, with its id. */
  readonly text: string
}

export interface Refused {
  readonly line: number | undefined
  readonly result: Result
}

const refused = (line: number | undefined, id: string | undefined, message: string): Refused => ({
  line,
  result: { outcome: "rejected", reason: "InvalidRecord", message, ...(id === undefined ? {} : { id }) }
})

/** A maker of ids, each used once. */
export const ids = (now: () => number): (() => string) => {
  let sequence = RecordId.sequence(now())
  let used = 0
  return () => {
    if (used === 1000) {
      sequence = RecordId.sequence(now())
      used = 0
    }
    return RecordId.at(sequence, used++)
  }
}

export const prepare = (
  topic: string,
  { fault, text }: Line,
  line: number | undefined,
  nextId: () => string
): Prepared | Refused => {
  if (text === undefined) return refused(line, undefined, fault)
  const { id: given, parsed } = parse(topic, text, "")
  if ("_tag" in parsed) return refused(line, given, parsed.message)
  if (given !== undefined) return { line, record: { ...parsed, id: given }, text }
  const id = nextId()
  // The text goes as it was written: a large number in it would not survive being parsed.
  return { line, record: { ...parsed, id }, text: `{"id":"${id}",${text.slice(text.indexOf("{") + 1)}` }
}
