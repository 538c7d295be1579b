/**
 * What is wrong with a configuration, and how it is told.
 */
import * as Data from "effect/Data"
import type { Origin } from "./tree.ts"

/** One fault, at the place that caused it. No issue ever holds a secret. */
export interface Issue {
  /** `environment` when a variable caused it. */
  readonly file: string
  /** From 1; 0 when there is no line (an environment variable, an unreadable file). */
  readonly line: number
  readonly column: number
  /** The environment variable that caused it. */
  readonly variable?: string
  /** Dotted path of the key; empty for the document as a whole. */
  readonly path: string
  readonly message: string
  readonly expected?: string
  readonly found?: string
  readonly suggestion?: string
}

/** The configuration cannot be used. Every fault that could be found is listed. */
export class ConfigError extends Data.TaggedError("ConfigError")<{
  readonly issues: ReadonlyArray<Issue>
  readonly message: string
}> {}

const place = (issue: Issue): string => {
  if (issue.variable !== undefined) return `environment ${issue.variable}`
  return issue.line === 0 ? issue.file : `${issue.file}:${issue.line}:${issue.column}`
}

/** One line for one issue: place, path, what is wrong, what to do. */
export const renderIssue = (issue: Issue): string =>
  `${place(issue)}  ${issue.path === "" ? "" : `${issue.path}: `}${issue.message}` +
  (issue.suggestion === undefined ? "" : `; ${issue.suggestion}`)

/** In the order of the files and lines, the first of equal ones only. */
export const configError = (issues: ReadonlyArray<Issue>, files: ReadonlyArray<string>): ConfigError => {
  const rank = (issue: Issue): number => (issue.variable === undefined ? files.indexOf(issue.file) : files.length)
  const sorted = [...new Map(issues.map(issue => [renderIssue(issue), issue])).values()].sort(
    (a, b) => rank(a) - rank(b) || a.line - b.line || a.column - b.column
  )
  const count = sorted.length === 1 ? "1 problem" : `${sorted.length} problems`
  const lines = sorted.map(issue => `  ${renderIssue(issue)}`)
  return new ConfigError({ issues: sorted, message: [`The configuration has ${count}:`, ...lines].join("\n") })
}

/** What to say about a value, beside where it is. */
export interface Fault {
  readonly message: string
  readonly expected?: string
  readonly found?: string
  readonly suggestion?: string
}

/** A key as far as it can be one: `{ token:secret }` is a key without a value, `token:secret`. */
const key = (text: string): string => {
  const [start = ""] = /^[\p{L}\p{N}_.<-]*/u.exec(text) ?? []
  return printable(start.length === text.length ? text : `${start}…`)
}

export const issueAt = (origin: Origin, path: ReadonlyArray<string>, fault: Fault): Issue => ({
  file: origin.file,
  line: origin.line,
  column: origin.column,
  ...(origin.variable === undefined ? {} : { variable: origin.variable }),
  path: path.map(key).join("."),
  ...fault
})

/** Safe to print on one line: control characters escaped, long text cut. */
export const printable = (text: string): string => {
  const escaped = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"')
  return escaped.length > 80 ? `${escaped.slice(0, 77)}...` : escaped
}

const bare = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, "")

/** Edits (insert, delete, replace, swap of neighbours) from one text to the other. */
const distance = (from: string, to: string): number => {
  const rows: Array<Array<number>> = [Array.from({ length: to.length + 1 }, (_, column) => column)]
  const cell = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= from.length; i++) {
    rows.push([i])
    for (let j = 1; j <= to.length; j++) {
      const replaced = cell(i - 1, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1)
      const swapped =
        i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
          ? cell(i - 2, j - 2) + 1
          : Number.POSITIVE_INFINITY
      rows[i]?.push(Math.min(cell(i - 1, j) + 1, cell(i, j - 1) + 1, replaced, swapped))
    }
  }
  return cell(from.length, to.length)
}

/** The known word closest to a mistyped one; undefined when none is close. */
export const nearest = (word: string, known: Iterable<string>): string | undefined => {
  const wanted = bare(word.slice(0, 80))
  let best: string | undefined
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of known) {
    const edits = distance(wanted, bare(candidate))
    if (edits < least) {
      least = edits
      best = candidate
    }
  }
  return best
}

/** The known word closest to a mistyped one, as a question. */
export const didYouMean = (word: string, known: Iterable<string>): string | undefined => {
  const best = nearest(word, known)
  return best === undefined ? undefined : `did you mean "${best}"?`
}
