/**
 * The status as people read it.
 */
import type { StatusPage } from "./StatusPage.ts"

type Paint = (text: string) => string

/** How words are set off; `plain` leaves them alone. */
export interface Palette {
  readonly title: Paint
  readonly good: Paint
  readonly warning: Paint
  readonly bad: Paint
}

const plain: Palette = { title: text => text, good: text => text, warning: text => text, bad: text => text }

const sgr =
  (code: number): Paint =>
  text =>
    `\u001b[${code}m${text}\u001b[0m`
const coloured: Palette = { title: sgr(1), good: sgr(32), warning: sgr(33), bad: sgr(31) }

export const palette = (colours: boolean): Palette => (colours ? coloured : plain)

export const count = (value: number): string => Math.round(value).toLocaleString("en-US")

/** About how long, in the two largest units. */
export const duration = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000))
  for (const [size, name, smaller, rest] of [
    [86_400, "d", 3600, "h"],
    [3600, "h", 60, "min"],
    [60, "min", 1, "s"]
  ] as const) {
    if (seconds >= size)
      return `${Math.floor(seconds / size)} ${name} ${Math.floor((seconds % size) / smaller)} ${rest}`
  }
  return `${seconds} s`
}

const milliseconds = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : count(ms)} ms`

const size = (bytes: number): string => {
  for (const [unit, name] of [
    [1024 ** 3, "GiB"],
    [1024 ** 2, "MiB"],
    [1024, "KiB"]
  ] as const) {
    if (bytes >= unit) return `${(bytes / unit).toFixed(1)} ${name}`
  }
  return `${bytes} B`
}

/** Text of other hosts: it must not act on the terminal. */
const safe = (text: string): string => text.replaceAll(/\p{Cc}/gu, " ")

const accounting = ({ accounting: a }: StatusPage, { bad }: Palette): ReadonlyArray<string> => {
  const parts = [
    ["delivered", a.delivered],
    ["diverted", a.diverted],
    ["spooled", a.spooled],
    ["rejected", a.rejected],
    ["failed", a.failed],
    ["in memory", a.inMemory]
  ] as const
  const missing = a.accepted - parts.reduce((sum, [, records]) => sum + records, 0)
  const lines = [
    `${count(a.accepted)} accepted = ${parts.map(([name, records]) => `${count(records)} ${name}`).join(" + ")}`,
    `${count(a.redelivered)} replayed, ${count(a.deadLettered)} dead letters; ${count(a.divertedUnknown)} of the diverted may be in Kafka as well`
  ]
  return missing === 0 ? lines : [...lines, bad(`this does not add up: ${count(missing)} records are unaccounted for`)]
}

const breakers = ({ connections }: StatusPage, now: number, { bad, good, warning }: Palette): ReadonlyArray<string> =>
  connections.flatMap(({ breaker, connection }) => {
    const { forced, nextProbeAt, partitions, reason, since, state } = breaker
    const paint = state === "closed" ? good : state === "open" ? bad : warning
    const probe = nextProbeAt > 0 && forced === undefined ? `, next probe in ${duration(nextProbeAt - now)}` : ""
    const why = reason === "" ? "" : `: ${safe(reason)}`
    const first = `${connection}  ${paint(state)} for ${duration(now - since)}${probe}${why}`
    return partitions.length === 0 ? [first] : [first, warning(`  diverted partitions: ${partitions.join(", ")}`)]
  })

const queues = ({ connections }: StatusPage, { bad }: Palette): ReadonlyArray<string> =>
  connections.flatMap(({ fallbacks }) =>
    fallbacks.flatMap(({ deadLetterQueue, depth, fault, queue, replay, topic, writer }) => {
      const lies =
        depth === undefined
          ? "depth not known"
          : `${count(depth.visible)} messages, ${count(depth.delayed)} delayed, ${count(depth.inFlight)} in flight`
      const pace = replay.runners === 0 ? "not by this instance" : `up to ${count(replay.recordsPerSecond)}/s`
      return [
        `${topic} to ${queue}  ${lies}; ${count(writer.pendingRecords)} records on their way into it`,
        `  replay: ${count(replay.redelivered)} records so far, ${pace}; ` +
          `dead letters: ${count(replay.deadLettered)} into ${deadLetterQueue}`,
        ...(fault === "" ? [] : [bad(`  ${safe(fault)}`)])
      ]
    })
  )

const spooled = ({ spool }: StatusPage, now: number, { bad, warning }: Palette): ReadonlyArray<string> => {
  if (spool === undefined) return []
  const { bytes, fault, maxBytes, oldestAt, path, records, unreadable } = spool
  const oldest = oldestAt === undefined ? "" : `, oldest ${duration(now - oldestAt)}`
  const line = `${path}  ${count(records)} records, ${size(bytes)} of ${size(maxBytes)}${oldest}`
  return [
    records === 0 ? line : warning(line),
    ...(unreadable === 0 ? [] : [bad(`  ${count(unreadable)} records cannot be read`)]),
    ...(fault === "" ? [] : [bad(`  ${safe(fault)}`)])
  ]
}

const latencies = ({ publishLatency }: StatusPage): ReadonlyArray<string> =>
  (["delivered", "diverted", "spooled"] as const).flatMap(outcome => {
    const { count: records, max, p50, p99 } = publishLatency[outcome]
    if (records === 0) return []
    const times = `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}, max ${milliseconds(max)}`
    return [`${outcome.padEnd(9)}  ${times}  (${count(records)} records)`]
  })

const width = 12

/** The lines of a section, its name before the first; nothing when it has none. */
const section = (name: string, lines: ReadonlyArray<string>, { title }: Palette): string =>
  lines.map((line, index) => `${index === 0 ? title(name.padEnd(width)) : " ".repeat(width)}${line}\n`).join("")

/** @param now ms since the epoch */
export const picture = (status: StatusPage, now: number, colours: Palette = plain): string => {
  const { readiness, reasons } = status.health
  const paint = readiness === "accepting" ? colours.good : readiness === "degraded" ? colours.warning : colours.bad
  const parts: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["instance", [`${safe(status.instance)}, up ${duration(now - status.startedAt)}`]],
    ["readiness", [paint(readiness), ...reasons.map(reason => `  ${safe(reason)}`)]],
    ["records", accounting(status, colours)],
    ["breakers", breakers(status, now, colours)],
    ["queues", queues(status, colours)],
    ["spool", spooled(status, now, colours)],
    ["latency", latencies(status)]
  ]
  return parts.map(([name, lines]) => section(name, lines, colours)).join("")
}
