/** How figures are written. */
const digits = (value: number, count: number): string =>
  value.toLocaleString("en", { minimumFractionDigits: count, maximumFractionDigits: count })

/** About three significant digits: 1,234,567 · 12.3 · 0.456. */
export const figure = (value: number): string => {
  const size = Math.abs(value)
  if (!Number.isFinite(value)) return "–"
  if (Number.isInteger(value) || size >= 100) return digits(value, 0)
  return digits(value, size >= 10 ? 1 : size >= 1 ? 2 : 3)
}

/** For axes: 1.2 M, 340 k. */
export const short = (value: number): string => {
  const size = Math.abs(value)
  const plain = (scaled: number): string => String(Number(scaled.toPrecision(3)))
  if (size >= 1e6) return `${plain(value / 1e6)} M`
  return size >= 1e4 ? `${plain(value / 1e3)} k` : size >= 1000 ? digits(value, 0) : plain(value)
}

export const times = (ratio: number): string => `${ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(1)}×`

export const bytes = (count: number): string => `${count.toLocaleString("en")} B`
