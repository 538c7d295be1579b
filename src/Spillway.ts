/**
 * The composed runtime: for each Kafka connection a client, a circuit breaker and a producer; for each topic with a
 * fallback a queue, a writer, a dead-letter queue and a retry daemon; one spool for all of them; all loops supervised, all
 * flushed at the end.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as AppConfig from "./AppConfig.ts"
import type * as CircuitBreaker from "./CircuitBreaker.ts"
import type * as Health from "./Health.ts"
import { type Connection, type ConnectionStatus, connectionStatus, makeConnection } from "./internal/connection.ts"
import { makeDeadline } from "./internal/deadline.ts"
import type { Drivers } from "./internal/drivers.ts"
import type { FallbackStatus } from "./internal/fallback.ts"
import { Histogram, type LatencyStatus, latencyStatus } from "./internal/histogram.ts"
import { accountingOf, healthOf, heldOf } from "./internal/report.ts"
import { type Publishing, tracedPublishing } from "./internal/tracedPublishing.ts"
import { type Vitals, watchVitals } from "./internal/vitals.ts"
import * as Metrics from "./Metrics.ts"
import type * as Producer from "./Producer.ts"
import type { Durability, Outcome, PublishError, Receipt } from "./Receipt.ts"
import type { ProducerRecord } from "./Record.ts"
import * as Shutdown from "./Shutdown.ts"
import type * as Spool from "./Spool.ts"
import * as SpoolDrainer from "./SpoolDrainer.ts"
import { type SupervisionError, supervise } from "./Supervision.ts"
import * as Telemetry from "./Telemetry.ts"
import * as Tracing from "./Tracing.ts"

export type { ConnectionStatus, Drivers, FallbackStatus, LatencyStatus }

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
  readonly process: Vitals
  /** Of the export over OTLP; undefined when nothing is exported. */
  readonly telemetry: Telemetry.Status | undefined
}

export interface Service {
  /**
   * Takes one record; the callback is told once what became of it, possibly before this returns. The record's bytes are
   * the caller's again when it does.
   */
  readonly offer: (record: ProducerRecord, callback: Producer.Callback) => void
  readonly publish: (record: ProducerRecord) => Effect.Effect<Receipt, PublishError>
  /** The outcome of each record, in order. */
  readonly publishAll: (records: ReadonlyArray<ProducerRecord>) => Effect.Effect<ReadonlyArray<Outcome>>
  /** For callers without Effect: rejects with the `PublishError`. */
  readonly publishPromise: (record: ProducerRecord) => Promise<Receipt>
  readonly status: () => Status
  /** For whoever takes records in and knows of their traces; undefined when nothing is exported. */
  readonly tracing: Tracing.Service | undefined
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

/** The last telemetry's share of a shutdown's budget, and what it has at least and at most, ms. */
const flushing = { share: 0.1, least: 200, most: 2000 } as const

const flushMs = (budgetMs: number, tookMs: number): number => {
  const share = Math.min(flushing.most, budgetMs * flushing.share)
  return Math.max(flushing.least, Math.min(share, budgetMs - tookMs))
}

/** The runtime for a configuration. Its scope's end shuts it down within `shutdown.budget`, unless that was done before. */
export const make = (
  config: AppConfig.AppConfig,
  drivers: Drivers,
  instance: string
): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const latencies = { delivered: new Histogram(), diverted: new Histogram(), spooled: new Histogram() }
    const vitals = yield* watchVitals
    const { otlp } = config.telemetry
    const clock = yield* Effect.clock
    const telemetry =
      otlp === undefined ? undefined : Telemetry.make(otlp, instance, startedAt, () => Metrics.families(status()))
    const tracing =
      otlp === undefined || telemetry === undefined
        ? undefined
        : Tracing.make({
            sampleRatio: otlp.sampleRatio,
            instance,
            now: () => clock.unsafeCurrentTimeMillis(),
            record: telemetry.record
          })
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
      connections.push(
        yield* makeConnection(drivers, config, connection, members, instance, latencies, spool, parking, tracing)
      )
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
    const exporting = telemetry === undefined ? [] : [["telemetry", telemetry.run] as const]
    for (const [name, loop] of [...connections.flatMap(connection => connection.loops), ...draining, ...exporting]) {
      yield* FiberSet.run(
        loops,
        Effect.catchAll(supervise(name, loop), error => Deferred.fail(failure, error))
      )
    }

    const spoolStatus = (): SpoolStatus | undefined =>
      spool === undefined || drainer === undefined ? undefined : { ...spool.status(), drained: drainer.counters() }

    const end = yield* Shutdown.once({
      accounting: () => accountingOf(connections),
      drainer,
      held: () => heldOf(connections),
      parking,
      parts: connections.map(({ breaker, fallbacks, producer }) => ({
        producer,
        breaker,
        daemons: Array.from(fallbacks.values(), ({ daemon }) => daemon)
      }))
    })
    const status = (): Status => {
      const statuses = connections.map(connectionStatus)
      const spooled = spoolStatus()
      return {
        instance,
        startedAt,
        health: healthOf(statuses, spooled, config.buffer),
        accounting: accountingOf(connections),
        held: heldOf(connections),
        connections: statuses,
        spool: spooled,
        publishLatency: {
          delivered: latencyStatus(latencies.delivered),
          diverted: latencyStatus(latencies.diverted),
          spooled: latencyStatus(latencies.spooled)
        },
        process: vitals(),
        telemetry: telemetry?.status()
      }
    }

    const shutdown = (budgetMs: number) =>
      Effect.tap(end(budgetMs), ({ tookMs }) => telemetry?.flush(flushMs(budgetMs, tookMs)) ?? Effect.void)
    // Registered last, so it runs first: loops, client and queues are still there.
    yield* Effect.addFinalizer(() => Effect.interruptible(Effect.asVoid(shutdown(config.shutdown.budgetMs))))

    const publishing: Publishing = {
      offer: (record, callback) => producerOf(record).offer(record, callback),
      publish: record => producerOf(record).publish(record),
      publishPromise: record => producerOf(record).publishPromise(record),
      publishAll: records => {
        if (connections.length === 1) return first.producer.publishAll(records)
        return Effect.forEach(records, record => Effect.merge(producerOf(record).publish(record)), {
          concurrency: "unbounded"
        })
      }
    }

    return {
      ...(tracing === undefined ? publishing : tracedPublishing(publishing, tracing)),
      status,
      tracing,
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
