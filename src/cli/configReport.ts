/**
 * What the `config` commands print. Apart from them, so that it is loaded only when one of them runs.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as AppConfig from "../AppConfig.ts"
import { effective, renderEffective } from "../internal/config/effective.ts"
import { excerpt } from "../internal/config/excerpt.ts"

export { schema } from "../internal/config/schema.ts"

interface Checked {
  readonly good: boolean
  readonly text: string
}

const document = (value: unknown): string => JSON.stringify(value, undefined, 2)

const faultsOf = ({ issues }: AppConfig.ConfigError, sources: ReadonlyArray<AppConfig.Source>): string => {
  const texts = new Map(sources.map(({ file, text }) => [file, text]))
  const blocks = issues.map(issue => {
    const text = texts.get(issue.file)
    const lines = text === undefined ? undefined : excerpt(issue, text)
    return `${AppConfig.renderIssue(issue)}${lines === undefined ? "" : `\n${lines}`}`
  })
  const count = issues.length === 1 ? "1 problem" : `${issues.length} problems`
  return [`The configuration has ${count}:`, ...blocks].join("\n\n")
}

/** What goes where. */
const summaryOf = (config: AppConfig.AppConfig) => ({
  producers: Object.values(config.producers).map(({ name, output: outputName, retry }) => {
    const output = config.outputs[outputName]
    const connection = config.kafkaConnections[output?.connection ?? ""]
    const client = config.sqsClients[retry.clientName]
    return {
      name,
      topic: output?.topic ?? outputName,
      kafka: { connection: connection?.name ?? "", brokers: connection?.brokers ?? [] },
      fallback: retry.enabled
        ? {
            queue: retry.queueId,
            deadLetterQueue: retry.deadLetterQueueId,
            sqs: { client: retry.clientName, region: client?.region ?? "" }
          }
        : null
    }
  }),
  spool: config.spool?.path ?? null,
  http: {
    host: config.http.host,
    port: config.http.port,
    token: config.http.token !== undefined || config.http.tokens.length > 0
  }
})

const summaryText = ({ http, producers, spool }: ReturnType<typeof summaryOf>): string =>
  [
    "The configuration is good.",
    ...producers.map(({ fallback, kafka, name, topic }) =>
      [
        `producer ${name}`,
        `  topic         ${topic} (kafka ${kafka.connection}: ${kafka.brokers.join(", ")})`,
        ...(fallback === null
          ? ["  queue         none: records fail while Kafka is away"]
          : [
              `  queue         ${fallback.queue} (sqs ${fallback.sqs.client}: ${fallback.sqs.region})`,
              `  dead letters  ${fallback.deadLetterQueue}`
            ])
      ].join("\n")
    ),
    `http            ${http.host}:${http.port}, ${http.token ? "with" : "without"} a token\nspool           ${spool ?? "none"}`
  ].join("\n\n")

export const check = (
  files: ReadonlyArray<string>,
  env: AppConfig.Environment,
  json: boolean
): Effect.Effect<Checked> =>
  Effect.map(AppConfig.inspect(files, env), ({ outcome, sources }) =>
    Either.match(outcome, {
      onLeft: error => ({
        good: false,
        text: json ? document({ good: false, issues: error.issues }) : faultsOf(error, sources)
      }),
      onRight: ({ config }) => {
        const summary = summaryOf(config)
        return { good: true, text: json ? document({ good: true, issues: [], ...summary }) : summaryText(summary) }
      }
    })
  )

export const show = (
  files: ReadonlyArray<string>,
  env: AppConfig.Environment,
  json: boolean
): Effect.Effect<string, AppConfig.ConfigError> =>
  Effect.flatMap(AppConfig.inspect(files, env), ({ outcome }) =>
    Either.map(outcome, ({ config, root }) => {
      const settings = effective(root, config, env)
      if (!json) return renderEffective(settings)
      return document(settings.map(({ origin, path, value }) => ({ path: path.join("."), value, origin })))
    })
  )
