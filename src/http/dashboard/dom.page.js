/**
 * Elements, and numbers as people read them.
 */

/** @typedef {string | number | Node | undefined | null | false | ReadonlyArray<string | number | Node | undefined | null | false>} Child */

const svgNamespace = "http://www.w3.org/2000/svg"

/** @type {(element: Element, attributes: Readonly<Record<string, unknown>>) => void} */
export const assign = (element, attributes) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, /** @type {EventListener} */ (value))
    else if (value === undefined || value === null || value === false) element.removeAttribute(name)
    else if (element.getAttribute(name) !== String(value))
      element.setAttribute(name, value === true ? "" : String(value))
  }
}

/** @type {(children: ReadonlyArray<Child>) => Array<Node | string>} */
const nodes = children =>
  children
    .flat()
    .flatMap(child =>
      child === undefined || child === null || child === false ? [] : [child instanceof Node ? child : String(child)]
    )

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Readonly<Record<string, unknown>>} [attributes] functions are listeners; false and undefined are left out
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export const h = (name, attributes = {}, ...children) => {
  const element = document.createElement(name)
  assign(element, attributes)
  element.append(...nodes(children))
  return element
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} name
 * @param {Readonly<Record<string, unknown>>} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export const s = (name, attributes = {}, ...children) => {
  const element = document.createElementNS(svgNamespace, name)
  assign(element, attributes)
  element.append(...nodes(children))
  return element
}

/** @type {(id: string) => HTMLElement} */
export const byId = id => {
  const element = document.getElementById(id)
  if (element === null) throw new Error(`no element #${id}`)
  return element
}

/** A table that may be wider or longer than its place: the keyboard scrolls it. @type {(name: string, table: HTMLTableElement) => HTMLDivElement} */
export const scrolled = (name, table) =>
  h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": name }, table)

/** A table behind something to be looked at. @type {(summary: string, name: string, table: HTMLTableElement) => HTMLDetailsElement} */
export const tabled = (summary, name, table) =>
  h("details", { class: "data" }, h("summary", {}, summary), scrolled(name, table))

/** Writes only what differs, so that selections, focus and screen readers are left in peace. @type {(node: Element, text: string) => void} */
export const say = (node, text) => {
  if (node.textContent !== text) node.textContent = text
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 })

/** @type {(value: number) => string} */
export const count = value => whole.format(value)

/** Exact below ten thousand. @type {(value: number) => string} */
export const short = value => (Math.abs(value) < 10_000 ? whole.format(value) : compact.format(value))

/** @type {(perSecond: number) => string} */
export const rate = perSecond =>
  `${perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1).replace(/\.0$/, "") : short(perSecond)}/s`

/** @type {(ms: number) => string} */
export const latency = ms => {
  if (ms >= 9950) return `${Math.round(ms / 1000)} s`
  if (ms >= 995) return `${(ms / 1000).toFixed(1)} s`
  return ms >= 9.5 || ms === 0 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`
}

/** @type {(ms: number) => string} */
export const span = ms => {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 90) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 90) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`
}

/** @type {(bytes: number) => string} */
export const size = bytes => {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(0)} KiB`
  return bytes < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}

/** Of the day, where it is read. @type {(at: number) => string} */
export const clock = at => new Date(at).toLocaleTimeString("en-GB")

/** @type {(word: string, n: number) => string} */
export const plural = (word, n) => `${count(n)} ${word}${n === 1 ? "" : "s"}`
