/** Plots as inline SVG. Colours come from the page's style, by class, so that they follow light, dark and print. */
import { figure, short } from "./figures.ts"
import { type Html, html } from "./html.ts"

/** The classes of colours there are: `c0` is Spillway's own. */
export type Colour = "c0" | "c1" | "c2" | "c3" | "c4" | "c5"

export interface Bar {
  readonly label: string
  readonly value: number
  /** How far apart the rounds were. */
  readonly low?: number
  readonly high?: number
  readonly colour: Colour
}

export interface BarPlot {
  readonly title: string
  readonly bars: ReadonlyArray<Bar>
  readonly unit: string
  /** A line at this value: 1 for ratios. */
  readonly mark?: number
  readonly write?: (value: number) => string
}

const width = 720

/** Steps of 1, 2 or 5 times a power of ten: about `wanted` of them up to `most`. */
export const ticks = (most: number, wanted = 5): ReadonlyArray<number> => {
  if (!(most > 0)) return [0]
  const rough = most / wanted
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find(factor => factor * power >= rough) ?? 10) * power
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, index) =>
    Number((index * step).toPrecision(12))
  )
}

/** 1, 2 and 5 times the powers of ten, from just below `least` to just above `most`. */
export const logTicks = (least: number, most: number): ReadonlyArray<number> => {
  const from = Math.floor(Math.log10(least))
  const to = Math.ceil(Math.log10(most))
  const all = Array.from({ length: to - from + 1 }, (_, index) => from + index).flatMap(power =>
    [1, 2, 5].map(factor => Number((factor * 10 ** power).toPrecision(12)))
  )
  const first = all.findLastIndex(value => value <= least)
  const last = all.findIndex(value => value >= most)
  return all.slice(Math.max(0, first), Math.max(last, first + 1) + 1)
}

/** One picture for those who do not see it, with its figures; the table beneath it has them all. */
const described = (title: string, description: string, height: number, content: Html): Html =>
  html`<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}: ${description}">${content}</svg>`

/** Horizontal bars, each with its value, and whiskers where the rounds differ. */
export const barPlot = ({ bars, mark, title, unit, write = figure }: BarPlot): Html => {
  const left = 16 + 7.4 * Math.max(...bars.map(({ label }) => label.length))
  const right = width - 96
  const line = 26
  const top = 8
  const bottom = top + bars.length * line
  const most = Math.max(mark ?? 0, ...bars.map(({ high, value }) => Math.max(high ?? 0, value)))
  const x = (value: number): number => left + ((right - left) * value) / (most || 1)
  const grid = ticks(most).map(
    value =>
      html`<line class="grid" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${top}" y2="${bottom}"/><text class="tick" x="${x(value).toFixed(1)}" y="${bottom + 16}" text-anchor="middle">${short(value)}</text>`
  )
  const rows = bars.map(({ colour, high, label, low, value }, index) => {
    const y = top + index * line
    const middle = y + line / 2
    const spread =
      low === undefined || high === undefined || high === low
        ? undefined
        : html`<path class="whisker" d="M${x(low).toFixed(1)} ${middle}H${x(high).toFixed(1)}M${x(low).toFixed(1)} ${middle - 4}v8M${x(high).toFixed(1)} ${middle - 4}v8"/>`
    return html`<text class="name" x="${left - 8}" y="${middle + 4.5}" text-anchor="end">${label}</text><rect class="bar ${colour}" x="${left}" y="${y + 5}" width="${Math.max(1, x(value) - left).toFixed(1)}" height="${line - 10}" rx="2"/>${spread}`
  })
  const values = bars.map(
    ({ high = 0, value }, index) =>
      html`<text class="value" x="${(x(Math.max(value, high)) + 7).toFixed(1)}" y="${top + index * line + line / 2 + 4.5}">${write(value)}</text>`
  )
  const marked =
    mark === undefined
      ? undefined
      : html`<line class="mark" x1="${x(mark).toFixed(1)}" x2="${x(mark).toFixed(1)}" y1="${top - 4}" y2="${bottom + 2}"/>`
  const description = bars.map(({ label, value }) => `${label} ${write(value)}`).join(", ")
  const unitText = html`<text class="tick" x="${width - 4}" y="${bottom + 16}" text-anchor="end">${unit}</text>`
  return described(`${title}, ${unit}`, description, bottom + 24, html`${grid}${rows}${marked}${values}${unitText}`)
}

export interface Line {
  readonly label: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
  readonly colour: Colour
}

export interface LinePlot {
  readonly title: string
  readonly lines: ReadonlyArray<Line>
  readonly xUnit: string
  readonly yUnit: string
  /** Both axes; linear from zero otherwise. */
  readonly logarithmic?: boolean
  readonly dots?: boolean
}

/** A shape for each colour, so that nobody needs to see colours. */
const dot = (colour: Colour, x: number, y: number): Html => {
  const shapes: Readonly<Record<Colour, string>> = {
    c0: "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    c1: "m-4 -4h8v8h-8z",
    c2: "m0 -5l5 9h-10z",
    c3: "m0 -5l5 5l-5 5l-5 -5z",
    c4: "m0 5l5 -9h-10z",
    c5: "m-5 -1.5h10v3h-10z"
  }
  return html`<path class="dot ${colour}" d="M${x.toFixed(1)} ${y.toFixed(1)}${shapes[colour]}"/>`
}

/** Lines with their names at their ends. */
export const linePlot = ({ dots, lines, logarithmic, title, xUnit, yUnit }: LinePlot): Html => {
  const shown = lines.filter(({ points }) => points.length > 0)
  const points = shown.flatMap(line => line.points)
  const [left, right, top, bottom] = [58, width - 130, 30, 252]
  const axis = (values: ReadonlyArray<number>, from: number, to: number) => {
    const most = Math.max(...values, 0)
    const least = Math.min(...values.filter(value => value > 0), most || 1)
    const marks = logarithmic ? logTicks(least, most || 1) : ticks(most)
    const first = marks[0] ?? 0
    const last = logarithmic ? (marks.at(-1) ?? 1) : most || 1
    const at = logarithmic
      ? (value: number) =>
          (Math.log10(Math.max(value, first)) - Math.log10(first)) / (Math.log10(last) - Math.log10(first))
      : (value: number) => value / last
    return { marks, at: (value: number): number => from + (to - from) * at(value) }
  }
  const x = axis(
    points.map(([value]) => value),
    left,
    right
  )
  const y = axis(
    points.map(([, value]) => value),
    bottom,
    top
  )
  const grid = [
    ...y.marks.map(
      value =>
        html`<line class="grid" x1="${left}" x2="${right}" y1="${y.at(value).toFixed(1)}" y2="${y.at(value).toFixed(1)}"/><text class="tick" x="${left - 8}" y="${(y.at(value) + 4).toFixed(1)}" text-anchor="end">${short(value)}</text>`
    ),
    ...x.marks.map(
      value =>
        html`<text class="tick" x="${x.at(value).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${short(value)}</text>`
    )
  ]
  // Names must not lie on each other.
  const ends = shown.map(line => ({ line, at: y.at(line.points.at(-1)?.[1] ?? 0) })).sort((a, b) => a.at - b.at)
  let above = Number.NEGATIVE_INFINITY
  const names = ends.map(({ at, line }) => {
    above = Math.max(at, above + 16)
    const from = x.at(line.points.at(-1)?.[0] ?? 0)
    return html`${dot(line.colour, right + 10, above)}<text class="name" x="${right + 20}" y="${(above + 4.5).toFixed(1)}">${line.label}</text><path class="lead" d="M${(from + 5).toFixed(1)} ${at.toFixed(1)}L${right + 4} ${above.toFixed(1)}"/>`
  })
  const drawn = shown.map(line => {
    const places = line.points.map(([px, py]) => [x.at(px), y.at(py)] as const)
    const path = places.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join("L")
    return html`<path class="line ${line.colour}" d="M${path}"/>${dots ? places.map(([px, py]) => dot(line.colour, px, py)) : undefined}`
  })
  const units = html`<text class="tick" x="${right}" y="${bottom + 36}" text-anchor="end">${xUnit}</text><text class="tick" x="${left - 8}" y="${top - 16}" text-anchor="end">${yUnit}</text>`
  const description = shown
    .map(
      ({ label, points: of }) =>
        `${label}: ${of.length} points from ${figure(of[0]?.[1] ?? 0)} to ${figure(of.at(-1)?.[1] ?? 0)}`
    )
    .join("; ")
  return described(`${title}: ${yUnit} by ${xUnit}`, description, bottom + 44, html`${grid}${drawn}${names}${units}`)
}
