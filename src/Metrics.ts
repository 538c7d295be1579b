/**
 * The runtime's numbers as metric families: what `/metrics` shows as Prometheus text, and what is exported by OTLP.
 * Every name is explained in docs/operations/metrics.md.
 */
import manifest from "../package.json" with { type: "json" }
import type { BacklogStatus } from "./internal/backlog.ts"
import type { LatencyStatus } from "./internal/histogram.ts"
import { prometheusText } from "./internal/prometheusText.ts"
import type { Status } from "./Spillway.ts"

export type Labels = Readonly<Record<string, string>>

/** Several series of one metric. Times of histograms are milliseconds here, and seconds wherever they are shown. */
export type Family = { readonly name: string; readonly help: string } & (
  | { readonly type: "counter" | "gauge"; readonly samples: ReadonlyArray<readonly [Labels, number]> }
  | { readonly type: "histogram"; readonly samples: ReadonlyArray<readonly [Labels, LatencyStatus]> }
)

class Page {
  readonly families: Array<Family> = []

  family(
    name: string,
    type: "counter" | "gauge",
    help: string,
    samples: ReadonlyArray<readonly [Labels, number]>
  ): void {
    if (samples.length > 0) this.families.push({ name, type, help, samples })
  }

  histogram(name: string, help: string, samples: ReadonlyArray<readonly [Labels, LatencyStatus]>): void {
    if (samples.length > 0) this.families.push({ name, type: "histogram", help, samples })
  }
}

const breakerStates = ["closed", "half-open", "open"] as const
const readinesses = ["accepting", "degraded", "refusing"] as const

/** As Prometheus text. */
export const render = (status: Status): string => prometheusText(families(status))

export const families = (status: Status): ReadonlyArray<Family> => {
  const page = new Page()
  const { accounting, connections, health, process, publishLatency, spool, telemetry } = status
  page.family("spillway_build_info", "gauge", "Always 1.", [[{ version: manifest.version }, 1]])
  page.family("spillway_accepted_records_total", "counter", "Records handed in.", [[{}, accounting.accepted]])
  page.family(
    "spillway_settled_records_total",
    "counter",
    "Records by outcome; with spillway_in_memory_records they add up to the accepted ones.",
    (["delivered", "diverted", "spooled", "rejected", "failed"] as const).map(
      outcome => [{ outcome }, accounting[outcome]] as const
    )
  )
  page.family(
    "spillway_diverted_unknown_records_total",
    "counter",
    "Diverted and spooled records that may be in Kafka too: the only ones that can be duplicated.",
    [[{}, accounting.divertedUnknown]]
  )
  page.family(
    "spillway_in_memory_records",
    "gauge",
    "Records accepted and not settled.",
    connections.map(({ connection, producer }) => [{ connection }, producer.inMemory.records] as const)
  )
  page.family(
    "spillway_in_memory_bytes",
    "gauge",
    "Bytes of the records accepted and not settled.",
    connections.map(({ connection, producer }) => [{ connection }, producer.inMemory.bytes] as const)
  )
  page.family(
    "spillway_waiting_publishes",
    "gauge",
    "Publishes waiting for room in the buffer.",
    connections.map(({ connection, producer }) => [{ connection }, producer.waiting] as const)
  )
  page.family(
    "spillway_breaker_state",
    "gauge",
    "1 for the state the circuit breaker is in.",
    connections.flatMap(({ breaker, connection }) =>
      breakerStates.map(state => [{ connection, state }, breaker.state === state ? 1 : 0] as const)
    )
  )
  page.family(
    "spillway_breaker_next_probe_timestamp_seconds",
    "gauge",
    "When an open circuit breaker looks for Kafka again, in Unix time; 0 while it is not open.",
    connections.map(({ breaker, connection }) => [{ connection }, breaker.nextProbeAt / 1000] as const)
  )
  page.family(
    "spillway_breaker_opened_total",
    "counter",
    "Times the circuit breaker has opened.",
    connections.map(({ breakerOpened, connection }) => [{ connection }, breakerOpened] as const)
  )
  page.family(
    "spillway_breaker_open_partitions",
    "gauge",
    "Partitions whose own breaker is not closed.",
    connections.map(({ breaker, connection }) => [{ connection }, breaker.partitions.length] as const)
  )
  page.family(
    "spillway_readiness",
    "gauge",
    "1 for the present readiness.",
    readinesses.map(readiness => [{ readiness }, health.readiness === readiness ? 1 : 0] as const)
  )
  const fallbacks = connections.flatMap(connection => connection.fallbacks)
  const of = (read: (fallback: (typeof fallbacks)[number]) => number) =>
    fallbacks.map(fallback => [{ producer: fallback.producer, queue: fallback.queue }, read(fallback)] as const)
  page.family(
    "spillway_redelivered_records_total",
    "counter",
    "Parked records replayed to Kafka.",
    of(one => one.replay.redelivered)
  )
  page.family(
    "spillway_dead_lettered_records_total",
    "counter",
    "Records given up.",
    of(one => one.replay.deadLettered)
  )
  page.family(
    "spillway_dead_letters_total",
    "counter",
    "Records given up, by reason: Kafka's error, MAX_ATTEMPTS, or what was wrong with the message they were in.",
    fallbacks.flatMap(({ producer, queue, replay }) =>
      Object.entries(replay.deadLetters).map(([reason, records]) => [{ producer, queue, reason }, records] as const)
    )
  )
  page.family(
    "spillway_reparked_records_total",
    "counter",
    "Records stored anew.",
    of(one => one.replay.reparked)
  )
  page.family(
    "spillway_replay_unknown_records_total",
    "counter",
    "Replayed records that may have been written and will be replayed again.",
    of(one => one.replay.unknown)
  )
  page.family(
    "spillway_stored_twice_records_total",
    "counter",
    "Records that may be there twice: the queue's answer was lost, and they were sent again or spooled as well.",
    of(one => one.writer.storedTwice)
  )
  page.family(
    "spillway_unreadable_messages_total",
    "counter",
    "Queue messages that could not be read.",
    of(one => one.replay.unreadable)
  )
  page.family(
    "spillway_receives_total",
    "counter",
    "ReceiveMessage calls.",
    of(one => one.replay.receives)
  )
  page.family(
    "spillway_sqs_billed_requests_total",
    "counter",
    "SQS requests of 64 KiB.",
    of(one => one.billedRequests)
  )
  page.family(
    "spillway_replay_rate_records_per_second",
    "gauge",
    "Rate the retry daemon allows itself.",
    of(one => one.replay.recordsPerSecond)
  )
  page.family(
    "spillway_queue_messages",
    "gauge",
    "Approximate messages in the fallback queue.",
    fallbacks.flatMap(({ depth, producer, queue }) =>
      depth === undefined
        ? []
        : (["visible", "inFlight", "delayed"] as const).map(
            state => [{ producer, queue, state }, depth[state]] as const
          )
    )
  )
  page.family(
    "spillway_queue_oldest_record_age_seconds",
    "gauge",
    "Age of the oldest parked record this instance knows of, from its first failure; 0 when nothing is parked.",
    of(one => one.oldestAgeMs / 1000)
  )
  page.histogram(
    "spillway_queue_time_seconds",
    "From a record's first failure to its delivery by the retry daemon.",
    fallbacks.map(({ producer, queue, queueTime }) => [{ producer, queue }, queueTime] as const)
  )
  const limited = (read: (backlog: BacklogStatus) => number) =>
    fallbacks.flatMap(({ producer, queue, writer: { backlog } }) =>
      backlog === undefined ? [] : [[{ producer, queue }, read(backlog)] as const]
    )
  page.family(
    "spillway_backlog_max_messages",
    "gauge",
    "Messages in the fallback queue from which on nothing is diverted to it.",
    limited(({ maxMessages }) => maxMessages)
  )
  page.family(
    "spillway_backlog_messages",
    "gauge",
    "Messages in the fallback queue as the limit sees it: the last reading, and what this instance did since.",
    limited(({ messages }) => messages)
  )
  page.family(
    "spillway_backlog_reached",
    "gauge",
    "1 while the limit is reached.",
    limited(({ state }) => (state === "open" ? 0 : 1))
  )
  page.family(
    "spillway_backlog_refused_records_total",
    "counter",
    "Records refused because the limit was reached; among the failed ones.",
    limited(({ refusedRecords }) => refusedRecords)
  )
  page.family(
    "spillway_queue_breaker_state",
    "gauge",
    "1 for the state the fallback queue's circuit breaker is in.",
    fallbacks.flatMap(({ producer, queue, writer }) =>
      breakerStates.map(state => [{ producer, queue, state }, writer.breaker === state ? 1 : 0] as const)
    )
  )
  if (spool !== undefined) {
    page.family("spillway_spool_records", "gauge", "Records in the spool.", [[{}, spool.records]])
    page.family("spillway_spool_bytes", "gauge", "Bytes of the record batches in the spool.", [[{}, spool.bytes]])
    page.family("spillway_spool_max_bytes", "gauge", "Largest size of the spool's file.", [[{}, spool.maxBytes]])
    page.family("spillway_spool_unreadable_records", "gauge", "Records in the spool that cannot be read.", [
      [{}, spool.unreadable]
    ])
    page.family("spillway_spool_faulty", "gauge", "1 while the spool cannot store.", [[{}, spool.fault === "" ? 0 : 1]])
    page.family(
      "spillway_spool_drained_records_total",
      "counter",
      "Records taken out of the spool, by where they went; those to Kafka count as redelivered, too.",
      (["kafka", "queue"] as const).map(to => [{ to }, spool.drained[to]] as const)
    )
  }
  page.histogram(
    "spillway_publish_duration_seconds",
    "From acceptance to durable, by where; for diverted and spooled records that is the time a failover takes.",
    [
      [{ outcome: "delivered" }, publishLatency.delivered],
      [{ outcome: "diverted" }, publishLatency.diverted],
      [{ outcome: "spooled" }, publishLatency.spooled]
    ]
  )
  if (telemetry !== undefined) {
    page.family("spillway_telemetry_exported_spans_total", "counter", "Spans the OTLP endpoint has taken.", [
      [{}, telemetry.exportedSpans]
    ])
    page.family(
      "spillway_telemetry_dropped_spans_total",
      "counter",
      "Spans given up: no room was left, or the OTLP endpoint refused them.",
      [[{}, telemetry.droppedSpans]]
    )
    page.family(
      "spillway_telemetry_failed_exports_total",
      "counter",
      "Requests the OTLP endpoint did not take, or not in time.",
      (["traces", "metrics"] as const).map(signal => [{ signal }, telemetry.failedExports[signal]] as const)
    )
  }
  page.family("process_resident_memory_bytes", "gauge", "Resident memory of the process.", [
    [{}, process.residentBytes]
  ])
  page.family("process_cpu_seconds_total", "counter", "Processor time of the process, user and system.", [
    [{}, process.cpuSeconds]
  ])
  page.family("process_start_time_seconds", "gauge", "When this instance began, in Unix time.", [
    [{}, status.startedAt / 1000]
  ])
  page.histogram("spillway_event_loop_delay_seconds", "How late the event loop came to a timer.", [
    [{}, process.eventLoopDelay]
  ])
  return page.families
}
