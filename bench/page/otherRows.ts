/**
 * What another benchmark of the repository prints: a table of its rows' figures, bars where a figure differs between rows,
 * and a line for each series in a row (an array of objects that say their `seconds` or `atSeconds`).
 */
import { figure } from "./figures.ts"
import { type Html, html } from "./html.ts"
import { facts, figureOf, type Section, table } from "./page.ts"
import { type Colour, linePlot } from "./plot.ts"

type Fields = Readonly<Record<string, unknown>>
export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

/** The time of a point of a series, s. */
const secondsOf = (point: Fields): number | undefined => {
  const { atSeconds, seconds } = point
  return typeof seconds === "number" ? seconds : typeof atSeconds === "number" ? atSeconds : undefined
}

const seriesOf = (value: unknown): ReadonlyArray<Fields> => {
  const points = listOf(value).filter(isFields)
  return points.length > 1 && points.every(point => secondsOf(point) !== undefined) ? points : []
}

const written = (value: unknown): string => {
  if (typeof value === "number") return figure(value)
  if (typeof value === "string") return value
  if (typeof value === "boolean") return value ? "yes" : "no"
  return value === null || value === undefined ? "" : JSON.stringify(value)
}

/** `{ a: { b: 1 } }` as `a b`; series are left to the plots. */
const flattened = (row: Fields, before = ""): ReadonlyArray<readonly [name: string, cell: string]> =>
  Object.entries(row).flatMap(([name, value]) => {
    const path = before === "" ? name : `${before} ${name}`
    if (seriesOf(value).length > 0) return []
    return isFields(value) ? flattened(value, path) : [[path, written(value)] as const]
  })

/** What tells a row from the others: its texts. */
const nameOf = (row: Fields, index: number): string => {
  const texts = Object.values(row).filter(value => typeof value === "string")
  return texts.length === 0 ? `row ${index + 1}` : texts.join(", ")
}

const colours: ReadonlyArray<Colour> = ["c0", "c1", "c2", "c3", "c4", "c5"]

const plotsOf = (rows: ReadonlyArray<Fields>): ReadonlyArray<Html> => {
  const lines = new Map<string, Array<{ label: string; colour: Colour; points: Array<readonly [number, number]> }>>()
  for (const [index, row] of rows.entries()) {
    for (const [series, value] of Object.entries(row)) {
      const points = seriesOf(value)
      const measures = Object.keys(points[0] ?? {}).filter(name => name !== "seconds" && name !== "atSeconds")
      for (const measure of measures) {
        const of = points.flatMap(point => {
          const y = point[measure]
          return typeof y === "number" ? [[secondsOf(point) ?? 0, y] as const] : []
        })
        if (of.length < 2) continue
        const name = `${series}: ${measure}`
        const line = { label: nameOf(row, index), colour: colours[index % colours.length] ?? "c5", points: of }
        lines.set(name, [...(lines.get(name) ?? []), line])
      }
    }
  }
  return Array.from(lines, ([title, of]) => figureOf(linePlot({ title, xUnit: "s", yUnit: "", lines: of }), title))
}

/** @param name what the section is called: the file's name, say */
export const otherSection = (name: string, document: Fields): Section => {
  const rows = listOf(document.rows).filter(isFields)
  const flat = rows.map(row => new Map(flattened(row)))
  const heads = [...new Set(flat.flatMap(row => [...row.keys()]))]
  const { rows: _, ...about } = document
  return {
    id: name.replaceAll(/[^\w-]+/g, "-"),
    title: name,
    content: [
      facts(flattened(about)),
      ...plotsOf(rows),
      rows.length === 0
        ? html`<p>No rows.</p>`
        : table(
            name,
            ["row", ...heads],
            flat.map((row, index) => [String(index + 1), ...heads.map(head => row.get(head) ?? "")])
          )
    ]
  }
}
