/**
 * Load, a fault, recovery, and the account: what `bench/faults.ts` measures at length and the failover tests check in short.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"
import * as Drivers from "../../src/Drivers.ts"
import * as Spillway from "../../src/Spillway.ts"
import { eventually } from "./eventually.ts"
import * as Fauxqs from "./Fauxqs.ts"
import * as Kafka from "./Kafka.ts"
import type { KafkaCluster } from "./KafkaCluster.ts"
import { readAll } from "./KafkaJsReader.ts"
import { headerText } from "./StoredRecord.ts"

export type Fault = "kill" | "freeze" | "controlled"

export interface FaultRunOptions {
  readonly brokers: 1 | 3
  readonly fault: Fault
  /** Records per second. */
  readonly rate: number
  readonly calmMs: number
  readonly faultMs: number
  readonly writeTimeoutMs: number
  readonly maxAttempts?: number
}

export interface FaultRunResult {
  readonly published: number
  readonly failed: number
  readonly delivered: number
  readonly diverted: number
  readonly divertedUnknown: number
  readonly replayUnknown: number
  readonly deadLettered: number
  readonly inKafka: number
  readonly lost: number
  /** Copies beyond the first, in Kafka. */
  readonly duplicated: number
  /** Of those, copies of records whose outcome was never unknown. */
  readonly unexplained: number
  /** ms, over all publishes. */
  readonly worstPublishMs: number
  /** ms from the fault to the first record durable in the queue; undefined when nothing was diverted. */
  readonly failoverMs: number | undefined
  /** ms, of publishes begun while the breaker was open. */
  readonly openP50Ms: number
  readonly openP99Ms: number
  readonly calmP99Ms: number
  /** `ReceiveMessage` calls begun while the breaker was open. */
  readonly receivesWhileOpen: number
  /** ms from the end of the fault until everything parked was back in Kafka. */
  readonly recoveryMs: number
}

const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}

/** One topic, one queue, settings that make a test short. */
export const configuration = (
  kafka: KafkaCluster,
  endpoint: string,
  options: { readonly writeTimeoutMs: number; readonly maxAttempts?: number }
): string => `
stream:
  output:
    out: { connection: default, topic: events, type: kafka, batch_size: 10, idle_timeout: 50ms, write_timeout: ${options.writeTimeoutMs}ms }
  producer:
    events:
      output: out
      retry: { queue_id: parked, after: 1s, max_attempts: ${options.maxAttempts ?? 3}, wait_time: 1, visibility_timeout: 20s, create: true }
kafka:
  connection:
    default: { brokers: "${kafka.bootstrap.join(",")}" }
cloud:
  aws:
    sqs:
      clients:
        default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: local, secret_access_key: local }
breaker: { open_min: 500ms, open_max: 2s }
`

const inflict = async (cluster: KafkaCluster, fault: Fault): Promise<() => Promise<void>> => {
  const victim = cluster.brokers.length === 1 ? cluster.brokers[0] : await cluster.leaderOf("events", 0)
  if (victim === undefined) throw new Error("the cluster has no broker")
  switch (fault) {
    case "kill":
      await victim.kill()
      return () => victim.restart()
    case "freeze":
      victim.freeze()
      return async () => victim.resume()
    case "controlled":
      await victim.shutdown()
      return () => victim.restart()
  }
}

/** One run on servers of its own. */
export const faultRun = async (options: FaultRunOptions): Promise<FaultRunResult> => {
  const topics = [{ name: "events", partitions: 6 }]
  const [cluster, sqs] = await Promise.all([
    Kafka.start({ brokers: options.brokers, topics }),
    Fauxqs.start({ persistent: false })
  ])
  try {
    const parsed = AppConfig.parse([{ file: "run.yaml", text: configuration(cluster, sqs.endpoint, options) }], {})
    if (Either.isLeft(parsed)) throw parsed.left
    return await Effect.runPromise(
      Effect.scoped(
        Effect.flatMap(Spillway.make(parsed.right, Drivers.live, "fault-run"), spillway =>
          Effect.promise(() => measure(spillway, cluster, options))
        )
      )
    )
  } finally {
    await Promise.all([cluster.stop(), sqs.stop()])
  }
}

interface Publish {
  readonly at: number
  readonly open: boolean
  ms: number
  outcome: string
}

const measure = async (
  spillway: Spillway.Service,
  cluster: KafkaCluster,
  options: FaultRunOptions
): Promise<FaultRunResult> => {
  const publishes = new Map<string, Publish>()
  let open = false
  let receivesAtOpening = 0
  let receivesWhileOpen = 0
  const replay = () => spillway.status().connections[0]?.fallbacks[0]?.replay
  const receives = () => replay()?.receives ?? 0
  spillway.onBreakerChange((_connection, scope, state) => {
    if (scope !== "cluster") return
    if (state === "open" && !open) receivesAtOpening = receives()
    if (state !== "open" && open) receivesWhileOpen += receives() - receivesAtOpening
    open = state === "open"
  })
  await eventually("the topic", 20_000, () => (spillway.status().health.readiness === "accepting" ? true : undefined))

  // A broker that has just started answers slowly at first: that is not the fault to be measured.
  let warm = 0
  await eventually("a warm cluster", 30_000, async () => {
    const from = performance.now()
    const records = Array.from({ length: 100 }, () => ({ topic: "events", value: "warm-up", id: `warm-${warm++}` }))
    const receipts = await Promise.all(records.map(record => spillway.publishPromise(record)))
    const quick = performance.now() - from < 50
    return quick && warm > 3000 && receipts.every(({ outcome }) => outcome === "delivered") ? true : undefined
  })

  let firstDivertedAt: number | undefined
  let sequence = 0
  let running = true
  const began = performance.now()
  const publishOne = () => {
    const number = sequence++
    const id = `run-${number}`
    const one: Publish = { at: performance.now(), open, ms: 0, outcome: "" }
    publishes.set(id, one)
    spillway.offer({ topic: "events", key: `key-${number % 97}`, value: `value ${number}`, id }, outcome => {
      one.ms = performance.now() - one.at
      one.outcome = outcome._tag === "Receipt" ? outcome.outcome : outcome.reason
      if (one.outcome === "diverted") firstDivertedAt ??= performance.now()
    })
  }
  const load = (async () => {
    while (running) {
      const due = ((performance.now() - began) / 1000) * options.rate
      while (sequence < due) publishOne()
      await new Promise(resolve => setTimeout(resolve, 2))
    }
  })()
  const pass = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

  await pass(options.calmMs)
  const faultAt = performance.now()
  const heal = await inflict(cluster, options.fault)
  await pass(Math.max(0, options.faultMs - (performance.now() - faultAt)))
  await heal()
  const healedAt = performance.now()
  await pass(options.calmMs)
  running = false
  await load
  await eventually("every publish to be answered", 20_000, () =>
    Array.from(publishes.values()).every(({ outcome }) => outcome !== "") ? true : undefined
  )
  await eventually("everything parked to be back", 120_000, () => {
    const { accounting } = spillway.status()
    return accounting.redelivered + accounting.deadLettered >= accounting.diverted ? true : undefined
  })
  const recoveryMs = performance.now() - healedAt
  const { accounting } = spillway.status()

  const copies = new Map<string, number>()
  for (const record of await readAll(cluster, "events")) {
    const id = headerText(record, "spillway-id") ?? ""
    copies.set(id, (copies.get(id) ?? 0) + 1)
  }
  const all = Array.from(publishes)
  const durable = all.filter(([, { outcome }]) => outcome === "delivered" || outcome === "diverted")
  const extra = (ids: ReadonlyArray<readonly [string, Publish]>) =>
    ids.reduce((sum, [id]) => sum + Math.max(0, (copies.get(id) ?? 0) - 1), 0)
  const duplicated = extra(all)
  const storedTwice = spillway.status().connections[0]?.fallbacks[0]?.writer.storedTwice ?? 0
  const replayUnknown = (replay()?.unknown ?? 0) + storedTwice
  const calm = all.filter(([, { at }]) => at < faultAt).map(([, { ms }]) => ms)
  const whileOpen = all.filter(([, one]) => one.open).map(([, { ms }]) => ms)
  return {
    published: all.length,
    failed: all.length - durable.length,
    delivered: accounting.delivered,
    diverted: accounting.diverted,
    divertedUnknown: accounting.divertedUnknown,
    replayUnknown,
    deadLettered: accounting.deadLettered,
    inKafka: all.filter(([id]) => copies.has(id)).length,
    lost: durable.filter(([id]) => !copies.has(id)).length - accounting.deadLettered,
    duplicated,
    unexplained: Math.max(0, duplicated - accounting.divertedUnknown - replayUnknown),
    worstPublishMs: all.reduce((worst, [, { ms }]) => Math.max(worst, ms), 0),
    failoverMs: firstDivertedAt === undefined ? undefined : firstDivertedAt - faultAt,
    openP50Ms: quantile(whileOpen, 0.5),
    openP99Ms: quantile(whileOpen, 0.99),
    calmP99Ms: quantile(calm, 0.99),
    receivesWhileOpen,
    recoveryMs
  }
}
