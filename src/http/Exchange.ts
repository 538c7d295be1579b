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
  /**
   * There on a body that may be read as it comes: called with each piece, then `take` with nothing at its end; `maxBodyBytes`
   * does not count then. The bytes are lent until this returns. No further piece may be given before a returned promise,
   * which never rejects, is resolved. A server may as well leave it alone, and `take` the whole.
   */
  readonly piece?: ((bytes: Uint8Array) => Promise<void> | undefined) | undefined
}

/** A request that waits for its body, then for its records' outcomes, and is answered once: in time, or as late. */
export abstract class Exchange extends Timed implements Receiver {
  abstract readonly maxBodyBytes: number
  readonly #respond: Respond
  readonly #refuse: Answer.Refuse
  readonly #timeouts: Timeouts
  #answered = false

  constructor(timeouts: Timeouts, respond: Respond, refuse: Answer.Refuse = Answer.refuse) {
    super()
    this.#respond = respond
    this.#refuse = refuse
    this.#timeouts = timeouts
    timeouts.begin(this)
  }

  protected abstract handle(body: Uint8Array): void

  take(body: Uint8Array): void {
    try {
      this.handle(body)
    } catch {
      this.refuse("Internal", "the request could not be handled")
    }
  }

  /** Answers that the request comes to nothing. */
  protected refuse(reason: Answer.Reason, message: string): void {
    this.answer(this.#refuse(reason, message))
  }

  answer(answer: Answer.Answer): void {
    if (this.#answered) return
    this.#answered = true
    this.#timeouts.done(this)
    this.#respond(answer)
  }

  /** For what goes on behind its answer: the time begins anew. */
  protected goOn(): void {
    this.#timeouts.done(this)
    this.#timeouts.begin(this)
  }

  /** What went on is over. */
  protected over(): void {
    this.#timeouts.done(this)
  }

  tooLarge(): void {
    const message = `the body is larger than http.max_body_bytes, ${this.maxBodyBytes} bytes`
    this.refuse("BodyTooLarge", message)
  }

  cutShort(): void {
    this.refuse("BodyIncomplete", "the body ended before its end")
  }

  late(): void {
    this.refuse(
      "Timeout",
      "not settled within http.request_timeout: it may still become durable, so keep its id to retry"
    )
  }
}
