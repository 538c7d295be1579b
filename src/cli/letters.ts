/**
 * What the `dlq` commands have in common: whose dead letters, which of them, and how they are told of.
 */
import process from "node:process"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as AppConfig from "../AppConfig.ts"
import type * as DeadLetters from "../DeadLetters.ts"
import { sameQueue } from "../internal/config/queue.ts"
import { formatDuration, parseDuration } from "../internal/config/units.ts"
import * as Exit from "./exit.ts"
import * as Shared from "./options.ts"

const text = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.optional, Options.map(Option.getOrUndefined))

const age = (name: string, description: string) =>
  Options.text(name).pipe(
    Options.withPseudoName("duration"),
    Options.withDescription(description),
    Options.filterMap(
      value => Option.fromNullable(parseDuration(value)),
      `--${name} must be a duration such as 30s, 15m or 48h`
    ),
    Options.optional,
    Options.map(Option.getOrUndefined)
  )

/** A whole number from 1 on. */
export const count = (name: string, description: string) =>
  Options.integer(name).pipe(
    Options.withDescription(description),
    Options.filterMap(value => (value >= 1 ? Option.some(value) : Option.none()), `--${name} must be 1 or more`),
    Options.optional,
    Options.map(Option.getOrUndefined)
  )

/** Which dead letters, of whom. */
export const selection = {
  config: Shared.config,
  producer: text("producer", "The producer whose dead letters are meant, as the configuration names it."),
  queue: text(
    "queue",
    "The dead-letter queue: one of the configuration, or, with --producer, any, such as one it had before."
  ),
  topic: text("topic", "Only records of this topic."),
  reason: text("reason", "Only those that are dead for this reason, as ls shows it, e.g. MESSAGE_TOO_LARGE."),
  olderThan: age("older-than", "Only those that became dead letters longer ago than this, e.g. 24h."),
  newerThan: age("newer-than", "Only those that became dead letters since then, e.g. 30m."),
  key: text("key", "Only records with this key."),
  id: text("id", "Only the record with this record id.")
}

export interface Selection {
  readonly config: ReadonlyArray<string>
  readonly producer: string | undefined
  readonly queue: string | undefined
  readonly topic: string | undefined
  readonly reason: string | undefined
  readonly olderThan: number | undefined
  readonly newerThan: number | undefined
  readonly key: string | undefined
  readonly id: string | undefined
}

export const filterOf = (
  { id, key, newerThan, olderThan, reason, topic }: Selection,
  now: number
): DeadLetters.Filter => ({
  id,
  reason,
  topic,
  key: key === undefined ? undefined : new TextEncoder().encode(key),
  before: olderThan === undefined ? undefined : now - olderThan,
  after: newerThan === undefined ? undefined : now - newerThan
})

type Enabled = AppConfig.ProducerConfig & { readonly retry: { readonly enabled: true } }

const usage = (message: string) => new Exit.CommandError({ code: Exit.codes.usage, message })

const enabled = (producer: AppConfig.ProducerConfig): ReadonlyArray<Enabled> => {
  const { retry } = producer
  return retry.enabled ? [{ ...producer, retry }] : []
}

/** A producer for each dead-letter queue that is meant. */
const chosen = (config: AppConfig.AppConfig, { producer, queue }: Selection) => {
  const all = Object.values(config.producers).flatMap(enabled)
  const names = all.map(({ name }) => name).join(", ")
  const parked = queue === undefined ? undefined : all.find(({ retry }) => sameQueue(retry.queueId, queue))
  if (parked !== undefined) {
    const message = `--queue ${queue}: is the fallback queue of producer ${parked.name}: what lies there is on its way to Kafka, and no dead letter`
    return Effect.fail(usage(message))
  }
  if (producer !== undefined) {
    const found = all.filter(({ name }) => name === producer)
    if (found.length > 0) return Effect.succeed(found.map(one => ({ producer: one, queue })))
    return Effect.fail(
      usage(`--producer ${producer}: there is no such producer with retry enabled; there are: ${names}`)
    )
  }
  const own = all.filter(({ retry }) => queue === undefined || sameQueue(retry.deadLetterQueueId, queue))
  const first = own.filter(
    (one, index) =>
      own.findIndex(({ retry }) => sameQueue(retry.deadLetterQueueId, one.retry.deadLetterQueueId)) === index
  )
  if (first.length > 0) return Effect.succeed(first.map(one => ({ producer: one, queue: undefined })))
  if (queue === undefined) return Effect.fail(usage("no producer of the configuration has retry enabled"))
  const message = `--queue ${queue}: no producer of the configuration has this dead-letter queue; name one with --producer to use its settings`
  return Effect.fail(usage(message))
}

/** The dead letters that are meant, a service for each queue. */
export const services = (
  selection: Selection
): Effect.Effect<ReadonlyArray<DeadLetters.Service>, AppConfig.ConfigError | Exit.CommandError, Scope.Scope> =>
  Effect.gen(function* () {
    const config = yield* AppConfig.load(selection.config, process.env)
    const meant = yield* chosen(config, selection)
    const [dead, drivers] = yield* Effect.promise(() =>
      Promise.all([import("../DeadLetters.ts"), import("../Drivers.ts")])
    )
    return yield* Effect.forEach(meant, one => dead.forProducer(drivers.live, config, one.producer, one.queue))
  })

/** Those of one queue: what changes something must know which. */
export const service = (selection: Selection) =>
  Effect.flatMap(services(selection), ([first, ...more]) => {
    if (first !== undefined && more.length === 0) return Effect.succeed(first)
    const queues = [first, ...more].map(one => one?.queue).join(", ")
    return Effect.fail(usage(`name the dead-letter queue with --producer or --queue; there are: ${queues}`))
  })

/** Fails a command when a queue does. */
export const orUnavailable = <A, E extends { readonly message: string }, R>(
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, Exit.CommandError, R> =>
  Effect.mapError(work, ({ message }) => new Exit.CommandError({ code: Exit.codes.unavailable, message }))

export const write = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

export const note = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const progressMs = 1000

/** Notes at most one line a second. */
export const progress = (): ((line: () => string) => void) => {
  let last = performance.now()
  return line => {
    const now = performance.now()
    if (now - last < progressMs) return
    last = now
    note(line())
  }
}

/** How long ago or ahead, in one or two units. */
export const since = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const days = Math.floor(seconds / 86_400)
  if (days > 0) return `${days}d${formatDuration(Math.floor((seconds % 86_400) / 3600) * 3_600_000)}`.replace(/0s$/, "")
  return formatDuration((seconds >= 3600 ? seconds - (seconds % 60) : seconds) * 1000)
}

/** Rows as text, each column as wide as it needs to be. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

/** What others wrote, safe on a terminal. */
export const printable = (value: string): string => value.replace(/\p{C}/gu, "?")
