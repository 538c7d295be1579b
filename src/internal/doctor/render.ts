/**
 * The report: for people, and for programs.
 */
import { catalogue, groups } from "./catalogue.ts"
import type { Result, Severity } from "./result.ts"

/** Counted over everything that was looked at. */
export interface Report {
  readonly results: ReadonlyArray<Result>
  /** Nothing of what the configuration names has answered. */
  readonly reachedNothing: boolean
}

export interface TextOptions {
  readonly colour: boolean
  /** A line for each check that found nothing wrong. */
  readonly verbose: boolean
}

const marks: Readonly<Record<Severity, { readonly label: string; readonly colour: number }>> = {
  error: { label: "error", colour: 31 },
  warning: { label: "warning", colour: 33 },
  unchecked: { label: "unchecked", colour: 35 },
  info: { label: "info", colour: 36 },
  ok: { label: "ok", colour: 32 }
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`

export const countOf = (results: ReadonlyArray<Result>, severity: Severity): number =>
  results.filter(result => result.severity === severity).length

const summary = (results: ReadonlyArray<Result>): string =>
  [
    plural(countOf(results, "error"), "error"),
    plural(countOf(results, "warning"), "warning"),
    `${countOf(results, "unchecked")} unchecked`,
    `${countOf(results, "info")} for information`,
    `${countOf(results, "ok")} ok`
  ].join(", ")

const indent = "      "

export const renderText = ({ reachedNothing, results }: Report, { colour, verbose }: TextOptions): string => {
  const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  const lines: Array<string> = []
  for (const group of groups) {
    const own = results.filter(({ code }) => catalogue[code].group === group)
    if (own.length === 0) continue
    const fine = countOf(own, "ok")
    lines.push(`${paint(1, group)}${verbose || fine === 0 ? "" : `  ${fine} ok`}`)
    for (const { code, fix, severity, subject, what } of own) {
      if (severity === "ok" && !verbose) continue
      const { colour: tint, label } = marks[severity]
      lines.push(`  ${paint(tint, label)} ${subject}: ${what} ${paint(2, `[${code}]`)}`)
      if (severity === "ok") continue
      lines.push(`${indent}why: ${catalogue[code].why}`)
      if (fix !== "") lines.push(`${indent}fix: ${fix}`)
    }
    lines.push("")
  }
  lines.push(summary(results))
  if (reachedNothing) lines.push("Nothing of what the configuration names could be reached.")
  return `${lines.join("\n")}\n`
}

/** One document: `summary` counts, `findings` are what is not as it should be, `ok` the rest. */
export const toJson = ({ reachedNothing, results }: Report): string => {
  const full = ({ code, ...result }: Result) => ({ code, ...catalogue[code], ...result })
  const document = {
    reached: !reachedNothing,
    summary: {
      errors: countOf(results, "error"),
      warnings: countOf(results, "warning"),
      unchecked: countOf(results, "unchecked"),
      information: countOf(results, "info"),
      ok: countOf(results, "ok")
    },
    findings: results.filter(({ severity }) => severity !== "ok").map(full),
    ok: results.flatMap(({ code, severity, subject, what }) => (severity === "ok" ? [{ code, subject, what }] : []))
  }
  return `${JSON.stringify(document, null, 2)}\n`
}
