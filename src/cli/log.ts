/**
 * The service's log: changes of state, never a line per record. `plain`: the message, warnings and errors marked as such
 * on standard error. `json`: one object a line with `time`, `level`, `message` and what the line is about, everything on
 * standard output. See docs/operations/logs.md.
 */
import process from "node:process"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

export type Format = "plain" | "json"

/** What `SPILLWAY_LOG` asks for; `plain` unless it says `json`. */
export const formatOf = (text: string | undefined): Format => (text === "json" ? "json" : "plain")

const names = { debug: LogLevel.Debug, info: LogLevel.Info, warning: LogLevel.Warning, error: LogLevel.Error } as const

export const levelNames: ReadonlyArray<string> = Object.keys(names)

const isName = (text: string): text is keyof typeof names => Object.hasOwn(names, text)

/** What `SPILLWAY_LOG_LEVEL` asks for, `info` when it is not set; undefined for what is no level. */
export const levelOf = (text: string | undefined): LogLevel.LogLevel | undefined => {
  const name = (text || "info").toLowerCase()
  return isName(name) ? names[name] : undefined
}

/** Effect calls it WARN. */
const nameOf = ({ label }: LogLevel.LogLevel): string => (label === "WARN" ? "warning" : label.toLowerCase())

const textOf = (message: unknown): string =>
  Array.isArray(message)
    ? message.map(textOf).join(" ")
    : typeof message === "string"
      ? message
      : JSON.stringify(message)

type Output = Pick<NodeJS.WriteStream, "write">

const plainTo = (output: Output) =>
  Logger.make<unknown, void>(({ logLevel, message }) => {
    const marked = LogLevel.greaterThan(logLevel, LogLevel.Info)
    const stream = marked ? process.stderr : output
    stream.write(`${marked ? `${nameOf(logLevel)}: ` : ""}${textOf(message)}\n`)
  })

const jsonTo = (output: Output) =>
  Logger.make<unknown, void>(({ annotations, date, logLevel, message }) => {
    const line = {
      time: date.toISOString(),
      level: nameOf(logLevel),
      message: textOf(message),
      ...Object.fromEntries(HashMap.toEntries(annotations))
    }
    output.write(`${JSON.stringify(line)}\n`)
  })

const usual = { plain: plainTo(process.stdout), json: jsonTo(process.stdout) }

export const layer = (format: Format, level: LogLevel.LogLevel = LogLevel.Info): Layer.Layer<never> =>
  Layer.merge(Logger.replace(Logger.defaultLogger, usual[format]), Logger.minimumLogLevel(level))

/** In place of `layer`, for commands whose standard output is their result: everything on standard error. */
export const aside = (format: Format): Layer.Layer<never> =>
  Logger.replace(usual[format], format === "json" ? jsonTo(process.stderr) : plainTo(process.stderr))
