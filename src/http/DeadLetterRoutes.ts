/**
 * Dead letters over HTTP: `GET /v1/dead-letters` (what lies there), `GET /v1/dead-letters/peek` (some of it, decoded) and
 * `POST /v1/dead-letters/redrive` (back to the fallback queue).
 */
import * as Effect from "effect/Effect"
import * as DeadLetters from "../DeadLetters.ts"
import type { FallbackQueueError } from "../FallbackQueue.ts"
import * as Answer from "./Answer.ts"
import { Exchange, type Receiver, type Respond } from "./Exchange.ts"
import * as LetterQuery from "./LetterQuery.ts"
import { forLoopback } from "./OtherSites.ts"
import type { RequestHead } from "./RequestHead.ts"
import { Timeouts } from "./Timeouts.ts"

export interface Options {
  /** Of each producer with a dead-letter queue, by its name. */
  readonly services: ReadonlyMap<string, DeadLetters.Service>
  /** Runs what a request asks for; interrupted when the process ends. */
  readonly run: (work: Effect.Effect<void>) => void
  /** Whether whoever sent the request, and may read, may act as well. */
  readonly mayOperate: (head: RequestHead) => boolean
  /** From the request's first byte to the answer, ms. */
  readonly requestTimeoutMs: number
}

/** What lies in one dead-letter queue; `fault`: it could not be looked into. */
export type Listed =
  | ({ readonly producer: string } & Pick<
      DeadLetters.Summary,
      "queue" | "seen" | "messages" | "records" | "unreadable" | "complete"
    > & { readonly groups: ReadonlyArray<ListedGroup> })
  | { readonly producer: string; readonly queue: string; readonly fault: string }

/** Times as ISO 8601. */
export interface ListedGroup extends Omit<DeadLetters.Group, "oldest" | "newest"> {
  readonly oldest: string
  readonly newest: string
}

/** Answer of `GET /v1/dead-letters`. */
export interface Letters {
  readonly queues: ReadonlyArray<Listed>
}

/** Answer of `GET /v1/dead-letters/peek`. */
export interface Peeked {
  readonly items: ReadonlyArray<{ readonly [member: string]: DeadLetters.Json }>
  readonly seen: number
  readonly complete: boolean
}

/** Of a request's time: what is looked at has to be handed back in it as well. */
const lookShare = 0.5

/** What goes on with the request, or without a body answers it later. */
export type Action = (respond: Respond) => Receiver | undefined

const iso = (ms: number): string => (Number.isFinite(ms) ? new Date(ms).toISOString() : "")

const listed = (producer: string, summary: DeadLetters.Summary): Listed => ({
  producer,
  ...summary,
  groups: summary.groups.map(group => ({ ...group, oldest: iso(group.oldest), newest: iso(group.newest) }))
})

const noStore = { "cache-control": "no-store" }
const done = (body: unknown) => Answer.json(200, JSON.stringify(body), noStore)
const broken = () => Answer.refuse("Internal", "the request could not be handled")
const unavailable = ({ message, reason }: Pick<FallbackQueueError, "message" | "reason">) =>
  Answer.refuse("FallbackUnavailable", `${reason}: ${message}`)

class Redrive extends Exchange {
  readonly maxBodyBytes = 65_536
  readonly #options: Options

  constructor(options: Options, timeouts: Timeouts, respond: Respond) {
    super(timeouts, respond)
    this.#options = options
  }

  protected handle(body: Uint8Array): void {
    const query = LetterQuery.ofBody(body)
    if (typeof query === "string") return this.answer(Answer.refuse("BadRequest", query))
    const service = LetterQuery.choose(this.#options.services, query.producer)
    if (typeof service === "string") return this.answer(Answer.refuse("NotFound", service))
    this.#options.run(
      Effect.match(service.redrive(query), {
        onSuccess: redriven => this.answer(done(redriven)),
        onFailure: error => this.answer(unavailable(error))
      }).pipe(Effect.catchAllDefect(() => Effect.sync(() => this.answer(broken()))))
    )
  }

  override tooLarge(): void {
    this.answer(Answer.refuse("BodyTooLarge", `the body is larger than ${this.maxBodyBytes} bytes`))
  }

  override late(): void {
    this.answer(Answer.refuse("Timeout", "not done within http.request_timeout; it goes on, so look again later"))
  }
}

/** Undefined for requests that are about something else. */
export const make = (options: Options): ((head: RequestHead) => Answer.Answer | Action | undefined) => {
  const { mayOperate, requestTimeoutMs, run, services } = options
  const timeouts = new Timeouts(requestTimeoutMs)

  /** Looks, hands everything back in time, and answers. */
  const looking =
    (work: Effect.Effect<unknown, FallbackQueueError>): Action =>
    respond => {
      run(
        work.pipe(
          Effect.timeoutOption(requestTimeoutMs * lookShare),
          Effect.match({
            onSuccess: found =>
              respond(
                found._tag === "Some"
                  ? done(found.value)
                  : Answer.refuse("Timeout", "the queue takes too long to look through")
              ),
            onFailure: error => respond(unavailable(error))
          }),
          // Nothing else would answer it.
          Effect.catchAllDefect(() => Effect.sync(() => respond(broken())))
        )
      )
      return undefined
    }

  const list = (query: LetterQuery.LetterQuery) => {
    const { filter, producer } = query
    const chosen = Array.from(services).filter(([name]) => producer === undefined || name === producer)
    // One after the other: several producers may share a queue, and looking hides messages from others.
    return Effect.map(
      Effect.forEach(chosen, ([name, service]) =>
        Effect.match(service.list({ filter }), {
          onSuccess: summary => listed(name, summary),
          onFailure: ({ message, reason }): Listed => ({
            producer: name,
            queue: service.queue,
            fault: `${reason}: ${message}`
          })
        })
      ),
      (queues): Letters => ({ queues })
    )
  }

  const peek = (service: DeadLetters.Service, query: LetterQuery.LetterQuery) =>
    Effect.map(
      service.peek({ filter: query.filter, maxRecords: query.limit }),
      ({ complete, items, seen }): Peeked => ({ items: items.map(DeadLetters.toJson), seen, complete })
    )

  const look = (head: RequestHead): Answer.Answer | Action => {
    if (head.method !== "GET") return Answer.wrongMethod(head.method, "GET")
    // SQS counts each look at a message, so a page of another site must not cause any.
    if (!["same-origin", "none", null].includes(head.header("sec-fetch-site"))) {
      return Answer.refuse("NotAuthorized", "not for pages of other sites")
    }
    // Nor of one whose name was made to point here: its browser takes it for this site.
    if (!mayOperate(head) && !forLoopback(head)) {
      return Answer.refuse("NotAuthorized", "without http.token this is there for a loopback address only")
    }
    const query = LetterQuery.ofQuery(head.query)
    if (typeof query === "string") return Answer.refuse("BadRequest", query)
    if (head.path === "/v1/dead-letters") return looking(list(query))
    const service = LetterQuery.choose(services, query.producer)
    if (typeof service === "string") return Answer.refuse("NotFound", service)
    return looking(peek(service, query))
  }

  return head => {
    const { path } = head
    if (path === "/v1/dead-letters" || path === "/v1/dead-letters/peek") return look(head)
    if (path !== "/v1/dead-letters/redrive") return undefined
    if (head.method !== "POST") return Answer.wrongMethod(head.method, "POST")
    if (!mayOperate(head)) {
      const message =
        "the service has no token, so that any web page open on this host could ask for this as well: set http.token (or SPILLWAY_HTTP__TOKEN), restart it, and show the token"
      return Answer.refuse("NotAuthorized", message)
    }
    if (!/^application\/json[ \t]*(;|$)/i.test(head.header("content-type") ?? "")) {
      return Answer.refuse("UnsupportedMediaType", "the content type must be application/json")
    }
    return respond => new Redrive(options, timeouts, respond)
  }
}
