/**
 * How far a command is, on one line of a terminal.
 */
import type { Totals } from "./pump.ts"

export interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

export interface Progress {
  /** Writes a line above the progress. */
  readonly say: (line: string) => void
  readonly end: () => void
}

const everyMs = 200
const barWidth = 20
const clear = "\r\u001b[K"

const count = (value: number): string => Math.round(value).toLocaleString("en-US")

/** @param share of the source that was read; undefined: how long it is is not known */
export const line = (totals: Totals, share: number | undefined, seconds: number): string => {
  const filled = Math.round(Math.min(1, share ?? 0) * barWidth)
  const bar =
    share === undefined
      ? ""
      : `[${"#".repeat(filled)}${"-".repeat(barWidth - filled)}] ${String(Math.floor(Math.min(1, share) * 100)).padStart(3)}%  `
  const { delivered, diverted, failed, records, rejected, spooled } = totals
  const others = Object.entries({ diverted, spooled, rejected, failed }).filter(([, value]) => value > 0)
  const rest = others.map(([name, value]) => `, ${count(value)} ${name}`).join("")
  return `${bar}${count(records)} records, ${count(records / Math.max(seconds, 0.001))}/s: ${count(delivered)} delivered${rest}`
}

/** Shows `now` again and again while the terminal is one; nothing but what is said otherwise. */
export const start = (terminal: Terminal, now: () => string): Progress => {
  if (terminal.isTTY !== true) return { say: text => void terminal.write(`${text}\n`), end: () => {} }
  const draw = () => terminal.write(`${clear}${now().slice(0, (terminal.columns ?? 80) - 1)}`)
  const timer = setInterval(draw, everyMs)
  draw()
  return {
    say: text => {
      terminal.write(`${clear}${text}\n`)
      draw()
    },
    end: () => {
      clearInterval(timer)
      terminal.write(clear)
    }
  }
}
