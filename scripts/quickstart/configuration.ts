/**
 * The service's configuration. Waits are shorter than the defaults, so that a minute is enough to watch everything.
 */
export const topic = "ad-events"
export const queue = "ad-events-parked"
export const deadLetterQueue = "ad-events-dead-letters"
/** The topic's `max.message.bytes`, small enough to be exceeded on purpose. */
export const topicLimitBytes = 64 * 1024
/** `retry.rate`: records per second, slow enough to be watched. */
export const replayRate = 5000

export const configuration = (places: {
  readonly kafka: ReadonlyArray<string>
  readonly sqs: string
  readonly port: number
  readonly token: string
}): string => `stream:
  output:
    ads:
      topic: ${topic}
      idle_timeout: 10ms
      write_timeout: 1s          # a record Kafka has not acknowledged by then goes to SQS
      batch_bytes: 48KiB         # below the topic's max.message.bytes
      max_record_bytes: 1MiB     # above it: Kafka itself will refuse the oversized event
  producer:
    ads:
      output: ads
      encoding: application/json
      retry:
        queue_id: ${queue}
        dead_letter_queue_id: ${deadLetterQueue}
        create: true
        after: 1s
        wait_time: 1
        max_attempts: 3
        visibility_timeout: 10s
        rate: ${replayRate}               # records per second; without it, as fast as Kafka stays healthy

kafka:
  connection:
    default:
      brokers: ${places.kafka.join(",")}

cloud:
  aws:
    sqs:
      clients:
        default: { region: us-east-1, endpoint: "${places.sqs}", access_key_id: local, secret_access_key: local }

breaker: { open_min: 500ms, open_max: 2s }
http: { port: ${places.port}, token: ${places.token} }   # without a token nobody may redrive or force a breaker
shutdown: { budget: 10s }
`
