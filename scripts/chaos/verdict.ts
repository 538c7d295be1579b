/**
 * The verdict: readers that know nothing of Spillway's own account count what is there, and every record is compared with
 * its answer.
 */
import { readEach } from "../../test/support/KafkaJsReader.ts"
import { headerText } from "../../test/support/StoredRecord.ts"
import type { ChaosSite } from "./ChaosSite.ts"
import { queueOf, topics } from "./configuration.ts"
import { type Judgement, judge } from "./judge.ts"
import { flag, type Ledger } from "./Ledger.ts"
import { recordsIn } from "./QueueWitness.ts"
import { recordsInSpool } from "./spoolFile.ts"

export interface Verdict extends Judgement {
  /** Delivered records of the library that are not in the order they were offered in. */
  readonly misordered: ReadonlyArray<string>
  /** Answered as delivered, and not where the answer says. */
  readonly misplaced: ReadonlyArray<string>
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
  for (const path of Object.values(site.spools)) {
    for (const { id } of recordsInSpool(path)) {
      const found = site.ledgers.find(id)
      found?.ledger.mark(found.number, flag.waiting)
    }
  }
  const order = []
  for (const ledger of site.ledgers.all) order.push(await readTopic(site, ledger))

  return {
    ...judge(site.ledgers.all, site.tally.sum),
    misordered: order.flatMap(one => one.misordered),
    misplaced: order.flatMap(one => one.misplaced)
  }
}
