/** kafkajs's own producer. */
import { Kafka, logLevel } from "kafkajs"
import { eventCount, events } from "./events.ts"
import { inFlight, type WithClient } from "./senders.ts"
import { nextId } from "./window.ts"

export const withKafkaJs: WithClient = async (job, use) => {
  const kafka = new Kafka({ clientId: "bench", brokers: [...job.brokers], logLevel: logLevel.ERROR })
  const producer = kafka.producer({ allowAutoTopicCreation: false, maxInFlightRequests: inFlight })
  await producer.connect()
  const values = events(job.size)
  let next = 0
  try {
    return await use(count => {
      const messages = Array.from({ length: count }, () => ({
        key: null,
        value: values[next++ & (eventCount - 1)] ?? null,
        headers: { "spillway-id": nextId() }
      }))
      return producer.send({ topic: job.topic, acks: -1, messages })
    })
  } finally {
    await producer.disconnect()
  }
}
