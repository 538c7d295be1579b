/**
 * What `status` reads of `GET /v1/status`. What it does not know is passed over, so that it can look at newer services.
 */
import * as Schema from "effect/Schema"

const Latency = Schema.Struct({ count: Schema.Number, p50: Schema.Number, p99: Schema.Number, max: Schema.Number })

const Fallback = Schema.Struct({
  topic: Schema.String,
  queue: Schema.String,
  deadLetterQueue: Schema.String,
  fault: Schema.String,
  writer: Schema.Struct({ pendingRecords: Schema.Number }),
  replay: Schema.Struct({
    redelivered: Schema.Number,
    deadLettered: Schema.Number,
    recordsPerSecond: Schema.Number,
    runners: Schema.Number
  }),
  depth: Schema.optional(Schema.Struct({ visible: Schema.Number, inFlight: Schema.Number, delayed: Schema.Number }))
})

const Connection = Schema.Struct({
  connection: Schema.String,
  breaker: Schema.Struct({
    state: Schema.String,
    reason: Schema.String,
    since: Schema.Number,
    nextProbeAt: Schema.Number,
    forced: Schema.optional(Schema.String),
    partitions: Schema.Array(Schema.String)
  }),
  fallbacks: Schema.Array(Fallback)
})

const StatusPage = Schema.Struct({
  instance: Schema.String,
  startedAt: Schema.Number,
  health: Schema.Struct({ readiness: Schema.String, reasons: Schema.Array(Schema.String) }),
  accounting: Schema.Struct({
    accepted: Schema.Number,
    delivered: Schema.Number,
    diverted: Schema.Number,
    divertedUnknown: Schema.Number,
    spooled: Schema.Number,
    rejected: Schema.Number,
    failed: Schema.Number,
    inMemory: Schema.Number,
    redelivered: Schema.Number,
    deadLettered: Schema.Number
  }),
  connections: Schema.Array(Connection),
  spool: Schema.optional(
    Schema.Struct({
      path: Schema.String,
      records: Schema.Number,
      bytes: Schema.Number,
      maxBytes: Schema.Number,
      oldestAt: Schema.optional(Schema.Number),
      unreadable: Schema.Number,
      fault: Schema.String
    })
  ),
  publishLatency: Schema.Struct({ delivered: Latency, diverted: Latency, spooled: Latency })
})

export interface StatusPage extends Schema.Schema.Type<typeof StatusPage> {}

/** Throws when it is not the status of a Spillway. */
export const decode: (json: unknown) => StatusPage = Schema.decodeUnknownSync(StatusPage)
