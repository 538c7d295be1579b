/**
 * The verdict: readers that know nothing of Spillway's own account count what is there, and every record is compared with
 * its answer.
 */
import { readEach } from "../../test/support/KafkaJsReader.ts"
import { headerText } from "../../test/support/StoredRecord.ts"
import type { ChaosSite } from "./ChaosSite.ts"
import { queueOf, topics } from "./configuration.ts"
import { flag, type Ledger } from "./Ledger.ts"
import { recordsIn } from "./QueueWitness.ts"

export interface Verdict {
  readonly lost: ReadonlyArray<string>
  readonly unexplained: ReadonlyArray<string>
  /** Delivered records of the library that are not in the order they were offered in. */
  readonly misordered: ReadonlyArray<string>
  /** Answered as delivered, and not where the answer says. */
  readonly misplaced: ReadonlyArray<string>
  readonly deadLettered: number
  /** Of a topic that was deleted, and gone with it. */
  readonly goneWithTopic: number
  /** Still in the fallback queue. */
  readonly waiting: number
  readonly duplicated: number
  /** Copies by what explains them. */
  readonly explained: Readonly<Record<"unknownAtPublish" | "storedTwice" | "replayedAgain" | "held", number>>
}

const readDeadlineMs = 15 * 60_000

const call = async (endpoint: string, operation: string, input: object): Promise<unknown> => {
  const headers = {
    "content-type": "application/x-amz-json-1.0",
    "x-amz-target": `AmazonSQS.${operation}`,
    authorization: "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/sqs/aws4_request"
  }
  const signal = AbortSignal.timeout(10_000)
  const response = await fetch(endpoint, { method: "POST", headers, body: JSON.stringify(input), signal })
  if (!response.ok) throw new Error(`${operation} answered ${response.status}: ${await response.text()}`)
  return response.json()
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined

/** Marks every record found in a queue, which keeps its messages, hidden for a while. */
const readQueue = async (site: ChaosSite, queue: string, bit: number): Promise<void> => {
  const { sqsBehind } = site
  const url = new URL(String(member(await call(sqsBehind, "GetQueueUrl", { QueueName: queue }), "QueueUrl")))
  const QueueUrl = `${sqsBehind}${url.pathname}`
  for (;;) {
    const received = await call(sqsBehind, "ReceiveMessage", {
      QueueUrl,
      MaxNumberOfMessages: 10,
      VisibilityTimeout: 600,
      WaitTimeSeconds: 0
    })
    const messages = member(received, "Messages")
    if (!Array.isArray(messages) || messages.length === 0) return
    for (const message of messages) {
      for (const { id } of await recordsIn(String(member(message, "Body")))) {
        const found = site.ledgers.find(id)
        found?.ledger.mark(found.number, bit)
      }
    }
  }
}

/** Marks what is in Kafka, and says what is not where or in the order it should be. */
const readTopic = async (site: ChaosSite, ledger: Ledger) => {
  const misordered: Array<string> = []
  const misplaced: Array<string> = []
  const last = new Map<number, number>()
  await readEach(
    site.cluster,
    ledger.topic,
    record => {
      const found = site.ledgers.find(headerText(record, "spillway-id") ?? "")
      if (found === undefined || found.ledger !== ledger) return
      const { number } = found
      ledger.found(number)
      const place = ledger.place(number)
      if (ledger.standing(number) !== "delivered" || place === undefined) return
      if (number >= ledger.excusedBelow) {
        const there = place.partition === record.partition && BigInt(place.offset) === record.offset
        if (!there) misplaced.push(`${ledger.describe(number)}, found at ${record.partition}/${record.offset}`)
      }
      // Only the library offers one record after the other: what requests at the same time hold has no order.
      if (ledger !== site.library || ledger.copies(number) > 1) return
      const before = last.get(record.partition) ?? -1
      if (number < before) misordered.push(`${ledger.describe(number)}, behind ${ledger.idOf(before)}`)
      last.set(record.partition, Math.max(before, number))
    },
    { deadlineMs: readDeadlineMs }
  )
  return { misordered, misplaced }
}

export const reach = async (site: ChaosSite): Promise<Verdict> => {
  await site.witness.idle()
  for (const topic of Object.values(topics)) {
    await readQueue(site, queueOf(topic), flag.waiting)
    await readQueue(site, `${queueOf(topic)}-dlq`, flag.dead)
  }
  const order = []
  for (const ledger of site.ledgers.all) order.push(await readTopic(site, ledger))

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
  for (const ledger of site.ledgers.all) {
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
  const { divertedUnknown, replayUnknown } = site.tally.sum
  const allowed = { publish: Math.max(0, divertedUnknown - parkedUnknown), replay: replayUnknown }
  for (const side of ["publish", "replay"] as const) unexplained.push(...byCounter[side].slice(allowed[side]))
  explained.unknownAtPublish += Math.min(byCounter.publish.length, allowed.publish)
  explained.replayedAgain += Math.min(byCounter.replay.length, allowed.replay)
  const misordered = order.flatMap(one => one.misordered)
  const misplaced = order.flatMap(one => one.misplaced)
  return {
    lost,
    unexplained,
    misordered,
    misplaced,
    deadLettered,
    goneWithTopic,
    waiting,
    duplicated,
    explained
  }
}
