/**
 * YAML text to a tree with positions: the one place that uses the `yaml` package.
 *
 * The parser's own messages may quote the text, secrets included, so each fault is put into words of ours.
 *
 * A fault hides as little as possible: a value that cannot be read is left out by itself; a line that breaks the structure
 * is left out with the lines indented below it, and the rest is read again.
 *
 * @see YAML 1.2.2, core schema; merge keys (`<<`) as in YAML 1.1's type repository
 */
import * as Yaml from "yaml"
import { type Issue, issueAt } from "./issue.ts"
import { firstWritten, indentOf, without, withoutTabs } from "./lines.ts"
import { type Entry, emptyMap, losing, type MapNode, merge, type Node, type Origin, type Path, unread } from "./tree.ts"

/** Values in one file, aliases expanded: far more than any configuration, far less than an alias bomb. */
const maxValues = 100_000
const maxDepth = 64
/** Lines that break the structure, in one file; more than a person mends at once. */
const maxBreaks = 50

const words: Partial<Record<Yaml.ErrorCode, string>> = {
  ALIAS_PROPS: "an alias cannot have an anchor or a tag",
  BAD_ALIAS: "this alias names no anchor written before it (quote a text that begins with *)",
  BAD_DIRECTIVE: "this YAML directive is not understood",
  BAD_DQ_ESCAPE: "unknown escape in a text in double quotes",
  BAD_INDENT: "wrong indentation",
  BAD_SCALAR_START: "a plain text cannot begin like this: quote it",
  BLOCK_AS_IMPLICIT_KEY: "a key cannot hold a section or a list (is there a second colon on this line?)",
  BLOCK_IN_FLOW: "inside [ ] or { } everything must be written with brackets and commas",
  KEY_OVER_1024_CHARS: "a key cannot be longer than 1024 characters",
  MISSING_CHAR: 'a character is missing here (a space behind ":", a comma, a closing bracket or quote?)',
  MULTILINE_IMPLICIT_KEY: 'a key must be on one line (is a ":" missing here or on the line before?)',
  MULTIPLE_DOCS: 'a file holds one document: remove the "---" behind the first',
  NON_STRING_KEY: "a key must be plain text",
  TAB_AS_INDENT: "a tab cannot indent: use spaces",
  TAG_RESOLVE_FAILED: "YAML tags are not supported (quote a text that begins with !)",
  UNEXPECTED_TOKEN: "this was not expected here (wrong indentation, or a text that needs quotes?)"
}

const saying = ({ code }: Yaml.YAMLError): string => words[code] ?? `not valid YAML (${code})`

export interface ParsedYaml {
  /** Undefined when nothing of the file could be read. */
  readonly root: MapNode | undefined
  /** False when what could not be read might have been anything. */
  readonly whole: boolean
  readonly issues: ReadonlyArray<Issue>
}

class Refused extends Error {
  readonly issue: Issue
  constructor(issue: Issue) {
    super(issue.message)
    this.issue = issue
  }
}

/** Faults that leave the structure as it was meant. */
const harmless: ReadonlySet<Yaml.ErrorCode> = new Set<Yaml.ErrorCode>([
  "ALIAS_PROPS",
  "BAD_ALIAS",
  "BAD_DIRECTIVE",
  "BAD_DQ_ESCAPE",
  "BAD_SCALAR_START",
  "DUPLICATE_KEY",
  "MULTIPLE_DOCS",
  "NON_STRING_KEY",
  "TAG_RESOLVE_FAILED"
])

interface Break {
  readonly at: Origin
  readonly message: string
  /** What stood there may belong to any section above. */
  readonly anywhere: boolean
}

/** The quote or the bracket that begins what `offset` lies in, if any, and whether it is closed at all. */
const opening = (document: Yaml.Document.Parsed, text: string, offset: number) => {
  let found: { readonly start: number; readonly closed: boolean; readonly quote: boolean } | undefined
  const look = (node: Yaml.Scalar | Yaml.YAMLMap | Yaml.YAMLSeq): void => {
    const [start, end, last] = node.range ?? [offset, offset, offset]
    if (found !== undefined || start >= offset || offset > last) return
    const closed = end - start > 1 && /["'\]}]/.test(text[end - 1] ?? "")
    if (!closed || offset < end) found = { start, closed, quote: Yaml.isScalar(node) }
  }
  Yaml.visit(document, {
    Scalar: (_, node) => {
      if (node.type?.startsWith("QUOTE")) look(node)
    },
    Collection: (_, node) => {
      if (node.flow && (Yaml.isMap(node) || Yaml.isSeq(node))) look(node)
    }
  })
  return found
}

interface Readable {
  readonly document: Yaml.Document.Parsed
  readonly breaks: ReadonlyArray<Break>
}

/** What is left of the text when the lines that break its structure are left out; undefined when that leads nowhere. */
const readable = (
  file: string,
  text: string,
  lines: Yaml.LineCounter,
  at: (offset: number) => Origin
): Readable | ReadonlyArray<Break> => {
  const breaks: Array<Break> = []
  let rest = text
  for (let round = 0; round <= maxBreaks; round++) {
    // Blanked text has its lines where the first reading found them.
    const document = Yaml.parseDocument(rest, {
      ...(round === 0 ? { lineCounter: lines } : {}),
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: false
    })
    const faults = document.errors.filter(({ code }) => !harmless.has(code))
    const [fault] = faults
    if (fault === undefined) return { document, breaks }
    const add = (origin: Origin, message: string, anywhere = false): void => {
      if (!breaks.some(({ at }) => at.line === origin.line)) breaks.push({ at: origin, message, anywhere })
    }
    const tabs = faults.filter(({ code }) => code === "TAB_AS_INDENT").map(({ pos }) => at(pos[0]))
    const opened = opening(document, rest, fault.pos[0])
    let next: string | undefined
    if (tabs.length > 0) {
      for (const tab of tabs) add(tab, words.TAB_AS_INDENT ?? "", true)
      next = withoutTabs(rest, new Set(tabs.map(({ line }) => line)))
    } else if (opened !== undefined) {
      const start = at(opened.start)
      if (opened.closed) add(at(fault.pos[0]), saying(fault))
      else add(start, `this ${opened.quote ? "quote" : "bracket"} is not closed`)
      next = without(rest, start.line)
    } else {
      const { column, line: before } = at(fault.pos[0])
      const line = firstWritten(rest, before)
      const indent = indentOf(rest.split("\n")[line - 1] ?? "")
      const misplaced = fault.code === "BAD_INDENT"
      add({ file, line, column: line === before ? Math.max(column, indent + 1) : indent + 1 }, saying(fault), misplaced)
      next = without(rest, line, misplaced)
    }
    if (next === undefined || next === rest) return breaks
    rest = next
  }
  return breaks
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
    const read = readable(file, text, lines, at)
    if (!("document" in read)) {
      const issues = read.map(({ at, message }) => issueAt(at, [], { message }))
      return { root: undefined, whole: false, issues }
    }
    const { breaks, document } = read
    const { convert, issues } = converter(document, at, text)
    const contents: Node = document.contents === null ? emptyMap(top) : convert(document.contents, [], top)
    const lost = contents.kind === "scalar" && contents.unread === true
    const whole = !lost && !document.errors.some(({ code }) => code === "MULTIPLE_DOCS")
    let root = contents.kind === "scalar" && contents.value === null ? emptyMap(top) : contents
    if (root.kind !== "map") {
      const message = "expected keys such as stream: and kafka: at the top"
      return { root: undefined, whole: false, issues: [...issues, issueAt(root.origin, [], { message })] }
    }
    for (const { anywhere, at, message } of breaks) {
      const column = anywhere ? Number.POSITIVE_INFINITY : indentOf(text.split("\n")[at.line - 1] ?? "") + 1
      const [rest, section] = losing(root, { ...at, column })
      root = rest
      issues.push(issueAt(at, anywhere ? [] : section, { message }))
    }
    return { root, whole, issues }
  } catch (cause) {
    if (cause instanceof Refused) return { root: undefined, whole: false, issues: [cause.issue] }
    // The parser recurses: text nested thousands of levels deep overflows its stack.
    const message = "not readable as YAML: nested too deeply?"
    return { root: undefined, whole: false, issues: [issueAt(top, [], { message })] }
  }
}

const converter = (document: Yaml.Document.Parsed, at: (offset: number) => Origin, text: string) => {
  let values = 0
  const issues: Array<Issue> = []
  const faults = [...document.errors, ...document.warnings].filter(({ code }) => code !== "DUPLICATE_KEY")

  const say = (origin: Origin, path: Path, message: string): void => {
    issues.push(issueAt(origin, path, { message }))
  }

  /** Reports, once, the parser's faults between two offsets; true when there are any. */
  const complain = (from: number, to: number, path: Path): boolean => {
    const here = faults.filter(({ pos }) => pos[0] >= from && pos[0] < to)
    for (const fault of here) {
      faults.splice(faults.indexOf(fault), 1)
      say(at(fault.pos[0]), path, saying(fault))
    }
    return here.length > 0
  }

  const convert = (source: unknown, path: Path, key: Origin, behind?: number): Node => {
    const node = Yaml.isAlias(source) ? source.resolve(document) : source
    const range = Yaml.isNode(source) ? source.range : undefined
    const origin = range ? at(range[0]) : key
    if (++values > maxValues || path.length > maxDepth) {
      const message = values > maxValues ? `more than ${maxValues} values` : `nested deeper than ${maxDepth} levels`
      throw new Refused(issueAt(origin, path.slice(0, 4), { message }))
    }
    if (node === undefined && Yaml.isAlias(source)) {
      // The anchor may stand in what could not be read.
      if (!text.includes(`&${source.source}`)) say(origin, path, words.BAD_ALIAS ?? "")
      return unread(origin)
    }
    if (Yaml.isMap(node)) return { kind: "map", origin: key, ...entriesOf(node, path, origin) }
    if (range && complain(behind ?? range[0], range[1], path)) return unread(key)
    if (Yaml.isSeq(node)) {
      const items = node.items.map((item, i) => convert(item, [...path, `${i}`], origin))
      const lost = items.some(item => item.kind === "scalar" && item.unread)
      return lost ? unread(key) : { kind: "list", items, origin: key }
    }
    const value = Yaml.isScalar(node) ? node.value : null
    if (value === null) return { kind: "scalar", value: null, written: "", untyped: false, origin: key }
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      const written = Yaml.isScalar(node) && typeof value !== "string" ? (node.source ?? `${value}`) : `${value}`
      return { kind: "scalar", value, written, untyped: false, origin }
    }
    say(origin, path, "expected a text, a number, true or false")
    return unread(origin)
  }

  /** A `<<` key brings the entries of other maps, which explicit keys override. */
  const entriesOf = (map: Yaml.YAMLMap, path: Path, origin: Origin): Pick<MapNode, "entries" | "partial"> => {
    const brought = new Map<string, Entry>()
    const own = new Map<string, Entry>()
    let partial = false
    for (const pair of map.items) {
      const key = Yaml.isScalar(pair.key) ? `${pair.key.value ?? ""}` : undefined
      const keyRange = Yaml.isNode(pair.key) ? pair.key.range : undefined
      const keyOrigin = keyRange ? at(keyRange[0]) : origin
      if (keyRange && (complain(keyRange[0], keyRange[1], path) || key === undefined)) {
        partial = true
        continue
      }
      if (key !== "<<") {
        const at = [...path, key ?? ""]
        const node = convert(pair.value, at, keyOrigin, keyRange?.[1])
        const twin = own.get(key ?? "")
        if (twin !== undefined) say(keyOrigin, at, `this key is here twice, first in line ${twin.origin.line}`)
        // Both are read, so that the faults of both are found.
        own.set(key ?? "", { origin: keyOrigin, node: twin === undefined ? node : merge(twin.node, node) })
        continue
      }
      const merged = convert(pair.value, path, keyOrigin, keyRange?.[1])
      for (const from of merged.kind === "list" ? merged.items : [merged]) {
        if (from.kind === "map") {
          for (const [name, entry] of from.entries) if (!brought.has(name)) brought.set(name, entry)
          continue
        }
        partial = true
        if (from.kind !== "scalar" || !from.unread) {
          say(keyOrigin, path, "a << key wants an alias of a section, or a list of them")
        }
      }
    }
    return { entries: new Map([...brought, ...own]), ...(partial ? { partial } : {}) }
  }

  return {
    issues,
    convert: (source: unknown, path: Path, key: Origin): Node => {
      const node = convert(source, path, key)
      complain(0, Number.POSITIVE_INFINITY, [])
      return node
    }
  }
}
