/**
 * The line of a fault with a caret under its column, as compilers show it.
 *
 * A line may hold a secret, in its right place or, in a faulty file, in any other. So of its values only those are shown
 * that stand behind a known key which never holds one; from the first other value on the line is cut off.
 */
import type { Kind } from "./field.ts"
import type { Issue } from "./issue.ts"
import { shape } from "./shape.ts"

const widest = 100
const mask = "***"

const named = (kind: Kind<unknown>): ReadonlyArray<readonly [key: string, kind: Kind<unknown>]> => [
  ...(kind.entry === undefined ? [] : named(kind.entry)),
  ...Object.entries(kind.fields ?? {}).flatMap(([key, field]) => [[key, field.kind] as const, ...named(field.kind)])
]

const keys = named(shape)
const known = new Set(keys.map(([key]) => key))
const secret = new Set(keys.filter(([, kind]) => kind.secret).map(([key]) => key))
const plain = new Set(
  keys.filter(([key, kind]) => !secret.has(key) && (kind.fields ?? kind.entry) === undefined).map(([key]) => key)
)
const suspicious = new RegExp(`@|${[...secret].join("|")}`, "i")

const isSimple = (value: string): boolean =>
  /^(?:"[^"]*"|'[^']*'|[^\s"']+|[^:"'{}[\]]*)$/.test(value) && !suspicious.test(value)

/** What is written, without the brackets around it, may be shown behind this key. */
const isPublic = (key: string | undefined, value: string): boolean =>
  key !== undefined && plain.has(key) && value.split(/\s*,\s*/).every(isSimple)

/** A key's name as the last thing on the way to it that is no index of a list. */
const keyOf = (path: string): string | undefined => path.split(".").findLast(part => !/^\d+$/.test(part))

/** `  - ` or `[` and the like, then what is written, then what closes it. */
const parts = (text: string): readonly [before: string, value: string, after: string] => {
  const [, before = "", value = "", after = ""] = /^((?:- |[\s{[])*)(.*?)([\s,}\]]*)$/s.exec(text) ?? []
  return [before, value, after]
}

/** `key: value` on one line, `{` or `,` in front of the later ones. */
const keyAt = /(?<=^\s*(?:- )*|[{[,]\s*)(["']?)([A-Za-z0-9_.-]+)\1\s*:(?=\s|$)/g

/** As much of a line as may be shown. `key`: what a value belongs to that has none on this line. */
const shown = (line: string, key: string | undefined): string => {
  const text = line.replaceAll(/\p{C}/gu, " ").replace(/(^|\s)#.*$/, "$1")
  const found = [...text.matchAll(keyAt)]
  const [before, value] = parts(text.slice(0, found[0]?.index))
  const [, written, given = ""] = /^([\w.-]+)[:\s]\s*(\S+)$/.exec(value) ?? []
  if (value !== "" && !isPublic(key, value) && !isPublic(written, given)) return `${before}${mask}`
  let end = found[0]?.index ?? text.length
  for (const [index, [match, , name]] of found.entries()) {
    const start = found[index]?.index ?? 0
    const from = start + match.length
    end = found[index + 1]?.index ?? text.length
    const [lead, value] = parts(text.slice(from, end))
    if (value === "" || isPublic(name, value)) continue
    // A word nobody knows may be part of a secret over several lines; one that the fault names is told anyway.
    return name === key || known.has(name ?? "")
      ? `${text.slice(0, from)}${lead}${mask}`
      : `${text.slice(0, start)}${mask}`
  }
  return text.slice(0, end).trimEnd()
}

/** Two lines to stand below the fault's own; undefined when it is in no line of `text`. */
export const excerpt = (issue: Issue, text: string): string | undefined => {
  const line = text.split(/\r?\n/)[issue.line - 1]
  if (issue.variable !== undefined || issue.line === 0 || line === undefined) return undefined
  const visible = shown(line, keyOf(issue.path))
  const column = Math.min(issue.column - 1, visible.length)
  const from = column < widest - 20 ? 0 : column - widest / 2
  const cut = visible.slice(from, from + widest)
  const number = `${issue.line}`.padStart(4)
  return `${number} | ${cut}\n${" ".repeat(number.length)} | ${" ".repeat(column - from)}^`
}
