/**
 * The composed runtime: for each Kafka connection a client, a circuit breaker and a producer; for each topic with a
 * fallback a queue, a writer, a dead-letter queue and a retry daemon; one spool for all of them; all loops supervised, all flushed at the end.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as AppConfig from "./AppConfig.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import type { Service as Claims } from "./ClaimCheck.ts"
import * as DeadLetterQueue from "./DeadLetterQueue.ts"
import type { FallbackQueueError, Service as Queue, QueueDepth } from "./FallbackQueue.ts"
import * as FallbackWriter from "./FallbackWriter.ts"
import * as Health from "./Health.ts"
import { makeBacklog } from "./internal/backlog.ts"
import { fallbackBudgetMs } from "./internal/config/model.ts"
import { type Deadline, makeDeadline } from "./internal/deadline.ts"
import { Histogram } from "./internal/histogram.ts"
import type { Service as KafkaService } from "./KafkaClient.ts"
import * as Producer from "./Producer.ts"
import type { Durability, Outcome, PublishError, Receipt } from "./Receipt.ts"
import type { ProducerRecord } from "./Record.ts"
import * as RetryDaemon from "./RetryDaemon.ts"
import * as Shutdown from "./Shutdown.ts"
import type * as Spool from "./Spool.ts"
import * as SpoolDrainer from "./SpoolDrainer.ts"
import { type SupervisionError, supervise } from "./Supervision.ts"

/** How the outside is reached; tests hand in doubles. */
export interface Drivers {
  readonly kafka: (connection: AppConfig.KafkaConnectionConfig) => Effect.Effect<KafkaService, never, Scope.Scope>
  readonly queue: (options: {
    readonly queueId: string
    readonly client: AppConfig.SqsClientConfig
    /** Create it, with this dead-letter queue behind it, when it does not exist. */
    readonly create: { readonly deadLetterQueueId: string | undefined } | undefined
    readonly onRequest: (operation: string, billedRequests: number) => void
  }) => Effect.Effect<Queue, never, Scope.Scope>
  /** Asked for only where the configuration has a claim check. */
  readonly claims: (options: {
    readonly bucket: string
    readonly prefix: string
    readonly client: AppConfig.S3ClientConfig
  }) => Effect.Effect<Claims, never, Scope.Scope>
  readonly spool: (options: {
    readonly path: string
    readonly maxBytes: number
  }) => Effect.Effect<Spool.Service, never, Scope.Scope>
}

/** One topic with a fallback. */
export interface FallbackStatus {
  readonly producer: string
  readonly topic: string
  readonly queue: string
  readonly deadLetterQueue: string
  readonly writer: FallbackWriter.Status
  readonly replay: Readonly<RetryDaemon.Counters> & { readonly recordsPerSecond: number }
  /** As last asked for; undefined when it could not be. */
  readonly depth: QueueDepth | undefined
  /** Why the queue cannot be used; empty when it can. */
  readonly fault: string
  /** Requests as AWS bills them, 64 KiB each. */
  readonly billedRequests: number
}

export interface ConnectionStatus {
  readonly connection: string
  readonly breaker: CircuitBreaker.Status
  readonly producer: Producer.Status
  readonly fallbacks: ReadonlyArray<FallbackStatus>
}

/** ms, weighted by records. */
export interface LatencyStatus {
  readonly count: number
  readonly sum: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** Records at or below each bound. */
  readonly buckets: ReadonlyArray<readonly [bound: number, records: number]>
}

/** The spool and what came out of it. */
export interface SpoolStatus extends Spool.Status {
  readonly drained: Readonly<SpoolDrainer.Counters>
}

export interface Status {
  readonly instance: string
  /** ms since the epoch */
  readonly startedAt: number
  readonly health: Health.Health
  readonly accounting: Shutdown.Accounting
  /** Where the records in memory are; topics that have none there are left out. */
  readonly held: ReadonlyArray<Shutdown.Held>
  readonly connections: ReadonlyArray<ConnectionStatus>
  /** Undefined when none is configured. */
  readonly spool: SpoolStatus | undefined
  readonly publishLatency: Readonly<Record<Durability, LatencyStatus>>
}

export interface Service {
  /** Takes one record; the callback is told once what became of it, possibly before this returns. */
  readonly offer: (record: ProducerRecord, callback: Producer.Callback) => void
  readonly publish: (record: ProducerRecord) => Effect.Effect<Receipt, PublishError>
  /** The outcome of each record, in order. */
  readonly publishAll: (records: ReadonlyArray<ProducerRecord>) => Effect.Effect<ReadonlyArray<Outcome>>
  /** For callers without Effect: rejects with the `PublishError`. */
  readonly publishPromise: (record: ProducerRecord) => Promise<Receipt>
  readonly status: () => Status
  /** The operator's word on a connection's breaker; `undefined` gives control back. */
  readonly forceBreaker: (connection: string, state: "open" | "closed" | undefined) => boolean
  readonly onBreakerChange: (
    listener: (connection: string, scope: string, state: CircuitBreaker.State, reason: string) => void
  ) => void
  /** From now on records are sent without waiting for company: for a host that may go soon. Nothing is refused. */
  readonly drain: Effect.Effect<void>
  /** Refuses, flushes, parks and accounts, within the budget. Runs once; later calls get the same summary. */
  readonly shutdown: (budgetMs: number) => Effect.Effect<Shutdown.Summary>
  /** Fails when a supervised loop has used up its restarts: the process should end. */
  readonly failed: Effect.Effect<never, SupervisionError>
}

export class Spillway extends Context.Tag("spillway/Spillway")<Spillway, Service>() {}

/** How often queues are asked for depth and reachability, ms. */
const queueProbeMs = 5000
/** How long parcels wait to share a message, ms. */
const collectMs = 5
const latencyBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] as const

const latency = (histogram: Histogram): LatencyStatus => ({
  count: histogram.count,
  sum: histogram.sum,
  p50: histogram.quantile(0.5),
  p99: histogram.quantile(0.99),
  max: histogram.max,
  buckets: latencyBounds.map(bound => [bound, histogram.atMost(bound)] as const)
})

/** Fallback queues are left alone as long as Kafka is. */
const openScheduleOf = ({ factor, jitter, openMaxMs, openMinMs }: AppConfig.BreakerConfig) =>
  CircuitBreaker.openSchedule({ minMs: openMinMs, maxMs: openMaxMs, factor, jitter })

interface Fallback {
  readonly idHeader: string
  readonly writer: FallbackWriter.Service
  readonly daemon: RetryDaemon.Service
  readonly status: () => FallbackStatus
  readonly probe: Effect.Effect<void>
}

const claimsOf = (
  drivers: Drivers,
  config: AppConfig.AppConfig,
  claimCheck: AppConfig.ClaimCheckConfig | undefined
): Effect.Effect<Claims | undefined, never, Scope.Scope> => {
  if (claimCheck === undefined) return Effect.succeed(undefined)
  const { bucket, clientName, prefix } = claimCheck
  const client = config.s3Clients[clientName]
  if (client === undefined) return Effect.dieMessage(`S3 client ${clientName} is not configured`)
  return drivers.claims({ bucket, prefix, client })
}

const makeFallback = (
  drivers: Drivers,
  config: AppConfig.AppConfig,
  producer: AppConfig.ProducerConfig & { readonly retry: { readonly enabled: true } },
  output: AppConfig.OutputConfig,
  kafka: KafkaService,
  breaker: CircuitBreaker.Service,
  pressed: () => boolean,
  spool: Spool.Service | undefined,
  deadline: Deadline
): Effect.Effect<Fallback, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { retry } = producer
    const client = config.sqsClients[retry.clientName]
    if (client === undefined) return yield* Effect.dieMessage(`SQS client ${retry.clientName} is not configured`)
    let billed = 0
    const onRequest = (_operation: string, requests: number) => {
      billed += requests
    }
    const driven = yield* drivers.queue({
      queueId: retry.queueId,
      client,
      create: retry.create ? { deadLetterQueueId: retry.deadLetterQueueId } : undefined,
      onRequest
    })
    const clock = yield* Effect.clock
    const backlog =
      retry.backlog === undefined
        ? undefined
        : makeBacklog(
            driven,
            { ...retry.backlog, key: `stream.producer.${producer.name}.retry.backlog.max_messages` },
            () => clock.unsafeCurrentTimeMillis(),
            deadline
          )
    const queue = backlog?.queue ?? driven
    const buried = yield* drivers.queue({
      queueId: retry.deadLetterQueueId,
      client,
      create: retry.create ? { deadLetterQueueId: undefined } : undefined,
      onRequest
    })
    const claims = yield* claimsOf(drivers, config, retry.claimCheck)
    const deadLetters = DeadLetterQueue.make(buried, claims)
    const writer = yield* FallbackWriter.make(queue, {
      collectMs,
      afterMs: retry.afterMs,
      budgetMs: config.spool?.queueTimeoutMs ?? fallbackBudgetMs,
      openSchedule: openScheduleOf(config.breaker),
      claims,
      deadline,
      spool,
      backlog
    })
    const daemon = yield* RetryDaemon.make(
      {
        topic: output.topic,
        balancer: output.balancer,
        idHeader: output.idHeader,
        batchBytes: output.batchBytes,
        writeTimeoutMs: Math.max(output.writeTimeoutMs, 1000),
        maxAttempts: retry.maxAttempts,
        afterMs: retry.afterMs,
        runnerCount: retry.runnerCount,
        maxNumberOfMessages: retry.maxNumberOfMessages,
        waitTimeSeconds: retry.waitTimeSeconds,
        visibilityMs: retry.visibilityTimeoutMs,
        unmarshaller: retry.unmarshaller,
        rate: retry.rate
      },
      { queue, claims, deadLetters, kafka, breaker, pressed }
    )
    let depth: QueueDepth | undefined
    let fault = ""
    const describe = (error: FallbackQueueError) => `${error.reason}: ${error.message}`
    const probe = Effect.all([queue.limits, queue.depth, buried.limits]).pipe(
      Effect.match({
        onSuccess: ([, measured]) => {
          depth = measured
          fault = ""
        },
        onFailure: error => {
          depth = undefined
          fault = describe(error)
        }
      })
    )
    return {
      idHeader: output.idHeader,
      writer,
      daemon,
      probe,
      status: () => ({
        producer: producer.name,
        topic: output.topic,
        queue: queue.name,
        deadLetterQueue: deadLetters.name,
        writer: writer.status(),
        replay: { ...daemon.counters(), recordsPerSecond: daemon.rate() },
        depth,
        fault: writer.status().state === "down" ? writer.status().reason : fault,
        billedRequests: billed
      })
    }
  })

/** Everything that belongs to one Kafka connection. */
interface Connection {
  readonly name: string
  readonly producer: Producer.Service
  readonly breaker: CircuitBreaker.Service
  readonly fallbacks: ReadonlyMap<string, Fallback>
  readonly loops: ReadonlyArray<readonly [name: string, loop: Effect.Effect<never>]>
}

const makeConnection = (
  drivers: Drivers,
  config: AppConfig.AppConfig,
  connection: AppConfig.KafkaConnectionConfig,
  members: ReadonlyArray<{ readonly producer: AppConfig.ProducerConfig; readonly output: AppConfig.OutputConfig }>,
  instance: string,
  latencies: Readonly<Record<Durability, Histogram>>,
  spool: Spool.Service | undefined,
  deadline: Deadline
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { breaker: thresholds, buffer } = config
    const kafka = yield* drivers.kafka(connection)
    const breaker = yield* CircuitBreaker.make(thresholds, openScheduleOf(thresholds))
    const fallbacks = new Map<string, Fallback>()
    const producer = yield* Producer.make(
      {
        topics: members.map(({ output, producer: { encoding } }) => ({ ...output, encoding })),
        buffer,
        metadataMaxAgeMs: connection.metadataMaxAgeMs,
        origin: instance
      },
      {
        kafka,
        breaker,
        fallback: topic => fallbacks.get(topic)?.writer,
        onDelivered: (records, _bytes, ms) => latencies.delivered.add(ms, records),
        onParked: (outcome, records, ms) => latencies[outcome].add(ms, records)
      }
    )
    // A quarter of the buffer in use: live records are not keeping up.
    const pressed = () => {
      const { inMemory } = producer.status()
      return inMemory.records * 4 > buffer.maxRecords || inMemory.bytes * 4 > buffer.maxBytes
    }
    const loops: Array<readonly [string, Effect.Effect<never>]> = [
      [`producer of ${connection.name}`, producer.run],
      [`circuit breaker of ${connection.name}`, breaker.watch(producer.reach)]
    ]
    for (const { output, producer: member } of members) {
      const { retry } = member
      if (!retry.enabled) continue
      const fallback = yield* makeFallback(
        drivers,
        config,
        { ...member, retry },
        output,
        kafka,
        breaker,
        pressed,
        spool,
        deadline
      )
      fallbacks.set(output.topic, fallback)
      loops.push(
        [`fallback writer of ${member.name}`, fallback.writer.run],
        [`retry daemon of ${member.name}`, fallback.daemon.run],
        [`queue probe of ${member.name}`, Effect.forever(Effect.zipRight(fallback.probe, Effect.sleep(queueProbeMs)))]
      )
    }
    const probes = yield* FiberSet.make()
    const start = yield* FiberSet.runtime(probes)<never>()
    breaker.onChange((scope, state) => {
      // A queue that went away is noticed before it is needed.
      if (scope === "cluster" && state === "open") for (const { probe } of fallbacks.values()) start(probe)
    })
    return { name: connection.name, producer, breaker, fallbacks, loops }
  })

/** The runtime for a configuration. Its scope's end shuts it down within `shutdown.budget`, unless that was done before. */
export const make = (
  config: AppConfig.AppConfig,
  drivers: Drivers,
  instance: string
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const latencies = { delivered: new Histogram(), diverted: new Histogram(), spooled: new Histogram() }
    // Made first, so that it is closed last.
    const spool = config.spool === undefined ? undefined : yield* drivers.spool(config.spool)
    const parking = makeDeadline()
    const connections: Array<Connection> = []
    for (const connection of Object.values(config.kafkaConnections)) {
      const members = Object.values(config.producers).flatMap(producer => {
        const output = config.outputs[producer.output]
        return output?.connection === connection.name ? [{ producer, output }] : []
      })
      if (members.length === 0) continue
      connections.push(yield* makeConnection(drivers, config, connection, members, instance, latencies, spool, parking))
    }
    const byTopic = new Map<string, Producer.Service>()
    for (const { producer } of connections) {
      for (const { topic } of producer.status().topics) byTopic.set(topic, producer)
    }
    const [first] = connections
    if (first === undefined) return yield* Effect.dieMessage("no producer is configured")
    /** One that refuses topics nobody configured, and malformed records, with the right error. */
    const producerOf = (record: ProducerRecord) => byTopic.get(record?.topic) ?? first.producer

    const ways = new Map<string, SpoolDrainer.Way>()
    for (const { breaker, fallbacks } of connections) {
      for (const [topic, fallback] of fallbacks) ways.set(topic, { ...fallback, breaker })
    }
    const drainer = spool === undefined ? undefined : SpoolDrainer.make(spool, ways)

    const failure = yield* Deferred.make<never, SupervisionError>()
    const loops = yield* FiberSet.make()
    const draining = drainer === undefined ? [] : [["spool drainer", drainer.run] as const]
    for (const [name, loop] of [...connections.flatMap(connection => connection.loops), ...draining]) {
      yield* FiberSet.run(
        loops,
        Effect.catchAll(supervise(name, loop), error => Deferred.fail(failure, error))
      )
    }

    const accounting = (): Shutdown.Accounting => {
      const none = { accepted: 0, delivered: 0, diverted: 0, spooled: 0, divertedUnknown: 0, rejected: 0, failed: 0 }
      const sum = { ...none, inMemory: 0 }
      const replayed = { redelivered: 0, deadLettered: 0 }
      for (const { fallbacks, producer } of connections) {
        const { counters, inMemory } = producer.status()
        sum.accepted += counters.accepted
        sum.delivered += counters.delivered
        sum.diverted += counters.diverted
        sum.spooled += counters.spooled
        sum.divertedUnknown += counters.divertedUnknown
        sum.rejected += counters.rejected
        sum.failed += counters.failed
        sum.inMemory += inMemory.records
        for (const { daemon } of fallbacks.values()) {
          replayed.redelivered += daemon.counters().redelivered
          replayed.deadLettered += daemon.counters().deadLettered
        }
      }
      return { ...sum, ...replayed }
    }

    const held = (): ReadonlyArray<Shutdown.Held> =>
      connections.flatMap(({ fallbacks, producer }) =>
        producer.status().topics.flatMap(({ buffered, inFlight, topic }) => {
          const fallback = fallbacks.get(topic)?.status()
          const parking = fallback?.writer.pendingRecords ?? 0
          return buffered + inFlight + parking === 0
            ? []
            : [{ topic, buffered, inFlight, parking, queue: fallback?.queue }]
        })
      )

    const connectionStatus = ({ breaker, fallbacks, name, producer }: Connection): ConnectionStatus => ({
      connection: name,
      breaker: breaker.status(),
      producer: producer.status(),
      fallbacks: Array.from(fallbacks.values(), fallback => fallback.status())
    })

    const spoolStatus = (): SpoolStatus | undefined =>
      spool === undefined || drainer === undefined ? undefined : { ...spool.status(), drained: drainer.counters() }

    const health = (statuses: ReadonlyArray<ConnectionStatus>, spooled: SpoolStatus | undefined): Health.Health =>
      Health.judge({
        spool: spooled && {
          ...spooled,
          stranded: spooled.topics.map(({ topic }) => topic).filter(topic => !ways.has(topic))
        },
        closed: statuses.some(({ producer }) => producer.closed),
        bufferFull: statuses.some(
          ({ producer: { inMemory } }) =>
            inMemory.records >= config.buffer.maxRecords || inMemory.bytes >= config.buffer.maxBytes
        ),
        connections: statuses.map(({ breaker, connection, fallbacks, producer }) => ({
          name: connection,
          breaker: { state: breaker.state, reason: breaker.reason },
          unknownTopics: producer.topics.filter(({ partitions }) => partitions === 0).map(({ topic }) => topic),
          openPartitions: breaker.partitions.length,
          queues: fallbacks.map(({ fault, queue, writer }) => ({ name: queue, fault, backlog: writer.backlog })),
          claimFaults: fallbacks.map(({ writer }) => writer.claimFault).filter(fault => fault !== ""),
          unprotected: producer.topics
            .map(({ topic }) => topic)
            .filter(topic => !fallbacks.some(fallback => fallback.topic === topic))
        }))
      })

    const shutdown = yield* Shutdown.once({
      accounting,
      drainer,
      held,
      parking,
      parts: connections.map(({ breaker, fallbacks, producer }) => ({
        producer,
        breaker,
        daemons: Array.from(fallbacks.values(), ({ daemon }) => daemon)
      }))
    })
    // Registered last, so it runs first: loops, client and queues are still there.
    yield* Effect.addFinalizer(() => Effect.interruptible(Effect.asVoid(shutdown(config.shutdown.budgetMs))))

    return {
      offer: (record, callback) => producerOf(record).offer(record, callback),
      publish: record => producerOf(record).publish(record),
      publishPromise: record => producerOf(record).publishPromise(record),
      publishAll: records => {
        if (connections.length === 1) return first.producer.publishAll(records)
        return Effect.forEach(records, record => Effect.merge(producerOf(record).publish(record)), {
          concurrency: "unbounded"
        })
      },
      status: () => {
        const statuses = connections.map(connectionStatus)
        const spooled = spoolStatus()
        return {
          instance,
          startedAt,
          health: health(statuses, spooled),
          accounting: accounting(),
          held: held(),
          connections: statuses,
          spool: spooled,
          publishLatency: {
            delivered: latency(latencies.delivered),
            diverted: latency(latencies.diverted),
            spooled: latency(latencies.spooled)
          }
        }
      },
      forceBreaker: (name, state) => {
        const found = connections.find(connection => connection.name === name)
        found?.breaker.force(state)
        return found !== undefined
      },
      onBreakerChange: listener => {
        for (const { breaker, name } of connections) {
          breaker.onChange((scope, state, reason) => listener(name, scope, state, reason))
        }
      },
      drain: Effect.forEach(connections, ({ producer }) => producer.hurry, { discard: true }),
      shutdown,
      failed: Deferred.await(failure)
    }
  })

/** Spillway over the given drivers, configured by `AppConfig`. */
export const layer = (drivers: Drivers, instance: string): Layer.Layer<Spillway, never, AppConfig.AppConfig> =>
  Layer.scoped(
    Spillway,
    Effect.flatMap(AppConfig.AppConfig, config => make(config, drivers, instance))
  )
