/**
 * A real Apache Kafka cluster for tests, the quickstart and the benchmarks: one or three brokers on this machine.
 *
 *     const kafka = await Kafka.start({ brokers: 3, topics: [{ name: "orders", partitions: 6 }] })
 *     kafka.brokers[0]?.freeze()
 *     await kafka.stop()
 */
import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { TcpProxy } from "../../src/testing/TcpProxy.ts"
import { Broker } from "./Broker.ts"
import { engine } from "./Engine.ts"
import { deleteDirectory, temporaryDirectory } from "./Guard.ts"
import { jvmFlags, runKafkaTool } from "./Java.ts"
import { KafkaCluster, type SecureAccess, type TopicSpec } from "./KafkaCluster.ts"
import { host, type Keystore, type NodeAddress, type Security, serverProperties } from "./KafkaProperties.ts"
import { freePorts } from "./ports.ts"
import { runCommand } from "./runCommand.ts"
import { ServerProcess } from "./ServerProcess.ts"

export { Broker } from "./Broker.ts"
export { KafkaCluster, type SecureAccess, type TopicSpec } from "./KafkaCluster.ts"
export type { Security } from "./KafkaProperties.ts"

export interface Options {
  /** 1 by default. Three have replication factor 3 and min.insync.replicas 2 as defaults. */
  readonly brokers?: 1 | 3
  readonly topics?: ReadonlyArray<TopicSpec>
  /** More `server.properties` for every broker; they win over ours. */
  readonly properties?: Readonly<Record<string, string>>
  /** A second listener with SASL, TLS or both; see `KafkaCluster.secure`. */
  readonly security?: Security
  /** A second listener whose clients are led through a `TcpProxy` for each broker; see `KafkaCluster.proxies`. */
  readonly proxied?: boolean
  /** JVM flags of the brokers; by default a heap of 512 MB and the serial collector. */
  readonly jvm?: ReadonlyArray<string>
  /** For the cluster to be up; 120 000 ms by default. */
  readonly deadlineMs?: number
}

const brokerFlags: ReadonlyArray<string> = [
  "-Xms256m",
  "-Xmx512m",
  ...jvmFlags.filter(flag => !flag.includes("defaultLogLevel")),
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
  "-Dorg.slf4j.simpleLogger.showDateTime=true",
  "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
  // A page of configuration values at every start hides what matters.
  "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaConfig=warn",
  "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn"
]

const chooseNodes = async (count: number, secure: boolean, proxied: boolean): Promise<ReadonlyArray<NodeAddress>> => {
  const ports = [...(await freePorts(count * 4))]
  const take = (): number => ports.pop() ?? 0
  return Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    port: take(),
    controllerPort: take(),
    ...(secure ? { securePort: take() } : {}),
    ...(proxied ? { advertisedPort: take() } : {})
  }))
}

/** A self-signed key for localhost and 127.0.0.1, and its certificate for clients to trust. */
const makeKeystore = async (directory: string): Promise<{ readonly keystore: Keystore; readonly ca: string }> => {
  const path = join(directory, "broker.p12")
  const pem = join(directory, "ca.pem")
  const password = randomBytes(12).toString("hex")
  const store = ["-keystore", path, "-storetype", "PKCS12", "-storepass", password, "-alias", "broker"]
  const key = ["-keyalg", "EC", "-groupname", "secp256r1", "-dname", "CN=localhost", "-validity", "30"]
  const { keytool } = engine()
  await runCommand(keytool(["-genkeypair", ...store, ...key, "-ext", `san=dns:localhost,ip:${host}`]))
  await runCommand(keytool(["-exportcert", "-rfc", ...store, "-file", pem]))
  return { keystore: { path, password }, ca: readFileSync(pem, "utf8") }
}

/** A Kafka UUID. Never with a leading dash, which the tools would read as an option. */
const newClusterId = (): string => {
  const bytes = randomBytes(16)
  bytes.writeUInt8(bytes.readUInt8(0) & 0x7f, 0)
  return bytes.toString("base64url")
}

/** `StorageTool format`, with the SCRAM credentials as part of the first metadata (KIP-900). */
const format = async (propertiesFile: string, clusterId: string, security: Security | undefined): Promise<void> => {
  const sasl = security?.sasl
  const scram = sasl?.mechanism.startsWith("SCRAM") === true
  const credentials = scram
    ? ["--add-scram", `${sasl.mechanism}=[name=${sasl.username},password=${sasl.password}]`]
    : []
  const args = ["format", "-t", clusterId, "-c", propertiesFile, ...credentials]
  await runKafkaTool("kafka.tools.StorageTool", args, { jvm: ["-Xmx128m", "-XX:TieredStopAtLevel=1"] })
}

/** Starts a cluster and waits until every broker serves and the topics have their leaders. */
export const start = async (options: Options = {}): Promise<KafkaCluster> => {
  const { deadlineMs = 120_000, proxied = false } = options
  const security = options.security ?? (proxied ? {} : undefined)
  const run = engine()
  const directory = temporaryDirectory("kafka")
  const brokers: Array<Broker> = []
  const proxies: Array<TcpProxy> = []
  try {
    const nodes = await chooseNodes(options.brokers ?? 1, security !== undefined, proxied)
    for (const { advertisedPort, securePort } of nodes) {
      if (advertisedPort === undefined || securePort === undefined) continue
      const protocol = security?.tls === true ? "raw" : "kafka"
      proxies.push(await TcpProxy.start({ upstream: { host, port: securePort }, port: advertisedPort, protocol }))
    }
    const tls = security?.tls === true ? await makeKeystore(directory) : undefined
    const clusterId = newClusterId()
    await Promise.all(
      nodes.map(async node => {
        const home = join(directory, `broker-${node.id}`)
        const propertiesFile = join(home, "server.properties")
        mkdirSync(home)
        const dataDirectory = join(home, "data")
        const overrides = options.properties
        const properties = serverProperties({
          node,
          nodes,
          dataDirectory,
          security,
          keystore: tls?.keystore,
          overrides
        })
        writeFileSync(propertiesFile, properties, { mode: 0o600 })
        await format(propertiesFile, clusterId, security)
        const args = [...brokerFlags, ...(options.jvm ?? []), "kafka.Kafka", propertiesFile]
        const command = () => run.java("kafka", args)
        brokers.push(new Broker(node, new ServerProcess(`broker ${node.id}`, join(home, "server.log"), command)))
      })
    )
    brokers.sort((a, b) => a.id - b.id)
    await Promise.all(brokers.map(broker => broker.launch()))
    await Promise.all(brokers.map(broker => broker.ready(deadlineMs)))
    const secure: SecureAccess | undefined =
      security === undefined
        ? undefined
        : {
            bootstrap: nodes.flatMap(({ advertisedPort, securePort }) => {
              const port = advertisedPort ?? securePort
              return port === undefined ? [] : [`${host}:${port}`]
            }),
            sasl: security.sasl,
            ca: tls?.ca
          }
    const cluster = new KafkaCluster(brokers, directory, secure, proxies)
    await cluster.settled(deadlineMs)
    for (const { name, ...spec } of options.topics ?? []) await cluster.createTopic(name, spec)
    return cluster
  } catch (error) {
    await Promise.all([...brokers.map(broker => broker.kill()), ...proxies.map(proxy => proxy.stop())])
    deleteDirectory(directory)
    throw error
  }
}
