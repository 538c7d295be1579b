/**
 * Configuration of the service and of the library under test. Waits are shorter than the defaults, so that a few minutes
 * show everything.
 */
export const topics = { service: "chaos-http", doomed: "chaos-doomed", library: "chaos-library" } as const

/** The fallback queue of a topic; its dead-letter queue has `-dlq` behind it. */
export const queueOf = (topic: string): string => `${topic}-parked`

/** What Kafka and the fallback queue may take of a publish, ms: behind them only the disk is left. */
const budgetsMs = { kafka: 1000, queue: 1000 } as const
export const promisedMs = budgetsMs.kafka + budgetsMs.queue

const producer = (topic: string): string => `
    ${topic}:
      output: ${topic}
      retry: { queue_id: ${queueOf(topic)}, create: true, after: 1s, wait_time: 1, max_attempts: 10, visibility_timeout: 20s }`

export const configuration = (places: {
  readonly topics: ReadonlyArray<string>
  readonly kafka: ReadonlyArray<string>
  readonly sqs: string
  readonly port: number
  /** File of the spool. */
  readonly spool: string
  /** Of an instance metadata service; without it nobody gives notice. */
  readonly metadata?: string
}): string => `stream:
  output:${places.topics.map(topic => `\n    ${topic}: { topic: ${topic}, write_timeout: ${budgetsMs.kafka}ms }`).join("")}
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
shutdown:
  budget: 10s
  spot: ${places.metadata === undefined ? "{ enabled: false }" : `{ enabled: true, endpoint: "${places.metadata}", interval: 200ms, budget: 10s }`}
spool: { path: ${JSON.stringify(places.spool)}, max_bytes: 4MiB, queue_timeout: ${budgetsMs.queue}ms }
`
