/** kafkajs's own producer. */
import { Kafka, logLevel } from "kafkajs"
import { eventCount, events } from "./events.ts"
import { Flow, type Job, type Measured, measure, nextId } from "./window.ts"

const batch = 1000
const inFlight = 5

export const runKafkaJs = async (job: Job): Promise<Measured> => {
  const kafka = new Kafka({ clientId: "bench", brokers: [...job.brokers], logLevel: logLevel.ERROR })
  const producer = kafka.producer({ allowAutoTopicCreation: false, maxInFlightRequests: inFlight })
  await producer.connect()
  const values = events(job.size)
  const flow = new Flow()
  let next = 0
  const sender = async () => {
    while (flow.running) {
      const messages = Array.from({ length: batch }, () => ({
        key: null,
        value: values[next++ & (eventCount - 1)] ?? null,
        headers: { "spillway-id": nextId() }
      }))
      try {
        await producer.send({ topic: job.topic, acks: -1, messages })
        flow.acknowledged += batch
      } catch (cause) {
        flow.fail(cause)
      }
    }
  }
  try {
    return await measure(job, flow, () => Promise.all(Array.from({ length: inFlight }, sender)))
  } finally {
    await producer.disconnect()
  }
}
