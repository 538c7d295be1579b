/**
 * A whole Spillway over a scripted Kafka and queues in memory, on the test clock.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as AppConfig from "../../src/AppConfig.ts"
import * as MemoryClaims from "../../src/ClaimCheck/Memory.ts"
import * as MemoryQueue from "../../src/FallbackQueue/Memory.ts"
import * as MemoryKafka from "../../src/KafkaClient/Memory.ts"
import type { Service as KafkaService } from "../../src/KafkaClient.ts"
import * as Spillway from "../../src/Spillway.ts"
import * as Sqlite from "../../src/Spool/Sqlite.ts"

export interface Harness {
  readonly spillway: Spillway.Service
  readonly kafka: MemoryKafka.Memory
  readonly queue: MemoryQueue.MemoryQueue
  readonly deadLetters: MemoryQueue.MemoryQueue
  /** Asked only with the option `claimCheck`. */
  readonly claims: MemoryClaims.MemoryClaims
  /** What lies in the fallback queue now, by the test clock. */
  readonly parked: () => ReadonlyArray<MemoryQueue.StoredMessage>
  readonly dead: () => ReadonlyArray<MemoryQueue.StoredMessage>
}

export interface HarnessOptions {
  readonly partitions?: number
  /** `write_timeout` of the output; 1s by default. */
  readonly writeTimeout?: string
  /** `idle_timeout` of the output; 5ms by default. */
  readonly idleTimeout?: string
  /** `wait_time` of the retry, seconds; 1 by default. */
  readonly waitTime?: number
  /** Members of `stream.output.out`, as YAML flow text. */
  readonly output?: string
  /** More members of `retry`; `after: 1s` by default. */
  readonly retry?: string
  /** More top-level sections. */
  readonly more?: string
  readonly queueOptions?: MemoryQueue.Options
  readonly deadLetterOptions?: MemoryQueue.Options
  /** What no message can hold goes to a claim check. */
  readonly claimCheck?: boolean
  /** The client Spillway gets, in place of the scripted Kafka itself. */
  readonly client?: (kafka: MemoryKafka.Memory) => KafkaService
  /** Metadata cannot be had at first. */
  readonly unreachable?: boolean
}

export const configuration = ({
  claimCheck,
  idleTimeout = "5ms",
  more = "",
  output = "",
  retry = "after: 1s",
  waitTime = 1,
  writeTimeout = "1s"
}: HarnessOptions): string => `
stream:
  output: { out: { connection: default, topic: events, type: kafka, batch_size: 10, idle_timeout: ${idleTimeout}, write_timeout: ${writeTimeout}, ${output} } }
  producer: { events: { output: out, retry: { queue_id: parked, max_attempts: 3, wait_time: ${waitTime}, ${retry}${claimCheck ? ", claim_check: { bucket: claims }" : ""} } } }
kafka: { connection: { default: { brokers: "127.0.0.1:1" } } }
cloud: { aws: { sqs: { clients: { default: { region: us-east-1 } } }, s3: { clients: { default: { region: us-east-1 } } } } }
${more}
`

/** Starts a Spillway whose every outside is a double. */
export const harness = (options: HarnessOptions = {}): Effect.Effect<Harness, never, Scope.Scope> =>
  Effect.gen(function* () {
    const kafka = MemoryKafka.make({ events: options.partitions ?? 3 })
    kafka.reachable(options.unreachable !== true)
    const queue = MemoryQueue.make({ name: "parked", ...options.queueOptions })
    const deadLetters = MemoryQueue.make({ name: "parked-dlq", ...options.deadLetterOptions })
    const claims = MemoryClaims.make()
    const parsed = AppConfig.parse([{ file: "test.yaml", text: configuration(options) }], {})
    if (Either.isLeft(parsed)) return yield* Effect.die(parsed.left)
    const drivers: Spillway.Drivers = {
      kafka: () => Effect.succeed(options.client?.(kafka) ?? kafka),
      queue: ({ queueId }) => Effect.succeed(queueId === "parked" ? queue : deadLetters),
      claims: () => Effect.succeed(claims),
      spool: Sqlite.make
    }
    const spillway = yield* Spillway.make(parsed.right, drivers, "test-instance")
    const runSync = Runtime.runSync(yield* Effect.runtime())
    return {
      spillway,
      kafka,
      queue,
      deadLetters,
      claims,
      parked: () => runSync(queue.messages),
      dead: () => runSync(deadLetters.messages)
    }
  })

/** Lets timers of zero, immediates and the runtime's thread pool have their turn; the test clock stands still. */
export const turn: Effect.Effect<void> = Effect.promise(
  () => new Promise(resolve => setTimeout(() => setImmediate(resolve), 1))
)

/** Moves the test clock on in steps until the condition holds. Dies when it does not within `withinMs`. */
export const advanceUntil = (
  what: string,
  holds: () => boolean,
  { stepMs = 20, withinMs = 60_000 }: { readonly stepMs?: number; readonly withinMs?: number } = {}
): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let passed = 0; passed <= withinMs; passed += stepMs) {
      yield* turn
      if (holds()) return
      yield* TestClock.adjust(stepMs)
    }
    return yield* Effect.dieMessage(`${what}: not within ${withinMs} ms of the test clock`)
  })

/** Moves the test clock on by so much, in steps. */
export const advance = (ms: number, stepMs = 20): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let passed = 0; passed < ms; passed += stepMs) {
      yield* turn
      yield* TestClock.adjust(stepMs)
    }
    yield* turn
  })

/** Runs a test on the test clock, which goes on while the test's scope is closed: shutdowns have deadlines, too. */
export const onTestClock = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const exit = yield* Effect.exit(Scope.extend(effect, scope))
      let closed = false
      const end = Effect.sync(() => {
        closed = true
      })
      yield* Effect.fork(Effect.ensuring(Scope.close(scope, Exit.void), end))
      yield* advanceUntil("the end of the scope", () => closed, { stepMs: 500, withinMs: 120_000 })
      return yield* exit
    }).pipe(Logger.withMinimumLogLevel(LogLevel.Warning), Effect.provide(TestContext.TestContext))
  )
