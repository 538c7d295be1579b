/**
 * The service beside a real Kafka and an SQS, with callers, to be watched through a browser: everything an outage needs.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
// For its patch of kafkajs, which otherwise warns of negative timeouts.
import "../../src/KafkaClient/brokerLink.ts"
import { eventually } from "../support/eventually.ts"
import * as Fauxqs from "../support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"
import * as Kafka from "../support/Kafka.ts"
import { type RunningService, start as startService } from "../support/RunningService.ts"

export const topic = "orders"
export const token = "a-token-for-operators"
/** What the topic takes at first: a larger record becomes a dead letter when it is replayed. */
const topicLimitBytes = 20 * 1024

const configuration = (kafka: ReadonlyArray<string>, sqs: string, spool: string) => `
stream:
  output:
    orders: { topic: ${topic}, idle_timeout: 5ms, write_timeout: 500ms, batch_bytes: 16KiB, max_record_bytes: 1MiB }
  producer:
    orders:
      output: orders
      encoding: application/json
      retry:
        queue_id: orders-parked
        dead_letter_queue_id: orders-dead-letters
        create: true
        after: 1s
        wait_time: 1
        max_attempts: 3
        visibility_timeout: 30s
        rate: 1500
kafka: { connection: { default: { brokers: "${kafka.join(",")}" } } }
cloud:
  aws:
    sqs:
      clients:
        default: { region: us-east-1, endpoint: "${sqs}", access_key_id: local, secret_access_key: local }
breaker: { open_min: 1s, open_max: 4s }
spool: { path: ${spool} }
http: { port: 0, token: ${token} }
`

export class OutageSite {
  readonly kafka: Kafka.KafkaCluster
  readonly sqs: Fauxqs.Fauxqs
  readonly service: RunningService
  readonly #directory: string
  #load: Promise<void> | undefined
  #loading = false

  private constructor(kafka: Kafka.KafkaCluster, sqs: Fauxqs.Fauxqs, service: RunningService, directory: string) {
    this.kafka = kafka
    this.sqs = sqs
    this.service = service
    this.#directory = directory
  }

  static async start(): Promise<OutageSite> {
    const directory = temporaryDirectory("dashboard")
    const [kafka, sqs] = await Promise.all([
      Kafka.start({
        topics: [{ name: topic, partitions: 3, config: { "max.message.bytes": String(topicLimitBytes) } }],
        // A killed broker may register again only after its last session ended (KIP-631).
        properties: { "broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500" }
      }),
      Fauxqs.start({ persistent: false })
    ])
    try {
      const file = join(directory, "spillway.yaml")
      writeFileSync(file, configuration(kafka.bootstrap, sqs.endpoint, join(directory, "spool.db")))
      return new OutageSite(kafka, sqs, await startService(["--config", file]), directory)
    } catch (error) {
      await Promise.all([kafka.stop(), sqs.stop()])
      deleteDirectory(directory)
      throw error
    }
  }

  /** The answer's status and outcome. */
  async publish(id: string, value: string): Promise<string> {
    const response = await fetch(`${this.service.url}/v1/topics/${topic}/records`, {
      method: "POST",
      headers: { "content-type": "application/json", "spillway-id": id, authorization: `Bearer ${token}` },
      body: value
    })
    const { outcome } = await response.json()
    return `${response.status} ${outcome}`
  }

  /** A record that SQS takes and Kafka does not, until the topic's limit is raised. */
  publishOversized(id: string): Promise<string> {
    const lines = Array.from({ length: topicLimitBytes / 16 }, (_, index) => ({ article: index, pieces: 1 }))
    return this.publish(id, JSON.stringify({ order: id, customer: "c-1742", lines }))
  }

  async force(state: "open" | "auto"): Promise<void> {
    const { status } = await fetch(`${this.service.url}/v1/breakers/default`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ state })
    })
    if (status !== 200) throw new Error(`the breaker was not forced: ${status}`)
  }

  raiseLimit(): Promise<unknown> {
    const configEntries = [{ name: "max.message.bytes", value: "1048576" }]
    // 2: a topic
    return this.kafka.admin(admin =>
      admin.alterConfigs({ validateOnly: false, resources: [{ type: 2, name: topic, configEntries }] })
    )
  }

  /** Callers: so many at a time, each with records of its own. */
  startLoad(perSecond: number): void {
    this.#loading = true
    const lines = (first: number, count: number) =>
      Array.from({ length: count }, (_, index) =>
        JSON.stringify({ key: `c-${(first + index) % 97}`, value: { order: first + index } })
      ).join("\n")
    const everyMs = 100
    const count = Math.ceil((perSecond * everyMs) / 1000)
    this.#load = (async () => {
      for (let first = 0; this.#loading; first += count) {
        const pause = new Promise(resolve => setTimeout(resolve, everyMs))
        await fetch(`${this.service.url}/v1/topics/${topic}/records`, {
          method: "POST",
          headers: { "content-type": "application/x-ndjson", authorization: `Bearer ${token}` },
          body: lines(first, count)
        }).then(
          response => response.text(),
          () => {}
        )
        await pause
      }
    })()
  }

  async stopLoad(): Promise<void> {
    this.#loading = false
    await this.#load
  }

  /** Waits for the service to say so of itself. */
  status<A>(what: string, deadlineMs: number, look: (status: Status) => A | undefined): Promise<A> {
    return eventually(what, deadlineMs, async () => {
      const response = await fetch(`${this.service.url}/v1/status`, { headers: { authorization: `Bearer ${token}` } })
      return look(await response.json())
    })
  }

  async stop(): Promise<void> {
    await this.stopLoad()
    await this.service.end("SIGKILL")
    await Promise.all([this.kafka.stop(), this.sqs.stop()])
    deleteDirectory(this.#directory)
  }
}

type Status = ReturnType<import("../../src/Spillway.ts").Service["status"]>
