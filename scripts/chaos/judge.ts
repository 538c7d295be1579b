/**
 * From what is known of each record: what is lost, and which copies nothing explains.
 */
import { flag, type Ledger } from "./Ledger.ts"
import type { Counts } from "./Tally.ts"

export interface Judgement {
  /** Answered as durable, and nowhere. */
  readonly lost: ReadonlyArray<string>
  readonly unexplained: ReadonlyArray<string>
  readonly deadLettered: number
  /** Of a topic that was deleted, and gone with it. */
  readonly goneWithTopic: number
  /** Still in the fallback queue. */
  readonly waiting: number
  /** Copies beyond the first. */
  readonly duplicated: number
  /** Copies by what explains them. */
  readonly explained: Readonly<Record<"unknownAtPublish" | "storedTwice" | "replayedAgain" | "held", number>>
}

/**
 * A copy is explained by what the witness saw of that very record; where it could not see the reason itself, by the
 * service's counters, up to what they counted. A record that was never parked can have no copy.
 */
export const judge = (
  ledgers: ReadonlyArray<Ledger>,
  { divertedUnknown, replayUnknown }: Pick<Counts, "divertedUnknown" | "replayUnknown">
): Judgement => {
  const lost: Array<string> = []
  const unexplained: Array<string> = []
  const explained = { unknownAtPublish: 0, storedTwice: 0, replayedAgain: 0, held: 0 }
  // Explained by a counter of the service rather than by what was seen: no more than it counted.
  const byCounter = { publish: [] as Array<string>, replay: [] as Array<string> }
  let deadLettered = 0
  let goneWithTopic = 0
  let waiting = 0
  let duplicated = 0
  let parkedUnknown = 0
  for (const ledger of ledgers) {
    for (let number = 0; number < ledger.count; number++) {
      const standing = ledger.standing(number)
      const copies = ledger.copies(number)
      const has = (bit: number) => ledger.has(number, bit)
      if (has(flag.dead)) deadLettered++
      if (has(flag.waiting)) waiting++
      if (has(flag.unknown)) parkedUnknown++
      const durable = standing === "delivered" || standing === "diverted" || standing === "spooled"
      if (durable && copies === 0 && !has(flag.dead) && !has(flag.waiting)) {
        if (number < ledger.excusedBelow) goneWithTopic++
        else lost.push(ledger.describe(number))
      }
      const extra = copies - 1
      if (extra < 1) continue
      duplicated += extra
      if (!has(flag.parked)) unexplained.push(ledger.describe(number))
      else if (has(flag.unknown)) explained.unknownAtPublish += extra
      else if (has(flag.storedTwice)) explained.storedTwice += extra
      else if (has(flag.held)) explained.held += extra
      else if (has(flag.receivedAgain) || has(flag.reparked)) byCounter.replay.push(ledger.describe(number))
      else byCounter.publish.push(ledger.describe(number))
    }
  }
  // Counted as unknown when they were parked, and not seen so: the last of several errors was another.
  const publishes = Math.max(0, divertedUnknown - parkedUnknown)
  const ofPublish = byCounter.publish.slice(0, publishes)
  const ofReplay = byCounter.replay.slice(0, replayUnknown)
  // A record that came back from the queue more than once may owe its copy to its publish all the same.
  const ofEither = byCounter.replay.slice(replayUnknown, replayUnknown + publishes - ofPublish.length)
  unexplained.push(...byCounter.publish.slice(publishes))
  unexplained.push(...byCounter.replay.slice(ofReplay.length + ofEither.length))
  explained.unknownAtPublish += ofPublish.length + ofEither.length
  explained.replayedAgain += ofReplay.length
  return { lost, unexplained, deadLettered, goneWithTopic, waiting, duplicated, explained }
}
