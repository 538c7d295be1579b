/**
 * A valid configuration, as the rest of Spillway reads it. Durations are milliseconds, sizes bytes, rates fractions of 1
 * unless a member says otherwise. Keys, ranges and defaults are in `shape.ts`.
 */
import type * as Redacted from "effect/Redacted"

export type Secret = Redacted.Redacted<string>

export type Balancer = "default" | "hash" | "round_robin" | "least_bytes" | "murmur2" | "crc32"
export type Compression = "none" | "gzip" | "snappy" | "lz4" | "zstd"
export type ProducerEncoding = "application/json" | "raw" | "kafka/proto-wire-format"
export type Unmarshaller = "msg" | "raw" | "sns" | "msg_base64"

/** `stream.output.<name>`: where records go and how they are batched. */
export interface OutputConfig {
  readonly name: string
  /** Names a `KafkaConnectionConfig`. */
  readonly connection: string
  readonly topic: string
  /** Most records in one record batch. */
  readonly batchSize: number
  /** A record batch is closed at this size; a larger record travels in a batch of its own. */
  readonly batchBytes: number
  /** How long a batch waits for more records. */
  readonly idleTimeoutMs: number
  /** Budget for Kafka before a record is diverted. */
  readonly writeTimeoutMs: number
  readonly balancer: Balancer
  readonly compression: Compression
  readonly maxRecordBytes: number
  /** Name of the Kafka header that carries the record id. */
  readonly idHeader: string
  /** Produce requests in flight at most. */
  readonly maxInFlight: number
}

/** `stream.producer.<name>.retry.claim_check`. */
export interface ClaimCheckConfig {
  readonly bucket: string
  /** Put before every key, with a slash between. */
  readonly prefix: string
  /** Names an `S3ClientConfig`. */
  readonly clientName: string
}

/** `stream.producer.<name>.retry.backlog`. */
export interface BacklogConfig {
  /** Messages in the queue from which on nothing more is diverted to it. */
  readonly maxMessages: number
  readonly policy: "wait" | "reject"
  /** How long a record may wait for room; 0 with `reject`. */
  readonly maxWaitMs: number
}

interface RetrySettings {
  /** Delay before the first retry. */
  readonly afterMs: number
  readonly maxAttempts: number
  readonly maxNumberOfMessages: number
  readonly waitTimeSeconds: number
  readonly runnerCount: number
  /** Names a `SqsClientConfig`. */
  readonly clientName: string
  readonly msgBodyEncoding: "base64"
  readonly unmarshaller: Unmarshaller
  /** Create the queue and its dead-letter queue when they do not exist. */
  readonly create: boolean
  readonly visibilityTimeoutMs: number
  /** Replayed records per second at most; undefined: no limit of its own. */
  readonly rate: number | undefined
  /** Where records go that fit into no message; undefined: nowhere. */
  readonly claimCheck: ClaimCheckConfig | undefined
  /** Undefined: no limit. */
  readonly backlog: BacklogConfig | undefined
}

/** `stream.producer.<name>.retry`: the queue ids are there whenever it is enabled. */
export type RetryConfig =
  | (RetrySettings & { readonly enabled: true; readonly queueId: string; readonly deadLetterQueueId: string })
  | (RetrySettings & {
      readonly enabled: false
      readonly queueId: string | undefined
      readonly deadLetterQueueId: string | undefined
    })

/** `stream.producer.<name>`. */
export interface ProducerConfig {
  readonly name: string
  /** Names an `OutputConfig`. */
  readonly output: string
  readonly encoding: ProducerEncoding
  readonly retry: RetryConfig
}

/** PEM texts, read from the files the configuration names. */
export interface TlsConfig {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: Secret | undefined
  readonly passphrase: Secret | undefined
  readonly servername: string | undefined
  readonly insecureSkipVerify: boolean
}

export type SaslConfig =
  | {
      readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512"
      readonly username: string
      readonly password: Secret
    }
  | {
      readonly mechanism: "oauthbearer"
      /** Exactly one of the two. The file is read again for each new token. */
      readonly token: Secret | undefined
      readonly tokenFile: string | undefined
    }
  | { readonly mechanism: "msk-iam"; readonly region: string }

/** `kafka.connection.<name>`. */
export interface KafkaConnectionConfig {
  readonly name: string
  /** `host:port`; IPv6 hosts in brackets. */
  readonly brokers: ReadonlyArray<string>
  readonly clientId: string
  readonly tls: TlsConfig | undefined
  readonly sasl: SaslConfig | undefined
  readonly connectionTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly metadataMaxAgeMs: number
  readonly idempotent: boolean
}

interface AwsClientConfig {
  readonly name: string
  readonly region: string
  readonly endpoint: string | undefined
  /** With the secret: static credentials. Without: the AWS default credential chain. */
  readonly accessKeyId: string | undefined
  readonly secretAccessKey: Secret | undefined
  readonly sessionToken: Secret | undefined
  readonly requestTimeoutMs: number
  readonly connectionTimeoutMs: number
}

/** `cloud.aws.sqs.clients.<name>`. */
export type SqsClientConfig = AwsClientConfig

/** `cloud.aws.s3.clients.<name>`. */
export interface S3ClientConfig extends AwsClientConfig {
  /** The bucket in the path, not in the host name. */
  readonly pathStyle: boolean
}

/** `breaker`: when Kafka counts as unavailable, and how it is probed. */
export interface BreakerConfig {
  readonly consecutiveFailures: number
  readonly windowMs: number
  /** Calls in the window before the rates count. */
  readonly minimumVolume: number
  readonly failureRate: number
  /** A call this slow counts as slow; undefined: none does. */
  readonly slowCallMs: number | undefined
  readonly slowCallRate: number
  readonly openMinMs: number
  readonly openMaxMs: number
  readonly factor: number
  /** Part of an open interval added or taken away at random. */
  readonly jitter: number
  readonly probes: number
  readonly probeTimeoutMs: number
}

/** What a token or a client certificate may do. */
export interface Permission {
  /** Names, or what names begin with and a `*`. */
  readonly topics: ReadonlyArray<string>
  readonly operator: boolean
  readonly metrics: boolean
}

/** An entry of `http.tokens`. */
export interface HttpToken extends Permission {
  readonly name: string
  readonly secret: Secret
}

/** An entry of `http.clients`. */
export interface HttpClient extends Permission {
  readonly name: string
  /** A name that the certificate bears. */
  readonly subject: string
}

/** `http.tls`: contents, not paths. */
export interface HttpTls {
  readonly cert: string
  readonly key: Secret
  /** Undefined: no client certificate is asked for. */
  readonly clientCa: string | undefined
}

/** `http`. */
export interface HttpConfig {
  readonly host: string
  readonly port: number
  readonly tls: HttpTls | undefined
  /** Bearer token that may do everything. Of this, `tokens` and `clients` there is one whenever `host` is not a loopback address. */
  readonly token: Secret | undefined
  readonly tokens: ReadonlyArray<HttpToken>
  readonly clients: ReadonlyArray<HttpClient>
  readonly corsOrigins: ReadonlyArray<string>
  readonly maxBodyBytes: number
  readonly maxBatchRecords: number
  readonly maxHeaderBytes: number
  readonly maxConnections: number
  readonly headerTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly requestTimeoutMs: number
}

/** `shutdown`. */
export interface ShutdownConfig {
  readonly budgetMs: number
  readonly spot: SpotConfig
}

/** `shutdown.spot`. */
export interface SpotConfig {
  /** `auto`: where there is an instance metadata service. */
  readonly enabled: boolean | "auto"
  readonly endpoint: string
  readonly intervalMs: number
  /** Takes the place of the shutdown's budget on a notice. */
  readonly budgetMs: number
  readonly onRebalance: "ignore" | "drain"
}

/** `buffer`: records that have no outcome yet. */
export interface BufferConfig {
  readonly maxRecords: number
  readonly maxBytes: number
  /** How long a publish may wait for room. */
  readonly maxWaitMs: number
}

/** `spool`: the last resort. */
export interface SpoolConfig {
  /** Absolute. */
  readonly path: string
  readonly maxBytes: number
  /** Budget for the fallback queue before a record is spooled. */
  readonly queueTimeoutMs: number
}

/** `telemetry.otlp`: where spans and metrics are sent. */
export interface OtlpConfig {
  /** Without `/v1/traces` and `/v1/metrics`. */
  readonly endpoint: string
  /** Names in small letters. */
  readonly headers: Readonly<Record<string, Secret>>
  readonly intervalMs: number
  /** For one answer. */
  readonly timeoutMs: number
  /** Part of what comes without a trace that begins one. */
  readonly sampleRatio: number
  readonly serviceName: string
  readonly resourceAttributes: Readonly<Record<string, string>>
}

/** `telemetry`. */
export interface TelemetryConfig {
  /** Undefined: nothing is exported. */
  readonly otlp: OtlpConfig | undefined
}

/** A whole, valid configuration. Names between its parts are resolved: what is named exists. */
export interface AppConfig {
  readonly outputs: Readonly<Record<string, OutputConfig>>
  readonly producers: Readonly<Record<string, ProducerConfig>>
  readonly kafkaConnections: Readonly<Record<string, KafkaConnectionConfig>>
  readonly sqsClients: Readonly<Record<string, SqsClientConfig>>
  readonly s3Clients: Readonly<Record<string, S3ClientConfig>>
  readonly breaker: BreakerConfig
  readonly http: HttpConfig
  readonly shutdown: ShutdownConfig
  readonly buffer: BufferConfig
  readonly spool: SpoolConfig | undefined
  readonly telemetry: TelemetryConfig
}

/** How long a diverted batch may try the fallback queue before its callers are told, where no spool takes it, ms. */
export const fallbackBudgetMs = 8000

/** How long the records of an output may take at most, from being offered to their outcome, ms. */
export const longestOutcomeMs = (
  output: OutputConfig,
  { buffer, producers, spool, sqsClients }: Pick<AppConfig, "buffer" | "producers" | "spool" | "sqsClients">
): number => {
  const fallbacks = Object.values(producers).map(({ output: name, retry }) => {
    if (name !== output.name || !retry.enabled) return 0
    // Without a spool nobody else takes the records: the last call may outlast the budget.
    const storing = spool?.queueTimeoutMs ?? fallbackBudgetMs + (sqsClients[retry.clientName]?.requestTimeoutMs ?? 0)
    return (retry.backlog?.maxWaitMs ?? 0) + storing
  })
  return buffer.maxWaitMs + output.writeTimeoutMs + Math.max(0, ...fallbacks)
}
