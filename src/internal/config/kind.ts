/**
 * The kinds of values a configuration holds.
 */
import * as Redacted from "effect/Redacted"
import { describe, type JsonSchema, type Kind, scalar } from "./field.ts"
import { didYouMean, printable } from "./issue.ts"
import type { Secret } from "./model.ts"
import type { Node } from "./tree.ts"
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts"

/** Everywhere a value may also be a text with `${VAR}` in it. */
const orVariable = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: "string", pattern: "\\$\\{" }] })

const within = (value: number | undefined, min: number, max: number): number | undefined =>
  value !== undefined && value >= min && value <= max ? value : undefined

const numeric = (value: string | number | boolean, untyped: boolean): number | undefined => {
  if (typeof value === "number") return value
  return untyped && typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined
}

/** Not empty, and as `rule` wants it. */
export const text = (title = "a text", rule: RegExp = /^\P{Cc}+$/u): Kind<string> =>
  scalar({
    title,
    schema: { type: "string", minLength: 1 },
    placeholder: "",
    // A variable or a YAML text; a YAML number is refused because its digits may not be what was written (0123, 1e3).
    parse: value => (typeof value === "string" && rule.test(value) ? value : undefined),
    hint: value => (typeof value === "string" ? undefined : "put it in quotes")
  })

export const secret: Kind<Secret> = {
  title: "a text",
  schema: { type: "string", minLength: 1 },
  placeholder: Redacted.make(""),
  secret: true,
  read: (node, path, report) => {
    if (node.kind === "scalar" && typeof node.value === "string" && node.value !== "") return Redacted.make(node.value)
    const found = node.kind === "scalar" && node.value === "" ? "an empty text" : describe(node, true)
    const quotes = found === "a number" || found === "a boolean" ? { suggestion: "put it in quotes" } : {}
    report.fault(node.origin, path, {
      message: `expected a text, found ${found}`,
      expected: "a text",
      found,
      ...quotes
    })
    return Redacted.make("")
  }
}

const truth = {
  title: "true or false",
  schema: orVariable({ type: "boolean" }),
  placeholder: false,
  parse: (value: unknown, untyped: boolean) => {
    if (typeof value === "boolean") return value
    return untyped && (value === "true" || value === "false") ? value === "true" : undefined
  },
  hint: (value: unknown) =>
    typeof value === "string" && /^(yes|on|y|1)$/i.test(value)
      ? "did you mean true?"
      : typeof value === "string" && /^(no|off|n|0)$/i.test(value)
        ? "did you mean false?"
        : undefined
}

export const flag: Kind<boolean> = scalar(truth)

/** In the place of a section: what else is written there is not shown. */
export const sectionFlag: Kind<boolean> = scalar({ ...truth, hidden: true })

/** `true`, `false`, or by itself. */
export const autoFlag: Kind<boolean | "auto"> = scalar<boolean | "auto">({
  title: "auto, true or false",
  schema: orVariable({ enum: ["auto", true, false] }),
  placeholder: "auto",
  parse: (value, untyped) => {
    if (typeof value === "boolean" || value === "auto") return value
    return untyped && (value === "true" || value === "false") ? value === "true" : undefined
  },
  hint: value => (typeof value === "string" ? didYouMean(value, ["auto", "true", "false"]) : undefined)
})

export const whole = (min: number, max: number): Kind<number> =>
  scalar({
    title: `a whole number from ${min} to ${max}`,
    schema: orVariable({ type: "integer", minimum: min, maximum: max }),
    placeholder: min,
    parse: (value, untyped) => {
      const parsed = within(numeric(value, untyped), min, max)
      return Number.isInteger(parsed) ? parsed : undefined
    },
    hint: value => (typeof value === "string" && /^-?\d+$/.test(value) ? "write it without quotes" : undefined)
  })

/** `above`: the lower bound itself is not taken. */
export const decimal = (min: number, max: number, above = false): Kind<number> =>
  scalar({
    title: above ? `a number above ${min}, at most ${max}` : `a number from ${min} to ${max}`,
    schema: orVariable({ type: "number", [above ? "exclusiveMinimum" : "minimum"]: min, maximum: max }),
    placeholder: max,
    parse: (value, untyped) => {
      const parsed = within(numeric(value, untyped), min, max)
      return above && parsed === min ? undefined : parsed
    }
  })

/** Milliseconds. */
export const duration = (min: number, max: number): Kind<number> =>
  scalar({
    title: `a duration such as 250ms, 1s, 2m or 1h30m, from ${formatDuration(min)} to ${formatDuration(max)}`,
    schema: {
      type: ["string", "integer"],
      pattern: "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$|\\$\\{|^0$",
      maximum: 0,
      minimum: 0
    },
    placeholder: min,
    parse: (value, untyped) =>
      within(numeric(value, untyped) === 0 ? 0 : parseDuration(typeof value === "string" ? value : ""), min, max),
    hint: value =>
      /^\d+$/.test(`${value}`) && `${value}`.length < 10 ? `add a unit: "${value}ms" or "${value}s"` : undefined
  })

/** Whole seconds, written as a number of seconds or as a duration. */
export const seconds = (min: number, max: number): Kind<number> =>
  scalar({
    title: `whole seconds from ${min} to ${max}, as a number or a duration such as ${max}s`,
    schema: {
      anyOf: [
        { type: "integer", minimum: min, maximum: max },
        { type: "string", pattern: "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$|\\$\\{" }
      ]
    },
    placeholder: min,
    parse: (value, untyped) => {
      const ms = typeof value === "string" ? parseDuration(value) : undefined
      const parsed = within(ms === undefined ? numeric(value, untyped) : ms / 1000, min, max)
      return Number.isInteger(parsed) ? parsed : undefined
    }
  })

/** Bytes. */
export const size = (min: number, max: number): Kind<number> =>
  scalar({
    title: `a size from ${formatSize(min)} to ${formatSize(max)}, in bytes or as 64KiB, 1MiB`,
    schema: {
      anyOf: [
        { type: "integer", minimum: min, maximum: max },
        { type: "string", pattern: "^[0-9]+(\\.[0-9]+)? ?(B|KB|MB|GB|KiB|MiB|GiB)$|\\$\\{" }
      ]
    },
    placeholder: min,
    parse: (value, untyped) => {
      const bytes = typeof value === "string" ? parseSize(value) : undefined
      const parsed = within(numeric(value, untyped) ?? bytes, min, max)
      return Number.isInteger(parsed) ? parsed : undefined
    },
    hint: value => {
      const fixed = /^(\d+) ?([kmg])i?b?$/i.exec(`${value}`)
      return fixed === null ? undefined : `did you mean "${fixed[1]}${fixed[2]?.toUpperCase()}iB"?`
    }
  })

/** One of some words; `fold`: in capitals or small letters. */
export const choice = <const A extends string>(words: readonly [A, ...Array<A>], fold = false): Kind<A> =>
  scalar<A>({
    title: words.length === 1 ? `"${words[0]}"` : `one of ${words.join(", ")}`,
    schema: orVariable({ enum: words }),
    placeholder: words[0],
    parse: value => words.find(word => word === (fold ? `${value}`.toLowerCase() : value)),
    hint: value => (typeof value === "string" ? didYouMean(value, words) : undefined)
  })

/** `http` or `https`, without credentials in it. */
export const url: Kind<string> = scalar({
  title: "an http:// or https:// address without credentials, such as http://127.0.0.1:9324",
  schema: { type: "string" },
  placeholder: "http://placeholder",
  parse: value => {
    if (typeof value !== "string" || !/^https?:\/\//.test(value) || !URL.canParse(value)) return undefined
    const { username, password } = new URL(value)
    return username === "" && password === "" ? value : undefined
  },
  hint: value =>
    typeof value === "string" && /^[\w.-]+:\d+\/?$/.test(value) ? `did you mean "http://${value}"?` : undefined
})

/** Texts as `rule` wants them, as a list or as one text with commas. `title` names one of them. */
export const texts = (title: string, rule: RegExp): Kind<ReadonlyArray<string>> => ({
  title: `${title}: a list, or one text with commas`,
  schema: {
    anyOf: [
      { type: "string", minLength: 1 },
      { type: "array", items: { type: "string" } }
    ]
  },
  placeholder: [],
  read: (node, path, report) => {
    const all: Array<string> = []
    for (const [index, item] of (node.kind === "list" ? node.items : [node]).entries()) {
      const value = item.kind === "scalar" ? item.value : null
      const parts = typeof value === "string" ? value.split(",").map(part => part.trim()) : [""]
      // Bad ones stand in for themselves, so that nobody takes the list for empty.
      all.push(...parts)
      if (!parts.every(part => rule.test(part))) {
        const found = describe(item)
        const at = node.kind === "list" ? [...path, `${index}`] : path
        report.fault(item.origin, at, { message: `expected ${title}, found ${found}`, expected: title, found })
      }
    }
    return [...new Set(all)]
  }
})

const address = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/

const isAddress = (text: string): boolean => {
  const port = Number(address.exec(text)?.[1])
  return port >= 1 && port <= 65535
}

/** `host:port`, as a list or as one text with commas. */
export const addresses: Kind<ReadonlyArray<string>> = {
  title: "host:port addresses, as a list or separated by commas",
  schema: {
    anyOf: [
      { type: "string", minLength: 1 },
      { type: "array", items: { type: "string" }, minItems: 1 }
    ]
  },
  placeholder: [],
  read: (node, path, report) => {
    const expected = "host:port"
    const good: Array<string> = []
    const refuse = (item: Node, found: string, suggestion?: string): void => {
      const index = node.kind === "list" ? node.items.indexOf(item) : -1
      report.fault(item.origin, index < 0 ? path : [...path, `${index}`], {
        message: `expected ${expected}, found ${found}`,
        expected,
        found,
        ...(suggestion === undefined ? {} : { suggestion })
      })
    }
    if (node.kind === "list" && node.items.length === 0) refuse(node, "an empty list")
    for (const item of node.kind === "list" ? node.items : [node]) {
      const value = item.kind === "scalar" ? item.value : null
      if (typeof value !== "string") {
        refuse(item, describe(item))
        continue
      }
      const wrong = value.split(",").flatMap(part => (isAddress(part.trim()) ? [] : [part.trim()]))
      const expanded = item.kind === "scalar" && item.written !== value
      good.push(...value.split(",").map(part => part.trim()))
      const [first] = wrong
      if (first === undefined) continue
      if (expanded) refuse(item, describe(item))
      else {
        const portless = wrong.every(part => /^[A-Za-z0-9._-]+$/.test(part))
        const shown = wrong.map(part => `"${printable(part.replace(/^.*@/s, "***@"))}"`).join(" and ")
        refuse(item, shown, portless ? `did you mean "${first}:9092"?` : undefined)
      }
    }
    return [...new Set(good)]
  }
}
