/**
 * The real outside: Kafka through kafkajs's connections, queues on SQS, the spool in SQLite, as the configuration describes them.
 */
import { readFile } from "node:fs/promises"
import { hostname } from "node:os"
import process from "node:process"
import * as Redacted from "effect/Redacted"
import type { KafkaConnectionConfig, SaslConfig, TlsConfig } from "./AppConfig.ts"
import * as S3 from "./ClaimCheck/S3.ts"
import * as Sqs from "./FallbackQueue/Sqs.ts"
import * as KafkaJs from "./KafkaClient/KafkaJs.ts"
import type { Drivers } from "./Spillway.ts"
import * as Sqlite from "./Spool/Sqlite.ts"

const secret = (value: Redacted.Redacted<string> | undefined): string | undefined =>
  value === undefined ? undefined : Redacted.value(value)

const tlsOf = (tls: TlsConfig): NonNullable<KafkaJs.Options["tls"]> => ({
  ...tls,
  key: secret(tls.key),
  passphrase: secret(tls.passphrase)
})

const saslOf = (sasl: SaslConfig): NonNullable<KafkaJs.Options["sasl"]> => {
  switch (sasl.mechanism) {
    case "msk-iam":
      return {
        mechanism: "oauthbearer",
        oauthBearerProvider: async () => {
          const { token } = await import("./KafkaClient/mskIam.ts")
          return { value: await token(sasl.region) }
        }
      }
    case "oauthbearer": {
      const { tokenFile } = sasl
      return {
        mechanism: "oauthbearer",
        oauthBearerProvider: async () => ({
          value: tokenFile === undefined ? (secret(sasl.token) ?? "") : (await readFile(tokenFile, "utf8")).trim()
        })
      }
    }
    default:
      return { mechanism: sasl.mechanism, username: sasl.username, password: Redacted.value(sasl.password) }
  }
}

/** A configured connection as the Kafka driver wants it. A token file is read again for each new token. */
export const kafkaOptions = ({ sasl, tls, ...connection }: KafkaConnectionConfig): KafkaJs.Options => ({
  ...connection,
  tls: tls === undefined ? undefined : tlsOf(tls),
  sasl: sasl === undefined ? undefined : saslOf(sasl)
})

/** Kafka, SQS, S3 and SQLite. Those beyond this host are not contacted before they are needed. */
export const live: Drivers = {
  kafka: connection => KafkaJs.make(kafkaOptions(connection)),
  queue: options => Sqs.make(options),
  claims: options => S3.make(options),
  spool: options => Sqlite.make(options)
}

/** A name for this run of this process, kept in what it parks: host, process id and four random bytes. */
export const instanceName = (): string => `${hostname()}-${process.pid}-${crypto.randomUUID().slice(0, 8)}`
