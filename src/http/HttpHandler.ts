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
import * as Dashboard from "./Dashboard.ts"
import * as DeadLetterRoutes from "./DeadLetterRoutes.ts"
import type { Receiver, Respond } from "./Exchange.ts"
import * as OperatorRoutes from "./OperatorRoutes.ts"
import * as PublishRoute from "./PublishRoute.ts"
import * as RequestBody from "./RequestBody.ts"
import { ofRequest, type RequestHead, segmentOf } from "./RequestHead.ts"
import * as StatusEvents from "./StatusEvents.ts"
import type { StatusHistory } from "./StatusHistory.ts"
import { statusJson } from "./statusJson.ts"
import { streamBody } from "./streamBody.ts"

export interface Options {
  readonly spillway: Pick<Spillway, "offer" | "status" | "forceBreaker" | "onBreakerChange"> &
    Partial<Pick<Spillway, "tracing">>
  /** `token`: asked for everywhere but at `/healthz`, `/readyz` and for the dashboard's files. */
  readonly http: Pick<HttpConfig, "maxBodyBytes" | "token" | "requestTimeoutMs">
  /** False: publishes are refused, and only those. True by default. */
  readonly intake?: boolean
  /** Whoever has it adds to it; without it `/v1/status/history` is not there. */
  readonly history?: StatusHistory
  /** Without it no dead letters are there. */
  readonly deadLetters?: Pick<DeadLetterRoutes.Options, "services" | "run">
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
  /** Ends the streams: they get the last status, and a server that waits for its open answers comes to its end. */
  readonly endStreams: () => void
}

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

const noStore = { "cache-control": "no-store" }

export const make = ({ deadLetters, history, http, intake = true, spillway }: Options): HttpHandler => {
  const authorized = authorizer(http.token)
  const publish = PublishRoute.make({ ...http, offer: spillway.offer, tracing: spillway.tracing })
  const mayOperate = () => http.token !== undefined
  const operate = OperatorRoutes.make({ ...http, spillway, mayOperate })
  const letters = deadLetters && DeadLetterRoutes.make({ ...http, ...deadLetters, mayOperate })
  const events = StatusEvents.make({ spillway })
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
      answer: () => Answer.json(200, statusJson(spillway.status()), noStore)
    },
    ...(history && {
      "/v1/status/history": {
        open: false,
        answer: () => Answer.json(200, JSON.stringify({ now: Date.now(), ...history.read() }), noStore)
      }
    })
  }

  const unauthorized = () => Answer.refuse("Unauthorized", "a valid bearer token is needed", challenge)

  const statusEvents = (head: RequestHead): Answer.Answer => {
    if (head.method !== "GET") return Answer.wrongMethod(head.method, "GET")
    const body = events.stream(head.header("last-event-id"))
    if (body === undefined) return Answer.refuse("Overloaded", "as many event streams are open as may be")
    return { status: 200, headers: { "content-type": "text/event-stream", ...noStore }, body }
  }

  const other = (head: RequestHead): Answer.Answer | DeadLetterRoutes.Action => {
    const { method, path } = head
    const reading = method === "GET" || method === "HEAD"
    const file = Dashboard.answer(head)
    if (file !== undefined) return reading ? file : Answer.wrongMethod(method, "GET, HEAD")
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined
    if (page?.open !== true && !authorized(head)) return unauthorized()
    if (path === "/v1/status/events") return statusEvents(head)
    if (page === undefined)
      return operate(head) ?? letters?.(head) ?? Answer.refuse("NotFound", `nothing is at ${path}`)
    if (!reading) return Answer.wrongMethod(method, "GET, HEAD")
    return page.answer()
  }

  /** The topic to publish to, what an operator wants done, or the answer. */
  const route = (head: RequestHead): string | DeadLetterRoutes.Action | Answer.Answer => {
    const topic = segmentOf(head.path, "/v1/topics/", "/records")
    if (topic === undefined) return other(head)
    if (!authorized(head)) return unauthorized()
    if (head.method !== "POST") return Answer.wrongMethod(head.method, "POST")
    if (topic === null) return Answer.refuse("InvalidRecord", "the topic in the path is badly escaped")
    if (!intake) return Answer.refuse("Closed", "this instance only replays: publish to one that takes records")
    return refusing ? Answer.refuse("Closed", "shutting down") : topic
  }

  const open = (head: RequestHead, respond: Respond): Receiver | undefined => {
    let routed: ReturnType<typeof route>
    try {
      routed = route(head)
    } catch {
      routed = Answer.refuse("Internal", "the request could not be handled")
    }
    if (typeof routed === "string") return publish(routed, head, respond)
    if (typeof routed === "function") return routed(respond)
    respond(routed)
    return undefined
  }

  return {
    open,
    fetch: request =>
      new Promise(resolve => {
        const respond: Respond = ({ body, headers, status }) =>
          // The standard refuses a body, even an empty one, with a status that has none.
          resolve(
            new Response(body === "" ? null : typeof body === "string" ? body : streamBody(body), { status, headers })
          )
        const receiver = open(ofRequest(request), respond)
        if (receiver !== undefined) RequestBody.hand(request, receiver)
      }),
    refuse: () => {
      refusing = true
    },
    endStreams: events.end
  }
}
