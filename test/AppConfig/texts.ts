/**
 * Configuration texts the tests start from, and short ways to what becomes of them.
 */
import * as assert from "node:assert/strict"
import { fileURLToPath } from "node:url"
import * as Either from "effect/Either"
import * as AppConfig from "../../src/AppConfig.ts"

export const exampleText = `stream:
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

export const machineText = `kafka:
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

export const fileOf = (name: string): string => fileURLToPath(new URL(`../../config/${name}`, import.meta.url))

export type Env = AppConfig.Environment

export const parseTexts = (texts: ReadonlyArray<string>, env: Env = {}, readText?: AppConfig.ReadText) =>
  AppConfig.parse(
    texts.map((text, index) => ({ file: `${"abc"[index] ?? "z"}.yaml`, text })),
    env,
    readText
  )

/** Example and machine, with a third text and an environment on top: right. */
export const good = (text = "", env: Env = {}, readText?: AppConfig.ReadText): AppConfig.AppConfig => {
  const parsed = parseTexts([exampleText, machineText, text], env, readText)
  if (Either.isLeft(parsed)) throw parsed.left
  return parsed.right
}

export const bad = (
  texts: ReadonlyArray<string>,
  env: Env = {},
  readText?: AppConfig.ReadText
): AppConfig.ConfigError => {
  const parsed = parseTexts(texts, env, readText)
  if (Either.isRight(parsed)) assert.fail("this configuration must be refused")
  return parsed.left
}

/** The faults of a third text on top of a good configuration, one line each. */
export const faults = (text: string, env: Env = {}, readText?: AppConfig.ReadText): ReadonlyArray<string> =>
  bad([exampleText, machineText, text], env, readText).issues.map(AppConfig.renderIssue)

export const retry = (text: string): string => `stream: { producer: { example_producer: { retry: { ${text} } } } }`
export const output = (text: string): string => `stream: { output: { example_output: { ${text} } } }`
export const connection = (text: string): string => `kafka: { connection: { default: { ${text} } } }`
export const client = (text: string): string => `cloud: { aws: { sqs: { clients: { default: { ${text} } } } } }`
