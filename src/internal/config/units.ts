/**
 * Durations and sizes as people write them.
 */

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `1s`, `250ms`, `1h30m`, `1.5s`: whole milliseconds; undefined for anything else. As Go's ParseDuration, from ms up. */
export const parseDuration = (text: string): number | undefined => {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/.test(text)) return undefined
  let sum = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    sum += Number(amount) * (durationUnits[unit ?? ""] ?? Number.NaN)
  }
  const rounded = Math.round(sum)
  return Math.abs(sum - rounded) < 1e-6 && Number.isSafeInteger(rounded) ? rounded : undefined
}

export const formatDuration = (ms: number): string => {
  if (ms === 0) return "0s"
  let rest = ms
  let text = ""
  for (const [unit, size] of [
    ["h", 3_600_000],
    ["m", 60_000],
    ["s", 1000],
    ["ms", 1]
  ] as const) {
    const count = Math.floor(rest / size)
    if (count > 0) text += `${count}${unit}`
    rest -= count * size
  }
  return text
}

const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3
}

/** `1048576`, `64KiB`, `1.5MiB`, `1MB`: whole bytes; undefined for anything else. */
export const parseSize = (text: string): number | undefined => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?(|B|KB|MB|GB|KiB|MiB|GiB)$/.exec(text) ?? []
  const bytes = Number(amount) * (sizeUnits[unit ?? "?"] ?? Number.NaN)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

export const formatSize = (bytes: number): string => {
  for (const unit of ["GiB", "MiB", "KiB"] as const) {
    const size = sizeUnits[unit] ?? 1
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`
  }
  return `${bytes}`
}
