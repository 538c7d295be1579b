/**
 * What a Kafka connection and its cluster must be like.
 */
import type { AppConfig, KafkaConnectionConfig } from "../../AppConfig.ts"
import { formatDuration, formatSize } from "../config/units.ts"
import { isLoopback } from "../loopback.ts"
import type { BrokerEvidence, ClockReading, ClusterEvidence } from "./evidence.ts"
import { type Result, Results } from "./result.ts"

const day = 86_400_000
/** A certificate that ends sooner is worth a warning, ms. */
const certificateNoticeMs = 14 * day
/** Clocks further apart than this deserve a look, and are an error, ms. */
export const clockWarningMs = 30_000
export const clockErrorMs = 300_000
/** What a Produce request holds beside its record: headers of request, topic and batch; generously, bytes. */
const requestOverheadBytes = 4096

export const judgeClock = (results: Results, code: "kafka-clock" | "aws-clock", clock: ClockReading, whose: string) => {
  // What the reading cannot tell is not held against the clock.
  const off = Math.max(0, Math.abs(clock.skewMs) - clock.withinMs)
  const side = clock.skewMs > 0 ? "behind" : "ahead of"
  const what = `this host's clock is ${formatDuration(Math.round(off))} ${side} ${whose}`
  const fix = "keep both in step with NTP: chronyc tracking"
  if (off >= clockErrorMs) results.error(code, what, fix)
  else if (off >= clockWarningMs) results.warning(code, what, fix)
  else
    results.ok(code, `this host's clock and ${whose} agree within ${formatDuration(Math.ceil(off + clock.withinMs))}`)
}

const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(":"))

const transport = (results: Results, connection: KafkaConnectionConfig, addresses: ReadonlyArray<string>): void => {
  const key = `kafka.connection.${connection.name}`
  const away = addresses.filter(address => !isLoopback(hostOf(address)))
  if (connection.tls?.insecureSkipVerify === true) {
    const what = "certificates are not verified: whoever answers is believed to be the broker"
    results.warning("transport", what, `give ${key}.tls.ca_file and remove insecure_skip_verify`)
  } else if (connection.tls === undefined && away.length > 0) {
    const secret = connection.sasl === undefined ? "records are" : "records and SASL credentials are"
    results.warning("transport", `${secret} sent in the clear to ${away[0]}`, `set ${key}.tls.enabled: true`)
  } else {
    const sasl = connection.sasl === undefined ? "no SASL" : `SASL ${connection.sasl.mechanism}`
    results.ok("transport", `${connection.tls === undefined ? "plaintext on this host" : "TLS"}, ${sasl}`)
  }
}

const certificate = (results: Results, who: string, endsAt: number | undefined, now: number): void => {
  if (endsAt === undefined) {
    return results.unchecked("certificate", `could not check the certificate of ${who} because it is not shown`)
  }
  const date = new Date(endsAt).toISOString().slice(0, 10)
  const what = `the certificate of ${who} ${endsAt <= now ? "ended" : "ends"} on ${date}`
  if (endsAt <= now) results.error("certificate", what, "renew it")
  else if (endsAt - now < certificateNoticeMs) results.warning("certificate", what, "renew it")
  else results.ok("certificate", what)
}

interface BrokerSurroundings {
  readonly now: number
  readonly tls: boolean
  /** Bytes of the largest record or batch. */
  readonly largest: number
}

const broker = (
  results: Results,
  { address, id, link, settings }: BrokerEvidence,
  { largest, now, tls }: BrokerSurroundings
): void => {
  const who = `broker ${id} (${address})`
  if (link._tag !== "Seen") {
    const why = link._tag === "Missing" ? "it is not there" : link.message
    const fix = "make that address reachable from here, or correct advertised.listeners of the broker"
    return results.error("advertised-broker", `${who} is advertised and cannot be connected to: ${why}`, fix)
  }
  results.ok("advertised-broker", `${who} answers`)
  const { certificateEndsAt, versions } = link.value
  const { initProducerId, metadata, produce } = versions
  if (produce === undefined || metadata === undefined) {
    const what = `${who} speaks no version of ${produce === undefined ? "Produce" : "Metadata"} that Spillway does`
    results.error("broker-version", what, "use Kafka 0.11 or later")
  } else {
    const identity = initProducerId === undefined ? "no InitProducerId" : `InitProducerId v${initProducerId}`
    results.ok("broker-version", `${who} speaks Produce v${produce}, Metadata v${metadata}, ${identity}`)
  }
  if (tls) certificate(results, who, certificateEndsAt, now)
  const names = `socket.request.max.bytes and auto.create.topics.enable of ${who}`
  const known = results.value(settings, ["request-size"], names, describeHint)
  const limit = Number(known?.["socket.request.max.bytes"])
  if (!Number.isFinite(limit)) return
  const needed = largest + requestOverheadBytes
  const text = `socket.request.max.bytes of ${who} is ${formatSize(limit)}`
  if (needed > limit) {
    const what = `${text}, and the largest record with its request takes ${formatSize(needed)}`
    results.error("request-size", what, "raise socket.request.max.bytes on the brokers, or lower max_record_bytes")
  } else results.ok("request-size", text)
}

export const describeHint = "allow DescribeConfigs (and Describe) on the topics and on the cluster to this principal"

export const kafkaRules = (evidence: ClusterEvidence, config: AppConfig, now: number): ReadonlyArray<Result> => {
  const results = new Results(`connection ${evidence.connection}`)
  const connection = config.kafkaConnections[evidence.connection]
  const key = `kafka.connection.${evidence.connection}.brokers`
  for (const { address, link } of evidence.seeds) {
    if (link._tag === "Seen") results.ok("seed-broker", `${address} answers`)
    else if (evidence.cluster._tag === "Seen") {
      const why = link._tag === "Missing" ? "it is not there" : link.message
      results.warning("seed-broker", `${address} cannot be connected to: ${why}`, `correct ${key}`)
    }
  }
  if (evidence.cluster._tag !== "Seen") {
    const why = evidence.cluster._tag === "Missing" ? "it is not there" : evidence.cluster.message
    const names = evidence.seeds.map(({ address }) => address).join(", ")
    results.error(
      "kafka-reachable",
      `none of ${names} can be used: ${why}`,
      `check ${key}, tls and sasl, and the network`
    )
    return results.list
  }
  const { brokers, clock, idempotence } = evidence.cluster.value
  results.ok("kafka-reachable", `${brokers.length} broker${brokers.length === 1 ? "" : "s"}`)
  if (connection !== undefined) {
    transport(results, connection, [...connection.brokers, ...brokers.map(({ address }) => address)])
  }
  const creation = brokers.find(({ settings }) => settings._tag === "Seen")?.settings
  if (creation?._tag === "Seen") {
    const automatic = creation.value["auto.create.topics.enable"] === "true"
    const what = "the brokers create topics that clients name (auto.create.topics.enable)"
    if (automatic) results.info("topic-creation", what, "set auto.create.topics.enable=false on the brokers")
    else results.ok("topic-creation", "topics are created on purpose only")
  }
  if (brokers.length === 1) {
    results.warning("one-broker", "the cluster has one broker", "run three brokers, with replication factor 3")
  }
  const outputs = Object.values(config.outputs).filter(output => output.connection === evidence.connection)
  const largest = Math.max(0, ...outputs.map(output => Math.max(output.maxRecordBytes, output.batchBytes)))
  for (const one of brokers) broker(results, one, { now, tls: connection?.tls !== undefined, largest })
  if (connection?.idempotent === true) {
    const given = results.value(idempotence, ["idempotence"], "idempotent producing")
    if (given === false) {
      const what = "the cluster gives no producer id: Spillway goes on without"
      const fix = "allow IdempotentWrite on the cluster (before Kafka 2.8), or Write on the topics, to this principal"
      results.warning("idempotence", what, fix)
    } else if (given === true) results.ok("idempotence", "the cluster gives producer ids")
  }
  const reading = results.value(clock, ["kafka-clock"], "the clock of Kafka's controller")
  if (reading !== undefined) judgeClock(results, "kafka-clock", reading, "the controller's")
  return results.list
}
