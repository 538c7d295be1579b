// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"
import { check, show } from "../../src/cli/configReport.ts"
import { exampleText, machineText } from "../AppConfig/texts.ts"
import { deleteDirectory, temporaryDirectory } from "../support/Guard.ts"

const directory = temporaryDirectory("config-report")
after(() => deleteDirectory(directory))

const file = (name: string, text: string): string => {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

const app = file("app.yaml", exampleText)
const machine = file("machine.yaml", machineText)

const checkText = async (text: string, env: AppConfig.Environment = {}): Promise<string> => {
  const files = [app, machine, file("more.yaml", text)]
  const checked = await Effect.runPromise(check(files, env, false))
  return checked.text.replaceAll(`${directory}/`, "")
}

interface Shown {
  readonly value: unknown
  readonly origin: Readonly<Record<string, unknown>>
}

const shown = async (text: string, env: AppConfig.Environment = {}): Promise<ReadonlyMap<string, Shown>> => {
  const printed = await Effect.runPromise(show([app, machine, file("more.yaml", text)], env, true))
  const settings: ReadonlyArray<Shown & { path: string }> = JSON.parse(printed.replaceAll(`${directory}/`, ""))
  return new Map(settings.map(({ path, value, origin }) => [path, { value, origin }]))
}

describe("check", () => {
  test("a good configuration is summed up: what goes where", async () => {
    const more = `stream:
  output: { second: { topic: t2 } }
  producer: { second: { output: second, retry: { enabled: false } } }
http: { token: x }
spool: { path: /var/spool.db }`
    assert.equal(
      await checkText(more),
      `The configuration is good.

producer example_producer
  topic         example-kafka-topic (kafka default: a:9092, [::1]:9093)
  queue         example-sqs-queue-name (sqs default: eu-central-1)
  dead letters  example-sqs-queue-name-dlq

producer second
  topic         t2 (kafka default: a:9092, [::1]:9093)
  queue         none: records fail while Kafka is away

http            127.0.0.1:8080, with a token
spool           /var/spool.db`
    )
  })

  test("a fault stands above its line, with a caret under its column", async () => {
    assert.equal(
      await checkText("breaker: { probes: 0 } # none\nhttp:\n\thost: x\n  port: 80: 81\nbuffer:\n  max_wait: 1", {
        SPILLWAY_HTTP__HOST: ""
      }),
      `The configuration has 5 problems:

more.yaml:1:20  breaker.probes: expected a whole number from 1 to 100, found 0
   1 | breaker: { probes: 0 }
     |                    ^

more.yaml:3:1  a tab cannot indent: use spaces
   3 |  host: x
     | ^

more.yaml:4:9  http: a key cannot hold a section or a list (is there a second colon on this line?)
   4 |   port: ***
     |         ^

more.yaml:6:13  buffer.max_wait: expected a duration such as 250ms, 1s, 2m or 1h30m, from 0s to 1h, found 1; add a unit: "1ms" or "1s"
   6 |   max_wait: 1
     |             ^

environment SPILLWAY_HTTP__HOST  http.host: expected a text, found ""`
    )
  })

  test("values are shown where they cannot be secrets, and only there", async () => {
    const lines = async (text: string) => (await checkText(text)).split("\n").filter(line => /^ {3}\d \| /.test(line))
    assert.deepEqual(
      await lines(
        `kafka: { connection: { default: { sasl: { password: pw, mechanism: none, username: u } } } }
cloud: { aws: { sqs: { clients: { default: { region: r, endpoint: 'http://u:pw@h' } } } } }
stream:
  output:
    example_output: { topic: "a b", idle_timeout: x, compresion: zstd }
    other: { topic: a, batch_size: [1, 2] }`
      ),
      [
        "   1 | kafka: { connection: { default: { sasl: { password: ***",
        "   2 | cloud: { aws: { sqs: { clients: { default: { region: r, endpoint: ***",
        '   5 |     example_output: { topic: "a b", idle_timeout: x, ***',
        '   5 |     example_output: { topic: "a b", idle_timeout: x, ***',
        '   5 |     example_output: { topic: "a b", idle_timeout: x, compresion: ***',
        "   6 |     other: { topic: a, batch_size: [1, 2] }"
      ]
    )
  })

  test("a long line is cut around the fault", async () => {
    const text = await checkText(`kafka: { connection: { default: { client_id: "${"x".repeat(200)}", brokers: b } } }`)
    const [, line = "", caret = ""] = /^( {3}1 \| .*)\n(.*\^)$/m.exec(text) ?? []
    assert.ok(line.length < 120, line)
    assert.equal(line[caret.length - 1], "b")
  })

  test("as JSON: the issues, or the summary", async () => {
    const bad = await Effect.runPromise(check([app, file("bad.yaml", "http: { prot: 1 }")], {}, true))
    assert.equal(bad.good, false)
    const { good, issues } = JSON.parse(bad.text)
    assert.equal(good, false)
    assert.deepEqual(issues.at(-1), {
      file: join(directory, "bad.yaml"),
      line: 1,
      column: 9,
      path: "http.prot",
      message: "unknown key",
      suggestion: 'did you mean "port"?'
    })
    const fine = await Effect.runPromise(check([app, machine], {}, true))
    assert.deepEqual(JSON.parse(fine.text), {
      good: true,
      issues: [],
      producers: [
        {
          name: "example_producer",
          topic: "example-kafka-topic",
          kafka: { connection: "default", brokers: ["a:9092", "[::1]:9093"] },
          fallback: {
            queue: "example-sqs-queue-name",
            deadLetterQueue: "example-sqs-queue-name-dlq",
            sqs: { client: "default", region: "eu-central-1" }
          }
        }
      ],
      spool: null,
      http: { host: "127.0.0.1", port: 8080, token: false }
    })
  })
})

describe("show", () => {
  test("each value says where it is from", async () => {
    const settings = await shown(
      'http:\n  port: "${PORT}"\n  request_timeout: 1m\nshutdown: { spot: { enabled: auto } }',
      {
        PORT: "81",
        SPILLWAY_BUFFER__MAX_RECORDS: "5",
        AWS_EC2_METADATA_DISABLED: "true"
      }
    )
    assert.deepEqual(settings.get("http.port"), {
      value: 81,
      origin: { kind: "file", file: "more.yaml", line: 2, column: 9, variables: ["PORT"] }
    })
    assert.deepEqual(settings.get("http.request_timeout"), {
      value: "1m",
      origin: { kind: "file", file: "more.yaml", line: 3, column: 20 }
    })
    assert.deepEqual(settings.get("stream.output.example_output.topic"), {
      value: "example-kafka-topic",
      origin: { kind: "file", file: "app.yaml", line: 5, column: 14 }
    })
    assert.deepEqual(settings.get("buffer.max_records"), {
      value: 5,
      origin: { kind: "environment", variable: "SPILLWAY_BUFFER__MAX_RECORDS" }
    })
    assert.deepEqual(settings.get("shutdown.spot.enabled"), {
      value: false,
      origin: { kind: "environment", variable: "AWS_EC2_METADATA_DISABLED" }
    })
    assert.deepEqual(settings.get("buffer.max_bytes"), { value: "256MiB", origin: { kind: "default" } })
    assert.deepEqual(settings.get("spool"), { value: null, origin: { kind: "default" } })
  })

  test("defaults that depend on other keys are the ones that hold", async () => {
    const settings = await shown(
      `stream:
  output: { example_output: { write_timeout: 3s } }
  producer: { example_producer: { retry: { backlog: { max_messages: 9 } } } }
kafka: { connection: { default: { tls: true, sasl: { mechanism: msk-iam } } } }
cloud: { aws: { s3: { clients: { a: { endpoint: "http://h:1" } } }, sqs: { clients: { b: } } } }`,
      { AWS_REGION: "eu-west-3" }
    )
    const region = { value: "eu-west-3", origin: { kind: "environment", variable: "AWS_REGION" } }
    const expected: ReadonlyArray<readonly [path: string, value: unknown]> = [
      ["breaker.probe_timeout", "3s"],
      ["http.request_timeout", "23s"],
      ["stream.producer.example_producer.retry.dead_letter_queue_id", "example-sqs-queue-name-dlq"],
      ["stream.producer.example_producer.retry.backlog.max_wait", "6s"],
      ["cloud.aws.s3.clients.a.path_style", true],
      ["shutdown.spot.endpoint", "http://169.254.169.254"]
    ]
    for (const [path, value] of expected) {
      assert.deepEqual(settings.get(path), { value, origin: { kind: "default" } }, path)
    }
    assert.equal(settings.get("kafka.connection.default.tls")?.value, true)
    assert.deepEqual(settings.get("kafka.connection.default.sasl.region"), region)
    assert.deepEqual(settings.get("cloud.aws.s3.clients.a.region"), region)
    assert.deepEqual(settings.get("cloud.aws.sqs.clients.b.region"), region)
  })

  test("as YAML it is a configuration that means the same", async () => {
    const more = `stream: { output: { A.b-c: { topic: "123", id_header: "x: y #z" } } }
buffer: { max_wait: "\${WAIT:-2s}" }
kafka: { connection: { default: { client_id: "$\${X}", tls: { servername: "no" } } } }
breaker: { slow_call: 500ms }`
    const files = [app, machine, file("more.yaml", more)]
    const env = { SPILLWAY_HTTP__PORT: "7" }
    const text = await Effect.runPromise(show(files, env, false))
    assert.match(text, /^ {2}port: 7 +# environment SPILLWAY_HTTP__PORT$/m)
    assert.match(text, /^ {2}max_wait: 2s +# .*more\.yaml:2:21, environment WAIT$/m)
    assert.match(text, /^# spool: not set \(no spool\)$/m)
    const again = AppConfig.parse([{ file: "shown.yaml", text }], {})
    assert.deepEqual(
      AppConfig.redacted(Either.getOrThrowWith(again, error => error)),
      AppConfig.redacted(await Effect.runPromise(AppConfig.load(files, env)))
    )
  })

  test("a bad configuration is refused with its faults", async () => {
    const refused = await Effect.runPromise(Effect.either(show([app, machine, file("b.yaml", "http: 1")], {}, true)))
    assert.ok(Either.isLeft(refused))
    assert.equal(refused.left.issues[0]?.path, "http")
  })
})

describe("docs/cli.md", () => {
  const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8")

  test("shows faults as they are shown", async () => {
    const [, shown = ""] = /```\n(The configuration has[\s\S]*?)```/.exec(page) ?? []
    const text = `stream:
  output:
    orders:
      topic: "orders
      batch_sizee: 10
      idle_timeout: 10
  producer: { orders: { output: orders, retry: { enabled: false } } }
${machineText}`
    const { text: printed } = await Effect.runPromise(check([file("app.yaml", text)], {}, false))
    assert.equal(`${printed.replaceAll(`${directory}/`, "")}\n`, shown)
  })

  test("shows values as they are shown", async () => {
    const [, lines = ""] = /```\n(http:\n[\s\S]*?)```/.exec(page) ?? []
    const text = `\n\n\n\n\n\n\nhttp:\n  max_body_bytes: 1MiB\n  token: \${PUBLISH_TOKEN}\n`
    const env = { SPILLWAY_HTTP__PORT: "9000", PUBLISH_TOKEN: "t" }
    const printed = await Effect.runPromise(
      show([file("app.yaml", exampleText), machine, file("http.yaml", text)], env, false)
    )
    const bare = (line: string) =>
      line.replaceAll(`${directory}/`, "").replace("http.yaml", "app.yaml").replace(/ +#/, " #")
    const all = new Set(printed.split("\n").map(bare))
    for (const line of lines.trimEnd().split("\n")) assert.ok(all.has(bare(line)), line)
  })
})
