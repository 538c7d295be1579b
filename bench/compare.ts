/** Ratios of one run against those stored of another. */
import type { Baseline, BenchResult, Spread } from "./report.ts"
import { baselines } from "./report.ts"

export interface StoredRatio {
  readonly name: string
  readonly size: number
  readonly runtime: string
  readonly against: Baseline
  /** `rate`: records per second as a multiple of the other's. `cpu`: the other's CPU per record as a multiple of ours. */
  readonly of: "rate" | "cpu"
  readonly ratio: number
  /** The share by which it may fall: how far the rounds were apart, and never less than `leastTolerance`. */
  readonly tolerance: number
}

export interface Stored {
  readonly date: string
  readonly commit: string
  readonly machine: BenchResult["machine"]
  readonly versions: BenchResult["versions"]
  readonly rounds: number
  readonly ratios: ReadonlyArray<StoredRatio>
}

/** What differs between two runs of the same program on a quiet machine. */
const leastTolerance = 0.1
/** A ratio whose rounds are further apart than this guards nothing. */
const mostTolerance = 0.4

/** Peers of which a multiple says how well Spillway does; among themselves they are of no concern. */
const ours = (name: string): boolean =>
  /^(offer|promise|publishAll|effect|keyed-(96|768)|http|parking|draining)$/.test(name)

const toleranceOf = ({ high, low, median }: Spread): number =>
  Number(Math.min(mostTolerance, Math.max(leastTolerance, (high - low) / median)).toFixed(2))

export const ratiosOf = ({ rows }: Pick<BenchResult, "rows">): ReadonlyArray<StoredRatio> =>
  rows
    .filter(({ name }) => ours(name))
    .flatMap(({ name, ratios, runtime, size }) =>
      baselines.flatMap(against => {
        const ratio = ratios[against]
        if (ratio === undefined) return []
        const one = (of: "rate" | "cpu", spread: Spread): StoredRatio => {
          const row = { name, size, runtime, against, of }
          return { ...row, ratio: Number(spread.median.toPrecision(3)), tolerance: toleranceOf(spread) }
        }
        return [one("rate", ratio.rate), ...(ratio.cpu === undefined ? [] : [one("cpu", ratio.cpu)])]
      })
    )

export const stored = (result: BenchResult): Stored => {
  const { commit, date, machine, rounds, versions } = result
  return { date, commit, machine, versions, rounds, ratios: ratiosOf(result) }
}

export interface Verdict {
  readonly before: StoredRatio
  /** undefined: it was not measured this time. */
  readonly now: number | undefined
  /** What it is a multiple of what it was: below 1 it fell. */
  readonly change: number
  /** `missing` counts as worse: a row that fails must not look like one that holds. */
  readonly verdict: "worse" | "missing" | "same" | "better"
}

const keyOf = ({ against, name, of, runtime, size }: StoredRatio): string =>
  `${name} ${size} ${runtime} ${against} ${of}`

/** Every stored ratio beside what it is now, those that fell most first. */
export const compare = (
  before: ReadonlyArray<StoredRatio>,
  now: ReadonlyArray<StoredRatio>
): ReadonlyArray<Verdict> => {
  const measured = new Map(now.map(ratio => [keyOf(ratio), ratio.ratio]))
  return before
    .map((ratio): Verdict => {
      const found = measured.get(keyOf(ratio))
      if (found === undefined) return { before: ratio, now: undefined, change: 0, verdict: "missing" }
      const change = found / ratio.ratio
      const verdict = change < 1 - ratio.tolerance ? "worse" : change > 1 + ratio.tolerance ? "better" : "same"
      return { before: ratio, now: found, change, verdict }
    })
    .sort((a, b) => a.change - b.change)
}

/** A newer baseline beside an older one: what was not measured again stays. */
export const renewed = (before: Stored | undefined, now: Stored): Stored => {
  const keys = new Set(now.ratios.map(keyOf))
  return { ...now, ratios: [...(before?.ratios.filter(ratio => !keys.has(keyOf(ratio))) ?? []), ...now.ratios] }
}

export const fell = (verdicts: ReadonlyArray<Verdict>): boolean =>
  verdicts.some(({ verdict }) => verdict === "worse" || verdict === "missing")
