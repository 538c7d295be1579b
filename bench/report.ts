/** Medians over the rounds, and each row against the other clients of the same run. */
import type { Quantiles } from "./Latencies.ts"
import { median } from "./proc.ts"
import type { LatencyClient } from "./rows.ts"
import type { Measured, Memory } from "./window.ts"

export interface Sample extends Measured {
  readonly name: string
  readonly size: number
  readonly runtime: string
  readonly round: number
}

/** What a row can be measured against, where it ran, too. */
export const baselines = [
  "kafkajs",
  "platformatic",
  "java",
  "franz-go",
  "franz-go-snappy",
  "static",
  "offer",
  "keyed-6",
  "sqs-singles",
  "parking-floor",
  "draining-floor",
  "http-benthos",
  "http-echo",
  "http-echo-256"
] as const
export type Baseline = (typeof baselines)[number]

const aroundKafka: Readonly<Record<string, ReadonlyArray<Baseline>>> = {
  parking: ["sqs-singles", "parking-floor", "offer"],
  draining: ["sqs-singles", "draining-floor", "offer"],
  "parking-floor": ["offer"],
  "draining-floor": ["offer"],
  "sqs-singles": []
}

/**
 * Rows that end in Kafka are measured against the other clients and against `offer` on the same runtime, the ways round
 * Kafka against one SQS message per record and their floors, HTTP against a bare server that echoes and another pipeline.
 */
const baselinesOf = (name: string): ReadonlyArray<Baseline> => {
  if (name === "http-256") return ["http-echo-256"]
  if (name.startsWith("http")) return ["http-benthos", "http-echo"]
  if (name.startsWith("keyed")) return ["keyed-6", "offer"]
  if (/-(gzip|snappy|lz4|zstd)$/.test(name)) return ["java", "franz-go-snappy", "offer"]
  return aroundKafka[name] ?? ["kafkajs", "platformatic", "java", "franz-go", "static", "offer"]
}

/** A median over rounds, and how far apart they were. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

export interface Ratio {
  /** Records per second as a multiple of the baseline's. */
  readonly rate: Spread
  /** The baseline's CPU time per record as a multiple of the row's: more is better here, too. */
  readonly cpu?: Spread
}

export interface Row {
  readonly name: string
  readonly size: number
  readonly runtime: string
  readonly recordsPerSecond: number
  readonly lowest: number
  readonly highest: number
  /** How far apart the rounds were: largest over smallest. */
  readonly spread: number
  readonly cpuMicrosPerRecord?: number
  readonly billedPerMillion?: number
  readonly wireBytesPerRecord?: number
  /** Of the process in the last round. */
  readonly memory?: ReadonlyArray<Memory>
  /**
   * Against each baseline at the same size, the median of what the single rounds say, since what slows one row of a round
   * tends to slow its neighbours too. Absent where the baseline did not run.
   */
  readonly ratios: Readonly<Partial<Record<Baseline, Ratio>>>
}

export interface LatencySample extends Measured {
  readonly client: LatencyClient
  readonly size: number
  readonly share: number
  readonly of: "offer" | "slowest"
  /** Records per second, as planned. */
  readonly rate: number
  readonly round: number
}

export interface LatencyRow {
  readonly client: LatencyClient
  readonly size: number
  readonly share: number
  readonly of: "offer" | "slowest"
  readonly rate: number
  /** Records per second, as acknowledged. */
  readonly recordsPerSecond: number
  /** ms from when a record was due until it was acknowledged: medians over the rounds, and the most of all. */
  readonly latencyMs: Quantiles
  readonly cpuMicrosPerRecord: number
  readonly memory?: ReadonlyArray<Memory>
}

export interface BenchResult {
  /** Changed when what is below changes. */
  readonly version: 2
  readonly date: string
  readonly command: string
  /** Of the repository; with `+` when files differed from it. */
  readonly commit: string
  readonly tookSeconds: number
  readonly machine: Readonly<Record<string, string | number>>
  readonly versions: Readonly<Record<string, string>>
  readonly settings: Readonly<Record<string, string | number>>
  readonly rounds: number
  readonly rows: ReadonlyArray<Row>
  readonly latency: ReadonlyArray<LatencyRow>
  /** What did not finish, and why. */
  readonly failures: ReadonlyArray<string>
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))

const spreadOf = (values: ReadonlyArray<number>): Spread => ({
  median: round(median(values), 3),
  low: round(Math.min(...values), 3),
  high: round(Math.max(...values), 3)
})

const present = (
  samples: ReadonlyArray<Sample>,
  field: "cpuMicrosPerRecord" | "billedPerMillion" | "wireBytesPerRecord"
) => {
  const values = samples.flatMap(sample => sample[field] ?? [])
  return values.length === 0 ? {} : { [field]: median(values) }
}

const ratioOf = (group: ReadonlyArray<Sample>, theirs: ReadonlyArray<Sample>): Ratio | undefined => {
  const pairs = group.flatMap(ours => {
    const same = theirs.find(sample => sample.round === ours.round)
    return same === undefined ? [] : [{ ours, same }]
  })
  if (pairs.length === 0) return undefined
  const cpu = pairs.flatMap(({ ours, same }) =>
    ours.cpuMicrosPerRecord === undefined || same.cpuMicrosPerRecord === undefined
      ? []
      : [same.cpuMicrosPerRecord / ours.cpuMicrosPerRecord]
  )
  return {
    rate: spreadOf(pairs.map(({ ours, same }) => ours.recordsPerSecond / same.recordsPerSecond)),
    ...(cpu.length === 0 ? {} : { cpu: spreadOf(cpu) })
  }
}

const grouped = <A>(samples: ReadonlyArray<A>, keyOf: (sample: A) => string): ReadonlyMap<string, ReadonlyArray<A>> => {
  const groups = new Map<string, Array<A>>()
  for (const sample of samples) {
    const key = keyOf(sample)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [sample])
    else group.push(sample)
  }
  return groups
}

/** One row per name, size and runtime, in the order they first ran. */
export const summarize = (samples: ReadonlyArray<Sample>): ReadonlyArray<Row> => {
  const groups = grouped(samples, ({ name, runtime, size }) => `${name} ${size} ${runtime}`)
  return Array.from(groups.values()).flatMap(group => {
    const [first] = group
    if (first === undefined) return []
    const { name, runtime, size } = first
    const rates = group.map(({ recordsPerSecond }) => recordsPerSecond)
    const ratios: Partial<Record<Baseline, Ratio>> = {}
    for (const baseline of baselinesOf(name)) {
      const theirs = samples.filter(
        sample =>
          sample.name === baseline && sample.size === size && (baseline !== "offer" || sample.runtime === runtime)
      )
      const ratio = name === baseline ? undefined : ratioOf(group, theirs)
      if (ratio !== undefined) ratios[baseline] = ratio
    }
    const memory = group.at(-1)?.memory
    return [
      {
        name,
        size,
        runtime,
        recordsPerSecond: Math.round(median(rates)),
        lowest: Math.round(Math.min(...rates)),
        highest: Math.round(Math.max(...rates)),
        spread: round(Math.max(...rates) / Math.min(...rates), 2),
        ...present(group, "cpuMicrosPerRecord"),
        ...present(group, "billedPerMillion"),
        ...present(group, "wireBytesPerRecord"),
        ...(memory === undefined ? {} : { memory }),
        ratios
      }
    ]
  })
}

/** One row per client and rate, in the order they first ran. */
export const summarizeLatency = (samples: ReadonlyArray<LatencySample>): ReadonlyArray<LatencyRow> =>
  Array.from(grouped(samples, ({ client, of, share, size }) => `${client} ${size} ${of} ${share}`).values()).flatMap(
    group => {
      const [first] = group
      if (first === undefined) return []
      const { client, of, rate, share, size } = first
      const quantiles = group.flatMap(({ latencyMs }) => latencyMs ?? [])
      const memory = group.at(-1)?.memory
      return [
        {
          client,
          size,
          share,
          of,
          rate,
          recordsPerSecond: Math.round(median(group.map(({ recordsPerSecond }) => recordsPerSecond))),
          latencyMs: {
            p50: round(median(quantiles.map(({ p50 }) => p50)), 3),
            p99: round(median(quantiles.map(({ p99 }) => p99)), 3),
            p999: round(median(quantiles.map(({ p999 }) => p999)), 3),
            most: round(Math.max(...quantiles.map(({ most }) => most)), 3)
          },
          cpuMicrosPerRecord: median(group.flatMap(({ cpuMicrosPerRecord }) => cpuMicrosPerRecord ?? [])),
          ...(memory === undefined ? {} : { memory })
        }
      ]
    }
  )

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
  const shown = baselines.filter(baseline => rows.some(({ ratios }) => ratios[baseline] !== undefined))
  const times = (ratio: Ratio | undefined): string => (ratio === undefined ? "" : `${ratio.rate.median.toFixed(2)}x`)
  const lines = rows.map(row => [
    row.name,
    `${row.size} B`,
    row.runtime,
    row.recordsPerSecond.toLocaleString("en"),
    row.spread.toFixed(2),
    row.cpuMicrosPerRecord?.toFixed(2) ?? "",
    ...shown.map(baseline => times(row.ratios[baseline])),
    row.billedPerMillion === undefined ? "" : Math.round(row.billedPerMillion).toLocaleString("en"),
    row.wireBytesPerRecord?.toFixed(0) ?? ""
  ])
  return aligned([["", "size", "runtime", "records/s", "spread", "CPU us", ...shown, "billed/M", "wire B"], ...lines])
}

export const latencyTable = (rows: ReadonlyArray<LatencyRow>): string => {
  const lines = rows.map(row => [
    row.client,
    `${Math.round(row.share * 100)}% of ${row.of === "offer" ? "offer's highest" : "the slowest's"}`,
    row.recordsPerSecond.toLocaleString("en"),
    ...[row.latencyMs.p50, row.latencyMs.p99, row.latencyMs.p999, row.latencyMs.most].map(ms => `${ms.toFixed(1)} ms`),
    row.cpuMicrosPerRecord.toFixed(2)
  ])
  return aligned([["latency", "load", "records/s", "p50", "p99", "p99.9", "most", "CPU us"], ...lines])
}
