/** The page of one run of `main.ts`: ratios first, then what they are made of. */
import type { BenchResult, Row } from "../report.ts"
import { bytes, figure } from "./figures.ts"
import { type Html, html } from "./html.ts"
import { latencySection } from "./latency.ts"
import { memorySection } from "./memory.ts"
import { among, clients, colourOf, nameOf, sizesOf } from "./named.ts"
import { facts, figureOf, page, type Section, table } from "./page.ts"
import { barPlot } from "./plot.ts"
import { ratioSection } from "./ratios.ts"

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
      "billed per million",
      "bytes on the wire"
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
      row.billedPerMillion === undefined ? "" : figure(Math.round(row.billedPerMillion)),
      row.wireBytesPerRecord === undefined ? "" : figure(Math.round(row.wireBytesPerRecord))
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
  const memory = memorySection(rows, latency)
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
            "One record per POST, answered when Kafka has it, 1 024 connections without pipelining (256 where the name says so). http-echo only sends the body back; http-benthos is Benthos, the engine of Redpanda Connect, from its http_server to Kafka.",
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
