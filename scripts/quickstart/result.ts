/**
 * The quickstart's result: one table for people, the same as one line of JSON for programs.
 */
import { byPhase } from "./Load.ts"
import { count, type Screen, time } from "./Screen.ts"
import type { Told } from "./Story.ts"

const round = (ms: number | undefined): number => Math.round((ms ?? 0) * 10) / 10

/** What `--json` prints. Latencies in ms. */
export const toJson = ({ account, load, watch }: Told) => ({
  published: load.published,
  delivered: load.counts.delivered,
  diverted: load.counts.diverted,
  spooled: load.counts.spooled,
  rejected: load.counts.rejected,
  redelivered: watch.redelivered,
  deadLettered: account.deadLettered,
  inKafka: account.inKafka,
  lost: account.lost.length,
  duplicated: account.duplicated,
  p99Ms: byPhase(phase => round(load.latency(phase, 0.99)))
})

export const show = (screen: Screen, told: Told): void => {
  const { account, load, watch } = told
  const { lost } = account
  const row = (name: string, value: number, note: string, colour?: "green" | "red") => {
    const figure = count(value).padStart(9)
    const painted = colour === undefined ? figure : screen.paint(colour, figure)
    screen.line(`   ${name.padEnd(14)}${painted}   ${screen.paint("dim", note)}`)
  }
  screen.step(7, "Result")
  row("published", load.published, "answered 201 or 202")
  row("  delivered", load.counts.delivered, "by Kafka at once")
  row("  diverted", load.counts.diverted, "durable in SQS first")
  if (load.counts.spooled > 0) row("  spooled", load.counts.spooled, "durable on disk first")
  if (load.counts.rejected > 0) row("rejected", load.counts.rejected, "for good, with the reason")
  row("refused", load.counts.refused, "no answer, 429 or 5xx: the publisher knows")
  row("redelivered", watch.redelivered, "from SQS to Kafka, copies included")
  row("dead-lettered", account.deadLettered, "given up by the retry daemon, with the reason")
  row("lost", lost.length, "published, and neither in Kafka nor dead-lettered", lost.length === 0 ? "green" : "red")
  const unknown = `same id, so consumers can tell; ${count(watch.unknown)} attempts had an unknown end`
  row("duplicated", account.duplicated, unknown)
  screen.line()
  const heads = ["before", "while Kafka was down", "after"]
  screen.line(`   ${"publish latency".padEnd(17)}${heads.map(head => head.padStart(22)).join("")}`)
  for (const [name, q] of [["p50", 0.5] as const, ["p99", 0.99] as const]) {
    const { after, before, during } = byPhase(phase => time(load.latency(phase, q) ?? 0))
    screen.line(`   ${name.padEnd(17)}${[before, during, after].map(cell => cell.padStart(22)).join("")}`)
  }
  screen.line(
    `   ${screen.paint("dim", "A record waits for Kafka at most 1 s (write_timeout) before it is diverted.")}`
  )
  screen.line()
  for (const id of lost.slice(0, 10)) screen.bad(`lost: ${id}`)
}
