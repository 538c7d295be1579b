/**
 * Configuration values before they mean anything: a tree that remembers where each part came from, and how two merge.
 */

/** Where a value was written. */
export interface Origin {
  readonly file: string
  readonly line: number
  readonly column: number
  /** Set when it came from an environment variable; `file` is then `environment`, line and column 0. */
  readonly variable?: string
}

export interface ScalarNode {
  readonly kind: "scalar"
  readonly value: string | number | boolean | null
  /** Text as it was written, `${...}` unexpanded: what an error may show. */
  readonly written: string
  /** It came as text without a type of its own (a variable), so `10` and `true` may be read from it. */
  readonly untyped: boolean
  readonly origin: Origin
}

export interface ListNode {
  readonly kind: "list"
  readonly items: ReadonlyArray<Node>
  readonly origin: Origin
}

export interface MapNode {
  readonly kind: "map"
  readonly entries: ReadonlyMap<string, Entry>
  /** Where the map's own key is. */
  readonly origin: Origin
}

export interface Entry {
  /** Where the key is. */
  readonly origin: Origin
  readonly node: Node
}

export type Node = ScalarNode | ListNode | MapNode

export type Path = ReadonlyArray<string>

export const emptyMap = (origin: Origin): MapNode => ({ kind: "map", entries: new Map(), origin })

export const isNothing = (node: Node): boolean => node.kind === "scalar" && node.value === null

/** Maps merge key by key; of anything else the later wins. A section left empty (`http:`) takes nothing away. */
export const merge = (earlier: Node, later: Node): Node => {
  if (earlier.kind !== "map") return later
  if (isNothing(later)) return earlier
  if (later.kind !== "map") return later
  const entries = new Map(earlier.entries)
  for (const [key, entry] of later.entries) {
    const before = entries.get(key)
    if (before === undefined) entries.set(key, entry)
    else {
      const node = merge(before.node, entry.node)
      entries.set(key, {
        origin: node.kind === "map" && before.node.kind === "map" ? before.origin : entry.origin,
        node
      })
    }
  }
  return { kind: "map", entries, origin: earlier.origin }
}

/** The map with `node` at `path`, sections on the way made as needed. */
export const put = (root: MapNode, path: Path, node: Node): MapNode => {
  const [key, ...rest] = path
  if (key === undefined) return root
  const before = root.entries.get(key)
  const below = before?.node.kind === "map" ? before.node : emptyMap(node.origin)
  const entry = {
    origin: rest.length === 0 || before === undefined ? node.origin : before.origin,
    node: rest.length === 0 ? node : put(below, rest, node)
  }
  return { ...root, entries: new Map(root.entries).set(key, entry) }
}

/** Where `path` is, or the deepest part of it that exists. */
export const locate = (root: Node, path: Path): Origin => {
  let node = root
  let origin = root.origin
  for (const key of path) {
    const entry = node.kind === "map" ? node.entries.get(key) : undefined
    if (entry === undefined) return origin
    node = entry.node
    origin = node.kind === "scalar" ? node.origin : entry.origin
  }
  return origin
}

/** A copy with every scalar passed through `change`. */
export const mapScalars = (node: Node, path: Path, change: (node: ScalarNode, path: Path) => ScalarNode): Node => {
  switch (node.kind) {
    case "scalar":
      return change(node, path)
    case "list":
      return { ...node, items: node.items.map((item, index) => mapScalars(item, [...path, `${index}`], change)) }
    case "map":
      return {
        ...node,
        entries: new Map(
          [...node.entries].map(([key, entry]) => [
            key,
            { ...entry, node: mapScalars(entry.node, [...path, key], change) }
          ])
        )
      }
  }
}
