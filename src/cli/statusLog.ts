/**
 * What changed between two looks at the runtime's status, as lines for the log. Never a line per record: what may go on and on
 * (dead letters, failed records) is counted, and told at most every ten seconds.
 */
import type { FallbackStatus, Status } from "../Spillway.ts"

export type Level = "info" | "warning" | "error"

export interface Entry {
  readonly level: Level
  readonly message: string
  /** For machines: what the line is about, and its figures. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** How often what is counted is told at most, ms. */
const countedEveryMs = 10_000

const readinessLevels = { accepting: "info", degraded: "warning", refusing: "error" } as const

export class StatusLog {
  /** What each thing was at the last look. */
  readonly #states = new Map<string, unknown>()
  /** What each count was when it was last told, and when that was. */
  readonly #counts = new Map<string, { readonly count: number; readonly at: number }>()

  /** Lines for what is not as it was. At the first look that is what is not as it should be. */
  look(status: Status, now: number): ReadonlyArray<Entry> {
    const { accounting, connections, health, spool, telemetry } = status
    const entries: Array<Entry> = []
    const add = (level: Level, event: string, message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      entries.push({ level, message, fields: { event, ...fields } })

    if (this.#changed("readiness", health.readiness, undefined)) {
      const { readiness, reasons } = health
      const why = reasons.length === 0 ? "" : `: ${reasons.join("; ")}`
      const level = reasons.join() === "shutting down" ? "info" : readinessLevels[readiness]
      add(level, "readiness", `readiness: ${readiness}${why}`, { readiness, reasons })
    }
    const failed = this.#more("failed", accounting.failed, now)
    if (failed > 0) {
      add("warning", "failed", `${failed} records found no durable place: their callers were told`, { records: failed })
    }
    for (const { breaker, connection, fallbacks } of connections) {
      for (const fallback of fallbacks) this.#fallback(fallback, connection, breaker.state === "open", now, add)
    }
    if (spool !== undefined) {
      const { drained, fault, path, records } = spool
      if (this.#changed("spool fault", fault, "")) {
        add(fault === "" ? "info" : "error", "spool", fault === "" ? `spool ${path}: can store again` : fault, { path })
      }
      if (this.#changed("spool", records > 0, false)) {
        if (records > 0) add("warning", "spool", `spool ${path} in use: ${records} records`, { path, records })
        else {
          const since = `${drained.kafka} records to Kafka, ${drained.queue} to the fallback queue since the start`
          add("info", "spool", `spool ${path} is empty again: ${since}`, { path, records, ...drained })
        }
      }
    }
    if (telemetry !== undefined && this.#changed("telemetry", telemetry.fault, "")) {
      const { droppedSpans, fault } = telemetry
      if (fault === "") add("info", "telemetry", "telemetry: exported again", { droppedSpans })
      else add("warning", "telemetry", `telemetry is not exported: ${fault}`, { fault, droppedSpans })
    }
    return entries
  }

  #fallback(
    { deadLetterQueue, fault, queue, replay, writer }: FallbackStatus,
    connection: string,
    paused: boolean,
    now: number,
    add: (level: Level, event: string, message: string, fields: Readonly<Record<string, unknown>>) => void
  ): void {
    if (replay.runners > 0 && this.#changed(`paused ${connection} ${queue}`, paused, false)) {
      const why = paused ? `paused: circuit breaker of ${connection} open` : "goes on"
      add("info", "replay", `replay from ${queue} ${why}`, { queue, connection, paused })
    }
    if (this.#changed(`fault ${connection} ${queue}`, fault, "")) {
      const text = fault === "" ? "usable again" : fault
      add(fault === "" ? "info" : "warning", "fallback queue", `fallback queue ${queue}: ${text}`, { queue, fault })
    }
    const { backlog } = writer
    if (backlog !== undefined && this.#changed(`backlog ${connection} ${queue}`, backlog.state, "open")) {
      const { maxMessages, messages, state } = backlog
      const text = `backlog ${state}, about ${messages} of ${maxMessages} messages`
      add(state === "open" ? "info" : "warning", "backlog", `fallback queue ${queue}: ${text}`, {
        queue,
        state,
        messages
      })
    }
    for (const [reason, count] of Object.entries(replay.deadLetters)) {
      const records = this.#more(`dead ${connection} ${queue} ${reason}`, count, now)
      if (records === 0) continue
      const message = `${records} records given up (${reason}): they are in ${deadLetterQueue}`
      add("warning", "dead letters", message, { queue: deadLetterQueue, reason, records })
    }
  }

  #changed(name: string, value: unknown, initial: unknown): boolean {
    const before = this.#states.has(name) ? this.#states.get(name) : initial
    this.#states.set(name, value)
    return value !== before
  }

  /** By how much a counter has grown since it was last told; 0 while it is too early to tell again. */
  #more(name: string, count: number, now: number): number {
    const told = this.#counts.get(name) ?? { count: 0, at: Number.NEGATIVE_INFINITY }
    if (count <= told.count || now - told.at < countedEveryMs) return 0
    this.#counts.set(name, { count, at: now })
    return count - told.count
  }
}
