/**
 * What environment variables do to a configuration: `SPILLWAY_` variables override keys, `${VAR}` expands in texts.
 */
import type { Kind, Report } from "./field.ts"
import { didYouMean } from "./issue.ts"
import { type MapNode, mapScalars, type Node, type Origin, type Path, put, type ScalarNode } from "./tree.ts"

export type Environment = Readonly<Record<string, string | undefined>>

const prefix = "SPILLWAY_"
const separator = "__"

/** Keys and variables are compared in small letters, with everything but letters and digits as an underscore. */
const fold = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, "_")

const originOf = (variable: string): Origin => ({ file: "environment", line: 0, column: 0, variable })

/** Of a key that was found: its path and the kind of what stands there. Of one that was not: what is wrong. */
type Target =
  | { readonly path: Path; readonly kind: Kind<unknown> }
  | { readonly wrong: string; readonly right?: string }

const find = (kind: Kind<unknown>, node: Node | undefined, segments: ReadonlyArray<string>, path: Path): Target => {
  const [segment, ...rest] = segments
  if (segment === undefined) return { path, kind }
  const entries = node?.kind === "map" ? node.entries : undefined
  if (kind.fields !== undefined) {
    const [key, field] = Object.entries(kind.fields).find(([known]) => fold(known) === fold(segment)) ?? []
    if (key === undefined || field === undefined) {
      const known = Object.keys(kind.fields).map(name => [...path, name].map(fold).join(separator).toUpperCase())
      const right = didYouMean(
        prefix + [...path, segment].join(separator),
        known.map(name => prefix + name)
      )
      return { wrong: "names no key of the configuration", ...(right === undefined ? {} : { right }) }
    }
    return find(field.kind, entries?.get(key)?.node, rest, [...path, key])
  }
  if (kind.entry !== undefined) {
    const names = [...(entries?.keys() ?? [])].filter(name => fold(name) === fold(segment))
    if (names.length > 1) return { wrong: `can mean ${names.join(" or ")} under ${path.join(".")}: rename one of them` }
    const name = names[0] ?? segment.toLowerCase()
    return find(kind.entry, entries?.get(name)?.node, rest, [...path, name])
  }
  return { wrong: `goes on below ${path.join(".")}, which has no keys` }
}

/** Puts the values of `SPILLWAY_A__B` variables at `a.b`. `mentioned`: variables some `${...}` names. */
export const override = (
  root: MapNode,
  shape: Kind<unknown>,
  env: Environment,
  mentioned: ReadonlySet<string>,
  report: Report
): MapNode => {
  let result = root
  const setBy = new Map<string, string>()
  for (const variable of Object.keys(env).sort()) {
    const value = env[variable]
    if (value === undefined || !variable.startsWith(prefix)) continue
    const origin = originOf(variable)
    const rest = variable.slice(prefix.length)
    if (!rest.includes(separator)) {
      const sectionName = Object.keys(shape.fields ?? {}).find(
        name => fold(rest) === name || fold(rest).startsWith(`${name}_`)
      )
      if (sectionName === undefined || mentioned.has(variable)) continue
      const suggestion = `levels are separated by two underscores, as in ${prefix}HTTP${separator}PORT`
      report.fault(origin, [], { message: "names no key of the configuration", suggestion })
      continue
    }
    const target = find(shape, result, rest.split(separator), [])
    if ("wrong" in target) {
      const suggestion = target.right === undefined ? {} : { suggestion: target.right }
      report.fault(origin, [], { message: target.wrong, ...suggestion })
      continue
    }
    const path = target.path.join(".")
    const twin = setBy.get(path)
    if (twin !== undefined) report.fault(origin, target.path, { message: `set by ${twin} too` })
    else if (target.kind.entry !== undefined || (target.kind.fields !== undefined && !target.kind.switchable)) {
      report.fault(origin, [], { message: `names the section ${path}, not a key in it` })
    } else {
      setBy.set(path, variable)
      const kind = "scalar" as const
      result = put(result, target.path, { kind, value, written: value, untyped: true, origin })
    }
  }
  return result
}

/** `$${` stands for a plain `${`; `:-` gives a default for a variable that is unset or empty. */
const reference = /\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?/g

/** The variables that a text mentions. */
export const variablesIn = (text: string): ReadonlyArray<string> => [
  ...new Set([...text.matchAll(reference)].flatMap(([, name]) => name ?? []))
]

/** The variables that texts of the tree mention. */
export const mentionedIn = (root: Node): ReadonlySet<string> => {
  const names = new Set<string>()
  mapScalars(root, [], node => {
    if (typeof node.value === "string") for (const name of variablesIn(node.value)) names.add(name)
    return node
  })
  return names
}

/** Expands `${VAR}` and `${VAR:-default}` in every text that a file holds. */
export const expand = (root: Node, env: Environment, report: Report): Node =>
  mapScalars(root, [], (node, path) => {
    if (typeof node.value !== "string" || node.origin.variable !== undefined || !node.value.includes("${")) return node
    const unset = new Set<string>()
    const value = node.value.replaceAll(reference, (match: string, name?: string, fallback?: string) => {
      if (match === "$${") return "${"
      if (name === undefined) {
        const message = `\${ begins a variable, expected \${NAME} or \${NAME:-default} (write $\${ for a plain \${)`
        report.fault(node.origin, path, { message })
        return ""
      }
      const found = env[name]
      if (found !== undefined && (found !== "" || fallback === undefined)) return found
      if (fallback !== undefined) return fallback
      unset.add(name)
      return ""
    })
    const [name] = unset
    if (name !== undefined) {
      const [variables, are, them] = unset.size === 1 ? ["variable", "is", "it"] : ["variables", "are", "them"]
      const message = `the environment ${variables} ${[...unset].join(" and ")} ${are} not set`
      const suggestion = `set ${them}, or write \${${name}:-default}`
      report.fault(node.origin, path, { message, suggestion })
    }
    const expanded: ScalarNode = { ...node, value, untyped: true }
    return expanded
  })
