/**
 * Keys that the configuration does not know. Each is a fault; one that is clearly a known key misspelt is read as that key,
 * so that it hides nothing: neither what is wrong below it nor the rules that need it, and it is not missing either.
 */
import type { Kind, Report } from "./field.ts"
import { issueAt, nearest } from "./issue.ts"
import type { Entry, Node, Path } from "./tree.ts"

/** One file's tree as it was meant. */
export const spelled = (node: Node, kind: Kind<unknown>, path: Path, report: Report): Node => {
  if (node.kind !== "map") return node
  const { entry, fields } = kind
  if (entry !== undefined) {
    const entries = [...node.entries].map(([name, { node: below, origin }]): [string, Entry] => [
      name,
      { origin, node: spelled(below, entry, [...path, name], report) }
    ])
    return { ...node, entries: new Map(entries) }
  }
  if (fields === undefined) return node
  const entries = new Map<string, Entry>()
  for (const [written, { node: below, origin }] of node.entries) {
    let key = written
    if (!Object.hasOwn(fields, written)) {
      const meant = nearest(written, Object.keys(fields))
      const help =
        meant === undefined
          ? { expected: `one of ${Object.keys(fields).join(", ")}` }
          : { suggestion: `did you mean "${meant}"?` }
      report.issues.push(issueAt(origin, [...path, written], { message: "unknown key", ...help }))
      if (meant === undefined || node.entries.has(meant) || entries.has(meant)) continue
      key = meant
    }
    const field = fields[key]
    if (field !== undefined) entries.set(key, { origin, node: spelled(below, field.kind, [...path, key], report) })
  }
  return { ...node, entries }
}
