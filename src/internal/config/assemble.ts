/**
 * From the configuration as written to the one the rest of Spillway reads. Faults that lie in one entry alone (a TLS
 * file, a missing password) are reported here; what concerns several entries is in `rules.ts`.
 */
import * as Path from "node:path"
import * as Redacted from "effect/Redacted"
import type { Environment } from "./environment.ts"
import type { Report } from "./field.ts"
import * as Model from "./model.ts"
import { deadLetterQueueOf, queueFault } from "./queue.ts"
import type { Written, WrittenAwsClient, WrittenConnection, WrittenRetry } from "./shape.ts"
import { telemetryOf } from "./telemetry.ts"
import { type Path as KeyPath, locate, type Node, type Origin } from "./tree.ts"

/** What assembling needs beside the values. `readText` reads a certificate file; it throws when it cannot. */
export interface Surroundings {
  readonly root: Node
  readonly env: Environment
  readonly readText: (file: string) => string
  readonly report: Report
}

export const connectionPath: KeyPath = ["kafka", "connection"]
export const clientPath: KeyPath = ["cloud", "aws", "sqs", "clients"]
export const s3ClientPath: KeyPath = ["cloud", "aws", "s3", "clients"]
/** What an HTTP answer may take beyond the slowest outcome, ms. */
const answerMarginMs = 2000

export const outputPath: KeyPath = ["stream", "output"]
export const producerPath: KeyPath = ["stream", "producer"]

const record = <A, B>(from: ReadonlyMap<string, A>, change: (name: string, value: A) => B): Record<string, B> =>
  Object.fromEntries([...from].map(([name, value]) => [name, change(name, value)]))

export const assemble = (written: Written, around: Surroundings): Model.AppConfig => {
  const { breaker, http, shutdown, buffer } = written
  const outputs = record(
    written.stream.output,
    (name, value): Model.OutputConfig => ({
      name,
      connection: value.connection,
      topic: value.topic,
      batchSize: value.batch_size,
      batchBytes: value.batch_bytes,
      idleTimeoutMs: value.idle_timeout,
      writeTimeoutMs: value.write_timeout,
      balancer: value.balancer,
      compression: value.compression,
      maxRecordBytes: value.max_record_bytes,
      idHeader: value.id_header,
      maxInFlight: value.max_in_flight
    })
  )
  const longestWrite = Math.max(1, ...Object.values(outputs).map(output => output.writeTimeoutMs))
  const producers = record(
    written.stream.producer,
    (name, value): Model.ProducerConfig => ({
      name,
      output: value.output,
      encoding: value.encoding,
      retry: retryOf(value.retry, [...producerPath, name, "retry"], around)
    })
  )
  const sqsClients = record(written.cloud.aws.sqs.clients, (name, value) =>
    awsClientOf(name, value, [...clientPath, name], around)
  )
  const spool =
    written.spool === undefined
      ? undefined
      : {
          path: fileOf(written.spool.path, locate(around.root, ["spool", "path"])),
          maxBytes: written.spool.max_bytes,
          queueTimeoutMs: written.spool.queue_timeout
        }
  const room = { maxRecords: buffer.max_records, maxBytes: buffer.max_bytes, maxWaitMs: buffer.max_wait }
  const longest = Math.max(
    0,
    ...Object.values(outputs).map(output =>
      Model.longestOutcomeMs(output, { buffer: room, producers, spool, sqsClients })
    )
  )
  return {
    outputs,
    producers,
    kafkaConnections: record(written.kafka.connection, (name, value) =>
      connectionOf(name, value, [...connectionPath, name], around)
    ),
    sqsClients,
    s3Clients: record(written.cloud.aws.s3.clients, (name, value) => ({
      ...awsClientOf(name, value, [...s3ClientPath, name], around),
      pathStyle: value.path_style ?? value.endpoint !== undefined
    })),
    breaker: {
      consecutiveFailures: breaker.consecutive_failures,
      windowMs: breaker.window,
      minimumVolume: breaker.minimum_volume,
      failureRate: breaker.failure_rate,
      slowCallMs: breaker.slow_call,
      slowCallRate: breaker.slow_call_rate,
      openMinMs: breaker.open_min,
      openMaxMs: breaker.open_max,
      factor: breaker.factor,
      jitter: breaker.jitter,
      probes: breaker.probes,
      probeTimeoutMs: breaker.probe_timeout ?? longestWrite
    },
    http: {
      host: http.host,
      port: http.port,
      tls: http.tls === undefined ? undefined : httpTlsOf(http.tls, around),
      token: http.token,
      tokens: [...http.tokens].map(([name, { secret, topics = [], ...may }]) => ({ name, secret, topics, ...may })),
      clients: [...http.clients].map(([name, { subject = name, topics = [], ...may }]) => ({
        name,
        subject,
        topics,
        ...may
      })),
      corsOrigins: http.cors_origins ?? [],
      maxBodyBytes: http.max_body_bytes,
      maxBatchRecords: http.max_batch_records,
      maxHeaderBytes: http.max_header_bytes,
      maxConnections: http.max_connections,
      headerTimeoutMs: http.header_timeout,
      idleTimeoutMs: http.idle_timeout,
      requestTimeoutMs: http.request_timeout ?? longest + answerMarginMs
    },
    shutdown: { budgetMs: shutdown.budget, spot: spotOf(shutdown.spot, around) },
    buffer: room,
    spool,
    telemetry: { otlp: telemetryOf(written.telemetry, around) }
  }
}

const awsClientOf = (
  name: string,
  value: WrittenAwsClient,
  path: KeyPath,
  around: Surroundings
): Model.SqsClientConfig => {
  const at = (key: string) => locate(around.root, [...path, key])
  const region = value.region ?? regionOf([...path, "region"], around)
  if ((value.access_key_id === undefined) !== (value.secret_access_key === undefined)) {
    const lacking = value.access_key_id === undefined ? "access_key_id" : "secret_access_key"
    around.report.missing(at(lacking), [...path, lacking], "both access_key_id and secret_access_key, or neither")
  } else if (value.session_token !== undefined && value.access_key_id === undefined) {
    const message = "means nothing without access_key_id and secret_access_key"
    around.report.fault(at("session_token"), [...path, "session_token"], { message })
  }
  return {
    name,
    region,
    endpoint: value.endpoint,
    accessKeyId: value.access_key_id,
    secretAccessKey: value.secret_access_key,
    sessionToken: value.session_token,
    requestTimeoutMs: value.request_timeout,
    connectionTimeoutMs: value.connection_timeout
  }
}

/** A path is relative to the file that names it; one from a variable, to the working directory. */
const fileOf = (file: string, origin: Origin): string =>
  origin.variable === undefined ? Path.resolve(Path.dirname(origin.file), file) : Path.resolve(file)

/** Where the metadata service is on EC2 (Amazon EC2 User Guide, "Use the Instance Metadata Service"). */
const metadataEndpoint = "http://169.254.169.254"

/** The two variables are those of the AWS SDKs (SDKs and Tools Reference Guide, "IMDS credential provider"). */
const spotOf = (spot: Written["shutdown"]["spot"], { env, report, root }: Surroundings): Model.SpotConfig => {
  const path: KeyPath = ["shutdown", "spot", "endpoint"]
  const variable = env.AWS_EC2_METADATA_SERVICE_ENDPOINT || metadataEndpoint
  const endpoint = spot.endpoint ?? variable
  if (!report.isBad(path) && !(/^http:\/\//.test(endpoint) && URL.canParse(endpoint))) {
    const from = spot.endpoint === undefined ? "AWS_EC2_METADATA_SERVICE_ENDPOINT: " : ""
    report.fault(locate(root, path), path, { message: `${from}expected an http:// address` })
  }
  const disabled = env.AWS_EC2_METADATA_DISABLED?.toLowerCase() === "true"
  return {
    enabled: spot.enabled === "auto" && disabled ? false : spot.enabled,
    endpoint,
    intervalMs: spot.interval,
    budgetMs: spot.budget,
    onRebalance: spot.on_rebalance
  }
}

/** The region the AWS tools would take. */
const regionOf = (path: KeyPath, { env, report, root }: Surroundings): string => {
  const region = env.AWS_REGION || env.AWS_DEFAULT_REGION
  if (region === undefined) {
    report.missing(locate(root, path), path, "an AWS region such as eu-central-1", "AWS_REGION is not set either")
  }
  return region ?? ""
}

/** Longer than the queue's depth takes to be read anew: whoever waits for room is there when it is noticed, ms. */
const backlogWaitMs = 6000

const backlogOf = (
  { max_messages: maxMessages, max_wait: maxWait, policy }: NonNullable<WrittenRetry["backlog"]>,
  path: KeyPath,
  { report, root }: Surroundings
): Model.BacklogConfig => {
  if (policy === "wait") return { maxMessages, policy, maxWaitMs: maxWait ?? backlogWaitMs }
  const at = [...path, "max_wait"]
  if (maxWait !== undefined) report.fault(locate(root, at), at, { message: "policy reject does not wait" })
  return { maxMessages, policy, maxWaitMs: 0 }
}

const retryOf = (retry: WrittenRetry, path: KeyPath, around: Surroundings): Model.RetryConfig => {
  const { report, root } = around
  const settings = {
    afterMs: retry.after,
    maxAttempts: retry.max_attempts,
    maxNumberOfMessages: retry.max_number_of_messages,
    waitTimeSeconds: retry.wait_time,
    runnerCount: retry.runner_count,
    clientName: retry.client_name,
    msgBodyEncoding: retry.msg_body_encoding,
    unmarshaller: retry.unmarshaller,
    create: retry.create,
    visibilityTimeoutMs: retry.visibility_timeout,
    rate: retry.rate,
    claimCheck:
      retry.claim_check === undefined
        ? undefined
        : {
            bucket: retry.claim_check.bucket,
            prefix: retry.claim_check.prefix,
            clientName: retry.claim_check.client_name
          },
    backlog: retry.backlog === undefined ? undefined : backlogOf(retry.backlog, [...path, "backlog"], around)
  }
  const { queue_id: queueId, dead_letter_queue_id: given } = retry
  const judge = (key: string, id: string | undefined, derives: boolean): void => {
    const fault = id === undefined ? undefined : queueFault(id, derives)
    if (fault !== undefined) report.fault(locate(root, [...path, key]), [...path, key], { message: fault })
  }
  judge("queue_id", queueId, given === undefined)
  judge("dead_letter_queue_id", given, false)
  const deadLetterQueueId = given ?? (queueId === undefined ? undefined : deadLetterQueueOf(queueId))
  if (!retry.enabled) return { ...settings, enabled: false, queueId, deadLetterQueueId }
  if (queueId === undefined) {
    const at = [...path, "queue_id"]
    report.missing(locate(root, path), at, "an SQS queue name, URL or ARN", "or switch retry off: retry.enabled: false")
  }
  return { ...settings, enabled: true, queueId: queueId ?? "", deadLetterQueueId: deadLetterQueueId ?? "" }
}

const connectionOf = (
  name: string,
  written: WrittenConnection,
  path: KeyPath,
  around: Surroundings
): Model.KafkaConnectionConfig => ({
  name,
  brokers: written.brokers,
  clientId: written.client_id,
  tls: written.tls?.enabled ? tlsOf(written.tls, [...path, "tls"], around) : undefined,
  sasl: written.sasl === undefined ? undefined : saslOf(written.sasl, [...path, "sasl"], around),
  connectionTimeoutMs: written.connection_timeout,
  requestTimeoutMs: written.request_timeout,
  metadataMaxAgeMs: written.metadata_max_age,
  idempotent: written.idempotent
})

/** The content of the PEM file that `path` names. */
const pemOf = (
  file: string | undefined,
  path: KeyPath,
  { report, readText, root }: Surroundings
): string | undefined => {
  if (file === undefined || report.isBad(path)) return undefined
  const origin = locate(root, path)
  const refuse = (message: string): void => report.fault(origin, path, { message })
  try {
    const text = readText(fileOf(file, origin))
    if (!text.includes("-----BEGIN ")) refuse("the file is not PEM: it has no -----BEGIN line")
    return text
  } catch (cause) {
    refuse(`the file cannot be read: ${reasonOf(cause)}`)
    return undefined
  }
}

const httpTlsOf = (tls: NonNullable<Written["http"]["tls"]>, around: Surroundings): Model.HttpTls => {
  const pem = (key: keyof typeof tls) => pemOf(tls[key], ["http", "tls", key], around)
  return {
    cert: pem("cert_file") ?? "",
    key: Redacted.make(pem("key_file") ?? ""),
    clientCa: pem("client_ca_file")
  }
}

const tlsOf = (tls: NonNullable<WrittenConnection["tls"]>, path: KeyPath, around: Surroundings): Model.TlsConfig => {
  const { report, root } = around
  const pem = (key: "ca_file" | "cert_file" | "key_file") => pemOf(tls[key], [...path, key], around)
  if ((tls.cert_file === undefined) !== (tls.key_file === undefined)) {
    const lacking = tls.cert_file === undefined ? "cert_file" : "key_file"
    report.missing(locate(root, path), [...path, lacking], "both cert_file and key_file, or neither")
  }
  const key = pem("key_file")
  return {
    ca: pem("ca_file"),
    cert: pem("cert_file"),
    key: key === undefined ? undefined : Redacted.make(key),
    passphrase: tls.passphrase,
    servername: tls.servername,
    insecureSkipVerify: tls.insecure_skip_verify
  }
}

/** Why a file cannot be read, in words; never a path or a content beyond what the caller shows. */
export const reasonOf = (cause: unknown): string => {
  const code = cause instanceof Error && "code" in cause ? `${cause.code}` : ""
  const words: Readonly<Record<string, string>> = {
    ENOENT: "no such file",
    EACCES: "permission denied",
    EPERM: "permission denied",
    EISDIR: "it is a directory",
    ERR_ENCODING_INVALID_ENCODED_DATA: "it is not UTF-8 text"
  }
  if (cause instanceof TypeError) return "it is not UTF-8 text"
  return words[code] ?? (code === "" ? "the system refused" : code)
}

type WrittenSasl = NonNullable<WrittenConnection["sasl"]>

const saslOf = (sasl: WrittenSasl, path: KeyPath, around: Surroundings): Model.SaslConfig => {
  const { mechanism, username, password, token, token_file: tokenFile, region } = sasl
  const { report, root } = around
  const given = { username, password, token, token_file: tokenFile, region }
  const allow = (...keys: ReadonlyArray<keyof typeof given>): void => {
    for (const key of ["username", "password", "token", "token_file", "region"] as const) {
      if (given[key] === undefined || keys.includes(key) || report.isBad([...path, "mechanism"])) continue
      const message = `mechanism ${mechanism} does not use it`
      report.fault(locate(root, [...path, key]), [...path, key], { message })
    }
  }
  const need = (key: "username" | "password" | "token"): void => {
    if (given[key] !== undefined || report.isBad([...path, "mechanism"])) return
    report.missing(locate(root, path), [...path, key], `a text, as mechanism ${mechanism} needs it`)
  }
  switch (mechanism) {
    case "msk-iam":
      allow("region")
      return { mechanism, region: region ?? regionOf([...path, "region"], around) }
    case "oauthbearer":
      allow("token", "token_file")
      if (tokenFile === undefined) need("token")
      else if (token !== undefined) {
        const message = "token is there too: give one of the two"
        report.fault(locate(root, [...path, "token_file"]), [...path, "token_file"], { message })
      }
      return { mechanism, token, tokenFile }
    default:
      allow("username", "password")
      need("username")
      need("password")
      return { mechanism, username: username ?? "", password: password ?? Redacted.make("") }
  }
}
