/** Whether a figure grows: least squares, with a confidence interval that knows that one sample resembles the next. */
import { median } from "./proc.ts"

export interface Trend {
  /** Per hour, in the figure's own unit. */
  readonly slope: number
  /** Half of the 95 % confidence interval. */
  readonly within: number
  readonly median: number
  readonly samples: number
  /** No growth beyond the noise: zero is in the interval, or below it, or an hour's growth is under a hundredth. Nothing is said by two samples. */
  readonly flat: boolean
}

/** `at` in seconds. */
export const trendOf = (points: ReadonlyArray<{ readonly at: number; readonly value: number }>): Trend => {
  const count = points.length
  const mean = (of: (point: (typeof points)[number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / Math.max(1, count)
  const hours = mean(({ at }) => at / 3600)
  const level = mean(({ value }) => value)
  let spread = 0
  let together = 0
  for (const { at, value } of points) {
    spread += (at / 3600 - hours) ** 2
    together += (at / 3600 - hours) * (value - level)
  }
  const slope = spread === 0 ? 0 : together / spread
  const residuals = points.map(({ at, value }) => value - level - slope * (at / 3600 - hours))
  const squares = residuals.reduce((sum, residual) => sum + residual ** 2, 0)
  // What the neighbour says already says nothing new: so many independent samples these are worth.
  const products = residuals.reduce((sum, residual, index) => sum + residual * (residuals[index - 1] ?? 0), 0)
  const likeness = squares === 0 ? 0 : Math.min(0.99, Math.max(0, products / squares))
  const inflation = (1 + likeness) / (1 - likeness)
  const independent = Math.max(5, count / inflation)
  const variance = squares / Math.max(1, count - 2)
  const within =
    spread === 0 ? Number.POSITIVE_INFINITY : studentT(independent - 2) * Math.sqrt((variance * inflation) / spread)
  return {
    slope,
    within,
    median: median(points.map(({ value }) => value)),
    samples: count,
    flat: count > 2 && (slope - within <= 0 || slope < Math.abs(level) / 100)
  }
}

/** 97.5 % quantile of Student's distribution, by its expansion around the normal one (Abramowitz and Stegun, 26.7.5). */
const studentT = (degrees: number): number => {
  const z = 1.959964
  return (
    z +
    (z ** 3 + z) / (4 * degrees) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * degrees ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * degrees ** 3)
  )
}
