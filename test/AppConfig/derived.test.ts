// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { describe, test } from "node:test"
import * as Either from "effect/Either"
import { referenceFile, schemaFile, withReference } from "../../scripts/config-schema.ts"
import * as AppConfig from "../../src/AppConfig.ts"
import { schema } from "../../src/internal/config/schema.ts"
import { machineText, parseTexts } from "./texts.ts"

describe("derived pages", () => {
  test("the JSON Schema is up to date: bun scripts/config-schema.ts", async () => {
    assert.deepEqual(JSON.parse(await readFile(schemaFile, "utf8")), JSON.parse(JSON.stringify(schema)))
  })

  test("the reference in docs/configuration.md is up to date: bun scripts/config-schema.ts", async () => {
    const page = await readFile(referenceFile, "utf8")
    assert.equal(page, withReference(page))
  })

  test("the fleet of docs/configuration.md is a good configuration", async () => {
    const page = await readFile(referenceFile, "utf8")
    const [, fleet = ""] = /## A fleet[\s\S]*?```yaml\n([\s\S]*?)```/.exec(page) ?? []
    const variables = ["KAFKA_BROKERS", "PARKING_QUEUE", "AUDIT_PARKING_QUEUE", "PUBLISH_TOKEN", "AWS_REGION"]
    const env = Object.fromEntries(variables.map((name, index) => [name, index === 0 ? "k:9092" : `v${index}`]))
    const config = Either.getOrThrowWith(parseTexts([fleet], env), error => error)
    assert.equal(config.producers.audit?.retry.queueId, "v2")
    assert.equal(config.producers.audit?.retry.rate, 20_000)
    assert.equal(config.kafkaConnections.main?.clientId, "orders-local")
  })

  test("the errors that docs/configuration.md shows are the ones that are made", async () => {
    const page = await readFile(referenceFile, "utf8")
    const [, errors = ""] = /```\n(The configuration has[\s\S]*?)```/.exec(page) ?? []
    const text = `stream:
  output:
    orders:
      topic: orders
      batch_sizee: 10
      idle_timeout: 10
  producer: { orders: { output: orders, retry: { enabled: false } } }
${machineText}`
    const parsed = AppConfig.parse([{ file: "fleet.yaml", text }], { SPILLWAY_HTTP__PORT: "x" })
    assert.ok(Either.isLeft(parsed))
    assert.equal(`${parsed.left.message}\n`, errors)
  })
})
