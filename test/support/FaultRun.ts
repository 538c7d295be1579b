/**
 * Load, a fault, recovery, and the account: what `bench/faults.ts` measures at length and the failover tests check in short.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"
import * as Drivers from "../../src/Drivers.ts"
import * as Spillway from "../../src/Spillway.ts"
import { eventually } from "./eventually.ts"
import { type Account, FaultLoad, quantile, topic } from "./FaultLoad.ts"
import * as Kafka from "./Kafka.ts"
import type { KafkaCluster } from "./KafkaCluster.ts"
import { parkedIds } from "./parkedIds.ts"

/** `absent`: killed before Spillway starts, so that it never saw the topic. */
export type Fault = "kill" | "freeze" | "controlled" | "absent"

export interface Settings {
  readonly writeTimeoutMs: number
  readonly maxAttempts?: number
  /** True by default. */
  readonly idempotent?: boolean
  /** Replay loops; 1 by default. */
  readonly runners?: number
}

export interface FaultRunOptions extends Settings {
  readonly brokers: 1 | 3
  readonly fault: Fault
  /** Records per second. */
  readonly rate: number
  readonly calmMs: number
  readonly faultMs: number
  /** Records published during the fault beside those, all at once. */
  readonly backlog?: number
}

export interface FaultRunResult extends Account {
  /** ms from the fault to the first record durable in the queue; undefined when nothing was diverted. */
  readonly failoverMs: number | undefined
  /** Published from the fault to its end; of them answered as durable by then. */
  readonly duringFault: { readonly published: number; readonly durable: number }
  /** Different records in the messages of the queue at the end of the fault. */
  readonly inQueue: number
  /** ms, of publishes begun while the breaker was open. */
  readonly openP50Ms: number
  readonly openP99Ms: number
  readonly calmP99Ms: number
  /** `ReceiveMessage` calls begun while the breaker was open. */
  readonly receivesWhileOpen: number
  /** ms from the end of the fault until everything parked was back in Kafka. */
  readonly recoveryMs: number
  /** What was diverted and came back: from the first such record to the last by the broker's clock, ms. */
  readonly replay: { readonly records: number; readonly ms: number }
}

const queue = "parked"

/** One topic, one queue, settings that make a test short. */
export const configuration = (kafka: KafkaCluster, endpoint: string, settings: Settings): string => `
stream:
  output:
    out: { connection: default, topic: ${topic}, type: kafka, write_timeout: ${settings.writeTimeoutMs}ms }
  producer:
    events:
      output: out
      retry: { queue_id: ${queue}, after: 1s, max_attempts: ${settings.maxAttempts ?? 3}, wait_time: 1, runner_count: ${settings.runners ?? 1}, visibility_timeout: 20s, create: true }
kafka:
  connection:
    default: { brokers: "${kafka.bootstrap.join(",")}", idempotent: ${settings.idempotent ?? true} }
cloud:
  aws:
    sqs:
      clients:
        default: { region: us-east-1, endpoint: "${endpoint}", access_key_id: local, secret_access_key: local }
breaker: { open_min: 500ms, open_max: 2s }
`

/** Spillway as a library, for as long as `use` takes. */
export const withSpillway = <A>(text: string, use: (spillway: Spillway.Service) => Promise<A>): Promise<A> => {
  const parsed = AppConfig.parse([{ file: "run.yaml", text }], {})
  if (Either.isLeft(parsed)) throw parsed.left
  const make = Spillway.make(parsed.right, Drivers.live, "fault-run")
  return Effect.runPromise(Effect.scoped(Effect.flatMap(make, spillway => Effect.promise(() => use(spillway)))))
}

/** A broker that has just started answers slowly at first: that is not the fault to be measured. */
export const warmUp = async (spillway: Spillway.Service): Promise<void> => {
  await eventually("the topic", 20_000, () => (spillway.status().health.readiness === "accepting" ? true : undefined))
  let warm = 0
  await eventually("a warm cluster", 30_000, async () => {
    const from = performance.now()
    const records = Array.from({ length: 100 }, () => ({ topic, value: "warm-up", id: `warm-${warm++}` }))
    const receipts = await Promise.all(records.map(record => spillway.publishPromise(record)))
    const quick = performance.now() - from < 50
    return quick && warm > 3000 && receipts.every(({ outcome }) => outcome === "delivered") ? true : undefined
  })
}

const inflict = async (cluster: KafkaCluster, fault: Fault): Promise<() => Promise<void>> => {
  const victim = cluster.brokers.length === 1 ? cluster.brokers[0] : await cluster.leaderOf(topic, 0)
  if (victim === undefined) throw new Error("the cluster has no broker")
  switch (fault) {
    case "freeze":
      victim.freeze()
      return async () => victim.resume()
    case "controlled":
      await victim.shutdown()
      return () => victim.restart()
    default:
      await victim.kill()
      return () => victim.restart()
  }
}

/**
 * One run on a cluster of its own.
 *
 * @param endpoint of a fauxqs
 */
export const faultRun = async (options: FaultRunOptions, endpoint: string): Promise<FaultRunResult> => {
  const config = { "message.timestamp.type": "LogAppendTime" }
  const cluster = await Kafka.start({ brokers: options.brokers, topics: [{ name: topic, partitions: 6, config }] })
  try {
    const heal = options.fault === "absent" ? await inflict(cluster, options.fault) : undefined
    const text = configuration(cluster, endpoint, options)
    return await withSpillway(text, spillway => measure(spillway, cluster, endpoint, options, heal))
  } finally {
    await cluster.stop()
  }
}

const pass = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

/** @param inflicted how to end a fault that is there already */
const measure = async (
  spillway: Spillway.Service,
  cluster: KafkaCluster,
  endpoint: string,
  options: FaultRunOptions,
  inflicted: (() => Promise<void>) | undefined
): Promise<FaultRunResult> => {
  let open = false
  let receivesAtOpening = 0
  let receivesWhileOpen = 0
  const receives = () => spillway.status().connections[0]?.fallbacks[0]?.replay.receives ?? 0
  spillway.onBreakerChange((_connection, scope, state) => {
    if (scope !== "cluster") return
    if (state === "open" && !open) receivesAtOpening = receives()
    if (state !== "open" && open) receivesWhileOpen += receives() - receivesAtOpening
    open = state === "open"
  })
  const load = new FaultLoad(spillway)
  if (inflicted === undefined) await warmUp(spillway)
  load.start(options.rate)
  if (inflicted === undefined) await pass(options.calmMs)

  const faultAt = performance.now()
  const heal = inflicted ?? (await inflict(cluster, options.fault))
  // All at once, but not before it is known that Kafka is gone.
  await pass(Math.min(options.faultMs, 2 * options.writeTimeoutMs))
  await load.burst(options.backlog ?? 0)
  await pass(Math.max(0, options.faultMs - (performance.now() - faultAt)))
  const during = Array.from(load.publishes.values()).filter(({ at }) => at >= faultAt)
  const durable = during.filter(({ outcome }) => outcome === "delivered" || outcome === "diverted").length
  const inQueue = new Set((await parkedIds(endpoint, queue)).ids).size
  await heal()
  const healedAt = performance.now()
  await load.replayed()
  const recoveryMs = performance.now() - healedAt
  await pass(options.calmMs)
  await load.stop()
  await load.replayed()

  const account = await load.account(cluster)
  const all = Array.from(load.publishes.values())
  const calm = all.filter(({ at }) => at < faultAt).map(({ ms }) => ms)
  const whileOpen = all.filter(one => one.open).map(({ ms }) => ms)
  const stored = all.filter(({ outcome }) => outcome === "diverted").map(({ storedAt }) => storedAt)
  const first = stored.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY)
  const last = stored.reduce((most, at) => Math.max(most, at), first)
  return {
    ...account,
    failoverMs: load.firstDivertedAt === undefined ? undefined : load.firstDivertedAt - faultAt,
    duringFault: { published: during.length, durable },
    inQueue,
    openP50Ms: quantile(whileOpen, 0.5),
    openP99Ms: quantile(whileOpen, 0.99),
    calmP99Ms: quantile(calm, 0.99),
    receivesWhileOpen,
    recoveryMs,
    replay: { records: stored.length, ms: stored.length === 0 ? 0 : last - first }
  }
}
