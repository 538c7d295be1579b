/**
 * Configuration of the service and of the library under test. Waits are shorter than the defaults, so that a few minutes
 * show everything.
 */
export const topics = { service: "chaos-http", doomed: "chaos-doomed", library: "chaos-library" } as const

/** The fallback queue of a topic; its dead-letter queue has `-dlq` behind it. */
export const queueOf = (topic: string): string => `${topic}-parked`

/** A `spool` section would go here: until there is one, records are refused while Kafka and SQS are both away. */
const spool = ""

const producer = (topic: string): string => `
    ${topic}:
      output: ${topic}
      retry: { queue_id: ${queueOf(topic)}, create: true, after: 1s, wait_time: 1, max_attempts: 10, visibility_timeout: 20s }`

export const configuration = (places: {
  readonly topics: ReadonlyArray<string>
  readonly kafka: ReadonlyArray<string>
  readonly sqs: string
  readonly port: number
}): string => `stream:
  output:${places.topics.map(topic => `\n    ${topic}: { topic: ${topic}, write_timeout: 1s }`).join("")}
  producer:${places.topics.map(producer).join("")}

kafka:
  connection:
    default: { brokers: "${places.kafka.join(",")}" }

cloud:
  aws:
    sqs:
      clients:
        default: { region: us-east-1, endpoint: "${places.sqs}", access_key_id: local, secret_access_key: local }

breaker: { open_min: 500ms, open_max: 2s }
http: { port: ${places.port} }
shutdown: { budget: 10s }
${spool}`
