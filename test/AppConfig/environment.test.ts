// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { describe, test } from "node:test"
import * as Redacted from "effect/Redacted"
import { connection, faults, good } from "./texts.ts"

describe("environment", () => {
  test("overrides any key, names found without regard to case and punctuation", () => {
    const text = "stream: { output: { My-Orders.v1: { topic: t } } }"
    const config = good(text, {
      SPILLWAY_STREAM__OUTPUT__MY_ORDERS_V1__BATCH_SIZE: "500",
      SPILLWAY_STREAM__OUTPUT__EXAMPLE_OUTPUT__IDLE_TIMEOUT: "20ms",
      SPILLWAY_STREAM__PRODUCER__EXAMPLE_PRODUCER__RETRY__CREATE: "true",
      SPILLWAY_kafka__connection__extra__brokers: "e:1",
      SPILLWAY_BREAKER__FAILURE_RATE: "0.25",
      SPILLWAY_HTTP__MAX_BODY_BYTES: "1MiB",
      SPILLWAY_STREAM__PRODUCER__EXAMPLE_PRODUCER__RETRY__QUEUE_ID: "123",
      SPILLWAY_CONFIG: "not a key, and not a section",
      SPILLWAY_ABSENT__KEY: undefined
    })
    assert.equal(config.outputs["My-Orders.v1"]?.batchSize, 500)
    assert.equal(config.outputs.example_output?.idleTimeoutMs, 20)
    assert.equal(config.producers.example_producer?.retry.create, true)
    assert.deepEqual(config.kafkaConnections.extra?.brokers, ["e:1"])
    assert.equal(config.breaker.failureRate, 0.25)
    assert.equal(config.http.maxBodyBytes, 1_048_576)
    assert.equal(config.producers.example_producer?.retry.queueId, "123", "a text of digits is a text")
  })

  test("EC2's metadata service is where the AWS SDKs are told it is", () => {
    const spot = (text: string, env: Readonly<Record<string, string>>) => good(text, env).shutdown.spot
    const elsewhere = { AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://[fd00:ec2::254]" }
    assert.equal(spot("", elsewhere).endpoint, "http://[fd00:ec2::254]")
    const own = 'shutdown: { spot: { endpoint: "http://127.0.0.1:1338", enabled: true } }'
    assert.equal(spot(own, elsewhere).endpoint, "http://127.0.0.1:1338")
    assert.equal(spot("", { AWS_EC2_METADATA_DISABLED: "True" }).enabled, false)
    assert.equal(spot(own, { AWS_EC2_METADATA_DISABLED: "true" }).enabled, true)
    assert.equal(spot("", { SPILLWAY_SHUTDOWN__SPOT__ENABLED: "false" }).enabled, false)
    assert.equal(spot("shutdown: { spot: { enabled: false } }", {}).enabled, false)
    const [line = ""] = faults("", { AWS_EC2_METADATA_SERVICE_ENDPOINT: "169.254.169.254" })
    assert.match(line, /shutdown\.spot\.endpoint: AWS_EC2_METADATA_SERVICE_ENDPOINT: expected an http:\/\/ address$/)
    assert.match(faults("shutdown: { spot: { enabled: yes } }", {})[0] ?? "", /expected auto, true or false/)
  })

  test("tls: true gives way to a key below it", () => {
    const env = { SPILLWAY_KAFKA__CONNECTION__DEFAULT__TLS__SERVERNAME: "broker" }
    assert.equal(good(connection("tls: true"), env).kafkaConnections.default?.tls?.servername, "broker")
    assert.ok(good("", { SPILLWAY_KAFKA__CONNECTION__DEFAULT__TLS: "true" }).kafkaConnections.default?.tls)
  })

  test("errors name the variable", () => {
    const text = "stream: { output: { a-b: { topic: t }, a_b: { topic: u } } }"
    const lines = faults(text, {
      SPILLWAY_HTTP__PORT: "x",
      SPILLWAY_HTTP__PRT: "1",
      SPILLWAY_HTTP: "1",
      SPILLWAY_HTTP_PORT: "1",
      SPILLWAY_HTTP__PORT__X: "1",
      SPILLWAY_BREAKER__WINDOW: "",
      SPILLWAY_KAFKA__CONNECTION__DEFAULT: "a:1",
      SPILLWAY_STREAM__OUTPUT__A_B__TOPIC: "t",
      SPILLWAY_shutdown__budget: "9s",
      SPILLWAY_SHUTDOWN__BUDGET: "8s"
    })
    const separated =
      "names no key of the configuration; levels are separated by two underscores, as in SPILLWAY_HTTP__PORT"
    assert.deepEqual([...lines].sort(), [
      'environment SPILLWAY_BREAKER__WINDOW  breaker.window: expected a duration such as 250ms, 1s, 2m or 1h30m, from 100ms to 1h, found ""',
      `environment SPILLWAY_HTTP  ${separated}`,
      `environment SPILLWAY_HTTP_PORT  ${separated}`,
      'environment SPILLWAY_HTTP__PORT  http.port: expected a whole number from 0 to 65535, found "x"',
      "environment SPILLWAY_HTTP__PORT__X  goes on below http.port, which has no keys",
      'environment SPILLWAY_HTTP__PRT  names no key of the configuration; did you mean "SPILLWAY_HTTP__PORT"?',
      "environment SPILLWAY_KAFKA__CONNECTION__DEFAULT  names the section kafka.connection.default, not a key in it",
      "environment SPILLWAY_STREAM__OUTPUT__A_B__TOPIC  can mean a-b or a_b under stream.output: rename one of them",
      "environment SPILLWAY_shutdown__budget  shutdown.budget: set by SPILLWAY_SHUTDOWN__BUDGET too"
    ])
  })

  test("expands in texts of files", () => {
    const text = `http: { port: "\${PORT}", max_body_bytes: "\${SIZE:-2MiB}", token: "a$\${b}\${T}" }
kafka: { connection: { default: { idempotent: "\${IDEMPOTENT:-false}", brokers: "\${HOST:-k}:\${KPORT}" } } }`
    const config = good(text, { PORT: "81", T: "c", KPORT: "92", HOST: "", SPILLWAY_HTTP_EXTRA: undefined })
    assert.equal(config.http.port, 81)
    assert.equal(config.http.maxBodyBytes, 2_097_152)
    assert.equal(Redacted.value(config.http.token ?? assert.fail()), "a${b}c")
    assert.equal(config.kafkaConnections.default?.idempotent, false)
    assert.deepEqual(config.kafkaConnections.default?.brokers, ["k:92"])
  })

  test("what is overridden is not expanded, what overrides is taken as it is", () => {
    const config = good('http: { token: "${UNSET}" }', { SPILLWAY_HTTP__TOKEN: "${LITERAL}" })
    assert.equal(Redacted.value(config.http.token ?? assert.fail()), "${LITERAL}")
  })

  test("a variable that a file mentions may look like a section", () => {
    assert.ok(good('http: { token: "${SPILLWAY_HTTP_TOKEN}" }', { SPILLWAY_HTTP_TOKEN: "t" }).http.token)
  })

  test("unset variables and malformed references are faults at their place, once", () => {
    assert.deepEqual(faults('http: { port: "${NOPE}" }\nbreaker: { window: "${1}" }'), [
      "c.yaml:1:15  http.port: the environment variable NOPE is not set; set it, or write ${NOPE:-default}",
      "c.yaml:2:20  breaker.window: ${ begins a variable, expected ${NAME} or ${NAME:-default} (write $${ for a plain ${)"
    ])
  })

  test("what a variable brought in is not shown", () => {
    const [line = ""] = faults('http: { port: "${P}" }', { P: "s3cret" })
    assert.match(line, /found "\$\{P\}"$/)
  })
})
