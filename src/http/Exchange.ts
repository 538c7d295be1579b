/**
 * One request and its one answer.
 */
import * as Answer from "./Answer.ts"
import { Timed, type Timeouts } from "./Timeouts.ts"

/** Called at most once, at any time, for each request. */
export type Respond = (answer: Answer.Answer) => void

/** Takes a request's body. A server calls one of its methods, once. */
export interface Receiver {
  /** A longer body is `tooLarge`, bytes. */
  readonly maxBodyBytes: number
  /** The whole body. Its bytes are lent: they may change once this returns. */
  readonly take: (body: Uint8Array) => void
  readonly tooLarge: () => void
  /** There will be no more of the body, though it is not whole. */
  readonly cutShort: () => void
}

/** A request that waits for its body, then for its records' outcomes, and is answered once: in time, or as late. */
export abstract class Exchange extends Timed implements Receiver {
  abstract readonly maxBodyBytes: number
  readonly #respond: Respond
  readonly #timeouts: Timeouts
  #answered = false

  constructor(timeouts: Timeouts, respond: Respond) {
    super()
    this.#respond = respond
    this.#timeouts = timeouts
    timeouts.begin(this)
  }

  protected abstract handle(body: Uint8Array): void

  take(body: Uint8Array): void {
    try {
      this.handle(body)
    } catch {
      this.answer(Answer.refuse("Internal", "the request could not be handled"))
    }
  }

  answer(answer: Answer.Answer): void {
    if (this.#answered) return
    this.#answered = true
    this.#timeouts.done(this)
    this.#respond(answer)
  }

  tooLarge(): void {
    const message = `the body is larger than http.max_body_bytes, ${this.maxBodyBytes} bytes`
    this.answer(Answer.refuse("BodyTooLarge", message))
  }

  cutShort(): void {
    this.answer(Answer.refuse("BodyIncomplete", "the body ended before its end"))
  }

  late(): void {
    this.answer(
      Answer.refuse(
        "Timeout",
        "not settled within http.request_timeout: it may still become durable, so keep its id to retry"
      )
    )
  }
}
