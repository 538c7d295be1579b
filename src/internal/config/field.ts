/**
 * The pieces a configuration's shape is made of: kinds of values, keys with a default and a meaning, sections. Each can
 * read a value out of the tree, say what it expects, and describe itself to editors as JSON Schema.
 */

import { type Fault, type Issue, issueAt, printable } from "./issue.ts"
import {
  emptyMap,
  isLost,
  isNothing,
  isThere,
  isUnread,
  type MapNode,
  type Node,
  type Origin,
  type Path
} from "./tree.ts"

export type JsonSchema = { readonly [key: string]: unknown }

/** Collects faults while a tree is read. */
export class Report {
  readonly issues: Array<Issue> = []
  /** False when a source could not be read at all: what is not there may have been in it. */
  readonly #whole: boolean
  readonly #bad = new Set<string>()
  #root: Node | undefined

  constructor(whole = true) {
    this.#whole = whole
  }

  /** What is read: where it has gaps nothing can be said to be missing. */
  reads(root: Node): void {
    this.#root = root
  }

  /** The value at `path` cannot be used. Only the first fault of a path, and none below a bad section, is kept. */
  fault(origin: Origin, path: Path, fault: Fault): void {
    if (this.#isFaulty(path) || this.#isUnread(path)) return
    this.issues.push(issueAt(origin, path, fault))
    this.#bad.add(path.join("\0"))
  }

  /** A key that must be there is not. */
  missing(origin: Origin, path: Path, expected: string, suggestion?: string): void {
    const more = suggestion === undefined ? {} : { suggestion }
    if (!this.isBad(path))
      this.fault(origin, path, { message: `missing, expected ${expected}`, expected, found: "nothing", ...more })
  }

  /** True when the value at `path`, or a section around it, was refused, or may stand where nothing could be read. */
  isBad(path: Path): boolean {
    if (this.#isFaulty(path)) return true
    if (this.#root === undefined) return false
    return isLost(this.#root, path) || (!this.#whole && !isThere(this.#root, path))
  }

  #isFaulty(path: Path): boolean {
    return path.some((_, index) => this.#bad.has(path.slice(0, index + 1).join("\0")))
  }

  #isUnread(path: Path): boolean {
    return this.#root !== undefined && isUnread(this.#root, path)
  }
}

/** What may stand behind a key. */
export interface Kind<A> {
  /** For people: `duration`, `number 1 to 10`. */
  readonly title: string
  readonly schema: JsonSchema
  /** Reads the value, or reports why not and returns `placeholder`. */
  readonly read: (node: Node, path: Path, report: Report) => A
  /** Stands in for a value that was refused, so that reading can go on; never seen in a valid configuration. */
  readonly placeholder: A
  /** The keys below, for a section. */
  readonly fields?: Fields
  /** The value must never be shown. */
  readonly secret?: true
  /** The section may also be written as `true` or `false`. */
  readonly switchable?: boolean
  /** What each named entry is, for a section whose keys are names. */
  readonly entry?: Kind<unknown>
}

/** A key: what may stand behind it, what it means, and what holds when it is not there. */
export interface Field<A> {
  readonly kind: Kind<A>
  readonly doc: string
  readonly required: boolean
  /** The default as it would be written; undefined when there is none to write. */
  readonly shown?: string | undefined
  readonly absent: (parent: Origin, path: Path, report: Report) => A
}

export type Fields = Readonly<Record<string, Field<unknown>>>
export type Values<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer A> ? A : never }

export const required = <A>(kind: Kind<A>, doc: string): Field<A> => ({
  kind,
  doc,
  required: true,
  absent: (parent, path, report) => {
    report.missing(parent, path, kind.title)
    return kind.placeholder
  }
})

export const optional = <A>(kind: Kind<A>, doc: string, shown?: string): Field<A | undefined> => ({
  kind,
  doc,
  required: false,
  shown,
  absent: () => undefined
})

/** `value` is what holds when the key is absent, `shown` how one would write it. */
export const defaulted = <A>(kind: Kind<A>, value: A, shown: string, doc: string): Field<A> => ({
  kind,
  doc,
  required: false,
  shown,
  absent: () => value
})

/** A section that is read even when it is absent, so that its own defaults and required keys count. */
export const always = <A>(kind: Kind<A>, doc: string): Field<A> => ({
  kind,
  doc,
  required: false,
  absent: (parent, path, report) => kind.read(emptyMap(parent), path, report)
})

/** What was found, for an error: never the value of a secret, of a variable, or of whole sections. */
export const describe = (node: Node, secret = false): string => {
  if (node.kind === "map") return "a section"
  if (node.kind === "list") return "a list"
  if (node.value === null) return "nothing"
  if (secret) return typeof node.value === "string" ? "a text that is not shown" : `a ${typeof node.value}`
  // What stands before an @ may be credentials of an address.
  const shown = printable(node.written.replace(/^.*@/s, "***@"))
  return typeof node.value === "string" ? `"${shown}"` : shown
}

/** `secret`: the value must not be shown. */
const wrong = (node: Node, path: Path, report: Report, expected: string, suggestion?: string, secret = false): void => {
  const found = describe(node, secret)
  const more = suggestion === undefined ? {} : { suggestion }
  report.fault(node.origin, path, { message: `expected ${expected}, found ${found}`, expected, found, ...more })
}

/** A kind made from a scalar; `parse` gives undefined for what it does not take. */
export const scalar = <A>(options: {
  readonly title: string
  readonly schema: JsonSchema
  readonly placeholder: A
  readonly parse: (value: string | number | boolean, untyped: boolean) => A | undefined
  readonly hint?: (value: string | number | boolean) => string | undefined
  /** A wrong text is not shown: it may be a secret of the section that can stand here too. */
  readonly hidden?: boolean
}): Kind<A> => ({
  title: options.title,
  schema: options.schema,
  placeholder: options.placeholder,
  read: (node, path, report) => {
    const value = node.kind === "scalar" ? node.value : null
    const parsed = value === null ? undefined : options.parse(value, node.kind === "scalar" && node.untyped)
    if (parsed !== undefined) return parsed
    // A hint repeats the value, which must not be done for what a ${VAR} brought in.
    const expanded = node.kind === "scalar" && node.untyped && node.written !== value
    const suggestion = value === null || expanded ? undefined : options.hint?.(value)
    wrong(node, path, report, options.title, suggestion, options.hidden)
    return options.placeholder
  }
})

const name = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/** A section with known keys. */
export const section = <F extends Fields>(fields: F): Kind<Values<F>> => {
  const read = (node: Node, path: Path, report: Report): Values<F> => {
    const map: MapNode = node.kind === "map" ? node : emptyMap(node.origin)
    if (node.kind !== "map" && !isNothing(node)) {
      wrong(node, path, report, "a section with keys", undefined, true)
    }
    const values: Record<string, unknown> = {}
    for (const [key, field] of Object.entries(fields)) {
      const entry = map.entries.get(key)
      const at = [...path, key]
      values[key] = entry === undefined ? field.absent(map.origin, at, report) : field.kind.read(entry.node, at, report)
    }
    // One value per key of `fields`, each read by the field of that key.
    return values as Values<F>
  }
  return {
    title: "a section",
    schema: objectSchema(fields),
    read,
    get placeholder() {
      return read(emptyMap({ file: "", line: 0, column: 0 }), [], new Report())
    },
    fields
  }
}

const objectSchema = (fields: Fields): JsonSchema => ({
  type: ["object", "null"],
  additionalProperties: false,
  properties: Object.fromEntries(
    Object.entries(fields).map(([key, { kind, doc, shown }]) => [
      key,
      { ...kind.schema, description: shown === undefined ? doc : `${doc} Default: ${shown}.` }
    ])
  )
})

/** A section whose keys are names the user chooses. */
export const named = <A>(entry: Kind<A>): Kind<ReadonlyMap<string, A>> => ({
  title: "a section of names",
  schema: { type: ["object", "null"], propertyNames: { pattern: name.source }, additionalProperties: entry.schema },
  placeholder: new Map(),
  entry,
  read: (node, path, report) => {
    if (node.kind !== "map" && !isNothing(node)) {
      wrong(node, path, report, "a section of names", undefined, true)
    }
    const values = new Map<string, A>()
    for (const [key, { origin, node: value }] of node.kind === "map" ? node.entries : []) {
      const at = [...path, key]
      // Read first: a bad name does not hide what is wrong below it.
      values.set(key, entry.read(value, at, report))
      if (!name.test(key)) {
        report.fault(origin, at, { message: "a name is made of letters, digits, dots, underscores and hyphens" })
      }
    }
    return values
  }
})
