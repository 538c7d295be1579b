// biome-ignore-all lint/suspicious/noTemplateCurlyInString: configuration texts say ${VAR} themselves
import * as assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { describe, test } from "node:test"
import { inspect } from "node:util"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import fc from "fast-check"
import * as AppConfig from "../src/AppConfig.ts"
import { bad, connection, exampleText, fileOf, good, machineText, output, parseTexts } from "./AppConfig/texts.ts"

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
            rate: undefined,
            claimCheck: undefined,
            backlog: undefined
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
      s3Clients: {},
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
        consecutiveFailures: 3,
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
      http: {
        host: "127.0.0.1",
        port: 8080,
        tls: undefined,
        token: undefined,
        tokens: [],
        clients: [],
        corsOrigins: [],
        maxBodyBytes: 8_388_608,
        maxBatchRecords: 100_000,
        maxHeaderBytes: 16_384,
        maxConnections: 20_000,
        headerTimeoutMs: 10_000,
        idleTimeoutMs: 75_000,
        requestTimeoutMs: 15_000
      },
      shutdown: {
        budgetMs: 25_000,
        spot: {
          enabled: "auto",
          endpoint: "http://169.254.169.254",
          intervalMs: 5000,
          budgetMs: 110_000,
          onRebalance: "ignore"
        }
      },
      buffer: { maxRecords: 200_000, maxBytes: 268_435_456, maxWaitMs: 1000 },
      spool: undefined,
      telemetry: { otlp: undefined }
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
