/** Latency at the rates that were kept. */
import type { LatencyRow } from "../report.ts"
import { bytes, figure } from "./figures.ts"
import { type Html, html } from "./html.ts"
import { figureOf, type Section, table } from "./page.ts"
import { type Colour, linePlot } from "./plot.ts"

export const latencySection = (rows: ReadonlyArray<LatencyRow>): Section => {
  const line = (
    label: string,
    chosen: (row: LatencyRow) => boolean,
    y: (row: LatencyRow) => number,
    colour: Colour
  ) => ({
    label,
    colour,
    points: rows
      .filter(chosen)
      .map(row => [row.rate, y(row)] as const)
      .sort((a, b) => a[0] - b[0])
  })
  const plot = (title: string, y: (row: LatencyRow) => number, yUnit: string): Html =>
    figureOf(
      linePlot({
        title,
        xUnit: "records/s",
        yUnit,
        logarithmic: true,
        dots: true,
        lines: [
          line("Spillway offer", ({ client }) => client === "offer", y, "c0"),
          line("kafkajs", ({ client }) => client === "kafkajs", y, "c1"),
          line("platformatic", ({ client }) => client === "platformatic", y, "c2")
        ]
      }),
      title
    )
  return {
    id: "latency",
    title: "Latency by load",
    content: [
      html`<p>Records come at a fixed rate whatever the answers are, and latency counts from when a record was <em>due</em> until it was acknowledged: a client that falls behind pays for all who wait. The loads are shares of the highest rate measured in this run: of the slowest client's, which all of them take, and of Spillway's own. kafkajs and platformatic take arrays, so the benchmark collects records for them for 5 ms, as long as Spillway does itself; it wakes once in a millisecond, which is in everybody's figures.</p>`,
      plot("Half of the records are faster (p50)", ({ latencyMs }) => latencyMs.p50, "ms"),
      plot("One record in a hundred is slower (p99)", ({ latencyMs }) => latencyMs.p99, "ms"),
      plot("One record in a thousand is slower (p99.9)", ({ latencyMs }) => latencyMs.p999, "ms"),
      plot("CPU per record at that load", ({ cpuMicrosPerRecord }) => cpuMicrosPerRecord, "µs"),
      table(
        "Latency from when a record was due",
        ["client", "load", "size", "planned/s", "acknowledged/s", "p50 ms", "p99 ms", "p99.9 ms", "most ms", "CPU µs"],
        rows.map(({ client, cpuMicrosPerRecord, latencyMs, of, rate, recordsPerSecond, share, size }) => [
          client,
          `${Math.round(share * 100)} % of ${of === "offer" ? "offer's highest" : "the slowest's"}`,
          bytes(size),
          figure(rate),
          figure(recordsPerSecond),
          ...[latencyMs.p50, latencyMs.p99, latencyMs.p999, latencyMs.most].map(figure),
          figure(cpuMicrosPerRecord)
        ])
      )
    ]
  }
}
