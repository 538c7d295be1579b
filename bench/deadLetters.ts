/**
 * Ten thousand dead letters of five kinds, and what the commands do with them: how long a look takes, at what rate records
 * are redriven, and what becomes of them when that is killed in the middle. Every record is accounted for in Kafka.
 *
 *     bun bench/deadLetters.ts                      2 000 of each kind, redriven at 500 records/s
 *     bun bench/deadLetters.ts --each 500 --rate 200
 *
 * fauxqs runs in a process of its own; the retry daemon is Spillway as a library in this one.
 */
import process from "node:process"
import { parseArgs } from "node:util"
import { DeadLetterRun, foreign, kinds, recordsOf, topic } from "../test/support/DeadLetterRun.ts"
import { eventually } from "../test/support/eventually.ts"
import * as Kafka from "../test/support/Kafka.ts"
import { withSqs } from "./withSqs.ts"

const { values } = parseArgs({
  options: { each: { type: "string", default: "2000" }, rate: { type: "string", default: "500" } }
})
const each = Number(values.each)
const rate = Number(values.rate)
const keys = 100

let good = true
const say = (what: string, holds: boolean, figures: string): void => {
  good = good && holds
  console.log(`${holds ? "ok  " : "FAIL"}  ${what}: ${figures}`)
}

const timed = async <A>(work: () => Promise<A>): Promise<readonly [A, seconds: string]> => {
  const startedAt = performance.now()
  const done = await work()
  return [done, ((performance.now() - startedAt) / 1000).toFixed(1)]
}

const list = (value: unknown): ReadonlyArray<Record<string, unknown>> => (Array.isArray(value) ? value : [])

const main = async (letters: DeadLetterRun): Promise<void> => {
  await letters.json(0, "queues", "create")
  await letters.fill()
  const { length: total } = await letters.messages("parked-dlq")
  console.log(`${each * 5} dead letters of five kinds in ${total} messages, ${keys} keys`)

  const [{ queues }, lsSeconds] = await timed(() => letters.json(0, "dlq", "ls"))
  const [summary] = list(queues)
  const counts = list(summary?.groups).map(({ messages, reason, records }) => [
    reason,
    reason === foreign ? messages : records
  ])
  const listed = [...kinds, foreign].every(kind => counts.some(([reason, count]) => reason === kind && count === each))
  const { hidden } = await letters.messages("parked-dlq")
  say(
    "ls",
    listed && summary?.complete === true && hidden === 0,
    `${lsSeconds} s for all of it, ${hidden} messages hidden afterwards`
  )

  const [{ records: peeked }, peekSeconds] = await timed(() =>
    letters.json(0, "dlq", "peek", "--reason", "INVALID_RECORD")
  )
  say("peek", list(peeked).length === 10, `${peekSeconds} s for ${list(peeked).length} records of one kind`)

  // The daemon is not there yet: what was redriven can be looked at in the fallback queue.
  const redrive = ["dlq", "redrive", "--reason"]
  const [done, seconds] = await timed(() => letters.json(0, ...redrive, "INVALID_RECORD", "--rate", String(rate)))
  const parked = await letters.parked()
  const places = new Map<string, Set<number>>()
  let order = 0
  parked.map(recordsOf).forEach((records, message) => {
    const last = new Map<string, number>()
    for (const { key, value } of records) {
      const name = Buffer.from(key ?? []).toString()
      const index = Number(
        Buffer.from(value ?? [])
          .toString()
          .split(" ")[1]
      )
      places.set(name, (places.get(name) ?? new Set()).add(message))
      if (index < (last.get(name) ?? -1)) order++
      last.set(name, index)
    }
  })
  const history = parked
    .flat()
    .every(
      ({ attempts, lastError, origin }) =>
        attempts === 1 && lastError === "Permanent:INVALID_RECORD" && origin === "host-that-died"
    )
  const together = Array.from(places.values()).every(({ size }) => size === 1)
  say(
    "redrive",
    done.records === each && done.twice === 0,
    `${done.records} records in ${seconds} s with the start and the look`
  )
  say("history", history, `attempts, first failure, last error and origin of ${parked.flat().length} envelopes`)
  say("order", together && order === 0, `${places.size} keys, each in one message and in order`)

  // By the queue's own clock, from the first message to the last; the last one's records come after that.
  const sent = (await letters.messages("parked")).map(({ sentTimestamp }) => sentTimestamp).sort((a, b) => a - b)
  const span = (sent.at(-1) ?? 0) - (sent[0] ?? 0)
  const last = recordsOf(parked.at(-1) ?? []).length
  const measured = ((each - last) * 1000) / span
  say(
    "rate",
    measured <= rate * 1.05,
    `${measured.toFixed(0)} records/s stored over ${(span / 1000).toFixed(1)} s, ${rate} asked for`
  )

  let left: ReadonlySet<string> = new Set()
  await letters.withDaemon(async () => {
    const begun = (await letters.messages("parked-dlq")).length
    const killed = letters.spawn(...redrive, "MAX_ATTEMPTS", "--rate", String(rate))
    const middle = begun - each / 4
    await eventually(
      "the middle",
      120_000,
      async () => ((await letters.messages("parked-dlq")).length < middle ? true : undefined),
      { everyMs: 100 }
    )
    await killed.end("SIGKILL")
    left = await letters.left("MAX_ATTEMPTS")
    const after = await letters.messages("parked-dlq")
    say(
      "killed",
      after.hidden > 0,
      `${left.size} of ${each} left, in ${begun - after.length} messages fewer; ${after.hidden} hidden`
    )
    let runs = 0
    let again: Record<string, unknown> = {}
    const [, backSeconds] = await timed(async () => {
      while ((await letters.left("MAX_ATTEMPTS")).size > 0) {
        again = await letters.json(0, ...redrive, "MAX_ATTEMPTS")
        runs++
      }
    })
    say(
      "run again",
      again.failed === 0,
      `all of them after ${backSeconds} s, in ${runs} runs: what it had held was hidden at first`
    )
  })
  const { INVALID_RECORD: whole, MAX_ATTEMPTS: cut } = await letters.arrived()
  say(
    "in Kafka",
    whole.ids.size === each && whole.duplicates.length === 0 && whole.disordered === 0,
    `${whole.ids.size} of ${each}, ${whole.duplicates.length} duplicates, ${whole.disordered} out of order by key`
  )
  const explained = cut.duplicates.filter(id => left.has(id)).length
  say(
    "in Kafka after the kill",
    cut.ids.size === each && explained === cut.duplicates.length,
    `${cut.ids.size} of ${each}, ${cut.duplicates.length} duplicates, ${explained} of them stored anew when it was killed and not deleted yet`
  )
  const [purged, purgeSeconds] = await timed(() => letters.json(0, "dlq", "purge", "--reason", foreign, "--yes"))
  say("purge", purged.messages === each, `${purged.messages} foreign messages in ${purgeSeconds} s`)
}

await withSqs(async endpoint => {
  const cluster = await Kafka.start({ topics: [{ name: topic, partitions: 6 }] })
  const letters = new DeadLetterRun({ cluster, endpoint, each, keys, visibility: "10s" })
  try {
    await main(letters)
  } finally {
    letters.stop()
    await cluster.stop()
  }
})
process.exit(good ? 0 : 1)
