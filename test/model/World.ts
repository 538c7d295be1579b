/**
 * What outlives a process: a Kafka, a queue and a dead-letter queue. Processes come and go over it, orderly or by a crash,
 * and everything they told their callers is remembered.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as AppConfig from "../../src/AppConfig.ts"
import * as Envelope from "../../src/Envelope.ts"
import * as MemoryQueue from "../../src/FallbackQueue/Memory.ts"
import { FallbackQueueError, type Service as Queue } from "../../src/FallbackQueue.ts"
import * as MemoryKafka from "../../src/KafkaClient/Memory.ts"
import type { Service as Kafka } from "../../src/KafkaClient.ts"
import * as RecordBatch from "../../src/RecordBatch.ts"
import * as Spillway from "../../src/Spillway.ts"
import { advanceUntil, configuration } from "../support/doubles.ts"

/** As the SQS driver does: no call lasts for ever. */
const callTimeoutMs = 3500

export type Told = "delivered" | "diverted" | "spooled" | "rejected" | "failed"

/** Sums over all processes so far. */
export interface Totals {
  readonly diverted: number
  readonly redelivered: number
  readonly deadLettered: number
  /** Copies that the counters admit, and those that a crash or a failed publish may have left. */
  readonly doubt: number
}

interface Process {
  readonly spillway: Spillway.Service
  readonly scope: Scope.CloseableScope
  readonly kill: () => void
}

export class World {
  readonly kafka = MemoryKafka.make({ events: 2 })
  readonly queue = MemoryQueue.make({ name: "parked", visibilitySeconds: 5 })
  readonly dead = MemoryQueue.make({ name: "parked-dlq" })
  readonly told = new Map<string, Told>()
  readonly #config: AppConfig.AppConfig
  readonly #bodies = new Map<string, ReadonlyArray<string>>()
  #process: Process | undefined
  #past: Totals = { diverted: 0, redelivered: 0, deadLettered: 0, doubt: 0 }
  #published = 0

  constructor() {
    const text = configuration({
      output: "max_in_flight: 2",
      retry: "after: 1s, runner_count: 2, visibility_timeout: 5s",
      more: "breaker: { jitter: 0, open_max: 2s }\nshutdown: { budget: 10s }"
    })
    this.#config = Either.getOrThrowWith(AppConfig.parse([{ file: "model.yaml", text }], {}), error => error)
  }

  get spillway(): Spillway.Service {
    if (this.#process === undefined) throw new Error("no process runs")
    return this.#process.spillway
  }

  /** A process whose clock and whose every call stand still from the moment it is killed. */
  readonly start: Effect.Effect<void> = Effect.suspend(() => {
    let killed = false
    const death = Effect.unsafeMakeLatch(false)
    const mortal = <A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.suspend(() =>
        killed
          ? Effect.never
          : Effect.flatten(Effect.raceFirst(Effect.exit(call), Effect.as(death.await, Effect.never)))
      )
    return Effect.gen(this, function* () {
      const clock = yield* Effect.clock
      const mortalClock: Clock.Clock = {
        [Clock.ClockTypeId]: Clock.ClockTypeId,
        unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanos: clock.currentTimeNanos,
        sleep: duration => Effect.flatMap(clock.sleep(duration), () => (killed ? Effect.never : Effect.void))
      }
      const scope = yield* Scope.make()
      const drivers: Spillway.Drivers = {
        kafka: () => Effect.succeed(mortalKafka(this.kafka, mortal)),
        queue: ({ queueId }) => Effect.succeed(mortalQueue(queueId === "parked" ? this.queue : this.dead, mortal)),
        claims: () => Effect.dieMessage("the model has no claim check"),
        spool: () => Effect.dieMessage("the model has no spool")
      }
      const spillway = yield* Spillway.make(this.#config, drivers, "model").pipe(
        Scope.extend(scope),
        Effect.withClock(mortalClock)
      )
      const kill = () => {
        killed = true
        death.unsafeOpen()
      }
      this.#process = { spillway, scope, kill }
    })
  })

  /** Offers records; what their callers are told is kept, unless the process is gone by then. */
  publish(count: number): void {
    const process = this.#process
    for (let i = 0; i < count; i++) {
      const id = `r${this.#published++}`
      this.spillway.offer({ topic: "events", key: `k${this.#published % 5}`, value: id, id }, outcome => {
        if (this.#process !== process) return
        if (this.told.has(id)) throw new Error(`${id} was told twice`)
        if (outcome._tag === "Receipt") this.told.set(id, outcome.outcome)
        else this.told.set(id, outcome.rejected ? "rejected" : "failed")
      })
    }
  }

  /** Ends the process in order. */
  readonly shutDown: Effect.Effect<void> = Effect.suspend(() => {
    const { scope, spillway } = this.#process ?? { scope: undefined, spillway: undefined }
    if (scope === undefined || spillway === undefined) return Effect.void
    return Effect.gen(this, function* () {
      let closed = false
      const end = Effect.sync(() => {
        closed = true
      })
      yield* Effect.forkDaemon(Effect.ensuring(Scope.close(scope, Exit.void), end))
      yield* advanceUntil("the end of the process", () => closed, { stepMs: 100, withinMs: 20_000 })
      const { accounting } = spillway.status()
      if (accounting.inMemory > 0) throw new Error(`shut down with ${accounting.inMemory} records in memory`)
      this.#bury(0)
    })
  })

  /** Ends the process at once; what it had in memory and in hand is in doubt. */
  readonly crash: Effect.Effect<void> = Effect.gen(this, function* () {
    const inHand = yield* this.inHand
    const { inMemory } = this.spillway.status().accounting
    this.#process?.kill()
    this.#bury(inMemory + inHand)
  })

  /** Records in messages that somebody has received. */
  readonly inHand: Effect.Effect<number> = Effect.gen(this, function* () {
    const now = yield* Clock.currentTimeMillis
    return (yield* this.queue.messages)
      .filter(({ receiveCount, visibleAt }) => receiveCount > 0 && visibleAt > now)
      .reduce((sum, { attributes }) => sum + Number(attributes["spillway-records"]), 0)
  })

  #bury(doubt: number): void {
    const totals = this.totals()
    this.#past = { ...totals, doubt: totals.doubt + doubt }
    this.#process = undefined
  }

  totals(): Totals {
    const status = this.#process?.spillway.status()
    const past = this.#past
    if (status === undefined) return past
    const { diverted, divertedUnknown, failed, redelivered, deadLettered } = status.accounting
    let doubt = divertedUnknown + failed
    for (const { fallbacks } of status.connections) {
      for (const { replay, writer } of fallbacks) doubt += replay.unknown + writer.storedTwice
    }
    return {
      diverted: past.diverted + diverted,
      redelivered: past.redelivered + redelivered,
      deadLettered: past.deadLettered + deadLettered,
      doubt: past.doubt + doubt
    }
  }

  /** Ids in Kafka, copies included. */
  inKafka(): ReadonlyArray<string> {
    return this.kafka.stored().map(record => RecordBatch.idOf(record, "spillway-id") ?? "")
  }

  /** Ids in a queue, copies included. */
  idsIn(queue: MemoryQueue.MemoryQueue): Effect.Effect<ReadonlyArray<string>> {
    return Effect.gen(this, function* () {
      const ids: Array<string> = []
      for (const { body, messageId } of yield* queue.messages) {
        const key = `${queue.name}/${messageId}`
        let found = this.#bodies.get(key)
        if (found === undefined) {
          const envelopes = yield* Effect.orDie(Envelope.fromBody(body))
          found = envelopes.flatMap(({ batch }) =>
            Either.getOrThrow(RecordBatch.records(batch)).map(record => RecordBatch.idOf(record, "spillway-id") ?? "")
          )
          this.#bodies.set(key, found)
        }
        ids.push(...found)
      }
      return ids
    })
  }
}

type Mortal = <A, E>(call: Effect.Effect<A, E>) => Effect.Effect<A, E>

const mortalKafka = (kafka: Kafka, mortal: Mortal): Kafka => ({
  ...kafka,
  produce: (batches, timeoutMs) => mortal(kafka.produce(batches, timeoutMs)),
  metadata: (topics, timeoutMs) => mortal(kafka.metadata(topics, timeoutMs))
})

const mortalQueue = (queue: Queue, mortal: Mortal): Queue => {
  const bounded = <A>(operation: string, call: Effect.Effect<A, FallbackQueueError>, ms = callTimeoutMs) =>
    mortal(
      Effect.timeoutFail(call, {
        duration: ms,
        onTimeout: () =>
          new FallbackQueueError({
            reason: operation === "send" ? "Unknown" : "Unavailable",
            queue: queue.name,
            operation,
            message: "no answer",
            retryable: true
          })
      })
    )
  return {
    name: queue.name,
    limits: bounded("limits", queue.limits),
    depth: bounded("depth", queue.depth),
    send: entries => bounded("send", queue.send(entries)),
    receive: options => bounded("receive", queue.receive(options), callTimeoutMs + options.waitSeconds * 1000),
    delete: handle => bounded("delete", queue.delete(handle)),
    changeVisibility: (handle, seconds) => bounded("changeVisibility", queue.changeVisibility(handle, seconds))
  }
}
