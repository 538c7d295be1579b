/**
 * `server.properties` of one broker of the test cluster: broker and controller in one process (KRaft), small and quick to
 * start, durable as in production (three brokers: replication factor 3, min.insync.replicas 2).
 */

export type SaslMechanism = "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER"

/** A second listener for clients; PLAINTEXT stays for the tools. */
export interface Security {
  /** With SCRAM neither name nor password may contain a comma or a bracket: the format tool splits there. */
  readonly sasl?: { readonly mechanism: SaslMechanism; readonly username: string; readonly password: string }
  readonly tls?: boolean
}

export interface NodeAddress {
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  /** Port of the second listener, when there is one. */
  readonly securePort?: number
  /** Port the second listener says it is at, when a proxy stands there. */
  readonly advertisedPort?: number
}

export const host = "127.0.0.1"

const quoted = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`

const jaas = (sasl: NonNullable<Security["sasl"]>): string => {
  const security = "org.apache.kafka.common.security"
  switch (sasl.mechanism) {
    case "PLAIN": {
      const login = `${security}.plain.PlainLoginModule required`
      return `${login} username=${quoted(sasl.username)} password=${quoted(sasl.password)} user_${sasl.username}=${quoted(sasl.password)};`
    }
    case "OAUTHBEARER":
      return `${security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=${quoted(sasl.username)};`
    default:
      return `${security}.scram.ScramLoginModule required;`
  }
}

const secureListener = (security: Security, keystore: Keystore | undefined): Record<string, string> => {
  const of = "listener.name.client"
  const tls =
    keystore === undefined
      ? {}
      : {
          [`${of}.ssl.keystore.type`]: "PKCS12",
          [`${of}.ssl.keystore.location`]: keystore.path,
          [`${of}.ssl.keystore.password`]: keystore.password,
          [`${of}.ssl.key.password`]: keystore.password
        }
  if (security.sasl === undefined) return tls
  return {
    ...tls,
    [`${of}.sasl.enabled.mechanisms`]: security.sasl.mechanism,
    [`${of}.${security.sasl.mechanism.toLowerCase()}.sasl.jaas.config`]: jaas(security.sasl)
  }
}

export interface Keystore {
  readonly path: string
  readonly password: string
}

export const serverProperties = (options: {
  readonly node: NodeAddress
  readonly nodes: ReadonlyArray<NodeAddress>
  readonly dataDirectory: string
  readonly security?: Security | undefined
  readonly keystore?: Keystore | undefined
  readonly overrides?: Readonly<Record<string, string>> | undefined
}): string => {
  const { dataDirectory, keystore, node, nodes, security } = options
  const replication = String(Math.min(3, nodes.length))
  const inSync = nodes.length >= 3 ? "2" : "1"
  const client = (port: number | undefined) => (port === undefined ? "" : `,CLIENT://${host}:${port}`)
  const protocol = `${security?.sasl === undefined ? "" : "SASL_"}${security?.tls === true ? "SSL" : "PLAINTEXT"}`
  const properties: Record<string, string> = {
    "process.roles": "broker,controller",
    "node.id": String(node.id),
    "controller.quorum.voters": nodes.map(({ controllerPort, id }) => `${id}@${host}:${controllerPort}`).join(","),
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    listeners: `PLAINTEXT://${host}:${node.port},CONTROLLER://${host}:${node.controllerPort}${client(node.securePort)}`,
    "advertised.listeners": `PLAINTEXT://${host}:${node.port}${client(node.advertisedPort ?? node.securePort)}`,
    "listener.security.protocol.map": `PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENT:${protocol}`,
    "log.dirs": dataDirectory,
    "auto.create.topics.enable": "false",
    "default.replication.factor": replication,
    "min.insync.replicas": inSync,
    "offsets.topic.replication.factor": replication,
    "transaction.state.log.replication.factor": replication,
    "transaction.state.log.min.isr": inSync,
    "share.coordinator.state.topic.replication.factor": replication,
    "share.coordinator.state.topic.min.isr": inSync,
    // One partition is enough for the few groups of a test, and 50 would be created at the first one.
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "10485760",
    "num.network.threads": "2",
    "num.io.threads": "4",
    ...(security === undefined ? {} : secureListener(security, keystore)),
    ...options.overrides
  }
  // Properties files read a backslash as an escape.
  const line = ([name, value]: [string, string]): string => `${name}=${value.replaceAll("\\", "\\\\")}\n`
  return Object.entries(properties).map(line).join("")
}
