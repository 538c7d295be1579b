/**
 * Every key of the configuration: its kind, range, default and meaning. The reader, the environment overrides, the JSON
 * Schema and the reference in docs/configuration.md all come from this one table.
 */
import { always, defaulted, type Kind, named, optional, required, section } from "./field.ts"
import {
  addresses,
  autoFlag,
  choice,
  decimal,
  duration,
  flag,
  seconds,
  secret,
  sectionFlag,
  size,
  text,
  texts,
  url,
  whole
} from "./kind.ts"

const MiB = 1024 * 1024
const second = 1000
const minute = 60 * second
const hour = 60 * minute

const topic = text(
  "a topic name of at most 249 letters, digits, dots, underscores and hyphens",
  /^[A-Za-z0-9._-]{1,249}$/
)

const outputFields = {
  type: defaulted(choice(["kafka"]), "kafka", "kafka", "What the output writes to."),
  connection: defaulted(text(), "default", "default", "Name of a `kafka.connection`."),
  topic: required(topic, "Topic the records go to."),
  batch_size: defaulted(whole(1, 1_000_000), 1000, "1000", "Most records in one record batch."),
  batch_bytes: defaulted(
    size(16 * 1024, 100 * MiB),
    1_000_000,
    "1000000",
    "A record batch is closed at this size. A larger record travels in a batch of its own."
  ),
  idle_timeout: defaulted(duration(0, hour), 5, "5ms", "How long a batch waits for more records."),
  write_timeout: defaulted(
    duration(1, hour),
    1000,
    "1s",
    "Budget for Kafka: a record not acknowledged by then is diverted to the fallback queue."
  ),
  balancer: defaulted(
    choice(["default", "hash", "round_robin", "least_bytes", "murmur2", "crc32"]),
    "default",
    "default",
    "How a record without a fixed partition gets one. `default`: as the Java client (murmur2 over the key; sticky per batch without a key)."
  ),
  compression: defaulted(
    choice(["none", "gzip", "snappy", "lz4", "zstd"]),
    "none",
    "none",
    "Compression of record batches, gzip and zstd at their fastest level. `zstd` makes the fewest bytes and, on Bun, works beside the event loop; it needs brokers of Kafka 2.1. See docs/decisions/compression.md."
  ),
  max_record_bytes: defaulted(
    size(1024, 100 * MiB),
    1_048_576,
    "1MiB",
    "A larger record is rejected. The topic's `max.message.bytes` should allow it."
  ),
  id_header: defaulted(text(), "spillway-id", "spillway-id", "Kafka header that carries the record id."),
  max_in_flight: defaulted(
    whole(1, 100),
    5,
    "5",
    "Produce requests in flight to a broker; batches of 4 MiB and more count apart. At most 5 on an idempotent connection (KIP-98)."
  )
}

const claimCheck = section({
  bucket: required(text("an S3 bucket name", /^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/), "S3 bucket. It is never created."),
  prefix: defaulted(text(), "spillway", "spillway", "Put before every key, with a slash between."),
  client_name: defaulted(text(), "default", "default", "Name of a `cloud.aws.s3.clients` entry.")
})

const backlog = section({
  max_messages: required(
    whole(1, 1_000_000_000),
    "Messages in the queue, waiting, delayed and in flight together, from which on nothing more is diverted to it. A message holds many records. Approximate, as SQS counts."
  ),
  policy: defaulted(
    choice(["wait", "reject"]),
    "wait",
    "wait",
    "What becomes of records that Kafka does not take meanwhile. `wait`: they wait for room, then they are `Overloaded`. `reject`: they are at once."
  ),
  max_wait: optional(
    duration(1, hour),
    "How long a record waits for room. Not with `reject`.",
    "6s: the queue is asked for its depth every 5s"
  )
})

const retryFields = {
  enabled: defaulted(flag, true, "true", "Divert to the fallback queue, and replay from it."),
  after: defaulted(duration(0, 24 * hour), minute, "1m", "Delay before a diverted record is first replayed."),
  max_attempts: defaulted(
    whole(1, 1000),
    5,
    "5",
    "Replays that Kafka may refuse before a record becomes a dead letter. An outage counts as no attempt."
  ),
  queue_id: optional(text(), "SQS queue: name, URL or ARN. Required while retry is enabled."),
  dead_letter_queue_id: optional(
    text(),
    "SQS queue for records that failed for good: name, URL or ARN.",
    "`queue_id` with `-dlq` behind it"
  ),
  max_number_of_messages: defaulted(whole(1, 10), 10, "10", "Messages per receive call."),
  wait_time: defaulted(seconds(0, 20), 20, "20", "Long poll of a receive call: seconds as a number, or a duration."),
  runner_count: defaulted(whole(1, 64), 1, "1", "Replay loops of this instance."),
  client_name: defaulted(text(), "default", "default", "Name of a `cloud.aws.sqs.clients` entry."),
  msg_body_encoding: defaulted(choice(["base64"]), "base64", "base64", "How bodies are written."),
  unmarshaller: defaulted(
    choice(["msg", "raw", "sns", "msg_base64"]),
    "msg_base64",
    "msg_base64",
    "How messages are read that other programs left in the queue. Spillway's own are recognised by themselves."
  ),
  create: defaulted(flag, false, "false", "Create the queue and its dead-letter queue when they do not exist."),
  visibility_timeout: defaulted(
    duration(second, 12 * hour),
    minute,
    "1m",
    "How long a received message is hidden from others; whole seconds. Extended while its records are replayed."
  ),
  rate: optional(decimal(0, 10_000_000, true), "Most replayed records per second.", "as fast as Kafka stays healthy"),
  claim_check: optional(
    claimCheck,
    "Where records go that fit into no message of the queue; see docs/operations/claim-check.md.",
    "none: they are not diverted, and their publish fails during an outage"
  ),
  backlog: optional(
    backlog,
    "Limit on what lies in the queue; see docs/operations/backlog.md.",
    "no limit, but the queue's retention"
  )
}

const retry = section(retryFields)
const output = section(outputFields)

const producer = section({
  output: required(text("the name of an output"), "Name of a `stream.output`."),
  encoding: defaulted(
    choice(["application/json", "raw", "kafka/proto-wire-format"]),
    "raw",
    "raw",
    "What a record's value must be. `raw` takes any bytes."
  ),
  retry: always(retry, "The fallback queue of this producer.")
})

const tlsSection = section({
  enabled: defaulted(flag, true, "true", "Off keeps the other keys without using them."),
  ca_file: optional(text(), "PEM file of the authorities to trust.", "the system's authorities"),
  cert_file: optional(text(), "PEM file of the client certificate, for mutual TLS. Needs `key_file`."),
  key_file: optional(text(), "PEM file of the client key."),
  passphrase: optional(secret, "Passphrase of the client key."),
  servername: optional(text(), "Name the broker's certificate must have.", "the host of the address"),
  insecure_skip_verify: defaulted(flag, false, "false", "Accept any certificate. For tests only.")
})

type TlsValues = ReturnType<typeof tlsSection.read>

/** `true`, `false` or a section: `tls: true` is a section of nothing but defaults. */
const tls: Kind<TlsValues | undefined> = {
  title: "true, false or a section",
  schema: { anyOf: [{ type: "boolean" }, tlsSection.schema] },
  placeholder: undefined,
  switchable: true,
  ...(tlsSection.fields === undefined ? {} : { fields: tlsSection.fields }),
  read: (node, path, report) => {
    if (node.kind !== "scalar") return tlsSection.read(node, path, report)
    const on = sectionFlag.read(node, path, report)
    return on ? tlsSection.read({ kind: "map", entries: new Map(), origin: node.origin }, path, report) : undefined
  }
}

const sasl = section({
  mechanism: required(
    choice(["plain", "scram-sha-256", "scram-sha-512", "oauthbearer", "msk-iam"], true),
    "How to authenticate."
  ),
  username: optional(text(), "For `plain` and `scram-*`."),
  password: optional(secret, "For `plain` and `scram-*`."),
  token: optional(secret, "For `oauthbearer`: a fixed token."),
  token_file: optional(text(), "For `oauthbearer`: a file read again for each token."),
  region: optional(text(), "For `msk-iam`: AWS region.", "`AWS_REGION`")
})

const connection = section({
  brokers: required(addresses, "Bootstrap addresses `host:port`: a list, or one text with commas."),
  client_id: defaulted(text(), "spillway", "spillway", "Name shown in the brokers' logs and quotas."),
  tls: optional(tls, "Encrypt: `true`, or a section.", "false"),
  sasl: optional(sasl, "Authenticate.", "no authentication"),
  connection_timeout: defaulted(duration(1, 5 * minute), second, "1s", "For a connection to a broker to open."),
  request_timeout: defaulted(duration(1, 5 * minute), 5 * second, "5s", "For one answer of a broker."),
  metadata_max_age: defaulted(duration(100, hour), 10 * second, "10s", "Metadata older than this is asked for again."),
  idempotent: defaulted(
    flag,
    true,
    "true",
    "Idempotent producing (KIP-98). Falls back by itself where it is forbidden."
  )
})

const sqsClient = section({
  region: optional(text(), "AWS region.", "`AWS_REGION`, then `AWS_DEFAULT_REGION`"),
  endpoint: optional(url, "Address of an SQS-compatible service.", "AWS in that region"),
  access_key_id: optional(text(), "Static credentials.", "AWS's default credential chain"),
  secret_access_key: optional(secret, "Static credentials."),
  session_token: optional(secret, "Static credentials."),
  request_timeout: defaulted(
    duration(1, 5 * minute),
    3 * second,
    "3s",
    "For one answer; receives add their `wait_time`."
  ),
  connection_timeout: defaulted(duration(1, 5 * minute), second, "1s", "For a connection to open.")
})

const s3Client = section({
  region: optional(text(), "AWS region.", "`AWS_REGION`, then `AWS_DEFAULT_REGION`"),
  endpoint: optional(url, "Address of an S3-compatible service.", "AWS in that region"),
  path_style: optional(flag, "The bucket in the path, not in the host name.", "true with an `endpoint`, else false"),
  access_key_id: optional(text(), "Static credentials.", "AWS's default credential chain"),
  secret_access_key: optional(secret, "Static credentials."),
  session_token: optional(secret, "Static credentials."),
  request_timeout: defaulted(
    duration(1, 5 * minute),
    10 * second,
    "10s",
    "For one request; each moves at most 8 MiB of an object."
  ),
  connection_timeout: defaulted(duration(1, 5 * minute), second, "1s", "For a connection to open.")
})

const breaker = section({
  consecutive_failures: defaulted(whole(1, 100_000), 3, "3", "Availability failures in a row that open the breaker."),
  window: defaulted(duration(100, hour), 10 * second, "10s", "Calls younger than this count for the rates."),
  minimum_volume: defaulted(whole(1, 1_000_000), 20, "20", "Calls in the window before the rates count."),
  failure_rate: defaulted(decimal(0, 1, true), 0.5, "0.5", "Part of the calls that fail before the breaker opens."),
  slow_call: optional(duration(1, hour), "A call that takes this long counts as slow.", "no call is slow"),
  slow_call_rate: defaulted(decimal(0, 1, true), 1, "1", "Part of the calls that are slow before the breaker opens."),
  open_min: defaulted(duration(1, hour), second, "1s", "First interval between opening and a probe."),
  open_max: defaulted(duration(1, hour), 30 * second, "30s", "Longest interval."),
  factor: defaulted(decimal(1, 100), 2, "2", "Growth of the interval with each failed probe."),
  jitter: defaulted(decimal(0, 1), 0.2, "0.2", "Part of the interval that is random."),
  probes: defaulted(whole(1, 100), 1, "1", "Batches let through as probes while half-open."),
  probe_timeout: optional(duration(1, hour), "Deadline of a probe.", "the longest `write_timeout` of the outputs")
})

const permission = {
  topics: optional(
    texts("a topic name, or the beginning of one and a *", /^[A-Za-z0-9._-]{0,249}\*$|^[A-Za-z0-9._-]{1,249}$/),
    "Topics that may be published to: names, or what names begin with and a `*`. `*` alone is every topic.",
    "no topic"
  ),
  operator: defaulted(flag, false, "false", "May use the operator API."),
  metrics: defaulted(flag, false, "false", "May read `/metrics` and `/v1/status`.")
}

const http = section({
  host: defaulted(
    text(),
    "127.0.0.1",
    "127.0.0.1",
    "Address to listen on. Any but a loopback address needs a token or client certificates."
  ),
  port: defaulted(whole(0, 65_535), 8080, "8080", "Port to listen on; 0 takes a free one."),
  tls: optional(
    section({
      cert_file: required(text(), "PEM file of the server's certificate, and those between it and its authority."),
      key_file: required(text(), "PEM file of its key."),
      client_ca_file: optional(
        text(),
        "PEM file of authorities whose client certificates are asked for; `http.clients` says what each may do.",
        "none, and none is asked for"
      )
    }),
    "Serve HTTPS.",
    "plain HTTP"
  ),
  token: optional(secret, "Bearer token that may do everything.", "there is none"),
  tokens: always(
    named(section({ secret: required(secret, "The bearer token."), ...permission })),
    "Bearer tokens by name, each with what it may do."
  ),
  clients: always(
    named(
      section({
        subject: optional(
          text(),
          "Common name or subject alternative name (DNS, URI or e-mail) of the certificate.",
          "the client's name here"
        ),
        ...permission
      })
    ),
    "Client certificates by name, each with what it may do. Needs `tls.client_ca_file`."
  ),
  cors_origins: optional(
    texts("an origin such as https://app.example.com", /^https?:\/\/[^\s/?#@*,]+$/),
    "Web pages of these origins may call from browsers.",
    "no origin"
  ),
  max_body_bytes: defaulted(size(1024, 1024 * MiB), 8 * MiB, "8MiB", "A larger request body is refused with 413."),
  max_batch_records: defaulted(
    whole(1, 1_000_000),
    100_000,
    "100000",
    "More records in one request are refused with 413, all of them."
  ),
  max_header_bytes: defaulted(
    size(1024, MiB),
    16 * 1024,
    "16KiB",
    "A longer request line and headers are refused with 431."
  ),
  max_connections: defaulted(
    whole(1, 1_000_000),
    20_000,
    "20000",
    "Connections open at a time; further ones are answered 503 and closed."
  ),
  header_timeout: defaulted(
    duration(100, hour),
    10 * second,
    "10s",
    "For a request's line and headers, from their first byte."
  ),
  idle_timeout: defaulted(
    duration(100, hour),
    75 * second,
    "1m15s",
    "A connection without a request is closed after this."
  ),
  request_timeout: optional(
    duration(1, hour),
    "For one request, from its first byte to the answer; of a stream, from one record to the next.",
    "2s more than the longest time a record may take: `buffer.max_wait`, `write_timeout`, and the fallback's budget"
  )
})

const buffer = section({
  max_records: defaulted(whole(1, 100_000_000), 200_000, "200000", "Records without an outcome at most."),
  max_bytes: defaulted(size(MiB, 64 * 1024 * MiB), 256 * MiB, "256MiB", "Bytes of them at most."),
  max_wait: defaulted(duration(0, hour), second, "1s", "How long a publish waits for room before it is `Overloaded`.")
})

const spool = section({
  path: required(
    text(),
    "The file, on a disk of this host; relative to the file that names it. Its directory must exist. One process has it open at a time."
  ),
  max_bytes: defaulted(
    size(MiB, 1024 * 1024 * MiB),
    1024 * MiB,
    "1GiB",
    "Nothing more is taken in beyond this size of the file. SQLite's log beside it takes some MiB more."
  ),
  queue_timeout: defaulted(
    duration(1, hour),
    2 * second,
    "2s",
    "Budget for the fallback queue: what it has not taken by then goes to the spool."
  )
})

const spot = section({
  enabled: defaulted(
    autoFlag,
    "auto",
    "auto",
    "Watch for EC2's spot interruption notices. `auto`: where there is an instance metadata service."
  ),
  endpoint: optional(
    url,
    "Address of the instance metadata service.",
    "`AWS_EC2_METADATA_SERVICE_ENDPOINT`, then http://169.254.169.254"
  ),
  interval: defaulted(duration(100, minute), 5 * second, "5s", "How often it is asked."),
  budget: defaulted(
    duration(second, 2 * minute),
    110 * second,
    "110s",
    "Takes the place of `shutdown.budget` on a notice, less where EC2 announces an earlier end."
  ),
  on_rebalance: defaulted(
    choice(["ignore", "drain"]),
    "ignore",
    "ignore",
    "On a rebalance recommendation. `drain`: records are sent without waiting for company from then on."
  )
})

const otlp = section({
  endpoint: optional(
    url,
    "Address of an OTLP/HTTP endpoint that takes JSON; `/v1/traces` and `/v1/metrics` are put behind it.",
    "`OTEL_EXPORTER_OTLP_ENDPOINT`; without either nothing is exported"
  ),
  headers: always(
    named(secret),
    "Request headers by name, for example `authorization`; beside those of `OTEL_EXPORTER_OTLP_HEADERS`."
  ),
  interval: defaulted(duration(100, hour), 10 * second, "10s", "How often spans and metrics are sent."),
  timeout: defaulted(duration(1, 5 * minute), 5 * second, "5s", "For one answer of the endpoint."),
  sample_ratio: defaulted(
    decimal(0, 1),
    0,
    "0",
    "Part of the records and requests without a `traceparent` that begin a trace. With one, its sampled flag decides."
  ),
  service_name: optional(text(), "`service.name` of the resource.", "`OTEL_SERVICE_NAME`, then spillway"),
  resource_attributes: always(
    named(text()),
    "More attributes of the resource by name; beside those of `OTEL_RESOURCE_ATTRIBUTES`."
  )
})

export const shape = section({
  stream: always(
    section({
      output: always(named(output), "Outputs by name."),
      producer: always(named(producer), "Producers by name. At least one.")
    }),
    "Where records go."
  ),
  kafka: always(section({ connection: always(named(connection), "Clusters by name.") }), "Kafka clusters."),
  cloud: always(
    section({
      aws: always(
        section({
          sqs: always(section({ clients: always(named(sqsClient), "SQS clients by name.") }), "SQS."),
          s3: always(section({ clients: always(named(s3Client), "S3 clients by name.") }), "S3.")
        }),
        "Amazon Web Services."
      )
    }),
    "Cloud services."
  ),
  breaker: always(breaker, "When Kafka counts as unavailable, and how it is probed."),
  http: always(http, "The HTTP service."),
  shutdown: always(
    section({
      budget: defaulted(
        duration(100, hour),
        25 * second,
        "25s",
        "Time from the first signal to the end. Must be shorter than the platform's kill timeout."
      ),
      spot: always(spot, "The end as EC2 announces it, two minutes ahead.")
    }),
    "The orderly end."
  ),
  buffer: always(buffer, "Records that have no outcome yet."),
  spool: optional(
    spool,
    "A file for records that neither Kafka nor the fallback queue takes. Drained to either when it is back.",
    "no spool"
  ),
  telemetry: always(
    section({ otlp: always(otlp, "Traces and metrics over OTLP; see docs/operations/telemetry.md.") }),
    "What is told of the runtime beside `/metrics`."
  )
})

/** The configuration as written: keys of the file, every default filled in. */
export type Written = ReturnType<typeof shape.read>
export type WrittenRetry = ReturnType<typeof retry.read>
export type WrittenAwsClient = ReturnType<typeof sqsClient.read>
export type WrittenConnection = ReturnType<typeof connection.read>
