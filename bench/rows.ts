/** Which rows there are, and in which order a run takes them. */
import type { Job } from "./window.ts"

export interface Contender {
  readonly name: string
  /** Of the topic; 6 unless it says otherwise. */
  readonly partitions?: number
  readonly runtime: "bun" | "deno" | "go" | "java"
  readonly sizes: ReadonlyArray<number>
  readonly sqs: boolean
  /** Of its record batches; none unless it says otherwise. */
  readonly compression?: Job["compression"]
  /** Left out of a quick run that takes every row. */
  readonly onlyInFull?: boolean
}

export const sizes = [200, 1000, 10_000] as const
const small = [200, 1000]

const spillway = (runtime: "bun" | "deno"): ReadonlyArray<Contender> => [
  { name: "offer", runtime, sizes, sqs: false },
  { name: "promise", runtime, sizes: small, sqs: false },
  { name: "publishAll", runtime, sizes: small, sqs: false },
  { name: "effect", runtime, sizes: small, sqs: false },
  { name: "parking", runtime, sizes: [200], sqs: true },
  { name: "draining", runtime, sizes: [200], sqs: true }
]

const keyed = (partitions: number): Contender => ({
  name: `keyed-${partitions}`,
  partitions,
  runtime: "bun",
  sizes: small,
  sqs: false
})

const compressedInQuick = new Set(["offer-zstd", "franz-go-snappy"])
const compressed = (name: string, runtime: Contender["runtime"]): ReadonlyArray<Contender> =>
  (["zstd", "lz4", "snappy", "gzip"] as const).map(compression => ({
    name: `${name}-${compression}`,
    runtime,
    sizes: small,
    sqs: false,
    compression,
    onlyInFull: !compressedInQuick.has(`${name}-${compression}`)
  }))

/** @param go whether Go's contenders can run here */
export const contenders = ({
  deno,
  go
}: {
  readonly deno: boolean
  readonly go: boolean
}): ReadonlyArray<Contender> => [
  ...spillway("bun"),
  ...(deno ? spillway("deno") : []),
  { name: "kafkajs", runtime: "bun", sizes, sqs: false },
  { name: "platformatic", runtime: "bun", sizes, sqs: false },
  { name: "java", runtime: "java", sizes, sqs: false },
  ...(go ? [{ name: "franz-go", runtime: "go", sizes, sqs: false } as const] : []),
  { name: "static", runtime: "bun", sizes, sqs: false },
  ...[6, 96, 768].map(keyed),
  ...compressed("offer", "bun"),
  ...(deno ? compressed("offer", "deno") : []),
  ...compressed("java", "java"),
  ...(go ? compressed("franz-go", "go") : []),
  { name: "http", runtime: "bun", sizes: small, sqs: false },
  { name: "http-ndjson", runtime: "bun", sizes: [200], sqs: false },
  ...(go ? [{ name: "http-benthos", runtime: "go", sizes: small, sqs: false } as const] : []),
  { name: "http-echo", runtime: "bun", sizes: small, sqs: false },
  { name: "http-256", runtime: "bun", sizes: small, sqs: false, onlyInFull: true },
  { name: "http-echo-256", runtime: "bun", sizes: small, sqs: false, onlyInFull: true },
  { name: "parking-floor", runtime: "bun", sizes: [200], sqs: true },
  { name: "draining-floor", runtime: "bun", sizes: [200], sqs: true },
  { name: "sqs-singles", runtime: "bun", sizes: [200], sqs: true }
]

/** Latency by load is measured for these, `latency-offer` and so on. */
export const latencyClients = ["offer", "kafkajs", "platformatic"] as const
export type LatencyClient = (typeof latencyClients)[number]
/** Shares of a highest rate. */
const shares = { full: [0.1, 0.25, 0.5, 0.75, 0.9], quick: [0.1, 0.5, 0.9] } as const
const latencySize = 200
/** Three small brokers on one machine do not take 768 partitions of three replicas each within a window. */
const mostPartitionsOfThree = 96

export interface Choice {
  /** Names of rows, or `latency`; all when there are none. */
  readonly only: ReadonlyArray<string>
  readonly sizes: ReadonlyArray<number>
  readonly quick: boolean
  readonly rounds: number
  readonly brokers: 1 | 3
}

export interface Step {
  readonly contender: Contender
  readonly size: number
  readonly round: number
}

/** A step whose rate is known only when the highest rates are. */
export interface LatencyStep {
  readonly client: LatencyClient
  readonly size: number
  readonly round: number
  readonly share: number
  /** Of Spillway's own highest rate, or of the slowest client's, which all of them can take. */
  readonly of: "offer" | "slowest"
}

export interface Plan {
  readonly steps: ReadonlyArray<Step>
  readonly latency: ReadonlyArray<LatencyStep>
}

/**
 * Throughput first, in rounds, then latency by load at shares of the rates that showed. With three brokers what does not
 * end in Kafka is left out, and very many partitions are.
 */
export const planOf = (all: ReadonlyArray<Contender>, choice: Choice): Plan => {
  const { brokers, only, quick, rounds } = choice
  const every = only.length === 0
  const names = [...all.map(({ name }) => name), "latency"]
  const unknown = only.find(name => !names.includes(name))
  if (unknown !== undefined) throw new Error(`there is no row ${unknown}; there are ${[...new Set(names)].join(", ")}`)
  const wanted = choice.sizes.length > 0 ? choice.sizes : quick ? small : sizes
  const latency = (every || only.includes("latency")) && wanted.includes(latencySize)
  const roundsOf = Array.from({ length: rounds }, (_, index) => index + 1)
  const chosen = (contender: Contender, size: number): boolean =>
    contender.sizes.includes(size) &&
    (brokers === 1 || (!contender.sqs && (contender.partitions ?? 0) <= mostPartitionsOfThree)) &&
    ((every && !(quick && contender.onlyInFull === true)) ||
      only.includes(contender.name) ||
      (latency && size === latencySize && latencyClients.some(client => client === contender.name)))
  const steps = roundsOf.flatMap(round =>
    sizes
      .filter(size => wanted.includes(size))
      .flatMap(size => all.filter(one => chosen(one, size)).map(contender => ({ contender, size, round })))
  )
  const load = quick ? shares.quick : shares.full
  const paced = (round: number): ReadonlyArray<LatencyStep> => [
    ...load.flatMap(share =>
      latencyClients.map(client => ({ client, size: latencySize, round, share, of: "slowest" }) as const)
    ),
    ...load.map(share => ({ client: "offer", size: latencySize, round, share, of: "offer" }) as const)
  ]
  return { steps, latency: latency ? roundsOf.flatMap(paced) : [] }
}

/**
 * Where a run is when a row has ended: `row 7 of 40, about 4 min left`.
 *
 * @param expected seconds each row is expected to take, in order
 * @param done rows that have ended
 * @param elapsed seconds since the first row began; corrects what was expected
 */
export const progress = (expected: ReadonlyArray<number>, done: number, elapsed: number): string => {
  const sum = (from: number, to?: number) => expected.slice(from, to).reduce((total, seconds) => total + seconds, 0)
  const behind = sum(0, done)
  const left = sum(done) * (behind === 0 ? 1 : elapsed / behind)
  const about = left >= 90 ? `${Math.round(left / 60)} min` : `${Math.max(5, Math.round(left / 5) * 5)} s`
  return `row ${done} of ${expected.length}${done < expected.length ? `, about ${about} left` : ""}`
}
