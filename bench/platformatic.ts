/** @platformatic/kafka's producer. */
import { ProduceAcks, Producer } from "@platformatic/kafka"
import { eventCount, events } from "./events.ts"
import { Flow, type Job, type Measured, measure, nextId } from "./window.ts"

const batch = 1000
const inFlight = 5
const idName = Buffer.from("spillway-id")

export const runPlatformatic = async (job: Job): Promise<Measured> => {
  const producer = new Producer({
    clientId: "bench",
    bootstrapBrokers: [...job.brokers],
    acks: ProduceAcks.ALL,
    maxInflights: inFlight,
    autocreateTopics: false
  })
  const values = events(job.size)
  const flow = new Flow()
  let next = 0
  const sender = async () => {
    while (flow.running) {
      const messages = Array.from({ length: batch }, () => {
        const value = values[next++ & (eventCount - 1)] ?? Buffer.alloc(0)
        return { topic: job.topic, value, headers: new Map([[idName, Buffer.from(nextId())]]) }
      })
      try {
        await producer.send({ messages, acks: ProduceAcks.ALL })
        flow.acknowledged += batch
      } catch (cause) {
        flow.fail(cause)
      }
    }
  }
  try {
    return await measure(job, flow, () => Promise.all(Array.from({ length: inFlight }, sender)))
  } finally {
    await producer.close()
  }
}
