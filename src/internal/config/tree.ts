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
  /** Something stands here that could not be read, and was reported: nothing more is to be said about it. */
  readonly unread?: true
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
  /** Lines of it could not be read: a key that is not here is unknown, not missing. */
  readonly partial?: true
  /** Where the map's own key is. */
  readonly origin: Origin
}

export interface Entry {
  /** Where the key is. */
  readonly origin: Origin
  readonly node: Node
  /** A later file may say something else, in lines that could not be read. */
  readonly doubtful?: true
}

export type Node = ScalarNode | ListNode | MapNode

export type Path = ReadonlyArray<string>

export const unread = (origin: Origin): ScalarNode => ({
  kind: "scalar",
  value: null,
  written: "",
  untyped: false,
  unread: true,
  origin
})

export const emptyMap = (origin: Origin): MapNode => ({ kind: "map", entries: new Map(), origin })

export const isNothing = (node: Node): boolean => node.kind === "scalar" && node.value === null

/** Maps merge key by key; of anything else the later wins. A section left empty (`http:`) takes nothing away. */
export const merge = (earlier: Node, later: Node): Node => {
  if (earlier.kind !== "map") return later
  if (later.kind === "scalar" && later.unread) return { ...earlier, entries: doubted(earlier.entries), partial: true }
  if (isNothing(later)) return earlier
  if (later.kind !== "map") return later
  const entries = later.partial ? doubted(earlier.entries) : new Map(earlier.entries)
  for (const [key, entry] of later.entries) {
    const before = earlier.entries.get(key)
    if (before === undefined) entries.set(key, entry)
    else {
      const node = merge(before.node, entry.node)
      entries.set(key, {
        origin: node.kind === "map" && before.node.kind === "map" ? before.origin : entry.origin,
        node
      })
    }
  }
  const partial = earlier.partial ?? later.partial
  return { kind: "map", entries, origin: earlier.origin, ...(partial === undefined ? {} : { partial }) }
}

const doubted = (entries: ReadonlyMap<string, Entry>): Map<string, Entry> =>
  new Map([...entries].map(([key, entry]) => [key, { ...entry, doubtful: true }]))

/**
 * `root` without what stood at `lost`, a line and column whose text could not be read: the section around it is partial.
 * With the path of that section. An infinite column: nobody knows in which of the sections that are open there.
 */
export const losing = (root: MapNode, lost: Origin): readonly [root: MapNode, section: Path] => {
  let last: readonly [key: string, entry: Entry] | undefined
  for (const [key, entry] of root.entries) {
    if (entry.origin.line < lost.line && entry.origin.line >= (last?.[1].origin.line ?? 0)) last = [key, entry]
  }
  const [key, entry] = last ?? []
  if (key === undefined || entry === undefined || entry.origin.column >= lost.column) {
    return [{ ...root, partial: true }, []]
  }
  const [node, below]: readonly [Node | undefined, Path] =
    entry.node.kind === "map"
      ? losing(entry.node, lost)
      : isNothing(entry.node)
        ? [unread(entry.node.origin), []]
        : [undefined, []]
  if (node === undefined) return [{ ...root, partial: true }, []]
  const partial = lost.column === Number.POSITIVE_INFINITY ? { partial: true as const } : {}
  return [{ ...root, ...partial, entries: new Map(root.entries).set(key, { ...entry, node }) }, [key, ...below]]
}

/** What is at `path`, or the last thing on the way to it. */
const follow = (root: Node, path: Path) => {
  let node = root
  let doubtful = false
  for (const key of path) {
    const entry = node.kind === "map" ? node.entries.get(key) : undefined
    if (entry === undefined) return { node, there: false, doubtful }
    node = entry.node
    doubtful ||= entry.doubtful === true
  }
  return { node, there: true, doubtful }
}

export const isThere = (root: Node, path: Path): boolean => follow(root, path).there

/** True when what stands at `path`, or around it, could not be read. */
export const isUnread = (root: Node, path: Path): boolean => {
  const { node } = follow(root, path)
  return node.kind === "scalar" && node.unread === true
}

/** True when something may have stood at `path`, or in the section there, that could not be read. */
export const isLost = (root: Node, path: Path): boolean => {
  const { doubtful, node } = follow(root, path)
  return doubtful || (node.kind === "map" && node.partial === true) || isUnread(root, path)
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
