/**
 * Everything that belongs to one Kafka connection: client, circuit breaker, producer, and the fallbacks of its topics.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import type * as AppConfig from "../AppConfig.ts"
import * as CircuitBreaker from "../CircuitBreaker.ts"
import type { Exception } from "../FallbackWriter.ts"
import * as Producer from "../Producer.ts"
import type { Durability } from "../Receipt.ts"
import type * as Spool from "../Spool.ts"
import type { Service as Tracing } from "../Tracing.ts"
import type { Deadline } from "./deadline.ts"
import type { Drivers } from "./drivers.ts"
import { type Fallback, type FallbackStatus, makeFallback, openScheduleOf } from "./fallback.ts"
import type { Histogram } from "./histogram.ts"

export interface ConnectionStatus {
  readonly connection: string
  readonly breaker: CircuitBreaker.Status
  /** Times the cluster's breaker has opened. */
  readonly breakerOpened: number
  readonly producer: Producer.Status
  readonly fallbacks: ReadonlyArray<FallbackStatus>
}

export interface Connection {
  readonly name: string
  readonly producer: Producer.Service
  readonly breaker: CircuitBreaker.Service
  readonly breakerOpened: () => number
  readonly fallbacks: ReadonlyMap<string, Fallback>
  readonly loops: ReadonlyArray<readonly [name: string, loop: Effect.Effect<never>]>
}

/** How often queues are asked for depth and reachability, ms. */
const queueProbeMs = 5000

export const makeConnection = (
  drivers: Drivers,
  config: AppConfig.AppConfig,
  connection: AppConfig.KafkaConnectionConfig,
  members: ReadonlyArray<{ readonly producer: AppConfig.ProducerConfig; readonly output: AppConfig.OutputConfig }>,
  instance: string,
  latencies: Readonly<Record<Durability, Histogram>>,
  spool: Spool.Service | undefined,
  deadline: Deadline,
  tracing: Tracing | undefined
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { breaker: thresholds, buffer } = config
    const clock = yield* Effect.clock
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
        onParked: (outcome, records, ms) => latencies[outcome].add(ms, records),
        ...(tracing === undefined
          ? {}
          : {
              onTracedDivert: ({ exceptions, from, lastError, topic, traces }) =>
                tracing.diverted({
                  from,
                  to: clock.unsafeCurrentTimeMillis(),
                  traces,
                  queue: fallbacks.get(topic)?.status().queue ?? topic,
                  why: lastError,
                  resultOf: index => resultOf(index, exceptions)
                })
            })
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
        deadline,
        tracing
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
    let opened = 0
    breaker.onChange((scope, state) => {
      if (scope !== "cluster" || state !== "open") return
      opened++
      // A queue that went away is noticed before it is needed.
      for (const { probe } of fallbacks.values()) start(probe)
    })
    return { name: connection.name, producer, breaker, breakerOpened: () => opened, fallbacks, loops }
  })

/** What the fallback made of the record with this index. */
const resultOf = (index: number, exceptions: ReadonlyArray<Exception>) => {
  const found = exceptions.find(({ count, from }) => index >= from && index < from + count)?.outcome
  if (found === undefined) return { outcome: "diverted" }
  return found === "spooled" ? { outcome: "spooled" } : { outcome: "failed", error: found.message }
}

export const connectionStatus = ({
  breaker,
  breakerOpened,
  fallbacks,
  name,
  producer
}: Connection): ConnectionStatus => ({
  connection: name,
  breaker: breaker.status(),
  breakerOpened: breakerOpened(),
  producer: producer.status(),
  fallbacks: Array.from(fallbacks.values(), fallback => fallback.status())
})
