/**
 * What an operator may do: `POST /v1/breakers/{connection}`.
 */
import type { Service as Spillway } from "../Spillway.ts"
import * as Answer from "./Answer.ts"
import { Exchange, type Receiver, type Respond } from "./Exchange.ts"
import { type RequestHead, segmentOf } from "./RequestHead.ts"
import { Timeouts } from "./Timeouts.ts"

export interface Options {
  readonly spillway: Pick<Spillway, "forceBreaker" | "status">
  /** Whether whoever sent the request, and may read, may act as well. */
  readonly mayOperate: (head: RequestHead) => boolean
  /** From the request's first byte to the answer, ms. */
  readonly requestTimeoutMs: number
}

/** A request that goes on with its body. */
export type Action = (respond: Respond) => Receiver

const states = { open: "open", closed: "closed", auto: undefined } as const
const isState = (value: unknown): value is keyof typeof states =>
  typeof value === "string" && Object.hasOwn(states, value)

/** What a form of any web page can send has another type (Fetch standard, CORS-safelisted request-header). */
const jsonType = /^application\/json[ \t]*(;|$)/i

const invalid = (message: string) => Answer.refuse("BadRequest", message)

class ForceBreaker extends Exchange {
  readonly maxBodyBytes = 4096
  readonly #connection: string
  readonly #spillway: Options["spillway"]

  constructor(connection: string, { spillway }: Options, timeouts: Timeouts, respond: Respond) {
    super(timeouts, respond)
    this.#connection = connection
    this.#spillway = spillway
  }

  protected handle(body: Uint8Array): void {
    this.answer(this.#act(body))
  }

  override tooLarge(): void {
    this.answer(Answer.refuse("BodyTooLarge", `the body is larger than ${this.maxBodyBytes} bytes`))
  }

  override late(): void {
    this.answer(Answer.refuse("Timeout", "the body did not come within http.request_timeout"))
  }

  #act(body: Uint8Array): Answer.Answer {
    let asked: unknown
    try {
      asked = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))
    } catch {
      return invalid("the body is not JSON")
    }
    const { state, ...more }: { readonly state?: unknown } = typeof asked === "object" && asked !== null ? asked : {}
    const [unknown] = Object.keys(more)
    if (unknown !== undefined) return invalid(`${unknown}: unknown member; there is state`)
    if (!isState(state)) return invalid(`state: expected one of ${Object.keys(states).join(", ")}`)
    const connection = this.#connection
    const found = this.#spillway.forceBreaker(connection, states[state])
    const { connections } = this.#spillway.status()
    const breaker = connections.find(one => one.connection === connection)?.breaker
    if (!found || breaker === undefined) {
      const names = connections.map(one => one.connection).join(", ")
      return Answer.refuse("NotFound", `no connection is named ${connection}; there is ${names}`)
    }
    return Answer.json(200, JSON.stringify({ connection, breaker }))
  }
}

/** Undefined for requests that are not an operator's. */
export const make = (options: Options): ((head: RequestHead) => Answer.Answer | Action | undefined) => {
  const timeouts = new Timeouts(options.requestTimeoutMs)
  return head => {
    const connection = segmentOf(head.path, "/v1/breakers/", "")
    if (connection === undefined) return undefined
    if (head.method !== "POST") return Answer.wrongMethod(head.method, "POST")
    if (!options.mayOperate(head)) {
      const message =
        "the service has no token, so that any web page open on this host could ask for this as well: set http.token (or SPILLWAY_HTTP__TOKEN), restart it, and show the token"
      return Answer.refuse("NotAuthorized", message)
    }
    if (connection === null) return invalid("the connection's name in the path is badly escaped")
    if (!jsonType.test(head.header("content-type") ?? "")) {
      return Answer.refuse("UnsupportedMediaType", "the content type must be application/json")
    }
    return respond => new ForceBreaker(connection, options, timeouts, respond)
  }
}
