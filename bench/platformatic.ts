/** @platformatic/kafka's producer. */
import { ProduceAcks, Producer } from "@platformatic/kafka"
import { eventCount, events } from "./events.ts"
import { inFlight, type WithClient } from "./senders.ts"
import { nextId } from "./window.ts"

const idName = Buffer.from("spillway-id")

export const withPlatformatic: WithClient = async (job, use) => {
  const producer = new Producer({
    clientId: "bench",
    bootstrapBrokers: [...job.brokers],
    acks: ProduceAcks.ALL,
    maxInflights: inFlight,
    autocreateTopics: false
  })
  const values = events(job.size)
  let next = 0
  try {
    return await use(count => {
      const messages = Array.from({ length: count }, () => {
        const value = values[next++ & (eventCount - 1)] ?? Buffer.alloc(0)
        return { topic: job.topic, value, headers: new Map([[idName, Buffer.from(nextId())]]) }
      })
      return producer.send({ messages, acks: ProduceAcks.ALL })
    })
  } finally {
    await producer.close()
  }
}
