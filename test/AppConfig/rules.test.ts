// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { describe, test } from "node:test"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import * as AppConfig from "../../src/AppConfig.ts"
import { bad, client, connection, exampleText, faults, good, machineText, output, parseTexts, retry } from "./texts.ts"

const s3 = (text: string): string => `cloud: { aws: { s3: { clients: { default: { ${text} } } } } }`

describe("rules", () => {
  const second = (text: string): string =>
    `stream: { output: { second: { topic: t2 } }, producer: { second: ${text} } }`
  const cases: ReadonlyArray<readonly [text: string, path: string, message: RegExp]> = [
    [
      second("{ output: secnd, retry: { enabled: false } }"),
      "stream.producer.second.output",
      /there is no stream\.output\.secnd: known are example_output, second$/
    ],
    [
      second("{ output: constructor, retry: { enabled: false } }"),
      "stream.producer.second.output",
      /there is no stream\.output\.constructor/
    ],
    [
      second("{ output: example_output, retry: { enabled: false } }"),
      "stream.producer.second.output",
      /producer example_producer writes to topic example-kafka-topic already/
    ],
    [
      "spool: { path: spool.db, queue_timeout: 24s }",
      "spool.queue_timeout",
      /^with write_timeout of output example_output \(1s\) it must fit shutdown\.budget \(25s\).*; found 24s$/
    ],
    [
      `${second("{ output: second, retry: { queue_id: example-sqs-queue-name-dlq } }")}`,
      "stream.producer.second.retry.queue_id",
      /^is the dead-letter queue of producer example_producer: what lies there would be replayed$/
    ],
    [
      `stream: { output: { second: { topic: t2, connection: other } }, producer: { second: { output: second, retry: { queue_id: example-sqs-queue-name } } } }
kafka: { connection: { other: { brokers: "b:9092" } } }`,
      "stream.producer.second.retry.queue_id",
      /^is the queue of producer example_producer, whose Kafka connection is default/
    ],
    ["spool: { max_bytes: 1GiB }", "spool.path", /missing/],
    [
      `spool: { path: spool.db }\n${retry("enabled: false")}`,
      "spool",
      /^does nothing: only what is diverted can be spooled, and no producer has retry\.enabled: true$/
    ],
    [
      retry("backlog: { policy: reject }"),
      "stream.producer.example_producer.retry.backlog.max_messages",
      /missing, expected a whole number/
    ],
    [
      retry("backlog: { max_messages: 0 }"),
      "stream.producer.example_producer.retry.backlog.max_messages",
      /expected a whole number from 1/
    ],
    [
      retry("backlog: { max_messages: 1, policy: drop }"),
      "stream.producer.example_producer.retry.backlog.policy",
      /expected one of wait, reject, found "drop"/
    ],
    [
      retry("backlog: { max_messages: 1, policy: reject, max_wait: 1s }"),
      "stream.producer.example_producer.retry.backlog.max_wait",
      /^policy reject does not wait$/
    ],
    [
      `${retry("backlog: { max_messages: 1, max_wait: 7s }")}\nhttp: { request_timeout: 20s }`,
      "http.request_timeout",
      /output example_output, the backlog's max_wait and the fallback's budget together \(20s\), found 20s$/
    ],
    [second("{ output: second }"), "stream.producer.second.retry.queue_id", /missing, expected an SQS queue/],
    [second("{ output: second, retry: }"), "stream.producer.second.retry.queue_id", /missing/],
    [
      output("connection: defualt"),
      "stream.output.example_output.connection",
      /there is no kafka\.connection\.defualt: known are default$/
    ],
    [
      retry("client_name: other"),
      "stream.producer.example_producer.retry.client_name",
      /there is no cloud\.aws\.sqs\.clients\.other/
    ],
    [
      retry("claim_check: { bucket: claims, client_name: other }"),
      "stream.producer.example_producer.retry.claim_check.client_name",
      /there is no cloud\.aws\.s3\.clients\.other: none is defined/
    ],
    [
      `${retry("claim_check: {}")}\n${s3("region: r")}`,
      "stream.producer.example_producer.retry.claim_check.bucket",
      /missing/
    ],
    [
      `${retry("claim_check: { bucket: 'a/b' }")}\n${s3("region: r")}`,
      "stream.producer.example_producer.retry.claim_check.bucket",
      /S3 bucket/
    ],
    [s3("region: r, connection_timeout: 11s"), "cloud.aws.s3.clients.default.connection_timeout", /request_timeout/],
    [s3("region: r, access_key_id: a"), "cloud.aws.s3.clients.default.secret_access_key", /missing, expected both/],
    [retry("queue_id: a b"), "stream.producer.example_producer.retry.queue_id", /is not a queue name/],
    [retry("queue_id: orders.fifo"), "stream.producer.example_producer.retry.queue_id", /FIFO/],
    [retry("dead_letter_queue_id: orders.fifo"), "stream.producer.example_producer.retry.dead_letter_queue_id", /FIFO/],
    [retry("queue_id: 'arn:aws:sqs:eu:1:x'"), "stream.producer.example_producer.retry.queue_id", /not an ARN/],
    [
      retry("queue_id: 'https://u:s3cret@host/1/q'"),
      "stream.producer.example_producer.retry.queue_id",
      /without credentials$/
    ],
    [
      retry(`queue_id: ${"q".repeat(77)}`),
      "stream.producer.example_producer.retry.queue_id",
      /give dead_letter_queue_id$/
    ],
    [
      retry("dead_letter_queue_id: example-sqs-queue-name"),
      "stream.producer.example_producer.retry.dead_letter_queue_id",
      /a queue of their own/
    ],
    [
      retry("dead_letter_queue_id: 'https://sqs.eu-central-1.amazonaws.com/123456789012/example-sqs-queue-name'"),
      "stream.producer.example_producer.retry.dead_letter_queue_id",
      /a queue of their own/
    ],
    [
      retry("visibility_timeout: 1s"),
      "stream.producer.example_producer.retry.visibility_timeout",
      /longer than write_timeout of output example_output \(1s\), found 1s/
    ],
    [retry("visibility_timeout: 2500ms"), "stream.producer.example_producer.retry.visibility_timeout", /whole seconds/],
    [
      output("idle_timeout: 2s"),
      "stream.output.example_output.idle_timeout",
      /not be longer than write_timeout \(1s\), found 2s/
    ],
    [output("max_in_flight: 6"), "stream.output.example_output.max_in_flight", /at most 5 on an idempotent connection/],
    [
      `${output("max_record_bytes: 2MiB")}\nbuffer: { max_bytes: 1MiB }`,
      "stream.output.example_output.max_record_bytes",
      /must fit buffer\.max_bytes \(1MiB\), found 2MiB/
    ],
    ["shutdown: { budget: 4s }", "cloud.aws.sqs.clients.default.request_timeout", /must fit shutdown\.budget \(4s\)/],
    [
      "http: { request_timeout: 13s }",
      "http.request_timeout",
      /longer than buffer\.max_wait, write_timeout of output example_output and the fallback's budget together \(13s\), found 13s/
    ],
    [
      "buffer: { max_wait: 25s }\nhttp: { request_timeout: 1m }",
      "buffer.max_wait",
      /shorter than shutdown\.budget \(25s\), found 25s/
    ],
    [
      connection("connection_timeout: 6s"),
      "kafka.connection.default.connection_timeout",
      /not be longer than request_timeout \(5s\), found 6s/
    ],
    [
      client("connection_timeout: 4s"),
      "cloud.aws.sqs.clients.default.connection_timeout",
      /request_timeout \(3s\), found 4s/
    ],
    ["breaker: { open_min: 31s }", "breaker.open_min", /not be longer than open_max \(30s\), found 31s/],
    ["breaker: { slow_call: 1s }", "breaker.slow_call", /shorter than write_timeout of output example_output \(1s\)/],
    ["http: { host: 0.0.0.0 }", "http.token", /missing: 0\.0\.0\.0 is reachable from other hosts/],
    ["http: { host: '::' }", "http.token", /missing/],
    ["http: { host: 127.0.0.1.evil.example }", "http.token", /missing/],
    ["http: { token: two words }", "http.token", /printable ASCII/],
    [
      "http: { token: t, tokens: { a: { secret: t, operator: true } } }",
      "http.tokens.a.secret",
      /is the token of http\.token too/
    ],
    [
      "http: { tokens: { a: { secret: s, topics: a }, b: { secret: s, topics: b } } }",
      "http.tokens.b.secret",
      /is the token of http\.tokens\.a\.secret too.*not shown/
    ],
    ["http: { tokens: { a: { secret: two words, topics: a } } }", "http.tokens.a.secret", /printable ASCII/],
    ["http: { tokens: { a: { topics: a } } }", "http.tokens.a.secret", /missing/],
    ["http: { tokens: { a: { secret: s } } }", "http.tokens.a", /may do nothing/],
    ["http: { tokens: { a: { secret: s, topics: [a*b] } } }", "http.tokens.a.topics.0", /expected a topic name/],
    ["http: { tokens: { a: { secret: s, topics: [1] } } }", "http.tokens.a.topics.0", /expected a topic name/],
    ["http: { clients: { a: { topics: a } } }", "http.clients", /only with tls\.client_ca_file/],
    ["http: { cors_origins: '*' }", "http.cors_origins", /expected an origin/],
    ["http: { cors_origins: ['https://a.example/'] }", "http.cors_origins.0", /expected an origin/],
    ["http: { max_batch_records: 0 }", "http.max_batch_records", /from 1 to/],
    ["http: { max_header_bytes: 512B }", "http.max_header_bytes", /from 1KiB/],
    ["http: { header_timeout: 10ms }", "http.header_timeout", /from 100ms/],
    [client("access_key_id: a"), "cloud.aws.sqs.clients.default.secret_access_key", /missing, expected both/],
    [client("session_token: a"), "cloud.aws.sqs.clients.default.session_token", /means nothing without/],
    [
      connection("sasl: { mechanism: plain, password: p }"),
      "kafka.connection.default.sasl.username",
      /missing.*plain needs it/
    ],
    [
      connection("sasl: { mechanism: SCRAM-SHA-256, username: u, password: p, region: r }"),
      "kafka.connection.default.sasl.region",
      /mechanism scram-sha-256 does not use it/
    ],
    [connection("sasl: { mechanism: oauthbearer }"), "kafka.connection.default.sasl.token", /missing/],
    [
      connection("sasl: { mechanism: oauthbearer, token: t, token_file: f }"),
      "kafka.connection.default.sasl.token_file",
      /one of the two/
    ],
    [
      connection("sasl: { mechanism: msk-iam }"),
      "kafka.connection.default.sasl.region",
      /missing, expected an AWS region/
    ],
    [connection("sasl: {}"), "kafka.connection.default.sasl.mechanism", /missing/],
    [
      "cloud: { aws: { sqs: { clients: { other: } } } }",
      "cloud.aws.sqs.clients.other.region",
      /missing, expected an AWS region/
    ]
  ]
  for (const [text, path, message] of cases) {
    test(`broken by ${text}`, () => {
      const { issues } = bad([exampleText, machineText, text])
      assert.equal(issues.length, 1, issues.map(AppConfig.renderIssue).join("\n"))
      assert.equal(issues[0]?.path, path)
      assert.match(issues[0]?.message ?? "", message)
    })
  }

  test("write_timeout must be shorter than the shutdown budget", () => {
    const lines = faults(`${output("write_timeout: 25s")}\nhttp: { request_timeout: 1m }`)
    assert.deepEqual(lines, [
      "c.yaml:1:54  stream.output.example_output.write_timeout: must be shorter than shutdown.budget (25s), found 25s"
    ])
  })

  test("a claim check is off unless configured, and finds its client", () => {
    assert.equal(good().producers.example_producer?.retry.claimCheck, undefined)
    const config = good(`${retry("claim_check: { bucket: claims }")}\n${s3("region: r, endpoint: 'http://h:1'")}`)
    assert.deepEqual(config.producers.example_producer?.retry.claimCheck, {
      bucket: "claims",
      prefix: "spillway",
      clientName: "default"
    })
    assert.equal(config.s3Clients.default?.pathStyle, true)
    assert.equal(good(s3("region: r")).s3Clients.default?.pathStyle, false)
    assert.equal(good(s3("region: r, path_style: true")).s3Clients.default?.pathStyle, true)
  })

  test("a backlog has no limit unless configured, and its wait counts in what a request may take", () => {
    const backlogOf = (text: string) => good(retry(text)).producers.example_producer?.retry.backlog
    assert.equal(backlogOf(""), undefined)
    assert.deepEqual(backlogOf("backlog: { max_messages: 7 }"), { maxMessages: 7, policy: "wait", maxWaitMs: 6000 })
    assert.deepEqual(backlogOf("backlog: { max_messages: 7, policy: reject }"), {
      maxMessages: 7,
      policy: "reject",
      maxWaitMs: 0
    })
    const requestMs = (text: string) => good(retry(text)).http.requestTimeoutMs
    assert.equal(requestMs("backlog: { max_messages: 7, max_wait: 20s }"), 35_000)
    assert.equal(requestMs("backlog: { max_messages: 7, policy: reject }"), 15_000)
  })

  test("a spool needs a producer with a fallback queue, one is enough", () => {
    const more = `stream: { output: { second: { topic: t2 } }, producer: { second: { output: second, retry: { enabled: false } } } }`
    assert.ok(good(`spool: { path: spool.db }\n${more}`).spool)
  })

  test("who may call is named with what they may do", () => {
    const files: Readonly<Record<string, string>> = { "c.pem": "cert", "k.pem": "key", "ca.pem": "ca" }
    const readText = (path: string) => {
      const content = files[path.slice(path.lastIndexOf("/") + 1)]
      if (content === undefined) throw new Error("no such file")
      return `-----BEGIN ${content}`
    }
    const tls = "tls: { cert_file: c.pem, key_file: k.pem, client_ca_file: ca.pem }"
    const text = `http:
  host: 0.0.0.0
  ${tls}
  tokens: { ads: { secret: s, topics: "ads, ads.*" }, all: { secret: u, topics: ["*"], metrics: true } }
  clients: { ops.internal: { operator: true }, b: { subject: "spiffe://b", topics: [x] } }
  cors_origins: https://app.example.com`
    const { clients, corsOrigins, tls: pem, tokens } = good(text, {}, readText).http
    assert.deepEqual(
      tokens.map(({ secret, ...token }) => [Redacted.value(secret), token]),
      [
        ["s", { name: "ads", topics: ["ads", "ads.*"], operator: false, metrics: false }],
        ["u", { name: "all", topics: ["*"], operator: false, metrics: true }]
      ]
    )
    assert.deepEqual(clients, [
      { name: "ops.internal", subject: "ops.internal", topics: [], operator: true, metrics: false },
      { name: "b", subject: "spiffe://b", topics: ["x"], operator: false, metrics: false }
    ])
    assert.deepEqual(corsOrigins, ["https://app.example.com"])
    assert.equal(pem?.cert, "-----BEGIN cert")
    assert.equal(pem?.clientCa, "-----BEGIN ca")
    assert.ok(!JSON.stringify(pem).includes("BEGIN key"))
    const bad = (more: string) =>
      parseTexts([exampleText, machineText, `http: { ${more} }`], {}, readText).pipe(
        Either.match({ onLeft: ({ issues }) => issues.map(({ path }) => path), onRight: () => [] })
      )
    assert.deepEqual(bad(tls), ["http.tls.client_ca_file"])
    assert.deepEqual(bad(`${tls}, clients: { a: { topics: x }, b: { subject: a, topics: y } }`), ["http.clients.b"])
    assert.deepEqual(bad("tls: { cert_file: other.pem, key_file: k.pem }"), ["http.tls.cert_file"])
  })

  test("loopback addresses need no token, others are fine with one", () => {
    for (const host of ["127.0.0.1", "127.9.9.9", "localhost", "'::1'"]) assert.ok(good(`http: { host: ${host} }`))
    assert.ok(good("http: { host: 0.0.0.0, token: t0ken }"))
  })

  test("all are reported together, none because of another", () => {
    const lines = faults(`stream:
  output: { example_output: { idle_timeout: 3s, balancer: hsh } }
  producer: { example_producer: { retry: { queue_id: q.fifo, client_name: x } } }
http: { host: 0.0.0.0 }
nope: 1`)
    assert.deepEqual(
      lines.map(line => line.split(": ")[0]),
      [
        "c.yaml:2:45  stream.output.example_output.idle_timeout",
        "c.yaml:2:59  stream.output.example_output.balancer",
        "c.yaml:3:54  stream.producer.example_producer.retry.queue_id",
        "c.yaml:3:75  stream.producer.example_producer.retry.client_name",
        "c.yaml:4:1  http.token",
        "c.yaml:5:1  nope"
      ]
    )
  })
})
