/**
 * Dead letters of five kinds on a real queue, and what the commands do with them: what `bench/deadLetters.ts` measures at
 * full size and the tests check at a small one.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as AppConfig from "../../src/AppConfig.ts"
import * as DeadLetterQueue from "../../src/DeadLetterQueue.ts"
import * as Drivers from "../../src/Drivers.ts"
import * as Envelope from "../../src/Envelope.ts"
import * as Sqs from "../../src/FallbackQueue/Sqs.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import * as Spillway from "../../src/Spillway.ts"
import { batchOf } from "./batches.ts"
import { eventually } from "./eventually.ts"
import { deleteDirectory, temporaryDirectory } from "./Guard.ts"
import type { KafkaCluster } from "./KafkaCluster.ts"
import { readAll } from "./KafkaJsReader.ts"
import { type Ended, RunningService } from "./RunningService.ts"

export const topic = "events"
/** Four kinds of records, and messages that are none. */
export const kinds = ["INVALID_RECORD", "MAX_ATTEMPTS", "TOPIC_AUTHORIZATION_FAILED", "MESSAGE_TOO_LARGE"] as const
export const foreign = "FOREIGN_MESSAGE_BODY"
export type Kind = (typeof kinds)[number]

export interface Options {
  readonly cluster: KafkaCluster
  /** Of a fauxqs. */
  readonly endpoint: string
  /** Records of each kind, and foreign messages. */
  readonly each: number
  readonly keys: number
  readonly visibility: string
}

interface Message {
  readonly body: string
  /** ms since the epoch */
  readonly sentTimestamp: number
}

/** What Kafka has of one kind, by record id. */
export interface Arrived {
  readonly ids: Set<string>
  /** Those that are there more than once, once for each further copy. */
  readonly duplicates: Array<string>
  /** Records that come after a later one of their key, first copies only. */
  disordered: number
}

/** A number that follows from another, and looks random. */
const scattered = (index: number): number => (Math.imul(index + 1, 2654435761) >>> 0) / 2 ** 32

export class DeadLetterRun {
  readonly #options: Options
  readonly #directory = temporaryDirectory("dead-letters")
  readonly config: string
  readonly #secret = "local-secret"

  constructor(options: Options) {
    this.#options = options
    this.config = join(this.#directory, "dead-letters.yaml")
    const secrets = `access_key_id: local, secret_access_key: ${this.#secret}`
    writeFileSync(
      this.config,
      `
stream:
  output: { out: { topic: ${topic} } }
  producer:
    events:
      output: out
      retry: { queue_id: parked, wait_time: 1, after: 1s, max_attempts: 7, visibility_timeout: ${options.visibility} }
kafka: { connection: { default: { brokers: "${options.cluster.bootstrap.join(",")}" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1, endpoint: "${options.endpoint}", ${secrets} } } } } }
http: { port: 0 }
`
    )
  }

  /** A command, on the runtime this runs on. */
  spawn(...args: ReadonlyArray<string>): RunningService {
    return new RunningService([...args, "--config", this.config])
  }

  run(...args: ReadonlyArray<string>): Promise<Ended> {
    return this.spawn(...args).ended
  }

  /** One that must end with this code, and what it says as JSON. */
  async json(code: number, ...args: ReadonlyArray<string>): Promise<Record<string, unknown>> {
    const ended = await this.run(...args, "--json")
    if (ended.code !== code)
      throw new Error(`${args.join(" ")}: ended with ${ended.code}\n${ended.stdout}${ended.stderr}`)
    const parsed: unknown = JSON.parse(ended.stdout)
    if (typeof parsed !== "object" || parsed === null) throw new Error(`no object: ${ended.stdout}`)
    return { ...parsed }
  }

  /** Record ids tell the kind, and the values the place among those of their kind and key. */
  idOf(kind: Kind, index: number): string {
    return `${kind}/${String(index).padStart(6, "0")}`
  }

  ids(kind: Kind): ReadonlySet<string> {
    return new Set(Array.from({ length: this.#options.each }, (_, index) => this.idOf(kind, index)))
  }

  /** What the retry daemon would have given up, in messages of up to three records, in no order. */
  fill(): Promise<void> {
    const { each, endpoint, keys } = this.#options
    const put = (deadLetters: DeadLetterQueue.Service, kind: Kind, from: number, count: number, at: number) => {
      const records = Array.from({ length: count }, (_, n) => {
        const index = from + n
        return {
          key: `key-${index % keys}`,
          value: `${kind} ${index}`,
          id: this.idOf(kind, index),
          timestamp: at + index
        }
      })
      const envelope: Envelope.Envelope = {
        topic,
        partition: -1,
        partitionCount: 0,
        partitionFixed: false,
        attempts: kind === "MAX_ATTEMPTS" ? 7 : 1,
        firstFailureAt: at + from,
        notBefore: 0,
        lastError: "",
        origin: "host-that-died",
        traceParent: "",
        recordCount: count,
        batch: new Uint8Array(batchOf(records))
      }
      const cause = { reason: kind, errorClass: "Permanent", message: `${kind}: the broker says no` }
      return deadLetters.put(envelope, this.idOf(kind, from), cause)
    }
    const client: Sqs.ClientOptions = {
      region: "us-east-1",
      endpoint,
      accessKeyId: "local",
      secretAccessKey: Redacted.make(this.#secret),
      sessionToken: undefined,
      requestTimeoutMs: 10_000,
      connectionTimeoutMs: 2000
    }
    return Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const queue = yield* Sqs.make({ queueId: "parked-dlq", client })
          const deadLetters = DeadLetterQueue.make(queue)
          const at = Date.now() - 3_600_000
          const puts: Array<Effect.Effect<void, unknown>> = []
          for (const kind of kinds) {
            for (let from = 0; from < each; ) {
              const count = Math.min(each - from, 1 + (puts.length % 3))
              puts.push(put(deadLetters, kind, from, count, at))
              from += count
            }
          }
          for (let index = 0; index < each; index++) {
            const message = {
              messageId: `m${index}`,
              receiptHandle: "",
              body: `{"n":${index}}`,
              attributes: {},
              receiveCount: 1,
              sentAt: at
            }
            const cause = { reason: foreign, errorClass: "Permanent", message: "body: expected a string, got nothing" }
            puts.push(deadLetters.putMessage(message, cause))
          }
          const order = puts.map((work, index) => [scattered(index), work] as const).sort(([a], [b]) => a - b)
          yield* Effect.forEach(order, ([, work]) => work, { concurrency: 16, discard: true })
        })
      )
    )
  }

  /** Every message of a queue, received or not. */
  async messages(queue: "parked" | "parked-dlq"): Promise<ReadonlyArray<Message> & { readonly hidden: number }> {
    const response = await fetch(`${this.#options.endpoint}/_fauxqs/queues/${queue}`)
    const { messages } = await response.json()
    const all = [
      ...messages.ready,
      ...messages.delayed,
      ...messages.inflight.map(({ message }: { message: unknown }) => message)
    ]
    return Object.assign(all, { hidden: messages.inflight.length })
  }

  /** The envelopes that lie in the fallback queue, by message. */
  async parked(): Promise<ReadonlyArray<ReadonlyArray<Envelope.Envelope>>> {
    const messages = await this.messages("parked")
    return Promise.all(messages.map(({ body }) => Effect.runPromise(Envelope.fromBody(body))))
  }

  /** The records of a kind that lie in the dead-letter queue, held or not. */
  async left(kind: Kind): Promise<ReadonlySet<string>> {
    const messages = (await this.messages("parked-dlq")).filter(({ body }) => Envelope.isPackBody(body))
    const envelopes = await Promise.all(messages.map(({ body }) => Effect.runPromise(Envelope.fromBody(body))))
    const ids = recordsOf(envelopes.flat()).map(record => RecordBatch.idOf(record, "spillway-id") ?? "")
    return new Set(ids.filter(id => id.startsWith(kind)))
  }

  /** Runs Spillway, whose retry daemon replays, until `use` is done and the queue is empty. */
  async withDaemon<A>(use: () => Promise<A>): Promise<A> {
    const config = await Effect.runPromise(AppConfig.load([this.config], {}))
    const work = Effect.flatMap(Spillway.make(config, Drivers.live, "dead-letters"), () =>
      Effect.promise(async () => {
        const done = await use()
        await eventually("the replay", 60_000, async () =>
          (await this.messages("parked")).length === 0 ? true : undefined
        )
        return done
      })
    )
    return Effect.runPromise(Effect.scoped(work))
  }

  /** What has come to Kafka. */
  async arrived(): Promise<Readonly<Record<Kind, Arrived>>> {
    const none = (): Arrived => ({ ids: new Set(), duplicates: [], disordered: 0 })
    const arrived = {
      INVALID_RECORD: none(),
      MAX_ATTEMPTS: none(),
      TOPIC_AUTHORIZATION_FAILED: none(),
      MESSAGE_TOO_LARGE: none()
    }
    const last = new Map<string, number>()
    for (const { headers, key, value } of await readAll(this.#options.cluster, topic)) {
      const id = Buffer.from(headers.find(([name]) => name === "spillway-id")?.[1] ?? []).toString()
      const [name, index] = Buffer.from(value ?? [])
        .toString()
        .split(" ")
      const kind = kinds.find(one => one === name)
      if (kind === undefined) throw new Error(`a record nobody sent: ${id}`)
      const its = arrived[kind]
      if (its.ids.has(id)) {
        its.duplicates.push(id)
        continue
      }
      its.ids.add(id)
      const keyed = `${kind} ${Buffer.from(key ?? []).toString()}`
      if (Number(index) < (last.get(keyed) ?? -1)) its.disordered++
      last.set(keyed, Number(index))
    }
    return arrived
  }

  stop(): void {
    deleteDirectory(this.#directory)
  }
}

/** Values of records by message, for the order within a message. */
export const recordsOf = (envelopes: ReadonlyArray<Envelope.Envelope>) =>
  envelopes.flatMap(({ batch }) => Either.getOrThrow(RecordBatch.records(batch)))
