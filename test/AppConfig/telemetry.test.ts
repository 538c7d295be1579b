import * as assert from "node:assert/strict"
import { describe, test } from "node:test"
import { inspect } from "node:util"
import * as Redacted from "effect/Redacted"
import * as AppConfig from "../../src/AppConfig.ts"
import { type Env, faults, good } from "./texts.ts"

const otlp = (text: string, env: Env = {}) => good(`telemetry: { otlp: { ${text} } }`, env).telemetry.otlp
const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" }

describe("telemetry.otlp", () => {
  test("is off without an endpoint, whatever else is said", () => {
    assert.equal(good().telemetry.otlp, undefined)
    assert.equal(otlp("sample_ratio: 1"), undefined)
    assert.equal(otlp("", { OTEL_SERVICE_NAME: "a" }), undefined)
    assert.equal(otlp('endpoint: "http://a"', { OTEL_SDK_DISABLED: "true" }), undefined)
  })

  test("has defaults", () => {
    assert.deepEqual(otlp('endpoint: "http://collector:4318"'), {
      endpoint: "http://collector:4318",
      headers: {},
      intervalMs: 10_000,
      timeoutMs: 5000,
      sampleRatio: 0,
      serviceName: "spillway",
      resourceAttributes: {}
    })
  })

  test("takes OpenTelemetry's own variables, and what is written wins", () => {
    const env = {
      ...endpoint,
      OTEL_EXPORTER_OTLP_HEADERS: "Authorization=Bearer%20one, x-tenant = a",
      OTEL_RESOURCE_ATTRIBUTES: "service.name=from-attributes,deployment.environment=prod,zone=a%2Cb"
    }
    const taken = otlp("", env)
    assert.equal(taken?.endpoint, endpoint.OTEL_EXPORTER_OTLP_ENDPOINT)
    assert.equal(taken?.serviceName, "from-attributes")
    assert.deepEqual(taken?.resourceAttributes, { "deployment.environment": "prod", zone: "a,b" })
    const secrets = (headers: Readonly<Record<string, AppConfig.OtlpConfig["headers"][string]>> = {}) =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Redacted.value(value)]))
    assert.deepEqual(secrets(taken?.headers), { authorization: "Bearer one", "x-tenant": "a" })
    assert.equal(otlp("", { ...env, OTEL_SERVICE_NAME: "named" })?.serviceName, "named")
    const written = otlp(
      'endpoint: "https://other", service_name: written, headers: { Authorization: two }, resource_attributes: { zone: b }',
      { ...env, OTEL_SERVICE_NAME: "named" }
    )
    assert.equal(written?.endpoint, "https://other")
    assert.equal(written?.serviceName, "written")
    assert.deepEqual(secrets(written?.headers), { authorization: "two", "x-tenant": "a" })
    assert.deepEqual(written?.resourceAttributes, { "deployment.environment": "prod", zone: "b" })
  })

  test("refuses what is no address, no ratio and no pairs, at its key", () => {
    assert.match(
      faults('telemetry: { otlp: { endpoint: "collector:4318" } }')[0] ?? "",
      /telemetry\.otlp\.endpoint: expected an http/
    )
    assert.match(
      faults("telemetry: { otlp: { sample_ratio: 1.5 } }")[0] ?? "",
      /sample_ratio: expected a number from 0 to 1/
    )
    const wrong = faults("", {
      OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318",
      OTEL_EXPORTER_OTLP_HEADERS: "s3cret",
      OTEL_RESOURCE_ATTRIBUTES: "a=%zz"
    })
    assert.equal(wrong.length, 3)
    assert.ok(wrong.some(line => /otlp\.endpoint: OTEL_EXPORTER_OTLP_ENDPOINT: expected an http/.test(line)))
    assert.ok(wrong.some(line => /otlp\.headers: OTEL_EXPORTER_OTLP_HEADERS: expected key=value pairs/.test(line)))
    assert.ok(wrong.some(line => /resource_attributes: OTEL_RESOURCE_ATTRIBUTES: expected key=value pairs/.test(line)))
    assert.ok(!wrong.join("\n").includes("s3cret"))
    const [credentials = ""] = faults("", { OTEL_EXPORTER_OTLP_ENDPOINT: "https://user:s3cret@collector" })
    assert.match(credentials, /address without credentials/)
    assert.doesNotMatch(credentials, /s3cret/)
  })

  test("does not show its headers", () => {
    const config = good('telemetry: { otlp: { endpoint: "http://a", headers: { authorization: s3cret } } }')
    assert.ok(!inspect(config, { depth: 10 }).includes("s3cret"))
    assert.ok(!JSON.stringify(AppConfig.redacted(config)).includes("s3cret"))
  })
})
