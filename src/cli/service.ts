/**
 * A running service, as the commands reach it that talk to one.
 */
import { readFile } from "node:fs/promises"
import process from "node:process"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as AppConfig from "../AppConfig.ts"
import * as Exit from "./exit.ts"

export interface Service {
  /** Without a slash at its end. */
  readonly url: string
  readonly token: string | undefined
}

/** What the options of `Options.service` were given. */
export interface Given {
  readonly url: Option.Option<string>
  readonly tokenFile: Option.Option<string>
  readonly config: ReadonlyArray<string>
}

const defaultUrl = "http://127.0.0.1:8080"

const usage = (message: string) => new Exit.CommandError({ code: Exit.codes.usage, message })

export const unavailable = (message: string): Exit.CommandError =>
  new Exit.CommandError({ code: Exit.codes.unavailable, message })

/** Where a service that listens on `host` is reached from the same host. */
const reachable = (host: string): string => {
  if (host === "0.0.0.0") return "127.0.0.1"
  if (host === "::" || host === "[::]") return "[::1]"
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host
}

const readToken = (file: string) =>
  Effect.tryPromise({
    try: async () => (await readFile(file, "utf8")).trim(),
    catch: cause => usage(`--token-file: ${cause instanceof Error ? cause.message : file}`)
  })

/** Of several ways to say it the closest wins: an option, then the environment, then the configuration. */
export const find = ({
  config: files,
  tokenFile,
  url
}: Given): Effect.Effect<Service, Exit.CommandError | AppConfig.ConfigError> =>
  Effect.gen(function* () {
    if (Option.isSome(url) && files.length > 0) return yield* usage("give --url or --config, not both")
    const http = files.length === 0 ? undefined : (yield* AppConfig.load(files, process.env)).http
    if (http?.port === 0) return yield* usage("http.port is 0, any free one: say where the service is by --url")
    const scheme = http?.tls === undefined ? "http" : "https"
    const address =
      http === undefined ? Option.getOrElse(url, () => defaultUrl) : `${scheme}://${reachable(http.host)}:${http.port}`
    const parsed = URL.canParse(address) ? new URL(address) : undefined
    if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
      return yield* usage(`--url: expected an address such as ${defaultUrl}, got ${address}`)
    }
    if (parsed.username !== "" || parsed.password !== "") {
      return yield* usage("--url: no user and no password in it; the token comes from --token-file or SPILLWAY_TOKEN")
    }
    const shown = process.env.SPILLWAY_TOKEN
    const secret = http?.token ?? http?.tokens.find(({ operator }) => operator)?.secret
    const configured = secret === undefined ? undefined : Redacted.value(secret)
    const token = Option.isSome(tokenFile)
      ? yield* readToken(tokenFile.value)
      : shown === undefined || shown === ""
        ? configured
        : shown
    // A runtime that cannot send it would say so with the token in its words.
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
      const message = "--token-file, SPILLWAY_TOKEN: expected printable ASCII without spaces (the value is not shown)"
      return yield* usage(message)
    }
    return { url: parsed.href.replace(/\/+$/, ""), token }
  })

/** Asks the service; an answer of any status. Rejects when there is none. */
export const send = (
  { token, url }: Service,
  path: string,
  { headers, ...init }: RequestInit & { readonly headers?: Readonly<Record<string, string>> } = {}
): Promise<Response> =>
  fetch(`${url}${path}`, {
    ...init,
    headers: token === undefined ? { ...headers } : { ...headers, authorization: `Bearer ${token}` }
  })

export const unreachable = ({ url }: Service, cause: unknown): Exit.CommandError =>
  unavailable(`the service at ${url} cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`)

/** What an answer says that is not the one hoped for. */
export const refusal = async ({ url }: Service, response: Response): Promise<Exit.CommandError> => {
  const text = await response.text().catch(() => "")
  let message = text.slice(0, 300)
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === "object" && body !== null && "message" in body) message = String(body.message)
  } catch {
    // Not an answer of Spillway's: its text will do.
  }
  const hint = response.status === 401 ? " (--token-file, or SPILLWAY_TOKEN)" : ""
  return unavailable(`the service at ${url} answered ${response.status}: ${message}${hint}`)
}

/** How long a short answer may take, ms. */
const answerMs = 10_000

/** A short answer as JSON. Fails when there is none, or it is no good one. */
export const ask = (
  service: Service,
  path: string,
  init: RequestInit & { readonly headers?: Readonly<Record<string, string>> } = {}
): Effect.Effect<unknown, Exit.CommandError> =>
  Effect.tryPromise({
    try: async (): Promise<unknown> => {
      const response = await send(service, path, { ...init, signal: AbortSignal.timeout(answerMs) })
      if (!response.ok) throw await refusal(service, response)
      return await response.json()
    },
    catch: cause => (cause instanceof Exit.CommandError ? cause : unreachable(service, cause))
  })
