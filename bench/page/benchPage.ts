/** The page of one run of `main.ts`: ratios first, then what they are made of. */
import type { BenchResult, LatencyRow, Row } from "../report.ts"
import { baselines } from "../report.ts"
import { bytes, figure, times } from "./figures.ts"
import { type Html, html } from "./html.ts"
import { memorySection } from "./memory.ts"
import { facts, figureOf, page, type Section, table } from "./page.ts"
import { barPlot, type Colour, linePlot } from "./plot.ts"

const ours: ReadonlyArray<string> = ["offer", "promise", "publishAll", "effect"]
const others: ReadonlyArray<string> = ["franz-go", "java", "platformatic", "kafkajs", "static"]
const clients: ReadonlyArray<string> = [...ours, ...others]

const colours: Readonly<Record<string, Colour>> = {
  kafkajs: "c1",
  platformatic: "c2",
  java: "c3",
  "franz-go": "c4",
  static: "c5",
  "http-echo": "c5",
  "http-benthos": "c4",
  "sqs-singles": "c5"
}
const colourOf = (name: string): Colour => colours[name] ?? "c0"

/** `offer (deno)`: Bun goes without saying. */
const nameOf = ({ name, runtime }: Row): string => (runtime === "deno" ? `${name} (deno)` : name)
const sizesOf = (rows: ReadonlyArray<Row>): ReadonlyArray<number> => [...new Set(rows.map(({ size }) => size))]
const among = (rows: ReadonlyArray<Row>, names: ReadonlyArray<string>): ReadonlyArray<Row> =>
  rows.filter(({ name }) => names.includes(name))

const throughputTable = (caption: string, rows: ReadonlyArray<Row>): Html =>
  table(
    caption,
    [
      "row",
      "size",
      "runtime",
      "records/s",
      "lowest",
      "highest",
      "spread",
      "MB/s",
      "CPU µs per record",
      "billed per million"
    ],
    rows.map(row => [
      row.name,
      bytes(row.size),
      row.runtime,
      figure(row.recordsPerSecond),
      figure(row.lowest),
      figure(row.highest),
      row.spread.toFixed(2),
      figure((row.recordsPerSecond * row.size) / 1e6),
      row.cpuMicrosPerRecord === undefined ? "" : figure(row.cpuMicrosPerRecord),
      row.billedPerMillion === undefined ? "" : figure(Math.round(row.billedPerMillion))
    ])
  )

const throughputPlot = (title: string, rows: ReadonlyArray<Row>): Html =>
  figureOf(
    barPlot({
      title,
      unit: "records/s",
      bars: rows.map(row => ({
        label: nameOf(row),
        value: row.recordsPerSecond,
        low: row.lowest,
        high: row.highest,
        colour: colourOf(row.name)
      }))
    }),
    title
  )

const cpuPlot = (title: string, rows: ReadonlyArray<Row>): Html | undefined => {
  const bars = rows.flatMap(row =>
    row.cpuMicrosPerRecord === undefined
      ? []
      : [{ label: nameOf(row), value: row.cpuMicrosPerRecord, colour: colourOf(row.name) }]
  )
  return bars.length === 0 ? undefined : figureOf(barPlot({ title, unit: "µs", bars }), title)
}

const ratioSection = (rows: ReadonlyArray<Row>): Section => {
  const shown = rows.filter(({ ratios }) => Object.keys(ratios).length > 0)
  const columns = baselines.filter(baseline => shown.some(({ ratios }) => ratios[baseline] !== undefined))
  const plots = among(rows, ["offer"]).flatMap(row => {
    const title = `Spillway's ${nameOf(row)} against others, ${bytes(row.size)}`
    const bars = columns.flatMap(baseline => {
      const rate = row.ratios[baseline]?.rate
      return rate === undefined
        ? []
        : [{ label: `× ${baseline}`, value: rate.median, low: rate.low, high: rate.high, colour: "c0" as const }]
    })
    if (bars.length === 0) return []
    return [figureOf(barPlot({ title, unit: "times the other's records/s", bars, mark: 1, write: times }), title)]
  })
  const rate = (row: Row) => columns.map(baseline => row.ratios[baseline]?.rate)
  const cpu = (row: Row) => columns.map(baseline => row.ratios[baseline]?.cpu)
  const written = (spread: { readonly median: number } | undefined) =>
    spread === undefined ? "" : times(spread.median)
  const heads = ["row", "size", "runtime", ...columns.map(baseline => `× ${baseline}`)]
  const lines = (of: typeof rate) => shown.map(row => [row.name, bytes(row.size), row.runtime, ...of(row).map(written)])
  return {
    id: "ratios",
    title: "Ratios",
    content: [
      html`<p>Client, broker and generator share one machine, so that absolute figures are the machine's as much as the client's. These ratios are taken within each round, between neighbours, and are medians over the rounds; whiskers reach from the lowest to the highest round. <code>static</code> is the same finished batches sent again and again: what the broker takes at most.</p>`,
      ...plots,
      table("Records per second, as a multiple of the column's", heads, lines(rate)),
      table("The column's CPU time per record, as a multiple of the row's (more is better)", heads, lines(cpu))
    ]
  }
}

const throughputSection = (rows: ReadonlyArray<Row>): Section => {
  const kafka = among(rows, clients)
  return {
    id: "throughput",
    title: "Throughput by record size",
    content: [
      html`<p>Records acknowledged by Kafka (acks=all) in a second: the median of the rounds, with whiskers from the slowest to the fastest.</p>`,
      ...sizesOf(kafka).map(size =>
        throughputPlot(
          `Records of ${bytes(size)}`,
          kafka.filter(row => row.size === size)
        )
      ),
      throughputTable("Records acknowledged by Kafka", kafka)
    ]
  }
}

const cpuSection = (rows: ReadonlyArray<Row>): Section => {
  const kafka = among(rows, clients).filter(({ cpuMicrosPerRecord }) => cpuMicrosPerRecord !== undefined)
  return {
    id: "cpu",
    title: "CPU per record",
    content: [
      html`<p>CPU time of the client's own process for each acknowledged record, user and system. Other work on the machine disturbs it least. The Java tool does not tell its own.</p>`,
      ...sizesOf(kafka).flatMap(
        size =>
          cpuPlot(
            `CPU per record of ${bytes(size)}`,
            kafka.filter(row => row.size === size)
          ) ?? []
      ),
      table(
        "CPU time per record",
        ["row", "size", "runtime", "CPU µs per record", "CPU seconds per GB"],
        kafka.map(({ cpuMicrosPerRecord = 0, name, runtime, size }) => [
          name,
          bytes(size),
          runtime,
          figure(cpuMicrosPerRecord),
          figure((cpuMicrosPerRecord * 1000) / size)
        ])
      )
    ]
  }
}

const latencySection = (rows: ReadonlyArray<LatencyRow>): Section => {
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
      .map(row => [row.recordsPerSecond, y(row)] as const)
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
        [
          "client",
          "load",
          "size",
          "planned/s",
          "acknowledged/s",
          "p50 ms",
          "p99 ms",
          "p99.9 ms",
          "most ms",
          "CPU µs per record"
        ],
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

/** Bars of some rows by size, their CPU, and their table. */
const plainSection = (id: string, title: string, text: string, chosen: ReadonlyArray<Row>): Section => ({
  id,
  title,
  content: [
    html`<p>${text}</p>`,
    ...sizesOf(chosen).flatMap(size => {
      const rows = chosen.filter(row => row.size === size)
      return [
        cpuPlot(`${title}: CPU per record of ${bytes(size)}`, rows) ?? [],
        throughputPlot(`${title}: records of ${bytes(size)}`, rows)
      ].flat()
    }),
    throughputTable(title, chosen)
  ]
})

/** Everything of one run, as sections; what it has no rows for is left out. */
export const benchSections = ({ failures, latency, rows }: BenchResult): ReadonlyArray<Section> => {
  const named = (part: string) => rows.filter(({ name }) => name.startsWith(part))
  const around = [...named("parking"), ...named("draining"), ...named("sqs-singles")]
  const known = new Set([...among(rows, clients), ...named("keyed"), ...named("http"), ...around])
  const rest = rows.filter(row => !known.has(row))
  const memory = memorySection(rows, latency, colourOf)
  return [
    ...(failures.length === 0
      ? []
      : [
          {
            id: "failures",
            title: "What failed",
            content: [html`<ul class="bad">${failures.map(text => html`<li>${text}</li>`)}</ul>`]
          }
        ]),
    ...(rows.some(({ ratios }) => Object.keys(ratios).length > 0) ? [ratioSection(rows)] : []),
    ...(among(rows, clients).length === 0 ? [] : [throughputSection(rows), cpuSection(rows)]),
    ...(latency.length === 0 ? [] : [latencySection(latency)]),
    ...(named("keyed").length === 0
      ? []
      : [
          plainSection(
            "partitions",
            "Cost by partitions",
            "offer with keys, over topics of 6, 96 and 768 partitions.",
            named("keyed")
          )
        ]),
    ...(named("http").length === 0
      ? []
      : [
          plainSection(
            "http",
            "HTTP",
            "One record per POST, answered when Kafka has it, 256 connections without pipelining. http-echo only sends the body back; http-benthos is Benthos, the engine of Redpanda Connect, from its http_server to Kafka.",
            named("http")
          )
        ]),
    ...(around.length === 0
      ? []
      : [
          plainSection(
            "fallback",
            "The way round Kafka",
            "Parking packs records into SQS while Kafka is away, draining brings them back. For comparison one SQS message per record.",
            around
          )
        ]),
    ...(rest.length === 0 ? [] : [plainSection("others", "Other rows", "", rest)]),
    ...(memory === undefined ? [] : [memory])
  ]
}

const listed = (entries: Readonly<Record<string, string | number>>): string =>
  Object.entries(entries)
    .map(([name, value]) => `${name} ${value}`)
    .join(" · ")

/** Where, when and how it was measured. */
export const benchFacts = (result: BenchResult): Html =>
  facts([
    [
      "measured",
      `${result.date.slice(0, 16).replace("T", " ")} UTC, in ${Math.round(result.tookSeconds / 6) / 10} min`
    ],
    [
      "machine",
      `${result.machine.cpu}, ${result.machine.cores} cores, ${result.machine.memoryGiB} GiB, ${result.machine.platform}`
    ],
    ["versions", listed(result.versions)],
    ["settings", listed(result.settings)],
    ["rounds", String(result.rounds)],
    ["commit", result.commit],
    ["command", result.command]
  ])

export const benchPage = (result: BenchResult): string =>
  page(
    "Spillway's benchmark",
    [
      html`<p class="lead">A Kafka producer beside the clients one would use in its place, on one real Kafka, in alternating rounds. Read the ratios.</p>`,
      benchFacts(result)
    ],
    benchSections(result)
  )
