/**
 * EC2's instance metadata service, version 2 (Amazon EC2 User Guide, "Use the Instance Metadata Service"): one token for
 * six hours, shown with every question, renewed before it ends and whenever it is refused.
 *
 * `node:http` and not `fetch`: a `fetch` goes through the proxy that HTTP_PROXY names, and no proxy can reach this
 * address on the instance's behalf.
 */
import * as http from "node:http"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"

export class MetadataError extends Data.TaggedError("MetadataError")<{
  readonly reason: "Unreachable" | "Refused" | "Timeout"
  readonly message: string
  readonly cause?: unknown
}> {}

export interface MetadataService {
  /** What the path holds; undefined when there is no such thing now. */
  readonly get: (path: string) => Effect.Effect<string | undefined, MetadataError>
}

/** For one answer: the service is on the same host. */
const timeoutMs = 1000
const tokenSeconds = 21_600
/** A token is renewed after this part of its life. */
const renewShare = 0.9
/** No answer of this service is longer. */
const mostBytes = 64 * 1024

interface Answer {
  readonly status: number
  readonly body: string
}

const ask = (method: "GET" | "PUT", url: URL, headers: Readonly<Record<string, string>>) =>
  Effect.async<Answer, MetadataError>(resume => {
    const fail = (cause: Error) =>
      resume(
        Effect.fail(
          new MetadataError({
            reason: "Unreachable",
            message: `${url.origin} does not answer: ${cause.message}`,
            cause
          })
        )
      )
    // No agent that keeps connections: every five seconds one is cheap, and one that went stale would look like a fault.
    const request = http.request(
      url,
      { method, headers: { ...headers, connection: "close" }, agent: false },
      answer => {
        let body = ""
        answer.setEncoding("utf8")
        answer.on("data", (text: string) => {
          body += text
          if (body.length > mostBytes) request.destroy(new Error("the answer is too long"))
        })
        answer.on("error", fail)
        answer.on("end", () => resume(Effect.succeed({ status: answer.statusCode ?? 0, body })))
      }
    )
    request.on("error", fail)
    request.end()
    return Effect.sync(() => request.destroy())
  }).pipe(
    Effect.timeoutFail({
      duration: timeoutMs,
      onTimeout: () =>
        new MetadataError({ reason: "Timeout", message: `${url.origin} does not answer within ${timeoutMs} ms` })
    })
  )

const refused = (url: URL, status: number) =>
  new MetadataError({ reason: "Refused", message: `${url.origin}${url.pathname} answers with status ${status}` })

/** @param endpoint base address, without the path */
export const make = (endpoint: string): MetadataService => {
  const at = (path: string) => new URL(`${endpoint.replace(/\/+$/, "")}/latest/${path}`)
  let token: { readonly text: string; readonly until: number } | undefined

  const renew = Effect.gen(function* () {
    const url = at("api/token")
    const now = yield* Clock.currentTimeMillis
    const answer = yield* ask("PUT", url, {
      "x-aws-ec2-metadata-token-ttl-seconds": `${tokenSeconds}`,
      "content-length": "0"
    })
    // A header takes no other text, and an answer of several lines is no token.
    if (answer.status !== 200 || !/^[\x21-\x7e]+$/.test(answer.body)) return yield* refused(url, answer.status)
    token = { text: answer.body, until: now + tokenSeconds * 1000 * renewShare }
    return answer.body
  })

  const current = Effect.flatMap(Clock.currentTimeMillis, now =>
    token !== undefined && now < token.until ? Effect.succeed(token.text) : renew
  )

  return {
    get: path =>
      Effect.gen(function* () {
        const url = at(path)
        const read = (text: string) => ask("GET", url, { "x-aws-ec2-metadata-token": text })
        let answer = yield* Effect.flatMap(current, read)
        if (answer.status === 401) answer = yield* Effect.flatMap(renew, read)
        if (answer.status === 404) return undefined
        return answer.status === 200 ? answer.body : yield* refused(url, answer.status)
      })
  }
}
