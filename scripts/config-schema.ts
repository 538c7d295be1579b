/**
 * Writes what is derived from the configuration's shape: `bun scripts/config-schema.ts` renews
 * config/spillway.schema.json and the tables of docs/configuration.md.
 */
import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Fields, Kind } from "../src/internal/config/field.ts"
import { schema } from "../src/internal/config/schema.ts"
import { shape } from "../src/internal/config/shape.ts"

export const schemaFile = new URL("../config/spillway.schema.json", import.meta.url)
export const referenceFile = new URL("../docs/configuration.md", import.meta.url)

const start = "<!-- keys: written by scripts/config-schema.ts -->"
const end = "<!-- end of keys -->"

const cell = (text: string): string => text.replaceAll("|", "\\|")

const row = (key: string, { kind, doc, required, shown }: Fields[string]): string => {
  // How durations and sizes are written stands at the top of the page.
  const value = kind.title.replace(" such as 250ms, 1s, 2m or 1h30m,", "").replace(", in bytes or as 64KiB, 1MiB", "")
  // A default that is a sentence is shown as it is, one that could be written as code.
  const quoted = shown === undefined || /[ `']/.test(shown) ? (shown ?? "") : `\`${shown}\``
  return `| \`${key}\` | ${cell(value)} | ${required ? "**required**" : cell(quoted)} | ${cell(doc)} |`
}

/** A table for each section that holds values, in the order of the shape. */
const tables = (kind: Kind<unknown>, path: string): ReadonlyArray<string> => {
  if (kind.entry !== undefined) return tables(kind.entry, `${path}.<name>`)
  const fields = Object.entries(kind.fields ?? {})
  const below = fields.flatMap(([key, field]) => tables(field.kind, path === "" ? key : `${path}.${key}`))
  const single = (kind: Kind<unknown>) => (kind.fields ?? kind.entry) === undefined
  // Names with a single value each are a row: there is no table for them.
  const values = fields.filter(
    ([, { kind }]) => kind.switchable || single(kind) || (kind.entry !== undefined && single(kind.entry))
  )
  if (values.length === 0) return below
  const head = `### \`${path}\`\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |`
  return [[head, ...values.map(([key, field]) => row(key, field))].join("\n"), ...below]
}

/** `page` with its tables as they should be. */
export const withReference = (page: string): string => {
  const from = page.indexOf(start)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/configuration.md lacks ${start} ... ${end}`)
  return `${page.slice(0, from + start.length)}\n\n${tables(shape, "").join("\n\n")}\n\n${page.slice(to)}`
}

if (import.meta.main) {
  writeFileSync(schemaFile, JSON.stringify(schema))
  execFileSync("npx", ["biome", "format", "--write", fileURLToPath(schemaFile)])
  writeFileSync(referenceFile, withReference(readFileSync(referenceFile, "utf8")))
}
