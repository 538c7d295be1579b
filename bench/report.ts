/** Medians over the rounds, and each row against the other clients of the same run. */
import type { Measured } from "./window.ts"

export interface Sample extends Measured {
  readonly name: string
  readonly size: number
  readonly runtime: string
  readonly round: number
}

/**
 * What a row is measured against: rows that end in Kafka against the other clients and against `offer` on the same
 * runtime, the ways round Kafka against one SQS message per record, HTTP against a bare server that echoes.
 */
export type Baseline =
  | "kafkajs"
  | "platformatic"
  | "java"
  | "franz-go"
  | "franz-go-snappy"
  | "static"
  | "offer"
  | "keyed-6"
  | "sqs-singles"
  | "http-echo"

const aroundKafka: ReadonlyArray<string> = ["parking", "draining", "sqs-singles"]
const baselinesOf = (name: string): ReadonlyArray<Baseline> =>
  name.startsWith("http")
    ? ["http-echo"]
    : name.startsWith("keyed")
      ? ["keyed-6", "offer"]
      : /-(gzip|snappy|lz4|zstd)$/.test(name)
        ? ["java", "franz-go-snappy", "offer"]
        : aroundKafka.includes(name)
          ? ["sqs-singles"]
          : ["kafkajs", "platformatic", "java", "franz-go", "static", "offer"]

export interface Row extends Omit<Sample, "round"> {
  /** How far apart the rounds were: largest over smallest. */
  readonly spread: number
  /**
   * Records per second as a multiple of each baseline's at the same size: the median of what the single rounds say,
   * since what slows one row of a round tends to slow its neighbours too. Absent where the baseline did not run.
   */
  readonly ratios: Readonly<Partial<Record<Baseline, number>>>
}

export interface BenchResult {
  readonly machine: Readonly<Record<string, string | number>>
  readonly versions: Readonly<Record<string, string>>
  readonly rounds: number
  readonly rows: ReadonlyArray<Row>
  /** What did not finish, and why. */
  readonly failures: ReadonlyArray<string>
}

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? 0)) / 2
}

const medianOf = (
  samples: ReadonlyArray<Sample>,
  field: "cpuMicrosPerRecord" | "billedPerMillion" | "wireBytesPerRecord"
) => {
  const values = samples.flatMap(sample => sample[field] ?? [])
  return values.length === 0 ? {} : { [field]: median(values) }
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))

/** One row per name, size and runtime, in the order they first ran. */
export const summarize = (samples: ReadonlyArray<Sample>): ReadonlyArray<Row> => {
  const groups = new Map<string, Array<Sample>>()
  for (const sample of samples) {
    const key = `${sample.name} ${sample.size} ${sample.runtime}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [sample])
    else group.push(sample)
  }
  return Array.from(groups.values()).flatMap(group => {
    const [first] = group
    if (first === undefined) return []
    const { name, runtime, size } = first
    const rates = group.map(({ recordsPerSecond }) => recordsPerSecond)
    const rate = median(rates)
    const ratios: Partial<Record<Baseline, number>> = {}
    for (const baseline of baselinesOf(name)) {
      const on =
        baseline === "java" ? "java" : baseline.startsWith("franz-go") ? "go" : baseline === "offer" ? runtime : "bun"
      const theirs = name === baseline ? undefined : groups.get(`${baseline} ${size} ${on}`)
      const perRound = group.flatMap(ours => {
        const same = theirs?.find(sample => sample.round === ours.round)
        return same === undefined ? [] : [ours.recordsPerSecond / same.recordsPerSecond]
      })
      if (perRound.length > 0) ratios[baseline] = round(median(perRound), 2)
    }
    return [
      {
        name,
        size,
        runtime,
        recordsPerSecond: Math.round(rate),
        spread: round(Math.max(...rates) / Math.min(...rates), 2),
        ...medianOf(group, "cpuMicrosPerRecord"),
        ...medianOf(group, "billedPerMillion"),
        ...medianOf(group, "wireBytesPerRecord"),
        ratios
      }
    ]
  })
}

const times = (ratio: number | undefined): string => (ratio === undefined ? "" : `${ratio.toFixed(2)}x`)
const heads = [
  "",
  "size",
  "runtime",
  "records/s",
  "spread",
  "CPU us",
  "kafkajs",
  "platformatic",
  "java",
  "franz-go",
  "franz-go-snappy",
  "static",
  "offer",
  "keyed-6",
  "sqs-singles",
  "http-echo",
  "billed/M",
  "wire B"
]

/** Cells in columns, the first to the left, the others to the right. */
export const aligned = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0)))
  return lines
    .map(line =>
      line.map((cell, i) => (i < 1 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  ")
    )
    .join("\n")
}

/** For people. */
export const table = (rows: ReadonlyArray<Row>): string => {
  const lines = rows.map(row => [
    row.name,
    `${row.size} B`,
    row.runtime,
    row.recordsPerSecond.toLocaleString("en"),
    row.spread.toFixed(2),
    row.cpuMicrosPerRecord?.toFixed(2) ?? "",
    times(row.ratios.kafkajs),
    times(row.ratios.platformatic),
    times(row.ratios.java),
    times(row.ratios["franz-go"]),
    times(row.ratios["franz-go-snappy"]),
    times(row.ratios.static),
    times(row.ratios.offer),
    times(row.ratios["keyed-6"]),
    times(row.ratios["sqs-singles"]),
    times(row.ratios["http-echo"]),
    row.billedPerMillion === undefined ? "" : Math.round(row.billedPerMillion).toLocaleString("en"),
    row.wireBytesPerRecord?.toFixed(0) ?? ""
  ])
  return aligned([heads, ...lines])
}
