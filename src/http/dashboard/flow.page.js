/**
 * The path of records as a picture. Two drawings of the same graph: for wide screens and for telephones.
 */
import { assign, count, rate, s, say, short } from "./dom.page.js"

/** @import { View } from "./view.page.js" */

/** @typedef {"callers" | "spillway" | "kafka" | "queue" | "spool" | "dead"} NodeName */
/** @typedef {"accepted" | "delivered" | "diverted" | "spooled" | "redelivered" | "deadLettered" | "drained"} EdgeName */
/** @typedef {readonly [x: number, y: number, width: number, height: number]} Box */
/** @typedef {{ readonly path: string, readonly label: readonly [x: number, y: number, anchor: string] }} Way */
/**
 * @typedef {object} Layout
 * @property {readonly [x: number, y: number, width: number, height: number]} frame
 * @property {readonly [x: number, y: number]} gate
 * @property {boolean} upright the gate lies on a way from top to bottom
 * @property {Readonly<Record<NodeName, Box>>} nodes
 * @property {Readonly<Record<EdgeName, Way>>} edges
 */

/** @type {Layout} */
const wide = {
  frame: [0, 30, 1160, 374],
  gate: [770, 92],
  upright: false,
  nodes: {
    callers: [2, 36, 156, 112],
    spillway: [338, 36, 206, 112],
    kafka: [926, 36, 232, 112],
    queue: [466, 282, 240, 120],
    spool: [128, 282, 208, 120],
    dead: [926, 282, 232, 120]
  },
  edges: {
    accepted: { path: "M158 92H330", label: [244, 76, "middle"] },
    delivered: { path: "M544 92H918", label: [637, 76, "middle"] },
    diverted: { path: "M478 148C478 212 586 206 586 274", label: [592, 214, "start"] },
    spooled: { path: "M404 148C404 212 232 206 232 274", label: [262, 196, "end"] },
    redelivered: { path: "M706 318C850 318 970 280 970 156", label: [872, 264, "end"] },
    deadLettered: { path: "M706 372H918", label: [812, 394, "middle"] },
    drained: { path: "M336 342H458", label: [400, 330, "middle"] }
  }
}

/** @type {Layout} */
const tall = {
  frame: [0, 0, 340, 786],
  gate: [170, 318],
  upright: true,
  nodes: {
    callers: [70, 2, 200, 84],
    spillway: [50, 142, 240, 104],
    kafka: [60, 412, 220, 96],
    queue: [2, 592, 196, 92],
    spool: [228, 592, 110, 92],
    dead: [2, 734, 196, 50]
  },
  edges: {
    accepted: { path: "M170 86V134", label: [182, 116, "start"] },
    delivered: { path: "M170 246V404", label: [182, 268, "start"] },
    diverted: { path: "M50 200C18 200 22 236 22 280V584", label: [34, 372, "start"] },
    spooled: { path: "M290 200C322 200 318 236 318 280V584", label: [306, 372, "end"] },
    redelivered: { path: "M120 592V516", label: [132, 562, "start"] },
    deadLettered: { path: "M100 684V726", label: [112, 712, "start"] },
    drained: { path: "M228 638H206", label: [338, 706, "end"] }
  }
}

/** @type {Readonly<Record<EdgeName, string>>} */
export const edgeWords = {
  accepted: "accepted",
  delivered: "delivered",
  diverted: "diverted",
  spooled: "spooled",
  redelivered: "redelivered",
  deadLettered: "dead-lettered",
  drained: "drained"
}

/** @type {Readonly<Record<NodeName, string>>} */
export const nodeWords = {
  callers: "Callers",
  spillway: "Spillway",
  kafka: "Kafka",
  queue: "SQS",
  spool: "Spool",
  dead: "Dead letters"
}

/** @template {string} K @template V @param {Readonly<Record<K, V>>} record */
const entriesOf = record => /** @type {Array<[K, V]>} */ (Object.entries(record))

/** Dots per second past a point would blur: the speed grows with the logarithm of the rate. */
const speedOf = (/** @type {number} */ perSecond) => (perSecond <= 0 ? 0 : 26 + 44 * Math.log10(1 + perSecond))
const widthOf = (/** @type {number} */ perSecond) => (perSecond <= 0 ? 2 : 5 + 1.8 * Math.log10(1 + perSecond))
const dotSpacing = 20
const ringRadius = 40

export class Flow {
  #root
  #still = matchMedia("(prefers-reduced-motion: reduce)")
  #narrow = matchMedia("(max-width: 720px)")
  /** @type {Map<EdgeName, { group: SVGGElement, bed: SVGPathElement, dots: SVGPathElement, rate: SVGTSpanElement, speed: number, wanted: number, offset: number }>} */
  #edges = new Map()
  /** @type {Map<NodeName, { group: SVGGElement, value: SVGTextElement, detail: SVGTextElement }>} */
  #nodes = new Map()
  /** @type {{ group: SVGGElement, ring: SVGCircleElement, state: SVGTextElement, probe: SVGTextElement } | undefined} */
  #gate
  /** @type {View | undefined} */
  #view
  #frame = 0
  #before = 0

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root
    const again = () => {
      this.#draw()
      if (this.#view !== undefined) this.show(this.#view)
    }
    this.#narrow.addEventListener("change", again)
    this.#still.addEventListener("change", again)
    document.addEventListener("visibilitychange", () => this.#animate())
    this.#draw()
  }

  #draw() {
    const layout = this.#narrow.matches ? tall : wide
    const svg = s("svg", {
      viewBox: layout.frame.join(" "),
      class: layout.upright ? "flow tall" : "flow",
      role: "img",
      "aria-label": "The path of records through Spillway, with live rates. The table below says the same in words."
    })
    svg.append(
      s(
        "defs",
        {},
        ...entriesOf(edgeWords).map(([name]) =>
          s(
            "marker",
            {
              id: `tip-${name}`,
              viewBox: "0 0 12 12",
              refX: 5,
              refY: 6,
              markerWidth: 14,
              markerHeight: 14,
              markerUnits: "userSpaceOnUse",
              orient: "auto"
            },
            s("path", { d: "M1 1.5 10.5 6 1 10.5Z", class: `tip way-${name}` })
          )
        )
      )
    )
    this.#edges.clear()
    this.#nodes.clear()
    for (const [name, way] of entriesOf(layout.edges)) svg.append(this.#edge(name, way))
    for (const [name, box] of entriesOf(layout.nodes)) svg.append(this.#node(name, box))
    svg.append(this.#breaker(layout))
    this.#root.replaceChildren(svg)
  }

  /** @param {EdgeName} name @param {Way} way */
  #edge(name, { label, path }) {
    const bed = s("path", { d: path, class: "bed", "marker-end": `url(#tip-${name})` })
    const dots = s("path", { d: path, class: "dots", "stroke-dasharray": `0.1 ${dotSpacing}` })
    const value = s("tspan", { class: "rate" })
    const [x, y, anchor] = label
    const text = s(
      "text",
      { x, y, "text-anchor": anchor, class: "edge-label" },
      value,
      s("tspan", { class: "word", dx: 5 }, edgeWords[name])
    )
    const group = s("g", { class: `edge way-${name}` }, bed, dots, text)
    this.#edges.set(name, { group, bed, dots, rate: value, speed: 0, wanted: 0, offset: 0 })
    return group
  }

  /** @param {NodeName} name @param {Box} box */
  #node(name, [x, y, width, height]) {
    const flat = height < 60
    const roomy = height > 104
    const title = s("text", { x: x + 18, y: y + (flat ? 31 : roomy ? 28 : 26), class: "node-title" }, nodeWords[name])
    const value = s(
      "text",
      flat
        ? { x: x + width - 16, y: y + 33, "text-anchor": "end", class: "node-value" }
        : { x: x + 18, y: y + (roomy ? 66 : 54), class: "node-value" }
    )
    const detail = s("text", { x: x + 18, y: y + (roomy ? 92 : 75), class: "node-detail" })
    const group = s(
      "g",
      { class: "node", "data-node": name },
      s("rect", { x, y, width, height, rx: 14, class: "node-box" }),
      s("rect", { x, y: y + 14, width: 4, height: height - 28, rx: 2, class: "node-tone" }),
      title,
      value,
      flat ? undefined : detail
    )
    this.#nodes.set(name, { group, value, detail })
    return group
  }

  /** @param {Layout} layout */
  #breaker({ gate: [x, y], upright }) {
    const length = 2 * Math.PI * ringRadius
    const ring = s("circle", {
      cx: x,
      cy: y,
      r: ringRadius,
      class: "gate-ring",
      transform: `rotate(-90 ${x} ${y})`,
      "stroke-dasharray": length,
      "stroke-dashoffset": length
    })
    const lever = s(
      "g",
      upright ? { transform: `rotate(90 ${x} ${y})` } : {},
      s("path", { d: `M${x - ringRadius} ${y}H${x - 18}M${x + 18} ${y}H${x + ringRadius}`, class: "gate-wire" }),
      s(
        "g",
        { class: "gate-lever", "transform-origin": `${x - 18} ${y}` },
        s("path", { d: `M${x - 18} ${y}H${x + 18}` })
      ),
      s("circle", { cx: x - 18, cy: y, r: 4.5, class: "gate-pole" }),
      s("circle", { cx: x + 18, cy: y, r: 4.5, class: "gate-pole" })
    )
    const at = upright ? { x: x + ringRadius + 12, "text-anchor": "start" } : { x, "text-anchor": "middle" }
    const state = s("text", { ...at, y: upright ? y - 4 : y + ringRadius + 24, class: "gate-state" })
    const probe = s("text", { ...at, y: upright ? y + 16 : y + ringRadius + 44, class: "gate-probe" })
    const group = s(
      "g",
      { class: "gate", "data-state": "closed" },
      s("circle", { cx: x, cy: y, r: ringRadius, class: "gate-disc" }),
      ring,
      lever,
      state,
      probe
    )
    this.#gate = { group, ring, state, probe }
    return group
  }

  /** @param {View} view */
  show(view) {
    this.#view = view
    for (const [name, edge] of this.#edges) {
      const { perSecond, present } = view.ways[name]
      say(edge.rate, present ? rate(perSecond) : "")
      assign(edge.group, { "data-flowing": String(perSecond > 0), "data-absent": String(!present) })
      assign(edge.bed, { "stroke-width": widthOf(perSecond).toFixed(1) })
      edge.wanted = speedOf(perSecond)
    }
    for (const [name, { detail, group, value }] of this.#nodes) {
      const place = view.places[name]
      say(value, place.value)
      say(detail, place.detail)
      assign(group, { "data-tone": place.tone })
    }
    this.tick(view)
    this.#animate()
  }

  /** What changes between two statuses: the countdown. @param {View} view */
  tick(view) {
    if (this.#gate === undefined) return
    const { group, probe, ring, state } = this.#gate
    const { left, share, words } = view.gate
    assign(group, { "data-state": view.gate.state })
    say(state, words)
    say(probe, left)
    assign(ring, {
      "data-empty": String(share === 0),
      "stroke-dashoffset": (2 * Math.PI * ringRadius * (1 - share)).toFixed(1)
    })
  }

  #animate() {
    const moving =
      !this.#still.matches &&
      !document.hidden &&
      [...this.#edges.values()].some(({ speed, wanted }) => wanted > 0 || speed > 1)
    if (!moving) {
      cancelAnimationFrame(this.#frame)
      this.#frame = 0
      this.#before = 0
    } else if (this.#frame === 0) {
      this.#frame = requestAnimationFrame(now => this.#step(now))
    }
  }

  /** @param {number} now */
  #step(now) {
    const seconds = this.#before === 0 ? 0 : Math.min(0.1, (now - this.#before) / 1000)
    this.#before = now
    for (const edge of this.#edges.values()) {
      // Towards the wanted speed, without a jump.
      edge.speed += (edge.wanted - edge.speed) * Math.min(1, seconds * 3)
      edge.offset = (edge.offset + edge.speed * seconds) % dotSpacing
      if (edge.speed > 0.5) edge.dots.style.strokeDashoffset = String(-edge.offset)
    }
    this.#frame = 0
    this.#animate()
  }
}

/** The same facts in rows, for readers of tables. @type {(view: View) => Array<readonly [string, string]>} */
export const rowsOf = view => [
  ...entriesOf(edgeWords)
    .filter(([name]) => view.ways[name].present)
    .map(
      ([name, word]) =>
        /** @type {const} */ ([`${word}, per second`, short(Math.round(view.ways[name].perSecond * 10) / 10)])
    ),
  ...entriesOf(nodeWords).map(
    ([name, word]) => /** @type {const} */ ([word, `${view.places[name].value} ${view.places[name].detail}`.trim()])
  ),
  /** @type {const} */ (["circuit breaker", `${view.gate.words}${view.gate.left === "" ? "" : `, ${view.gate.left}`}`]),
  /** @type {const} */ (["accepted since the start", count(view.status.accounting.accepted)])
]
