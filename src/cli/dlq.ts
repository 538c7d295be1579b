/**
 * `dlq`: what lies in a dead-letter queue, why, and the way back or out.
 */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { DeadRecord, Redriven, Summary, UnreadableLetter } from "../DeadLetters.ts"
import * as Exit from "./exit.ts"
import { interruptible } from "./interruption.ts"
import * as Letters from "./letters.ts"
import * as Shared from "./options.ts"

const { note, printable, since, write } = Letters

const dryRun = Options.boolean("dry-run").pipe(
  Options.withDescription("Only say what would be done; nothing is changed.")
)

const looked = (complete: boolean, seen: number): string =>
  complete ? `all ${seen} messages looked at` : `${seen} messages looked at, there may be more`

const summaryText = (summary: Summary, now: number): string => {
  const { complete, depth, expiresAt, groups, messages, queue, records, seen } = summary
  const head = `${queue}: ${records} records in ${messages} messages (${looked(complete, seen)})`
  const rows = groups.map(({ error, messages, newest, oldest, reason, records, topic }) => [
    printable(topic ?? "-"),
    printable(reason),
    String(records),
    String(messages),
    since(now - oldest),
    since(now - newest),
    printable(error).slice(0, 80)
  ])
  const lines = [head]
  if (rows.length > 0) {
    lines.push(Letters.table([["TOPIC", "REASON", "RECORDS", "MESSAGES", "OLDEST", "NEWEST", "ERROR"], ...rows]))
  }
  if (expiresAt !== undefined) lines.push(`SQS deletes the first of them in ${since(expiresAt - now)}`)
  if (depth.inFlight > 0) lines.push(`${depth.inFlight} messages were held by others, or by a look that was killed`)
  return lines.join("\n")
}

const warnings = ({ maxReceiveCount, queue, receives }: Summary): ReadonlyArray<string> =>
  maxReceiveCount === undefined
    ? []
    : [
        `warning: ${queue} has a redrive policy: SQS moves a message away that was received ${maxReceiveCount} times, and each look is a receive (so far ${receives} at most). A dead-letter queue should have none.`
      ]

const ls = Command.make(
  "ls",
  {
    ...Letters.selection,
    limit: Letters.count("limit", "Messages to be looked at at most; 10000 by default."),
    json: Shared.json
  },
  ({ json, limit, ...selection }) => {
    let sofar = 0
    const report = Letters.progress()
    const work = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const filter = Letters.filterOf(selection, now)
      const onProgress = (seen: number) => {
        sofar = seen
        report(() => `${seen} messages looked at`)
      }
      const summaries: Array<Summary> = []
      for (const letters of yield* Letters.services(selection)) {
        summaries.push(yield* Letters.orUnavailable(letters.list({ filter, maxMessages: limit, onProgress })))
      }
      for (const line of summaries.flatMap(warnings)) note(line)
      if (!json) return write(summaries.map(summary => summaryText(summary, now)).join("\n\n"))
      const iso = (ms: number) => new Date(ms).toISOString()
      const queues = summaries.map(({ expiresAt, groups, ...summary }) => ({
        ...summary,
        ...(expiresAt === undefined ? {} : { expiresAt: iso(expiresAt) }),
        groups: groups.map(({ newest, oldest, ...group }) => ({ ...group, oldest: iso(oldest), newest: iso(newest) }))
      }))
      write(JSON.stringify({ queues }))
    })
    return interruptible(Effect.scoped(work), () => `interrupted: ${sofar} messages looked at and handed back`)
  }
).pipe(
  Command.withDescription(
    "What lies in the dead-letter queues, by topic and reason. Every message is received, hidden from others while this runs, and handed back: a look changes nothing but SQS's receive counts.\n\nExample:\n  spillway dlq ls --config app.yaml --older-than 24h"
  )
)

const valueCharacters = 400

const recordText = (item: DeadRecord | UnreadableLetter, shown: Readonly<Record<string, unknown>>): string => {
  const valueOf = (name: string): string => {
    const base64 = shown[`${name}Base64`]
    const value = base64 === undefined ? shown[name] : `base64 ${String(base64)}`
    const whole = value === null || value === undefined ? "none" : printable(String(value))
    return whole.length <= valueCharacters ? whole : `${whole.slice(0, valueCharacters)}... (--json shows more)`
  }
  const rows: Array<readonly [string, string]> = []
  if (item._tag === "Record") {
    rows.push(["key", valueOf("key")], ["value", valueOf("value")])
    const headers = item.headers.map(
      ([name, value]) => `${name}=${value === null ? "" : Buffer.from(value).toString()}`
    )
    rows.push(["headers", printable(headers.join(", ")).slice(0, valueCharacters)])
    rows.push(["published", String(shown.timestamp)])
    rows.push([
      "history",
      `${item.attempts} attempts; first failure ${String(shown.firstFailure)}; parked by ${printable(item.origin) || "-"}`
    ])
    if (item.claim !== "") rows.push(["lies in", `s3://${item.claim}`])
  } else rows.push(["why", printable(item.why)], ["body", `${item.bodyBytes} bytes: ${item.excerpt}`])
  rows.push([
    "dead",
    `${String(shown.deadSince)}: ${printable([item.reason, item.errorClass, item.error].filter(part => part !== "").join(", "))}`
  ])
  rows.push(["message", `${item.messageId}, received ${item.receives} times`])
  const title =
    item._tag === "Record"
      ? `${printable(item.topic)}${item.partition < 0 ? "" : `-${item.partition}`}  ${printable(item.id)}`
      : `cannot be read${item.topic === undefined ? "" : ` (${printable(item.topic)})`}`
  return [title, ...rows.map(([name, value]) => `  ${name.padEnd(9)}  ${value}`)].join("\n")
}

const peek = Command.make(
  "peek",
  {
    ...Letters.selection,
    limit: Letters.count("limit", "Records to be shown at most; 10 by default."),
    json: Shared.json
  },
  ({ json, limit, ...selection }) => {
    const work = Effect.gen(function* () {
      const filter = Letters.filterOf(selection, yield* Clock.currentTimeMillis)
      const letters = yield* Letters.service(selection)
      const { complete, items, seen } = yield* Letters.orUnavailable(letters.peek({ filter, maxRecords: limit }))
      const { toJson } = yield* Effect.promise(() => import("../DeadLetters.ts"))
      if (json) return write(JSON.stringify({ queue: letters.queue, seen, complete, records: items.map(toJson) }))
      if (items.length > 0) write(items.map(item => recordText(item, toJson(item))).join("\n\n"))
      note(`${items.length} records shown; ${looked(complete, seen)}`)
    })
    return interruptible(Effect.scoped(work), () => "interrupted: what was looked at is handed back")
  }
).pipe(
  Command.withDescription(
    "Some dead letters themselves, decoded, with their history. What cannot be read is shown by the beginning of its body.\n\nExample:\n  spillway dlq peek --config app.yaml --producer orders --reason INVALID_RECORD --limit 3"
  )
)

/** A command that ends well tells what it did, and otherwise what it could not do as well. */
const findings = (fault: string, bad: boolean): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (fault !== "") note(`first failure: ${printable(fault)}`)
    return bad ? Exit.end(Exit.codes.findings) : Effect.void
  })

const redrivenText = (done: Readonly<Redriven>, queue: string, would: boolean): string => {
  const { complete, failed, kept, messages, records, seen, splitKeys, twice, unreadable, withheld } = done
  const parts = [
    would
      ? `${queue}: ${records} records of ${messages} messages would be redriven`
      : `${queue}: ${records} records redriven, ${messages} messages deleted`
  ]
  if (kept > 0) parts.push(`${kept} other records of those messages stored anew`)
  if (twice > 0) parts.push(`${twice} records may be in two places and may arrive twice, under the same id`)
  if (failed > 0) parts.push(`${failed} records could not be stored and are still dead letters`)
  if (unreadable > 0) parts.push(`${unreadable} messages cannot be read and stay`)
  if (withheld > 0) parts.push(`${withheld} messages stay: what they point to cannot be had now`)
  if (splitKeys > 0) parts.push(`${splitKeys} keys have more records than a message holds: their order is not kept`)
  parts.push(looked(complete, seen))
  const text = parts.join("; ")
  if (would || records === 0) return text
  return `${text}\nThe running service replays them; what Kafka refuses again is back here: spillway dlq ls.`
}

const redrive = Command.make(
  "redrive",
  {
    ...Letters.selection,
    limit: Letters.count("limit", "Records to be redriven at most: try some before all. All by default."),
    rate: Letters.count("rate", "Records per second at most. The retry daemon has a pace of its own besides."),
    dryRun,
    json: Shared.json
  },
  ({ dryRun, json, limit, rate, ...selection }) => {
    let sofar: Readonly<Redriven> | undefined
    const report = Letters.progress()
    const work = Effect.gen(function* () {
      const filter = Letters.filterOf(selection, yield* Clock.currentTimeMillis)
      const letters = yield* Letters.service(selection)
      const startedAt = performance.now()
      const done = yield* Letters.orUnavailable(
        letters.redrive({
          filter,
          maxRecords: limit,
          rate,
          dryRun,
          onProgress: now => {
            sofar = now
            report(() => `${now.seen} messages looked at, ${now.records} records redriven`)
          }
        })
      )
      const ms = Math.round(performance.now() - startedAt)
      write(
        json ? JSON.stringify({ queue: letters.queue, dryRun, ...done, ms }) : redrivenText(done, letters.queue, dryRun)
      )
      yield* findings(done.fault, done.failed + done.twice + done.withheld > 0)
    })
    return interruptible(
      Effect.scoped(work),
      () => `interrupted: ${sofar?.records ?? 0} records redriven, the rest is handed back`
    )
  }
).pipe(
  Command.withDescription(
    "Send dead letters back to the fallback queue, from where the retry daemon replays them to their topic. They are stored there first and deleted here after, so that nothing is lost if this is killed: run it again. Attempts go on counting; records of a key keep their order.\n\nExample:\n  spillway dlq redrive --config app.yaml --producer orders --reason INVALID_RECORD --rate 500"
  )
)

const purge = Command.make(
  "purge",
  {
    ...Letters.selection,
    yes: Options.boolean("yes").pipe(
      Options.withDescription("Yes, delete for ever. Without it, or --dry-run, nothing is done.")
    ),
    dryRun,
    json: Shared.json
  },
  ({ dryRun, json, yes, ...selection }) => {
    let sofar = 0
    const report = Letters.progress()
    if (!yes && !dryRun) {
      const message = "purge deletes for ever: add --yes to do it, or --dry-run to see what it would delete"
      return Effect.fail(new Exit.CommandError({ code: Exit.codes.usage, message }))
    }
    const work = Effect.gen(function* () {
      const filter = Letters.filterOf(selection, yield* Clock.currentTimeMillis)
      const letters = yield* Letters.service(selection)
      const done = yield* Letters.orUnavailable(
        letters.purge({
          filter,
          dryRun,
          onProgress: ({ messages, seen }) => {
            sofar = messages
            report(() => `${seen} messages looked at, ${messages} ${dryRun ? "meant" : "deleted"}`)
          }
        })
      )
      const { complete, failed, kept, messages, records, seen } = done
      const what = `${records} records of ${messages} messages ${dryRun ? "would be deleted" : "deleted"}`
      const rest =
        kept > 0 ? `; ${kept} other records of those messages ${dryRun ? "would be kept" : "stored anew"}` : ""
      const bad = failed > 0 ? `; ${failed} messages stay` : ""
      write(
        json
          ? JSON.stringify({ queue: letters.queue, dryRun, ...done })
          : `${letters.queue}: ${what}${rest}${bad}; ${looked(complete, seen)}`
      )
      yield* findings(done.fault, failed > 0)
    })
    return interruptible(
      Effect.scoped(work),
      () => `interrupted: ${sofar} messages ${dryRun ? "meant" : "deleted"} so far`
    )
  }
).pipe(
  Command.withDescription(
    "Delete dead letters, for ever: nobody can bring them back. See with --dry-run what it would delete; it needs --yes.\n\nExample:\n  spillway dlq purge --config app.yaml --producer orders --reason FOREIGN_MESSAGE_BODY --yes"
  )
)

export const command = Command.make("dlq").pipe(
  Command.withDescription("Look at dead letters, send them back, or delete them. See docs/operations/dead-letters.md."),
  Command.withSubcommands([ls, peek, redrive, purge])
)
