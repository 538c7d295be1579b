/**
 * YAML text to a tree with positions: the one place that uses the `yaml` package.
 *
 * The parser's own messages may quote the text, secrets included, so each fault is put into words of ours.
 *
 * @see YAML 1.2.2, core schema; merge keys (`<<`) as in YAML 1.1's type repository
 */
import * as Yaml from "yaml"
import { type Issue, issueAt } from "./issue.ts"
import { type Entry, emptyMap, type MapNode, type Node, type Origin, type Path } from "./tree.ts"

/** Values in one file, aliases expanded: far more than any configuration, far less than an alias bomb. */
const maxValues = 100_000
const maxDepth = 64

const words: Partial<Record<Yaml.ErrorCode, string>> = {
  ALIAS_PROPS: "an alias cannot have an anchor or a tag",
  BAD_ALIAS: "this alias names no anchor written before it (quote a text that begins with *)",
  BAD_DIRECTIVE: "this YAML directive is not understood",
  BAD_DQ_ESCAPE: "unknown escape in a text in double quotes",
  BAD_INDENT: "wrong indentation",
  BAD_SCALAR_START: "a plain text cannot begin like this: quote it",
  BLOCK_AS_IMPLICIT_KEY: "a key cannot hold a section or a list (is there a second colon on this line?)",
  BLOCK_IN_FLOW: "inside [ ] or { } everything must be written with brackets and commas",
  DUPLICATE_KEY: "this key is here twice",
  KEY_OVER_1024_CHARS: "a key cannot be longer than 1024 characters",
  MISSING_CHAR: 'a character is missing here (a space behind ":", a comma, a closing bracket or quote?)',
  MULTILINE_IMPLICIT_KEY: 'a key must be on one line (is a ":" missing here or on the line before?)',
  MULTIPLE_DOCS: 'a file holds one document: remove the "---" behind the first',
  NON_STRING_KEY: "a key must be plain text",
  TAB_AS_INDENT: "a tab cannot indent: use spaces",
  TAG_RESOLVE_FAILED: "YAML tags are not supported (quote a text that begins with !)",
  UNEXPECTED_TOKEN: "this was not expected here (wrong indentation, or a text that needs quotes?)"
}

/** A section's children, or undefined where the file says nothing. */
export interface ParsedYaml {
  readonly root: MapNode | undefined
  readonly issues: ReadonlyArray<Issue>
}

class Refused extends Error {
  readonly issue: Issue
  constructor(issue: Issue) {
    super(issue.message)
    this.issue = issue
  }
}

/** Total: whatever the text, issues instead of a throw. */
export const parse = (file: string, text: string): ParsedYaml => {
  const lines = new Yaml.LineCounter()
  const at = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const top: Origin = { file, line: 1, column: 1 }
  try {
    const document = Yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })
    const faults = [...document.errors, ...document.warnings]
    if (faults.length > 0) {
      const issues = faults
        // One misplaced character makes everything behind it unexpected: the first says it all.
        .filter((fault, index) => index === 0 || fault.code !== "UNEXPECTED_TOKEN")
        .map(fault => issueAt(at(fault.pos[0]), [], { message: words[fault.code] ?? `not valid YAML (${fault.code})` }))
      return { root: undefined, issues }
    }
    if (document.contents === null) return { root: emptyMap(top), issues: [] }
    const root = converter(document, at)(document.contents, [], top)
    if (root.kind === "map") return { root, issues: [] }
    if (root.kind === "scalar" && root.value === null) return { root: emptyMap(top), issues: [] }
    const message = "expected keys such as stream: and kafka: at the top"
    return { root: undefined, issues: [issueAt(root.origin, [], { message })] }
  } catch (cause) {
    if (cause instanceof Refused) return { root: undefined, issues: [cause.issue] }
    // The parser recurses: text nested thousands of levels deep overflows its stack.
    return { root: undefined, issues: [issueAt(top, [], { message: "not readable as YAML: nested too deeply?" })] }
  }
}

const converter = (document: Yaml.Document.Parsed, at: (offset: number) => Origin) => {
  let values = 0

  const convert = (source: unknown, path: Path, key: Origin): Node => {
    const node = Yaml.isAlias(source) ? source.resolve(document) : source
    const range = Yaml.isNode(source) ? source.range : undefined
    const origin = range ? at(range[0]) : key
    if (++values > maxValues || path.length > maxDepth) {
      const message = values > maxValues ? `more than ${maxValues} values` : `nested deeper than ${maxDepth} levels`
      throw new Refused(issueAt(origin, path.slice(0, 4), { message }))
    }
    if (node === undefined && Yaml.isAlias(source)) {
      throw new Refused(issueAt(origin, path, { message: words.BAD_ALIAS ?? "" }))
    }
    if (Yaml.isMap(node)) return { kind: "map", entries: entriesOf(node, path, origin), origin: key }
    if (Yaml.isSeq(node)) {
      return { kind: "list", items: node.items.map((item, i) => convert(item, [...path, `${i}`], origin)), origin: key }
    }
    const value = Yaml.isScalar(node) ? node.value : null
    if (value === null) return { kind: "scalar", value: null, written: "", untyped: false, origin: key }
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      const written = Yaml.isScalar(node) && typeof value !== "string" ? (node.source ?? `${value}`) : `${value}`
      return { kind: "scalar", value, written, untyped: false, origin }
    }
    throw new Refused(issueAt(origin, path, { message: "expected a text, a number, true or false" }))
  }

  /** A `<<` key brings the entries of other maps, which explicit keys override. */
  const entriesOf = (map: Yaml.YAMLMap, path: Path, origin: Origin): ReadonlyMap<string, Entry> => {
    const brought = new Map<string, Entry>()
    const own = new Map<string, Entry>()
    for (const pair of map.items) {
      const key = Yaml.isScalar(pair.key) ? `${pair.key.value ?? ""}` : ""
      const keyRange = Yaml.isNode(pair.key) ? pair.key.range : undefined
      const keyOrigin = keyRange ? at(keyRange[0]) : origin
      if (key !== "<<") {
        own.set(key, { origin: keyOrigin, node: convert(pair.value, [...path, key], keyOrigin) })
        continue
      }
      const merged = convert(pair.value, path, keyOrigin)
      for (const from of merged.kind === "list" ? merged.items : [merged]) {
        if (from.kind !== "map") {
          const message = "a << key wants an alias of a section, or a list of them"
          throw new Refused(issueAt(keyOrigin, path, { message }))
        }
        for (const [name, entry] of from.entries) if (!brought.has(name)) brought.set(name, entry)
      }
    }
    return new Map([...brought, ...own])
  }

  return convert
}
