/**
 * Lines over the last five minutes, with a table behind them.
 */
import { assign, byId, clock, h, s, say, tabled } from "./dom.page.js"
import { windowMs } from "./series.page.js"

/** @import { Point } from "./series.page.js" */

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {string} tone its colour's class
 * @property {(point: Point) => number | undefined} of
 */
/**
 * @typedef {object} Options
 * @property {string} id of the element it is drawn in
 * @property {string} caption
 * @property {ReadonlyArray<Line>} lines
 * @property {(value: number) => string} format
 * @property {boolean} logarithmic
 */

const height = 210
const margin = { left: 54, right: 12, top: 10, bottom: 26 }
const rowMs = 15_000

/** Round steps from zero. @type {(highest: number) => ReadonlyArray<number>} */
const linearTicks = highest => {
  const rough = Math.max(highest, 1) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = Math.max(1, ([1, 2, 5].find(factor => factor * power >= rough) ?? 10) * power)
  return Array.from({ length: Math.ceil(Math.max(highest, 1) / step) + 1 }, (_, index) => index * step)
}

/** Powers of ten. @type {(lowest: number, highest: number) => ReadonlyArray<number>} */
const logTicks = (lowest, highest) => {
  const first = Math.floor(Math.log10(Math.max(0.1, lowest)))
  const last = Math.max(first + 2, Math.ceil(Math.log10(Math.max(1, highest))))
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index))
}

export class Plot {
  #options
  #root
  #svg = s("svg", { class: "plot", role: "img" })
  #table = h("table", {}, h("caption"))
  /** @type {ReadonlyArray<{ line: Line, value: HTMLElement }>} */
  #legend
  #readout = h("p", { class: "readout", "aria-hidden": "true" })
  #width = 0
  /** @type {ReadonlyArray<Point>} */
  #points = []
  /** @type {number | undefined} */
  #pointed

  /** @param {Options} options */
  constructor(options) {
    this.#options = options
    this.#root = byId(options.id)
    this.#legend = options.lines.map(line => ({ line, value: h("b") }))
    assign(this.#svg, { "aria-label": `${options.caption}; the table below has the numbers` })
    const details = tabled("As a table", `${options.caption} as a table`, this.#table)
    details.addEventListener("toggle", () => this.#tabulate())
    this.#details = details
    this.#root.append(
      h(
        "ul",
        { class: "legend" },
        ...this.#legend.map(({ line, value }) =>
          h("li", { class: `tone-${line.tone}` }, h("i", { "aria-hidden": "true" }), line.name, " ", value)
        )
      ),
      h("div", { class: "plot-frame" }, this.#svg, this.#readout),
      details
    )
    new ResizeObserver(([entry]) => {
      this.#width = Math.round(entry?.contentRect.width ?? 0)
      this.#draw()
    }).observe(this.#root)
    this.#svg.addEventListener("pointermove", event => this.#point(event.offsetX))
    this.#svg.addEventListener("pointerleave", () => this.#point(undefined))
  }

  #details

  /** @param {ReadonlyArray<Point>} points */
  show(points) {
    this.#points = points
    this.#draw()
    this.#tabulate()
  }

  /** @param {number | undefined} x */
  #point(x) {
    this.#pointed = x
    this.#draw()
  }

  #draw() {
    const { format, lines, logarithmic } = this.#options
    const width = this.#width
    const points = this.#points
    const now = points.at(-1)
    for (const { line, value } of this.#legend) {
      const latest = now && line.of(now)
      say(value, latest === undefined ? "–" : format(latest))
    }
    if (width < 80) return
    const values = points.flatMap(point => lines.flatMap(({ of }) => of(point) ?? []))
    const highest = values.reduce((a, b) => Math.max(a, b), 0)
    const lowest = values.reduce((a, b) => Math.min(a, b), highest || 1)
    const ticks = logarithmic ? logTicks(lowest, highest) : linearTicks(highest)
    const bottom = ticks[0] ?? 0
    const top = ticks.at(-1) ?? 1
    const plotted = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }
    const end = now?.at ?? Date.now()
    const xOf = (/** @type {number} */ at) => margin.left + plotted.width * (1 - (end - at) / windowMs)
    const shareOf = (/** @type {number} */ value) =>
      logarithmic ? Math.log(Math.max(bottom, value) / bottom) / Math.log(top / bottom) : value / top
    const yOf = (/** @type {number} */ value) => margin.top + plotted.height * (1 - shareOf(value))
    const floor = margin.top + plotted.height

    const grid = ticks.flatMap(tick => {
      const y = yOf(tick)
      return [
        s("path", { d: `M${margin.left} ${y.toFixed(1)}H${width - margin.right}`, class: "grid" }),
        s("text", { x: margin.left - 8, y: (y + 4).toFixed(1), "text-anchor": "end", class: "axis" }, format(tick))
      ]
    })
    const narrow = width < 420
    const times = [5, 4, 3, 2, 1, 0]
      .filter(minutes => !narrow || minutes % 2 === 0)
      .map(minutes => {
        const anchor = minutes === 5 ? "start" : minutes === 0 ? "end" : "middle"
        return s(
          "text",
          { x: xOf(end - minutes * 60_000).toFixed(1), y: height - 6, "text-anchor": anchor, class: "axis" },
          minutes === 0 ? "now" : `−${minutes} min`
        )
      })
    const shades = this.#outages().map(([from, to]) =>
      s("rect", {
        x: xOf(from).toFixed(1),
        y: margin.top,
        width: Math.max(1, xOf(to) - xOf(from)).toFixed(1),
        height: plotted.height,
        class: "outage"
      })
    )
    const drawn = lines.flatMap(line => {
      let path = ""
      let area = ""
      /** @type {number | undefined} */
      let from
      let x = 0
      const close = () => {
        if (from !== undefined) area += `L${x.toFixed(1)} ${floor}H${from.toFixed(1)}Z`
        from = undefined
      }
      for (const point of points) {
        const value = line.of(point)
        if (value === undefined) {
          close()
          continue
        }
        x = xOf(point.at)
        const at = `${x.toFixed(1)} ${yOf(value).toFixed(1)}`
        path += `${from === undefined ? "M" : "L"}${at}`
        area += `${from === undefined ? `M${x.toFixed(1)} ${floor}L` : "L"}${at}`
        from ??= x
      }
      close()
      return [
        ...(logarithmic ? [] : [s("path", { d: area, class: `area tone-${line.tone}` })]),
        s("path", { d: path, class: `line tone-${line.tone}` })
      ]
    })
    assign(this.#svg, { viewBox: `0 0 ${width} ${height}`, width, height })
    this.#svg.replaceChildren(...shades, ...grid, ...times, ...drawn, ...this.#cursor(xOf, yOf, floor))
  }

  /** Where the pointer is. @param {(at: number) => number} xOf @param {(value: number) => number} yOf @param {number} floor */
  #cursor(xOf, yOf, floor) {
    const { format, lines } = this.#options
    const x = this.#pointed
    const near =
      x === undefined
        ? undefined
        : this.#points.reduce(
            (/** @type {Point | undefined} */ best, point) =>
              best === undefined || Math.abs(xOf(point.at) - x) < Math.abs(xOf(best.at) - x) ? point : best,
            undefined
          )
    if (near === undefined) {
      say(this.#readout, "")
      return []
    }
    say(
      this.#readout,
      `${clock(near.at)}  ${lines.map(({ name, of }) => `${name} ${of(near) === undefined ? "–" : format(of(near) ?? 0)}`).join("  ")}`
    )
    return [
      s("path", { d: `M${xOf(near.at).toFixed(1)} ${margin.top}V${floor}`, class: "cursor" }),
      ...lines.flatMap(line => {
        const value = line.of(near)
        return value === undefined
          ? []
          : [s("circle", { cx: xOf(near.at), cy: yOf(value), r: 3.5, class: `mark tone-${line.tone}` })]
      })
    ]
  }

  /** Times at which a breaker was not closed. @returns {ReadonlyArray<readonly [from: number, to: number]>} */
  #outages() {
    /** @type {Array<[number, number]>} */
    const found = []
    let open = false
    for (const { at, diverting } of this.#points) {
      const last = found.at(-1)
      if (diverting && open && last !== undefined) last[1] = at
      else if (diverting) found.push([at - 1000, at])
      open = diverting
    }
    return found
  }

  #tabulate() {
    if (!this.#details.open) return
    const { caption, format, lines } = this.#options
    const rows = []
    let next = Number.POSITIVE_INFINITY
    for (const point of this.#points.toReversed()) {
      if (point.at > next) continue
      next = point.at - rowMs
      rows.push(
        h(
          "tr",
          {},
          h("th", { scope: "row" }, clock(point.at)),
          ...lines.map(({ of }) => h("td", {}, of(point) === undefined ? "–" : format(of(point) ?? 0))),
          h("td", {}, point.diverting ? "diverting" : "closed")
        )
      )
    }
    this.#table.replaceChildren(
      h("caption", {}, `${caption}, each ${rowMs / 1000} s, newest first`),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "Time"),
          ...lines.map(({ name }) => h("th", { scope: "col" }, name)),
          h("th", { scope: "col" }, "Breaker")
        )
      ),
      h("tbody", {}, ...rows)
    )
  }
}
