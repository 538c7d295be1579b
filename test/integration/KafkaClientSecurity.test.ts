import assert from "node:assert/strict"
import { test } from "node:test"
import * as Effect from "effect/Effect"
import * as KafkaJs from "../../src/KafkaClient/KafkaJs.ts"
import type { KafkaError, ProduceBatch } from "../../src/KafkaClient.ts"
import { batchOf } from "../support/batches.ts"
import { eventually } from "../support/eventually.ts"
import * as Kafka from "../support/Kafka.ts"

const username = "alice"
const password = 'se"cr\\et'

const serve = async (security: Kafka.Security, use: (secure: Kafka.SecureAccess) => Promise<void>) => {
  const cluster = await Kafka.start({ security, topics: [{ name: "guarded" }] })
  try {
    assert.ok(cluster.secure)
    await use(cluster.secure)
  } finally {
    await cluster.stop()
  }
}

const withClient = <A>(
  secure: Kafka.SecureAccess,
  options: Pick<KafkaJs.Options, "sasl" | "tls">,
  use: (client: Effect.Effect.Success<ReturnType<typeof KafkaJs.make>>) => Promise<A>
): Promise<A> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(
        KafkaJs.make({
          brokers: secure.bootstrap,
          clientId: "spillway-test",
          connectionTimeoutMs: 5_000,
          requestTimeoutMs: 10_000,
          idempotent: true,
          ...options
        }),
        client => Effect.promise(() => use(client))
      )
    )
  )

const delivers = (secure: Kafka.SecureAccess, options: Pick<KafkaJs.Options, "sasl" | "tls">): Promise<true> =>
  withClient(secure, options, client => {
    const batch: ProduceBatch = {
      topic: "guarded",
      partition: 0,
      recordCount: 1,
      bytes: batchOf([{ value: "v" }]),
      idempotent: true
    }
    return eventually("delivery", 30_000, async () => {
      const [outcome] = await Effect.runPromise(client.produce([batch], 5_000))
      if (outcome?._tag === "Failed") throw outcome.error
      return outcome === undefined ? undefined : true
    })
  })

const refusal = (secure: Kafka.SecureAccess, options: Pick<KafkaJs.Options, "sasl" | "tls">): Promise<KafkaError> =>
  withClient(secure, options, client => Effect.runPromise(Effect.flip(client.metadata(["guarded"], 10_000))))

const classified = ({ class: failureClass, reason, retryable }: KafkaError) => [failureClass, reason, retryable]

for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const) {
  const tls = mechanism !== "SCRAM-SHA-256"
  test(`${mechanism}${tls ? " over TLS" : ""} delivers; a wrong password is Availability and not tried again`, () =>
    serve({ tls, sasl: { mechanism, username, password } }, async secure => {
      const lower = mechanism === "PLAIN" ? "plain" : mechanism === "SCRAM-SHA-256" ? "scram-sha-256" : "scram-sha-512"
      const trusted = tls ? { tls: { ca: secure.ca } } : {}
      assert.equal(await delivers(secure, { ...trusted, sasl: { mechanism: lower, username, password } }), true)
      const wrong = await refusal(secure, { ...trusted, sasl: { mechanism: lower, username, password: "wrong" } })
      assert.deepEqual(classified(wrong), ["Availability", "AUTHENTICATION_FAILED", false])
      assert.doesNotMatch(wrong.message, /wrong/)
    }))
}

test("TLS delivers to who trusts the certificate, or asks not to look; to nobody else", () =>
  serve({ tls: true }, async secure => {
    assert.equal(await delivers(secure, { tls: { ca: secure.ca } }), true)
    assert.equal(await delivers(secure, { tls: { insecureSkipVerify: true } }), true)
    assert.deepEqual(classified(await refusal(secure, { tls: {} })), ["Availability", "TLS_FAILED", true])
  }))
