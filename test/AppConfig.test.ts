// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import fc from "fast-check"
import { referenceFile, schema, schemaFile, withReference } from "../scripts/config-schema.ts"
import * as AppConfig from "../src/AppConfig.ts"

const exampleText = `stream:
  output:
    example_output:
      connection: default
      topic: example-kafka-topic
      type: kafka
      batch_size: 10
      idle_timeout: 1s
      write_timeout: 1s
      balancer: default
  producer:
    example_producer:
      output: example_output
      encoding: kafka/proto-wire-format
      retry:
        enabled: true
        after: 2m
        max_attempts: 5
        queue_id: example-sqs-queue-name
        max_number_of_messages: 10
        wait_time: 20
        runner_count: 1
        client_name: default
        msg_body_encoding: base64
        unmarshaller: msg_base64
`

const machineText = `kafka:
  connection:
    default:
      brokers: [a:9092, "[::1]:9093"]
cloud:
  aws:
    sqs:
      clients:
        default:
          region: eu-central-1
`

const fileOf = (name: string): string => fileURLToPath(new URL(`../config/${name}`, import.meta.url))

type Env = AppConfig.Environment

const parseTexts = (texts: ReadonlyArray<string>, env: Env = {}, readText?: AppConfig.ReadText) =>
  AppConfig.parse(
    texts.map((text, index) => ({ file: `${"abc"[index] ?? "z"}.yaml`, text })),
    env,
    readText
  )

/** Example and machine, with a third text and an environment on top: right. */
const good = (text = "", env: Env = {}, readText?: AppConfig.ReadText): AppConfig.AppConfig => {
  const parsed = parseTexts([exampleText, machineText, text], env, readText)
  if (Either.isLeft(parsed)) throw parsed.left
  return parsed.right
}

const bad = (texts: ReadonlyArray<string>, env: Env = {}, readText?: AppConfig.ReadText): AppConfig.ConfigError => {
  const parsed = parseTexts(texts, env, readText)
  if (Either.isRight(parsed)) assert.fail("this configuration must be refused")
  return parsed.left
}

/** The faults of a third text on top of a good configuration, one line each. */
const faults = (text: string, env: Env = {}, readText?: AppConfig.ReadText): ReadonlyArray<string> =>
  bad([exampleText, machineText, text], env, readText).issues.map(AppConfig.renderIssue)

const retry = (text: string): string => `stream: { producer: { example_producer: { retry: { ${text} } } } }`
const output = (text: string): string => `stream: { output: { example_output: { ${text} } } }`
const connection = (text: string): string => `kafka: { connection: { default: { ${text} } } }`
const client = (text: string): string => `cloud: { aws: { sqs: { clients: { default: { ${text} } } } } }`

describe("the example", () => {
  test("is the published text, byte for byte", async () => {
    assert.equal(await readFile(fileOf("example.yaml"), "utf8"), exampleText)
  })

  test("loads with a second file", async () => {
    const config = await Effect.runPromise(AppConfig.load([fileOf("example.yaml"), fileOf("local.yaml")], {}))
    assert.deepEqual(config.kafkaConnections.default?.brokers, ["127.0.0.1:9092"])
    assert.equal(config.sqsClients.default?.endpoint, "http://127.0.0.1:9324")
    assert.equal(config.producers.example_producer?.retry.create, true)
  })

  test("loads with environment variables in the second file's place, as a layer too", async () => {
    const env = {
      SPILLWAY_KAFKA__CONNECTION__DEFAULT__BROKERS: "k1:9092, k2:9092",
      SPILLWAY_CLOUD__AWS__SQS__CLIENTS__DEFAULT__ENDPOINT: "http://127.0.0.1:9324",
      AWS_REGION: "eu-west-1"
    }
    const layer = AppConfig.layer([fileOf("example.yaml")], env)
    const config = await Effect.runPromise(Effect.provide(AppConfig.AppConfig, layer))
    assert.deepEqual(config.kafkaConnections.default?.brokers, ["k1:9092", "k2:9092"])
    assert.equal(config.sqsClients.default?.region, "eu-west-1")
  })

  test("gets exactly these values", () => {
    assert.deepEqual(good(), {
      outputs: {
        example_output: {
          name: "example_output",
          connection: "default",
          topic: "example-kafka-topic",
          batchSize: 10,
          batchBytes: 1_000_000,
          idleTimeoutMs: 1000,
          writeTimeoutMs: 1000,
          balancer: "default",
          compression: "none",
          maxRecordBytes: 1_048_576,
          idHeader: "spillway-id",
          maxInFlight: 5
        }
      },
      producers: {
        example_producer: {
          name: "example_producer",
          output: "example_output",
          encoding: "kafka/proto-wire-format",
          retry: {
            enabled: true,
            afterMs: 120_000,
            maxAttempts: 5,
            queueId: "example-sqs-queue-name",
            deadLetterQueueId: "example-sqs-queue-name-dlq",
            maxNumberOfMessages: 10,
            waitTimeSeconds: 20,
            runnerCount: 1,
            clientName: "default",
            msgBodyEncoding: "base64",
            unmarshaller: "msg_base64",
            create: false,
            visibilityTimeoutMs: 60_000,
            rate: undefined
          }
        }
      },
      kafkaConnections: {
        default: {
          name: "default",
          brokers: ["a:9092", "[::1]:9093"],
          clientId: "spillway",
          tls: undefined,
          sasl: undefined,
          connectionTimeoutMs: 1000,
          requestTimeoutMs: 5000,
          metadataMaxAgeMs: 10_000,
          idempotent: true
        }
      },
      sqsClients: {
        default: {
          name: "default",
          region: "eu-central-1",
          endpoint: undefined,
          accessKeyId: undefined,
          secretAccessKey: undefined,
          sessionToken: undefined,
          requestTimeoutMs: 3000,
          connectionTimeoutMs: 1000
        }
      },
      breaker: {
        consecutiveFailures: 5,
        windowMs: 10_000,
        minimumVolume: 20,
        failureRate: 0.5,
        slowCallMs: undefined,
        slowCallRate: 1,
        openMinMs: 1000,
        openMaxMs: 30_000,
        factor: 2,
        jitter: 0.2,
        probes: 1,
        probeTimeoutMs: 1000
      },
      http: { host: "127.0.0.1", port: 8080, maxBodyBytes: 8_388_608, token: undefined, requestTimeoutMs: 10_000 },
      shutdown: { budgetMs: 25_000 },
      buffer: { maxRecords: 200_000, maxBytes: 268_435_456, maxWaitMs: 1000 }
    })
  })

  test("defaults hold where only the names are given", () => {
    const text = `stream: { output: { o: { topic: t } }, producer: { p: { output: o, retry: { enabled: false } } } }`
    const parsed = parseTexts([text, machineText])
    assert.ok(Either.isRight(parsed))
    const { outputs, producers } = parsed.right
    assert.equal(outputs.o?.batchSize, 1000)
    assert.equal(outputs.o?.idleTimeoutMs, 5)
    assert.equal(producers.p?.encoding, "raw")
    assert.equal(producers.p?.retry.queueId, undefined)
    assert.equal(producers.p?.retry.afterMs, 60_000)
  })
})

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
    [output("compression: {}"), /expected one of none, gzip, zstd, found a section$/],
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
    assert.equal(bad([exampleText, machineText, "shutdown: { xyz: 1 }"]).issues[0]?.expected, "one of budget")
  })
})

describe("merging", () => {
  test("sections merge, the later value wins, lists are replaced, empty sections take nothing", () => {
    const config = good(`http:\n${output("batch_size: 20")}\n${connection("brokers: z:1")}`)
    assert.equal(config.outputs.example_output?.batchSize, 20)
    assert.equal(config.outputs.example_output?.topic, "example-kafka-topic")
    assert.deepEqual(config.kafkaConnections.default?.brokers, ["z:1"])
  })

  test("a fault is reported where the value that counts was written", () => {
    const lines = bad([exampleText, machineText, output("batch_size: x")]).issues
    assert.deepEqual(
      lines.map(({ file, line, column }) => [file, line, column]),
      [["c.yaml", 1, 51]]
    )
    assert.equal(good(output("batch_size: 7")).outputs.example_output?.batchSize, 7)
    const earlier = bad([exampleText.replace("batch_size: 10", "batch_size: x"), machineText, ""]).issues
    assert.deepEqual(
      earlier.map(({ file, line, column }) => [file, line, column]),
      [["a.yaml", 7, 19]]
    )
  })

  test("a missing key is reported at its section", () => {
    const issues = bad([exampleText.replace("      topic: example-kafka-topic\n", ""), machineText]).issues
    assert.deepEqual(issues.map(AppConfig.renderIssue), [
      "a.yaml:3:5  stream.output.example_output.topic: missing, expected a topic name of at most 249 letters, digits, dots, underscores and hyphens"
    ])
    assert.equal(issues[0]?.found, "nothing")
  })

  test("anchors and merge keys", () => {
    const config = good(`kafka:
  connection:
    default: &base { brokers: "x:1", client_id: one }
    other: { <<: *base, client_id: two }
    third: { <<: [{ client_id: three }, *base] }`)
    assert.equal(config.kafkaConnections.other?.clientId, "two")
    assert.deepEqual(config.kafkaConnections.other?.brokers, ["x:1"])
    assert.equal(config.kafkaConnections.third?.clientId, "three")
  })
})

describe("files", () => {
  test("unreadable, not UTF-8 and malformed ones are all listed, with what the others say", async () => {
    const folder = await mkdtemp(Path.join(tmpdir(), "spillway-config-"))
    try {
      const write = async (name: string, content: string | Uint8Array) => {
        await writeFile(Path.join(folder, name), content)
        return Path.join(folder, name)
      }
      const files = [
        await write("wrong.yaml", "http: { port: x }"),
        Path.join(folder, "absent.yaml"),
        await write("latin1.yaml", Uint8Array.of(0x61, 0x3a, 0xff)),
        folder,
        await write("broken.yaml", "kafka:\n  a: [1\n")
      ]
      const parsed = await Effect.runPromise(Effect.either(AppConfig.load(files, {})))
      assert.ok(Either.isLeft(parsed))
      const lines = parsed.left.issues.map(issue => AppConfig.renderIssue(issue).replace(folder, "DIR")).sort()
      assert.equal(lines.filter(line => line.startsWith("DIR/broken.yaml:")).length, 1)
      assert.deepEqual(
        lines.filter(line => !line.startsWith("DIR/broken.yaml:")),
        [
          "DIR  the file cannot be read: it is a directory",
          "DIR/absent.yaml  the file cannot be read: no such file",
          "DIR/latin1.yaml  the file cannot be read: it is not UTF-8 text",
          'DIR/wrong.yaml:1:15  http.port: expected a whole number from 0 to 65535, found "x"'
        ]
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  const malformed: ReadonlyArray<readonly [text: string, line: RegExp]> = [
    ["a: 1\na: 2", /^a\.yaml:2:1 {2}this key is here twice$/],
    ["a:\n\tb: 1", /^a\.yaml:2:1 {2}a tab cannot indent/],
    ["a: *b", /names no anchor/],
    ["a: !secret x", /tags are not supported/],
    ["a: b: c", /^a\.yaml:1:4 {2}/],
    ["a: 'x", /^a\.yaml:1:\d+ {2}a character is missing here/],
    ["- a", /^a\.yaml:1:1 {2}expected keys such as stream/],
    ["text", /expected keys such as/],
    ["a: 1\n---\nb: 2", /one document/],
    ["a: { b: ${C} }\nd: 1\ne: 2", /^a\.yaml:1:\d+ {2}/],
    ["a: &x [*x]", /nested deeper than 64 levels/],
    [`a: ${"[".repeat(20_000)}`, /^a\.yaml:1:\d+ {2}/]
  ]
  for (const [text, line] of malformed) {
    test(`malformed: ${JSON.stringify(text.slice(0, 30))}`, () => {
      const { issues } = bad([text])
      assert.match(AppConfig.renderIssue(issues[0] ?? assert.fail("no issue")), line)
      assert.ok(
        issues.every(issue => !issue.message.startsWith("there is no")),
        "what is unread is not missing"
      )
    })
  }

  test("an alias bomb is refused, not expanded", () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]`)
    const { issues } = bad([`a0: &a0 [x]\n${levels.join("\n")}`])
    assert.match(issues[0]?.message ?? "", /more than 100000 values/)
  })

  test("nothing at all says what is missing", () => {
    assert.deepEqual(bad([]).issues.map(AppConfig.renderIssue), [
      "configuration  stream.producer: there is no producer: at least one is needed, under stream.producer.<name>"
    ])
    assert.equal(bad(["", "# a comment"]).issues.length, 1)
  })
})

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
      "buffer: { max_wait: 9s }",
      "http.request_timeout",
      /longer than write_timeout of output example_output and buffer\.max_wait together \(10s\), found 10s/
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

describe("TLS and SASL", () => {
  const pem: AppConfig.ReadText = file => `-----BEGIN TEST-----\n${file}\n`

  test("files are looked for beside the file that names them", () => {
    const text = connection("tls: { ca_file: certs/ca.pem, cert_file: /abs/c.pem, key_file: k.pem, servername: n }")
    const parsed = AppConfig.parse(
      [
        { file: "a.yaml", text: exampleText },
        { file: "b.yaml", text: machineText },
        { file: "/etc/spillway/tls.yaml", text }
      ],
      {},
      pem
    )
    assert.ok(Either.isRight(parsed))
    const tls = parsed.right.kafkaConnections.default?.tls
    assert.equal(tls?.ca, "-----BEGIN TEST-----\n/etc/spillway/certs/ca.pem\n")
    assert.equal(tls?.cert, "-----BEGIN TEST-----\n/abs/c.pem\n")
    assert.match(Redacted.value(tls?.key ?? assert.fail()), /\/etc\/spillway\/k\.pem/)
    assert.equal(tls?.insecureSkipVerify, false)
  })

  test("tls is off when it says so", () => {
    assert.equal(good(connection("tls: false")).kafkaConnections.default?.tls, undefined)
    assert.equal(good(connection("tls: { enabled: false, ca_file: x }")).kafkaConnections.default?.tls, undefined)
    assert.match(faults(connection("tls:"))[0] ?? "", /default\.tls: expected true or false, found nothing$/)
  })

  test("files that cannot be used are faults at the key", () => {
    assert.deepEqual(faults(connection("tls: { ca_file: nowhere.pem }")), [
      "c.yaml:1:51  kafka.connection.default.tls.ca_file: the file cannot be read: no such file"
    ])
    assert.deepEqual(
      faults(connection("tls: { ca_file: x }"), {}, () => "s3cret"),
      ["c.yaml:1:51  kafka.connection.default.tls.ca_file: the file is not PEM: it has no -----BEGIN line"]
    )
    assert.match(faults(connection("tls: { cert_file: x }"), {}, pem)[0] ?? "", /key_file: missing, expected both/)
  })

  test("every mechanism", () => {
    const sasl = (text: string, env: Env = {}) =>
      good(connection(`sasl: { ${text} }`), env).kafkaConnections.default?.sasl
    const plain = sasl("mechanism: SCRAM-SHA-512, username: u, password: p")
    assert.equal(plain?.mechanism, "scram-sha-512")
    assert.equal(plain?.mechanism === "scram-sha-512" && Redacted.value(plain.password), "p")
    assert.deepEqual(sasl("mechanism: oauthbearer, token_file: /t"), {
      mechanism: "oauthbearer",
      token: undefined,
      tokenFile: "/t"
    })
    assert.deepEqual(sasl("mechanism: msk-iam", { AWS_DEFAULT_REGION: "eu" }), { mechanism: "msk-iam", region: "eu" })
  })
})

describe("secrets", () => {
  const secret = "hunter2"
  const text = `kafka:
  connection:
    default:
      tls: { cert_file: c, key_file: k, passphrase: ${secret} }
      sasl: { mechanism: plain, username: u, password: ${secret} }
    oauth: { brokers: o:1, sasl: { mechanism: oauthbearer, token: ${secret} } }
cloud:
  aws: { sqs: { clients: { default: { access_key_id: id, secret_access_key: ${secret}, session_token: ${secret} } } } }
http: { token: ${secret} }
`
  const shown = (value: unknown): string =>
    [inspect(value, { depth: 20, showHidden: true }), JSON.stringify(value), `${value}`].join("\n")

  test("do not show in a configuration, however it is printed", () => {
    const config = good(text, {}, () => `-----BEGIN ${secret}`)
    assert.ok(config.kafkaConnections.default?.tls?.key)
    // The certificate is public, only the key is not.
    const keyOnly = good(text, {}, file => (file.endsWith("k") ? `-----BEGIN ${secret}` : "-----BEGIN "))
    assert.ok(!shown(keyOnly).includes(secret))
    const printed = AppConfig.redacted(keyOnly)
    assert.equal(JSON.stringify(printed).match(/<redacted>/g)?.length, 7)
    assert.ok(!shown(printed).includes(secret))
  })

  const mistakes = [
    text.replaceAll("password", "pasword"),
    text.replaceAll("token: ", "tokn: "),
    text.replaceAll(secret, `[${secret}]`),
    text.replaceAll(secret, `{ ${secret}: 1 }`).replaceAll(`{ ${secret}: 1 }`, `{ a: ${secret} }`),
    text.replaceAll(secret, `*${secret}`),
    text.replaceAll(secret, `!${secret} x`),
    text.replaceAll(secret, `"\\${secret}"`),
    text.replaceAll(secret, `${secret} ${secret}`).replace("mechanism: plain", "mechanism: msk-iam"),
    text.replaceAll(secret, `'${secret}`),
    `http: ${secret}`,
    connection(`sasl: ${secret}`),
    connection(`tls: [${secret}]`),
    connection(`brokers: 'user:${secret}@host'`),
    client(`endpoint: 'http://user:${secret}@host'`),
    client(`endpoint: 'user:${secret}@host:1'`),
    retry(`queue_id: 'http://user:${secret}@ho st/q'`)
  ]
  for (const mistake of mistakes) {
    test(`do not show in the errors of ${JSON.stringify(mistake.slice(0, 200))}`, () => {
      const error = bad([exampleText, machineText, mistake], {}, () => `-----BEGIN `)
      assert.ok(!`${shown(error)}${error.stack}`.includes(secret), shown(error))
    })
  }

  test("a secret of digits is refused without showing them", () => {
    assert.deepEqual(faults("http: { token: 123456 }"), [
      "c.yaml:1:16  http.token: expected a text, found a number; put it in quotes"
    ])
  })
})

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

test("any text is a configuration or a list of faults, never a throw", () => {
  const whole = exampleText + machineText
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          at: fc.nat(whole.length),
          drop: fc.nat(8),
          add: fc.oneof(
            fc.string({ maxLength: 4 }),
            fc.constantFrom("\n", "  ", "\t", ": ", "- ", "[", "{", "&a ", "*a", "${", "<<: ", "null", "#", '"', "!!")
          )
        }),
        { minLength: 1, maxLength: 4 }
      ),
      edits => {
        const text = edits.reduce((now, { at, drop, add }) => now.slice(0, at) + add + now.slice(at + drop), whole)
        const parsed = AppConfig.parse([{ file: "f.yaml", text }], {})
        if (Either.isLeft(parsed)) {
          assert.ok(parsed.left.issues.length > 0)
          for (const issue of parsed.left.issues) assert.ok(issue.line >= 1 && issue.column >= 1, inspect(issue))
        }
      }
    ),
    { numRuns: 1000 }
  )
})
