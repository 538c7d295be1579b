/**
 * Records published at a steady rate, what each publish was answered, and the account of them all from Kafka itself.
 */
import type * as Spillway from "../../src/Spillway.ts"
import { eventually } from "./eventually.ts"
import type { KafkaCluster } from "./KafkaCluster.ts"
import { readEach } from "./KafkaJsReader.ts"
import { headerText } from "./StoredRecord.ts"

export const topic = "events"

export interface Publish {
  readonly at: number
  /** Begun while the breaker was open. */
  readonly open: boolean
  ms: number
  /** `delivered`, `diverted`, or why it failed; empty before the answer. */
  outcome: string
  /** In Kafka. */
  copies: number
  /** When the last of them was written, by the broker's clock where the topic says so, ms. */
  storedAt: number
}

export interface Account {
  readonly published: number
  readonly failed: number
  readonly delivered: number
  readonly diverted: number
  readonly divertedUnknown: number
  /** Of what was parked: sent again or stored again without knowing whether the first time counted. */
  readonly replayUnknown: number
  readonly deadLettered: number
  /** Different records. */
  readonly inKafka: number
  readonly lost: number
  /** Copies beyond the first, in Kafka. */
  readonly duplicated: number
  /** Of those: copies of records answered as delivered, and what the unknown outcomes of the others do not account for. */
  readonly unexplained: number
  /** ms, over all publishes. */
  readonly p99PublishMs: number
  readonly worstPublishMs: number
}

export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}

/** Records of a burst without an answer at most: fewer than the buffer holds. */
const burstLimit = 50_000

export class FaultLoad {
  readonly publishes = new Map<string, Publish>()
  /** When the first publish was told that its record is in the queue. */
  firstDivertedAt: number | undefined
  readonly #spillway: Spillway.Service
  #open = false
  #answered = 0
  #flow: Promise<void> = Promise.resolve()
  #running = false

  constructor(spillway: Spillway.Service) {
    this.#spillway = spillway
    spillway.onBreakerChange((_connection, scope, state) => {
      if (scope === "cluster") this.#open = state === "open"
    })
  }

  /** @param rate records per second, until `stop` */
  start(rate: number): void {
    this.#running = true
    const began = performance.now()
    let published = 0
    this.#flow = (async () => {
      while (this.#running) {
        const due = ((performance.now() - began) / 1000) * rate
        for (; published < due; published++) this.#publish()
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    })()
  }

  /** Publishes this many beside the steady ones, as fast as they are answered. */
  async burst(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1000) {
      for (let i = 0; i < Math.min(left, 1000); i++) this.#publish()
      while (this.publishes.size - this.#answered > burstLimit) await new Promise(resolve => setTimeout(resolve, 1))
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  /** Publishes no more, and waits until all are answered. */
  async stop(): Promise<void> {
    this.#running = false
    await this.#flow
    await eventually("every publish to be answered", 40_000, () => this.#answered === this.publishes.size || undefined)
  }

  #publish(): void {
    const number = this.publishes.size
    const id = `run-${number}`
    const one: Publish = { at: performance.now(), open: this.#open, ms: 0, outcome: "", copies: 0, storedAt: 0 }
    this.publishes.set(id, one)
    this.#spillway.offer({ topic, key: `key-${number % 97}`, value: `value ${number}`, id }, outcome => {
      one.ms = performance.now() - one.at
      one.outcome = outcome._tag === "Receipt" ? outcome.outcome : outcome.reason
      if (one.outcome === "diverted") this.firstDivertedAt ??= performance.now()
      this.#answered++
    })
  }

  /** Resolves when Spillway says that everything diverted is in Kafka again. */
  async replayed(): Promise<void> {
    await eventually("everything parked to be back", 120_000, () => {
      const { deadLettered, diverted, redelivered } = this.#spillway.status().accounting
      return redelivered + deadLettered >= diverted || undefined
    })
  }

  /** Once it has stopped and everything is replayed: reads the whole topic. */
  async account(cluster: KafkaCluster): Promise<Account> {
    await readEach(
      cluster,
      topic,
      record => {
        const one = this.publishes.get(headerText(record, "spillway-id") ?? "")
        if (one === undefined) return
        one.copies++
        one.storedAt = Math.max(one.storedAt, record.timestamp)
      },
      { deadlineMs: 120_000 }
    )
    const all = Array.from(this.publishes.values())
    const delivered = all.filter(({ outcome }) => outcome === "delivered")
    const diverted = all.filter(({ outcome }) => outcome === "diverted")
    const extra = (some: ReadonlyArray<Publish>) => some.reduce((sum, { copies }) => sum + Math.max(0, copies - 1), 0)
    const { accounting, connections } = this.#spillway.status()
    const { replay, writer } = connections[0]?.fallbacks[0] ?? {}
    const replayUnknown = (replay?.unknown ?? 0) + (writer?.storedTwice ?? 0)
    const explicable = accounting.divertedUnknown + replayUnknown
    const durable = delivered.length + diverted.length
    const latencies = all.map(({ ms }) => ms)
    return {
      published: all.length,
      failed: all.length - durable,
      delivered: delivered.length,
      diverted: diverted.length,
      divertedUnknown: accounting.divertedUnknown,
      replayUnknown,
      deadLettered: accounting.deadLettered,
      inKafka: all.filter(({ copies }) => copies > 0).length,
      lost: [...delivered, ...diverted].filter(({ copies }) => copies === 0).length - accounting.deadLettered,
      duplicated: extra(all),
      unexplained: extra(delivered) + Math.max(0, extra(all) - extra(delivered) - explicable),
      p99PublishMs: quantile(latencies, 0.99),
      worstPublishMs: latencies.reduce((worst, ms) => Math.max(worst, ms), 0)
    }
  }
}
