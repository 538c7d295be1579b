/**
 * The HTTP API: for the service's own server, and as a web-standard `fetch` handler to be mounted in an application.
 */
import type { Buffer } from "node:buffer"
import { createHash, timingSafeEqual } from "node:crypto"
import * as Redacted from "effect/Redacted"
import type { HttpConfig } from "../AppConfig.ts"
import * as Metrics from "../Metrics.ts"
import type { Service as Spillway } from "../Spillway.ts"
import * as Answer from "./Answer.ts"
import type { Receiver, Respond } from "./Exchange.ts"
import * as PublishRoute from "./PublishRoute.ts"
import * as RequestBody from "./RequestBody.ts"
import { ofRequest, type RequestHead } from "./RequestHead.ts"
import { streamBody } from "./streamBody.ts"

export interface Options {
  readonly spillway: Pick<Spillway, "offer" | "status"> & Partial<Pick<Spillway, "tracing">>
  /** `token`: asked for everywhere but at `/healthz` and `/readyz`. */
  readonly http: Pick<HttpConfig, "maxBodyBytes" | "token" | "requestTimeoutMs">
}

export interface HttpHandler {
  /**
   * For a server that reads requests itself: `respond` is called once, at any time. Undefined: without the body, which then
   * is nobody's.
   */
  readonly open: (head: RequestHead, respond: Respond) => Receiver | undefined
  /** Never rejects. */
  readonly fetch: (request: Request) => Promise<Response>
  /** From now on new publishes are answered with 503; what is under way gets its answer. */
  readonly refuse: () => void
}

const topicsPrefix = "/v1/topics/"
const recordsSuffix = "/records"
const challenge = { "www-authenticate": 'Bearer realm="spillway"' }

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Compares in a time that does not depend on how much of the token is right. */
const authorizer = (token: Redacted.Redacted<string> | undefined): ((head: RequestHead) => boolean) => {
  if (token === undefined) return () => true
  const expected = digest(Redacted.value(token))
  return head => {
    const given = head.header("authorization")
    if (given === null || !/^bearer /i.test(given)) return false
    return timingSafeEqual(digest(given.slice(7).trim()), expected)
  }
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
  const publish = PublishRoute.make({ ...http, offer: spillway.offer, tracing: spillway.tracing })
  let refusing = false

  const pages: Readonly<Record<string, { readonly open: boolean; readonly answer: () => Answer.Answer }>> = {
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
      answer: () => ({
        status: 200,
        headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        body: Metrics.render(spillway.status())
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

  const other = (head: RequestHead): Answer.Answer => {
    const { method, path } = head
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined
    if (page?.open !== true && !authorized(head)) return unauthorized()
    if (page === undefined) return Answer.refuse("NotFound", `nothing is at ${path}`)
    if (method !== "GET" && method !== "HEAD") return wrongMethod(method, "GET, HEAD")
    return page.answer()
  }

  /** The topic to publish to, or the answer. */
  const route = (head: RequestHead): string | Answer.Answer => {
    const topic = topicOf(head.path)
    if (topic === undefined) return other(head)
    if (!authorized(head)) return unauthorized()
    if (head.method !== "POST") return wrongMethod(head.method, "POST")
    if (topic === null) return Answer.refuse("InvalidRecord", "the topic in the path is badly escaped")
    return refusing ? Answer.refuse("Closed", "shutting down") : topic
  }

  const open = (head: RequestHead, respond: Respond): Receiver | undefined => {
    let routed: string | Answer.Answer
    try {
      routed = route(head)
    } catch {
      routed = Answer.refuse("Internal", "the request could not be handled")
    }
    if (typeof routed === "string") return publish(routed, head, respond)
    respond(routed)
    return undefined
  }

  return {
    open,
    fetch: request =>
      new Promise(resolve => {
        const respond: Respond = ({ body, headers, status }) =>
          resolve(new Response(typeof body === "string" ? body : streamBody(body), { status, headers }))
        const receiver = open(ofRequest(request), respond)
        if (receiver !== undefined) RequestBody.hand(request, receiver)
      }),
    refuse: () => {
      refusing = true
    }
  }
}
