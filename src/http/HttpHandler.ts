/**
 * The HTTP API: for the service's own server, and as a web-standard `fetch` handler to be mounted in an application.
 */
import type { HttpConfig } from "../AppConfig.ts"
import type { Health } from "../Health.ts"
import type { WorkerReport } from "../internal/workerReports.ts"
import type { Service as Spillway } from "../Spillway.ts"
import * as Access from "./Access.ts"
import * as Answer from "./Answer.ts"
import * as Cors from "./Cors.ts"
import * as DeadLetterRoutes from "./DeadLetterRoutes.ts"
import type { Receiver, Respond } from "./Exchange.ts"
import * as OperatorRoute from "./OperatorRoute.ts"
import * as OperatorRoutes from "./OperatorRoutes.ts"
import * as OtherSites from "./OtherSites.ts"
import * as PagesRoute from "./PagesRoute.ts"
import * as PublishRoute from "./PublishRoute.ts"
import * as RequestBody from "./RequestBody.ts"
import { ofRequest, type RequestHead } from "./RequestHead.ts"
import * as RetryAfter from "./RetryAfter.ts"
import type { Call, Route } from "./Route.ts"
import * as RecordsRoute from "./restProxy/RecordsRoute.ts"
import * as TopicsRoute from "./restProxy/TopicsRoute.ts"
import * as StatusEvents from "./StatusEvents.ts"
import type { StatusHistory } from "./StatusHistory.ts"

export interface Options {
  readonly spillway: Pick<Spillway, "offer" | "status" | "forceBreaker" | "onBreakerChange"> &
    Partial<Pick<Spillway, "tracing">>
  /** Without `token`, `tokens` and `clients` everybody may do everything. */
  readonly http: Pick<HttpConfig, "maxBodyBytes" | "requestTimeoutMs"> & Partial<HttpConfig>
  /** False: publishes are refused, and only those. True by default. */
  readonly intake?: boolean
  /** Whoever has it adds to it; without it `/v1/status/history` is not there. */
  readonly history?: StatusHistory
  /** What this and other processes tell that serve the same port; without it, what this one tells is all. */
  readonly workers?: (() => Promise<ReadonlyArray<WorkerReport>>) | undefined
  /** Without it no dead letters are there. */
  readonly deadLetters?: Pick<DeadLetterRoutes.Options, "services" | "run">
}

export interface HttpHandler {
  /**
   * For a server that reads requests itself: `respond` is called once, at any time. Undefined: without the body, which then
   * is nobody's.
   */
  readonly open: (head: RequestHead, respond: Respond) => Receiver | undefined
  /** This process's readiness. */
  readonly health: () => Health
  /** Never rejects. */
  readonly fetch: (request: Request) => Promise<Response>
  /**
   * From now on new publishes are answered with 503; what is under way gets its answer.
   *
   * @param endsAt when the shutdown will be over, ms since the epoch
   */
  readonly refuse: (endsAt?: number) => void
  /** Ends the streams: they get the last status, and a server that waits for its open answers comes to its end. */
  readonly endStreams: () => void
}

const challenge = { "www-authenticate": 'Bearer realm="spillway"' }

export const make = ({ deadLetters, history, http, intake: takes = true, spillway, workers }: Options): HttpHandler => {
  const { clients = [], corsOrigins = [], maxBatchRecords = 100_000, token, tokens = [] } = http
  const { maxBodyBytes, requestTimeoutMs } = http
  let refusing = false
  let endsAt: number | undefined
  const accessOf = Access.authorizer({ clients, token, tokens })
  const cors = Cors.make(corsOrigins)
  const retryAfter = RetryAfter.make(
    spillway.status,
    () => endsAt,
    () => Date.now()
  )
  const { offer, tracing } = spillway
  const intake = { maxBatchRecords, maxBodyBytes, offer, requestTimeoutMs, retryAfter, tracing }
  const native = Answer.refuser(retryAfter)
  const events = StatusEvents.make({ spillway })
  // What the caller may do has been looked at by then; but where nobody has to show anything, any web page could ask.
  const closed = token !== undefined || tokens.length > 0 || clients.length > 0
  const mayOperate = () => closed
  // In an application it is the application that knows its pages.
  const ofOtherSite = http.host === undefined ? () => false : OtherSites.make(corsOrigins, !closed)
  const health = (): Health => {
    const { readiness, reasons } = spillway.status().health
    return refusing && readiness !== "refusing"
      ? { readiness: "refusing", reasons: ["shutting down"] }
      : { readiness, reasons }
  }
  const routes: ReadonlyArray<Route> = [
    PublishRoute.make(intake),
    TopicsRoute.make(intake),
    RecordsRoute.make(intake),
    OperatorRoute.make(OperatorRoutes.make({ spillway, mayOperate, requestTimeoutMs }), "/v1/breakers/", native),
    ...(deadLetters === undefined
      ? []
      : [
          OperatorRoute.make(
            DeadLetterRoutes.make({ ...deadLetters, mayOperate, requestTimeoutMs }),
            "/v1/dead-letters",
            native
          )
        ]),
    PagesRoute.make({ spillway, history, events, refuse: native, health, workers })
  ]

  const nothing: Call = {
    methods: undefined,
    allows: () => true,
    denial: "",
    intake: false,
    refuse: native,
    open: ({ path }, respond) => {
      respond(native("NotFound", `nothing is at ${path}`))
      return undefined
    }
  }

  /** Most requests ask for what the one before asked for. */
  let last: { readonly path: string; readonly call: Call } = { path: "", call: nothing }

  const callAt = (path: string): Call => {
    if (path === last.path) return last.call
    let call: Call | undefined
    for (const route of routes) call ??= route(path)
    last = { path, call: call ?? nothing }
    return last.call
  }

  /** Why the caller may not have it; undefined: it may. */
  const refusal = (head: RequestHead, call: Call): Answer.Answer | undefined => {
    const { allows, denial, intake, methods, refuse } = call
    const access = allows === undefined ? undefined : accessOf(head)
    if (allows !== undefined && access === undefined) {
      return refuse("Unauthorized", "a valid bearer token is needed", challenge)
    }
    if (methods?.includes(head.method) === false) {
      const allow = methods.join(", ")
      return refuse("MethodNotAllowed", `${head.method} is not possible here, ${allow} is`, { allow })
    }
    if (access !== undefined && allows?.(access) === false) return refuse("NotAuthorized", denial)
    if (!intake) return undefined
    if (ofOtherSite(head))
      return refuse("NotAuthorized", "not for pages of origins that http.cors_origins does not name")
    if (!takes) return refuse("Closed", "this instance only replays: publish to one that takes records")
    return refusing ? refuse("Closed", "shutting down") : undefined
  }

  const open = (head: RequestHead, unwrapped: Respond): Receiver | undefined => {
    const preflight = cors.preflight(head)
    const respond = cors.wrap(head, unwrapped)
    const call = callAt(head.path)
    try {
      const answer = preflight ?? refusal(head, call)
      if (answer === undefined) return call.open(head, respond)
      respond(answer)
    } catch {
      respond(call.refuse("Internal", "the request could not be handled"))
    }
    return undefined
  }

  return {
    open,
    health,
    fetch: request =>
      new Promise(resolve => {
        const receiver = open(ofRequest(request), answer => resolve(RequestBody.responseOf(answer)))
        if (receiver !== undefined) RequestBody.hand(request, receiver)
      }),
    refuse: until => {
      refusing = true
      endsAt = until
    },
    endStreams: events.end
  }
}
