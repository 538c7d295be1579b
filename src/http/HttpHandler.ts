/**
 * The HTTP API as a web-standard `fetch` handler: for the service's own server, or to be mounted in an application.
 */
import type { Buffer } from "node:buffer"
import { createHash, timingSafeEqual } from "node:crypto"
import * as Redacted from "effect/Redacted"
import type { HttpConfig } from "../AppConfig.ts"
import * as Metrics from "../Metrics.ts"
import type { Service as Spillway } from "../Spillway.ts"
import * as Answer from "./Answer.ts"
import * as PublishRoute from "./PublishRoute.ts"

export interface Options {
  readonly spillway: Pick<Spillway, "offer" | "status">
  /** `token`: asked for everywhere but at `/healthz` and `/readyz`. */
  readonly http: Pick<HttpConfig, "maxBodyBytes" | "token" | "requestTimeoutMs">
}

export interface HttpHandler {
  /** Never rejects. */
  readonly fetch: (request: Request) => Response | Promise<Response>
  /** From now on new publishes are answered with 503; what is under way gets its answer. */
  readonly refuse: () => void
}

const topicsPrefix = "/v1/topics/"
const recordsSuffix = "/records"
const challenge = { "www-authenticate": 'Bearer realm="spillway"' }

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Compares in a time that does not depend on how much of the token is right. */
const authorizer = (token: Redacted.Redacted<string> | undefined): ((request: Request) => boolean) => {
  if (token === undefined) return () => true
  const expected = digest(Redacted.value(token))
  return request => {
    const given = request.headers.get("authorization")
    if (given === null || !/^bearer /i.test(given)) return false
    return timingSafeEqual(digest(given.slice(7).trim()), expected)
  }
}

/** The path of a request's URL, without its query. */
const pathOf = (url: string): string => {
  // Behind "http://" or "https://" and at least one character of the host.
  const start = url.indexOf("/", 8)
  if (start < 0) return "/"
  const query = url.indexOf("?", start)
  return query < 0 ? url.slice(start) : url.slice(start, query)
}

/** The topic a records path names; undefined when the path is none, `null` when it is badly escaped. */
const topicOf = (path: string): string | null | undefined => {
  if (!path.startsWith(topicsPrefix) || !path.endsWith(recordsSuffix)) return undefined
  const topic = path.slice(topicsPrefix.length, -recordsSuffix.length)
  if (topic === "" || topic.includes("/")) return undefined
  if (!topic.includes("%")) return topic
  try {
    return decodeURIComponent(topic)
  } catch {
    return null
  }
}

const withoutBigints = (_: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value)

export const make = ({ http, spillway }: Options): HttpHandler => {
  const authorized = authorizer(http.token)
  const publish = PublishRoute.make({ ...http, offer: spillway.offer })
  let refusing = false

  const pages: Readonly<Record<string, { readonly open: boolean; readonly answer: () => Response }>> = {
    "/healthz": { open: true, answer: () => Answer.json(200, '{"status":"alive"}') },
    "/readyz": {
      open: true,
      answer: () => {
        const { readiness, reasons } = spillway.status().health
        const health =
          refusing && readiness !== "refusing"
            ? { readiness: "refusing", reasons: ["shutting down"] }
            : { readiness, reasons }
        return Answer.json(health.readiness === "refusing" ? 503 : 200, JSON.stringify(health))
      }
    },
    "/metrics": {
      open: false,
      answer: () =>
        new Response(Metrics.render(spillway.status()), {
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" }
        })
    },
    "/v1/status": {
      open: false,
      answer: () => Answer.json(200, JSON.stringify(spillway.status(), withoutBigints), { "cache-control": "no-store" })
    }
  }

  const unauthorized = () => Answer.refuse("Unauthorized", "a valid bearer token is needed", challenge)
  const wrongMethod = (method: string, allow: string) =>
    Answer.refuse("MethodNotAllowed", `${method} is not possible here, ${allow} is`, { allow })

  const other = (request: Request, path: string): Response => {
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined
    if (page?.open !== true && !authorized(request)) return unauthorized()
    if (page === undefined) return Answer.refuse("NotFound", `nothing is at ${path}`)
    if (request.method !== "GET" && request.method !== "HEAD") return wrongMethod(request.method, "GET, HEAD")
    return page.answer()
  }

  const route = (request: Request): Response | Promise<Response> => {
    const path = pathOf(request.url)
    const topic = topicOf(path)
    if (topic === undefined) return other(request, path)
    if (!authorized(request)) return unauthorized()
    if (request.method !== "POST") return wrongMethod(request.method, "POST")
    if (topic === null) return Answer.refuse("InvalidRecord", "the topic in the path is badly escaped")
    if (refusing) return Answer.refuse("Closed", "shutting down")
    return publish(topic, request)
  }

  return {
    fetch: request => {
      try {
        return route(request)
      } catch {
        return Answer.refuse("Internal", "the request could not be handled")
      }
    },
    refuse: () => {
      refusing = true
    }
  }
}
