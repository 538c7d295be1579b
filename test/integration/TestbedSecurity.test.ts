import assert from "node:assert/strict"
import { test } from "node:test"
import { Kafka as KafkaJs, logLevel, type SASLOptions } from "kafkajs"
import * as Kafka from "../support/Kafka.ts"

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url")

/** An unsecured JWS (RFC 7515, appendix A.5): what Kafka's development validator accepts. */
const unsecuredToken = (subject: string): string => {
  const now = Math.floor(Date.now() / 1000)
  return `${encode({ alg: "none" })}.${encode({ sub: subject, iat: now, exp: now + 600 })}.`
}

const topicsOver = async (secure: Kafka.SecureAccess | undefined, sasl: SASLOptions | undefined) => {
  assert.ok(secure)
  const client = new KafkaJs({
    brokers: [...secure.bootstrap],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    ...(sasl === undefined ? {} : { sasl }),
    ...(secure.ca === undefined ? {} : { ssl: { ca: [secure.ca] } })
  })
  const admin = client.admin()
  try {
    await admin.connect()
    return await admin.listTopics()
  } finally {
    await admin.disconnect()
  }
}

const serve = async (security: Kafka.Security, use: (secure: Kafka.SecureAccess | undefined) => Promise<void>) => {
  const cluster = await Kafka.start({ security, topics: [{ name: "guarded" }] })
  try {
    await use(cluster.secure)
  } finally {
    await cluster.stop()
  }
}

const username = "alice"
const password = 'se"cr\\et'

test("SCRAM-SHA-512 over TLS", () =>
  serve({ tls: true, sasl: { mechanism: "SCRAM-SHA-512", username, password } }, async secure => {
    assert.match(secure?.ca ?? "", /BEGIN CERTIFICATE/)
    assert.deepEqual(await topicsOver(secure, { mechanism: "scram-sha-512", username, password }), ["guarded"])
    await assert.rejects(topicsOver(secure, { mechanism: "scram-sha-512", username, password: "wrong" }), /auth/i)
  }))

test("PLAIN", () =>
  serve({ sasl: { mechanism: "PLAIN", username, password } }, async secure => {
    assert.equal(secure?.ca, undefined)
    assert.deepEqual(await topicsOver(secure, { mechanism: "plain", username, password }), ["guarded"])
    await assert.rejects(topicsOver(secure, { mechanism: "plain", username, password: "wrong" }), /auth/i)
  }))

test("OAUTHBEARER with an unsecured token", () =>
  serve({ sasl: { mechanism: "OAUTHBEARER", username, password } }, async secure => {
    const sasl = (value: string): SASLOptions => ({
      mechanism: "oauthbearer",
      oauthBearerProvider: async () => ({ value })
    })
    assert.deepEqual(await topicsOver(secure, sasl(unsecuredToken(username))), ["guarded"])
    await assert.rejects(topicsOver(secure, sasl("not-a-token")))
  }))
