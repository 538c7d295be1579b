// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { resolve } from "node:path"
import { describe, test } from "node:test"
import { bad, client, connection, exampleText, faults, good, machineText, output, retry } from "./texts.ts"

describe("values", () => {
  test("durations, sizes and seconds", () => {
    const config = good(
      `stream:
  output: { example_output: { idle_timeout: 250ms, write_timeout: 1.5s, batch_bytes: 1.5MiB, max_record_bytes: 2 MB } }
  producer: { example_producer: { retry: { after: 1h30m, wait_time: 5s, visibility_timeout: 12h, rate: 0.5 } } }
buffer: { max_bytes: 2097152, max_wait: 0 }`
    )
    assert.equal(config.outputs.example_output?.idleTimeoutMs, 250)
    assert.equal(config.outputs.example_output?.writeTimeoutMs, 1500)
    assert.equal(config.outputs.example_output?.batchBytes, 1_572_864)
    assert.equal(config.outputs.example_output?.maxRecordBytes, 2_000_000)
    assert.equal(config.breaker.probeTimeoutMs, 1500, "follows the longest write_timeout")
    const { retry } = config.producers.example_producer ?? {}
    assert.equal(retry?.afterMs, 5_400_000)
    assert.equal(retry?.waitTimeSeconds, 5)
    assert.equal(retry?.visibilityTimeoutMs, 43_200_000)
    assert.equal(retry?.rate, 0.5)
    assert.deepEqual(config.buffer, { maxRecords: 200_000, maxBytes: 2_097_152, maxWaitMs: 0 })
  })

  test("a spool is there only where it is asked for, and its path is relative to its file", () => {
    assert.equal(good("").spool, undefined)
    assert.deepEqual(good("spool: { path: data/spool.db, max_bytes: 64MiB, queue_timeout: 500ms }").spool, {
      path: resolve("data/spool.db"),
      maxBytes: 67_108_864,
      queueTimeoutMs: 500
    })
    assert.deepEqual(good("spool: { path: /var/lib/spool.db }").spool, {
      path: "/var/lib/spool.db",
      maxBytes: 1_073_741_824,
      queueTimeoutMs: 2000
    })
  })

  const refused: ReadonlyArray<readonly [text: string, line: RegExp]> = [
    [
      output("idle_timeout: 10"),
      /^c\.yaml:1:53 {2}stream\.output\.example_output\.idle_timeout: expected a duration.*found 10; add a unit: "10ms" or "10s"$/
    ],
    [output("idle_timeout: 1 s"), /expected a duration.*found "1 s"$/],
    [output("idle_timeout: 0.5ms"), /expected a duration/],
    [output("idle_timeout: -1s"), /expected a duration/],
    [output("write_timeout: 0s"), /from 1ms to 1h, found "0s"$/],
    [output("idle_timeout: [1s]"), /expected a duration.*found a list$/],
    [output("idle_timeout:"), /expected a duration.*found nothing$/],
    [output('batch_size: "10"'), /expected a whole number from 1 to 1000000, found "10"; write it without quotes$/],
    [output("batch_size: 1.5"), /whole number.*found 1\.5$/],
    [output("batch_size: 0"), /whole number.*found 0$/],
    [output("batch_size: .nan"), /whole number.*found \.nan$/],
    [output("batch_size: 1e400"), /whole number/],
    [output("batch_bytes: 64kb"), /expected a size from 16KiB to 100MiB.*found "64kb"; did you mean "64KiB"\?$/],
    [output("batch_bytes: 101MiB"), /expected a size/],
    [output("topic: 2024"), /expected a topic name.*found 2024; put it in quotes$/],
    [output("topic: a/b"), /expected a topic name.*found "a\/b"$/],
    [output("topic: '..'"), /Kafka allows no such name$/],
    [output("type: sqs"), /expected "kafka", found "sqs"$/],
    [output("balancer: murmur"), /expected one of .*found "murmur"; did you mean "murmur2"\?$/],
    [output("compression: {}"), /expected one of none, gzip, snappy, lz4, zstd, found a section$/],
    [retry("enabled: yes"), /expected true or false, found "yes"; did you mean true\?$/],
    [retry("wait_time: 21"), /whole seconds from 0 to 20/],
    [retry("wait_time: 1500ms"), /whole seconds/],
    [retry("max_number_of_messages: 11"), /from 1 to 10, found 11$/],
    [retry("runner_count: 65"), /from 1 to 64/],
    [retry("rate: 0"), /a number above 0/],
    [connection("brokers: a"), /expected host:port, found "a"; did you mean "a:9092"\?$/],
    [connection("brokers: []"), /found an empty list$/],
    [connection("brokers: [a:9092, b:0]"), /default\.brokers\.1: expected host:port, found "b:0"$/],
    [connection("brokers: 'a:9092,'"), /expected host:port, found ""$/],
    [client("endpoint: 127.0.0.1:9324"), /did you mean "http:\/\/127\.0\.0\.1:9324"\?$/],
    ["http: { port: 65536 }", /from 0 to 65535/],
    ["http: 8080", /http: expected a section with keys, found a number$/],
    ["stream: { output: [] }", /expected a section of names, found a list$/],
    ["stream: { output: { 'a b': { topic: t } } }", /a name is made of letters/],
    ["stream: { output: { __proto__: { topic: t } } }", /a name is made of letters/]
  ]
  for (const [text, line] of refused) {
    test(`refused once: ${text}`, () => {
      const lines = faults(text)
      assert.equal(lines.length, 1, lines.join("\n"))
      assert.match(lines[0] ?? "", line)
    })
  }
})

describe("unknown keys", () => {
  const cases: ReadonlyArray<readonly [text: string, line: string]> = [
    [
      output("batch_sizee: 1"),
      'c.yaml:1:39  stream.output.example_output.batch_sizee: unknown key; did you mean "batch_size"?'
    ],
    [
      output("compresion: none"),
      'c.yaml:1:39  stream.output.example_output.compresion: unknown key; did you mean "compression"?'
    ],
    [
      connection("clientId: x"),
      'c.yaml:1:35  kafka.connection.default.clientId: unknown key; did you mean "client_id"?'
    ],
    ["kafak: {}", 'c.yaml:1:1  kafak: unknown key; did you mean "kafka"?'],
    ["metrics: {}", "c.yaml:1:1  metrics: unknown key"]
  ]
  for (const [text, line] of cases) {
    test(`${text}`, () => assert.ok(faults(text).includes(line), faults(text).join("\n")))
  }

  test("a key far from any other names those there are", () => {
    assert.equal(bad([exampleText, machineText, "shutdown: { xyz: 1 }"]).issues[0]?.expected, "one of budget, spot")
  })
})
