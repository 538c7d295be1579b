/**
 * The service's log: changes of state, never a line per record. `plain`: the message, warnings and errors marked as such
 * on standard error. `json`: one object a line, everything on standard output.
 */
import process from "node:process"
import * as HashMap from "effect/HashMap"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

export type Format = "plain" | "json"

/** What `SPILLWAY_LOG` asks for; `plain` unless it says `json`. */
export const formatOf = (text: string | undefined): Format => (text === "json" ? "json" : "plain")

const textOf = (message: unknown): string =>
  Array.isArray(message)
    ? message.map(textOf).join(" ")
    : typeof message === "string"
      ? message
      : JSON.stringify(message)

const plain = Logger.make<unknown, void>(({ logLevel, message }) => {
  const marked = LogLevel.greaterThan(logLevel, LogLevel.Info)
  const stream = marked ? process.stderr : process.stdout
  stream.write(`${marked ? `${logLevel.label.toLowerCase()}: ` : ""}${textOf(message)}\n`)
})

const json = Logger.make<unknown, void>(({ annotations, date, logLevel, message }) => {
  const line = {
    time: date.toISOString(),
    level: logLevel.label.toLowerCase(),
    message: textOf(message),
    ...Object.fromEntries(HashMap.toEntries(annotations))
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
})

export const layer = (format: Format): Layer.Layer<never> =>
  Logger.replace(Logger.defaultLogger, format === "json" ? json : plain)
