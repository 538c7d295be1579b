/** What a page begins with: each row against the others of its run. */
import { baselines, type Row } from "../report.ts"
import { bytes, times } from "./figures.ts"
import { html } from "./html.ts"
import { among, clients, nameOf } from "./named.ts"
import { figureOf, type Section, table } from "./page.ts"
import { barPlot } from "./plot.ts"

export const ratioSection = (rows: ReadonlyArray<Row>): Section => {
  const shown = rows.filter(({ ratios }) => Object.keys(ratios).length > 0)
  // The others are compared with one or two rows only, which would be a wide table of nothing.
  const kafka = among(shown, clients)
  const columns = baselines.filter(baseline => kafka.some(({ ratios }) => ratios[baseline] !== undefined))
  const plots = among(rows, ["offer"]).flatMap(row => {
    const title = `Spillway's ${nameOf(row)} against others, ${bytes(row.size)}`
    const bars = columns.flatMap(baseline => {
      const rate = row.ratios[baseline]?.rate
      return rate === undefined
        ? []
        : [{ label: `× ${baseline}`, value: rate.median, low: rate.low, high: rate.high, colour: "c0" as const }]
    })
    if (bars.length === 0) return []
    return [figureOf(barPlot({ title, unit: "times", bars, mark: 1, write: times }), title)]
  })
  const rate = (row: Row) => columns.map(baseline => row.ratios[baseline]?.rate)
  const cpu = (row: Row) => columns.map(baseline => row.ratios[baseline]?.cpu)
  const written = (spread: { readonly median: number } | undefined) =>
    spread === undefined ? "" : times(spread.median)
  const heads = ["row", "size", "runtime", ...columns.map(baseline => `× ${baseline}`)]
  const lines = (of: typeof rate) => kafka.map(row => [row.name, bytes(row.size), row.runtime, ...of(row).map(written)])
  const rest = shown
    .filter(row => !kafka.includes(row))
    .flatMap(row =>
      baselines.flatMap(baseline => {
        const ratio = row.ratios[baseline]
        if (ratio === undefined) return []
        return [[row.name, `× ${baseline}`, bytes(row.size), row.runtime, written(ratio.rate), written(ratio.cpu)]]
      })
    )
  return {
    id: "ratios",
    title: "Ratios",
    content: [
      html`<p>Client, broker and generator share one machine, so that absolute figures are the machine's as much as the client's. These ratios are taken within each round, between neighbours, and are medians over the rounds; whiskers reach from the lowest to the highest round. <code>static</code> is the same finished batches sent again and again: about what this broker takes.</p>`,
      ...plots,
      ...(kafka.length === 0
        ? []
        : [
            table("Records per second, as a multiple of the column's", heads, lines(rate)),
            table("The column's CPU time per record, as a multiple of the row's (more is better)", heads, lines(cpu))
          ]),
      ...(rest.length === 0
        ? []
        : [
            table(
              "Partitions, HTTP and the way round Kafka",
              ["row", "against", "size", "runtime", "records/s, times", "CPU time, times less"],
              rest
            )
          ])
    ]
  }
}
