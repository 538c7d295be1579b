/**
 * From what is known of each record: what is lost, and which copies nothing explains.
 */
import { flag, type Ledger, type Standing } from "./Ledger.ts"
import type { Counts } from "./Tally.ts"

export interface Judgement {
  /** Answered as durable, and nowhere. */
  readonly lost: ReadonlyArray<string>
  readonly unexplained: ReadonlyArray<string>
  readonly deadLettered: number
  /** Of a topic that was deleted, and gone with it. */
  readonly goneWithTopic: number
  /** Still in the fallback queue or in a spool. */
  readonly waiting: number
  /** Copies beyond the first. */
  readonly duplicated: number
  /** Copies by what explains them. */
  readonly explained: Readonly<Record<"unknownAtPublish" | "storedTwice" | "replayedAgain" | "held", number>>
}

/** Counters of the service, each of which can explain as many copies as it counted. */
type Counter = "storedTwice" | "replayedAgain" | "unknownAtPublish"

/** A record with more copies than what was seen of it explains, and the counters that may. */
interface Suspect {
  readonly description: string
  readonly extra: number
  readonly counters: ReadonlyArray<Counter>
}

/**
 * A copy is explained by what the witness saw of that very record, or what lay in the spool of a killed process: one by
 * each. Where the reason itself could not be seen, by the service's counters, up to what they counted. A record that was answered as
 * delivered and never parked can have no copy: nothing has had it that could send it again.
 */
export const judge = (
  ledgers: ReadonlyArray<Ledger>,
  { divertedUnknown, replayUnknown, storedTwice }: Pick<Counts, "divertedUnknown" | "replayUnknown" | "storedTwice">
): Judgement => {
  const lost: Array<string> = []
  const explained = { unknownAtPublish: 0, storedTwice: 0, replayedAgain: 0, held: 0 }
  const suspects: Array<Suspect> = []
  let deadLettered = 0
  let goneWithTopic = 0
  let waiting = 0
  let duplicated = 0
  const seen = { unknown: 0, storedTwice: 0 }
  for (const ledger of ledgers) {
    for (let number = 0; number < ledger.count; number++) {
      const standing = ledger.standing(number)
      const copies = ledger.copies(number)
      const has = (bit: number) => ledger.has(number, bit)
      if (has(flag.dead)) deadLettered++
      if (has(flag.waiting)) waiting++
      if (has(flag.unknown)) seen.unknown++
      if (has(flag.storedTwice)) seen.storedTwice++
      const durable = standing === "delivered" || standing === "diverted" || standing === "spooled"
      if (durable && copies === 0 && !has(flag.dead) && !has(flag.waiting)) {
        if (number < ledger.excusedBelow) goneWithTopic++
        else lost.push(ledger.describe(number))
      }
      let extra = copies - 1
      if (extra < 1) continue
      duplicated += extra
      for (const [bit, why] of sights) {
        if (extra === 0 || !has(bit)) continue
        explained[why]++
        extra--
      }
      if (extra > 0)
        suspects.push({ description: ledger.describe(number), extra, counters: countersFor(standing, has) })
    }
  }
  // What was seen of them has used the counters up so far.
  const left = {
    unknownAtPublish: Math.max(0, divertedUnknown - seen.unknown),
    storedTwice: Math.max(0, storedTwice - seen.storedTwice),
    replayedAgain: replayUnknown
  }
  // Whoever has the fewest counters first, and takes of that nobody shorter has.
  suspects.sort((a, b) => a.counters.length - b.counters.length)
  const unexplained: Array<string> = []
  for (const { counters, description, extra } of suspects) {
    let open = extra
    for (const counter of counters) {
      const taken = Math.min(open, left[counter])
      left[counter] -= taken
      explained[counter] += taken
      open -= taken
    }
    if (open > 0) unexplained.push(description)
  }
  return { lost, unexplained, deadLettered, goneWithTopic, waiting, duplicated, explained }
}

const sights = [
  [flag.unknown, "unknownAtPublish"],
  [flag.storedTwice, "storedTwice"],
  [flag.held, "held"]
] as const

const countersFor = (standing: Standing, has: (bit: number) => boolean): ReadonlyArray<Counter> => {
  if (standing === "delivered" && !has(flag.parked)) return []
  // A store into the queue whose answer was lost, and the spool took the record as well.
  const twice = has(flag.storedTwice) || (standing === "spooled" && has(flag.parked))
  // Out of the spool it is replayed past the witness; one without an answer may have been spooled all the same.
  const again = has(flag.receivedAgain) || has(flag.reparked) || standing === "spooled" || !has(flag.parked)
  return [
    ...(twice ? (["storedTwice"] as const) : []),
    ...(again ? (["replayedAgain"] as const) : []),
    "unknownAtPublish"
  ]
}
