/**
 * Brings records from their source to an outcome each: several requests under way, what failed sent again under its id, and
 * never more in memory than what is under way.
 */
import { setTimeout as delay } from "node:timers/promises"
import type { CommandError } from "../exit.ts"
import type { Line } from "./lines.ts"
import { type Prepared, prepare } from "./Prepared.ts"
import type { Result, Send } from "./Result.ts"

export interface Totals {
  records: number
  delivered: number
  diverted: number
  spooled: number
  rejected: number
  failed: number
}

export interface Options {
  readonly topic: string
  readonly source: AsyncIterable<ReadonlyArray<Line>>
  /** False: the source is a single record, and has no lines. */
  readonly numbered: boolean
  readonly send: Send
  readonly nextId: () => string
  /** Requests under way; 1 keeps the order of the source. */
  readonly inFlight: number
  /** How long what failed is sent again, ms. */
  readonly retryForMs: number
  /** Nothing more is read or sent again; what is under way is waited for. */
  readonly stop: AbortSignal
  readonly totals: Totals
  readonly onResult: (line: number | undefined, result: Result) => void
}

/** Records of one request. */
const mostRecords = 5000
/** Characters of the records under way at once, unless it is one record alone. */
const mostCharacters = 32 * 1024 * 1024
/** Pause before the first time something is sent again; doubles up to the second figure, ms. */
const pauseMs = { first: 200, most: 5000 }

const untold: Result = { outcome: "failed", reason: "Unreadable", message: "the answer does not name it" }

/** Resolves when the source is at its end, or must not go on, and every record begun has its outcome. */
export const pump = async (options: Options): Promise<CommandError | undefined> => {
  const { inFlight, nextId, numbered, onResult, retryForMs, send, stop, topic, totals } = options
  let refusal: CommandError | undefined
  let characters = 0
  const underWay = new Set<Promise<void>>()
  const over = () => stop.aborted || refusal !== undefined

  const settle = (line: number | undefined, result: Result) => {
    totals.records++
    totals[result.outcome]++
    onResult(line, result)
  }

  /** Sends them until each has an outcome that stays. */
  const see = async (records: ReadonlyArray<Prepared>): Promise<void> => {
    const until = performance.now() + retryForMs
    let left = records
    for (let pause = pauseMs.first; ; pause = Math.min(pause * 2, pauseMs.most)) {
      const sent = await send(left)
      refusal ??= sent.refusal
      const failed: Array<readonly [Prepared, Result]> = []
      left.forEach((one, index) => {
        const result = sent.results[index] ?? untold
        if (result.outcome === "failed") failed.push([one, result])
        else settle(one.line, result)
      })
      if (failed.length === 0) return
      const wait = Math.max(pause, sent.retryAfterMs ?? 0)
      const late = performance.now() + wait > until
      if (!late && !over()) await delay(wait, undefined, { signal: stop }).catch(() => undefined)
      if (late || over()) {
        for (const [{ line }, result] of failed) settle(line, result)
        return
      }
      left = failed.map(([one]) => one)
    }
  }

  const begin = async (records: ReadonlyArray<Prepared>) => {
    const size = records.reduce((sum, { text }) => sum + text.length, 0)
    while (underWay.size > 0 && (underWay.size >= inFlight || characters + size > mostCharacters)) {
      await Promise.race(underWay)
    }
    if (over()) return
    characters += size
    const work: Promise<void> = see(records).finally(() => {
      characters -= size
      underWay.delete(work)
    })
    underWay.add(work)
  }

  const read = async () => {
    for await (const lines of options.source) {
      for (let from = 0; from < lines.length; from += mostRecords) {
        if (over()) return
        const records: Array<Prepared> = []
        for (const line of lines.slice(from, from + mostRecords)) {
          if (line.text?.trim() === "") continue
          const one = prepare(topic, line, numbered ? line.number : undefined, nextId)
          if ("record" in one) records.push(one)
          else settle(one.line, one.result)
        }
        if (records.length > 0) await begin(records)
      }
    }
  }

  try {
    await read()
  } catch (cause) {
    // A source that waits for more is closed to stop it.
    if (!stop.aborted) throw cause
  } finally {
    await Promise.all(underWay)
  }
  return refusal
}
