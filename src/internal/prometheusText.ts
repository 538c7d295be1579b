/**
 * Metric families as Prometheus text (exposition format 0.0.4).
 */
import type { Family, Labels } from "../Metrics.ts"

const escapeLabel = (value: string): string => value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")
const escapeHelp = (text: string): string => text.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")

const labelled = (name: string, labels: Labels): string => {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`
}

const linesOf = (family: Family): ReadonlyArray<string> => {
  const { help, name, type } = family
  const head = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`]
  if (family.type !== "histogram") {
    return [...head, ...family.samples.map(([labels, value]) => `${labelled(name, labels)} ${value}`)]
  }
  const series = family.samples.flatMap(([labels, { buckets, count, sum }]) => [
    ...buckets.map(
      ([bound, values]) => `${labelled(`${name}_bucket`, { ...labels, le: String(bound / 1000) })} ${values}`
    ),
    `${labelled(`${name}_bucket`, { ...labels, le: "+Inf" })} ${count}`,
    `${labelled(`${name}_sum`, labels)} ${sum / 1000}`,
    `${labelled(`${name}_count`, labels)} ${count}`
  ])
  return [...head, ...series]
}

export const prometheusText = (families: ReadonlyArray<Family>): string => `${families.flatMap(linesOf).join("\n")}\n`
