/**
 * The fallback of one topic: its queue with a writer, a dead-letter queue and a retry daemon.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as AppConfig from "../AppConfig.ts"
import * as CircuitBreaker from "../CircuitBreaker.ts"
import type { Service as Claims } from "../ClaimCheck.ts"
import * as DeadLetterQueue from "../DeadLetterQueue.ts"
import type { FallbackQueueError, QueueDepth } from "../FallbackQueue.ts"
import * as FallbackWriter from "../FallbackWriter.ts"
import type { Service as KafkaService } from "../KafkaClient.ts"
import * as RetryDaemon from "../RetryDaemon.ts"
import type * as Spool from "../Spool.ts"
import type { Service as Tracing } from "../Tracing.ts"
import { makeBacklog } from "./backlog.ts"
import { fallbackBudgetMs } from "./config/model.ts"
import type { Deadline } from "./deadline.ts"
import type { Drivers } from "./drivers.ts"
import { Histogram, type LatencyStatus, latencyStatus } from "./histogram.ts"
import type { Tried } from "./replay.ts"

/** One topic with a fallback. */
export interface FallbackStatus {
  readonly producer: string
  readonly topic: string
  readonly queue: string
  readonly deadLetterQueue: string
  readonly writer: FallbackWriter.Status
  /** `runners`: replay loops of this instance; 0 leaves the queue to others. */
  readonly replay: Readonly<RetryDaemon.Counters> & { readonly recordsPerSecond: number; readonly runners: number }
  /** As last asked for; undefined when it could not be. */
  readonly depth: QueueDepth | undefined
  /**
   * Age of the oldest parked record this instance knows of, ms, from its first failure: of those received last, or of what
   * lies there since the queue was last seen empty. 0 while it is.
   */
  readonly oldestAgeMs: number
  /** From first failure to delivery, weighted by records. */
  readonly queueTime: LatencyStatus
  /** Why the queue cannot be used; empty when it can. */
  readonly fault: string
  /** Requests as AWS bills them, 64 KiB each. */
  readonly billedRequests: number
}

/** From seconds to the longest retention of a queue, ms. */
const queueTimeBounds = [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 345_600, 1_209_600].map(s => s * 1000)
/** The histogram's last bucket begins beyond the longest bound, ms. */
const shortestQueueTimeMs = 200

/** How long parcels wait to share a message, ms. */
const collectMs = 5

/** Of Kafka's breaker and of the fallback queue's: the queue is left alone as long as Kafka is. */
export const openScheduleOf = ({ factor, jitter, openMaxMs, openMinMs }: AppConfig.BreakerConfig) =>
  CircuitBreaker.openSchedule({ minMs: openMinMs, maxMs: openMaxMs, factor, jitter })

export interface Fallback {
  readonly idHeader: string
  readonly writer: FallbackWriter.Service
  readonly daemon: RetryDaemon.Service
  readonly status: () => FallbackStatus
  readonly probe: Effect.Effect<void>
}

/** The claim check of a producer, if it has one. */
export const claimsOf = (
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

export const makeFallback = (
  drivers: Drivers,
  config: AppConfig.AppConfig,
  producer: AppConfig.ProducerConfig & { readonly retry: { readonly enabled: true } },
  output: AppConfig.OutputConfig,
  kafka: KafkaService,
  breaker: CircuitBreaker.Service,
  pressed: () => boolean,
  spool: Spool.Service | undefined,
  deadline: Deadline,
  tracing: Tracing | undefined
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
    const now = () => clock.unsafeCurrentTimeMillis()
    const backlog =
      retry.backlog === undefined
        ? undefined
        : makeBacklog(
            driven,
            { ...retry.backlog, key: `stream.producer.${producer.name}.retry.backlog.max_messages` },
            now,
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
    const queueTime = new Histogram(shortestQueueTimeMs)
    let oldestAt: number | undefined
    const onTried = ({ from, outcome, to, unit }: Tried) => {
      if (outcome._tag === "Delivered") {
        for (const { firstFailureAt, recordCount } of unit.envelopes) {
          queueTime.add(Math.max(0, to - firstFailureAt), recordCount)
        }
      }
      if (tracing === undefined || unit.envelopes.every(({ traceParent }) => traceParent === "")) return
      const { bytes: batch, partition, topic } = unit
      const result =
        outcome._tag === "Delivered"
          ? { outcome: "delivered", baseOffset: outcome.baseOffset }
          : { outcome: "failed", baseOffset: undefined, error: outcome.error.reason }
      tracing.replayed({ topic, partition, batch, from, to, ...result })
    }
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
      {
        queue,
        claims,
        deadLetters,
        kafka,
        breaker,
        pressed,
        onTried,
        onReceived: firstFailureAt => {
          oldestAt = firstFailureAt
        },
        onBuried: ({ envelope, ...buried }) => {
          if (envelope.traceParent !== "") tracing?.deadLettered({ batch: envelope.batch, ...buried })
        }
      }
    )
    let depth: QueueDepth | undefined
    let fault = ""
    const describe = (error: FallbackQueueError) => `${error.reason}: ${error.message}`
    const probe = Effect.all([queue.limits, queue.depth, buried.limits]).pipe(
      Effect.match({
        onSuccess: ([, measured]) => {
          depth = measured
          fault = ""
          const empty = measured.visible + measured.inFlight + measured.delayed === 0
          oldestAt = empty ? undefined : (oldestAt ?? now())
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
        replay: { ...daemon.counters(), recordsPerSecond: daemon.rate(), runners: retry.runnerCount },
        depth,
        oldestAgeMs: oldestAt === undefined ? 0 : Math.max(0, now() - oldestAt),
        queueTime: latencyStatus(queueTime, queueTimeBounds),
        fault: writer.status().state === "down" ? writer.status().reason : fault,
        billedRequests: billed
      })
    }
  })
