/**
 * Everything the quickstart starts, and its end.
 */
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
// For its patch of kafkajs, which otherwise warns of negative timeouts.
import "../../src/KafkaClient/brokerLink.ts"
import * as Fauxqs from "../../test/support/Fauxqs.ts"
import { deleteDirectory, temporaryDirectory } from "../../test/support/Guard.ts"
import * as Kafka from "../../test/support/Kafka.ts"
import { freePort } from "../../test/support/ports.ts"
import { configuration, topic, topicLimitBytes } from "./configuration.ts"
import { ServiceProcess } from "./ServiceProcess.ts"

const partitions = 6
/** A killed broker may register again only after its last session ended: by default that takes 9 s (KIP-631). */
const soonBack = { "broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500" }

export class Site {
  /** Base URL of the service, the same over restarts. */
  readonly base: string
  readonly configFile: string
  /** For whoever operates the service; made anew each time. */
  readonly token = randomBytes(9).toString("base64url")
  readonly #port: number
  readonly #directory: string
  #kafka: Kafka.KafkaCluster | undefined
  #sqs: Fauxqs.Fauxqs | undefined
  #service: ServiceProcess | undefined
  #closing: Promise<void> | undefined

  private constructor(port: number) {
    this.#port = port
    this.base = `http://127.0.0.1:${port}`
    this.#directory = temporaryDirectory("quickstart")
    this.configFile = join(this.#directory, "spillway.yaml")
  }

  static async create(): Promise<Site> {
    return new Site(await freePort())
  }

  get kafka(): Kafka.KafkaCluster {
    return started(this.#kafka, "Kafka")
  }
  get broker(): Kafka.Broker {
    return started(this.kafka.brokers[0], "Kafka")
  }
  get sqs(): Fauxqs.Fauxqs {
    return started(this.#sqs, "SQS")
  }
  get service(): ServiceProcess {
    return started(this.#service, "the service")
  }

  async startKafka(): Promise<void> {
    const config = { "max.message.bytes": String(topicLimitBytes) }
    const cluster = await Kafka.start({ topics: [{ name: topic, partitions, config }], properties: soonBack })
    this.#kafka = cluster
    if (this.#closing !== undefined) await cluster.stop()
  }

  async startSqs(): Promise<void> {
    // It never goes down here, so memory is enough.
    this.#sqs = await Fauxqs.start({ persistent: false })
  }

  async startService(): Promise<void> {
    const places = { kafka: this.kafka.bootstrap, sqs: this.sqs.endpoint, port: this.#port, token: this.token }
    writeFileSync(this.configFile, configuration(places))
    this.#service = await ServiceProcess.start(this.configFile, this.base, { token: this.token })
  }

  /** Ends everything. What is still starting is ended by the guard when this process ends. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#service?.kill()
      await Promise.allSettled([this.#kafka?.stop(), this.#sqs?.stop()])
      deleteDirectory(this.#directory)
    })()
    return this.#closing
  }
}

const started = <A>(part: A | undefined, name: string): A => {
  if (part === undefined) throw new Error(`${name} was not started`)
  return part
}
