/**
 * The account of one received message: its records that have, or may have, a place elsewhere. Should the message come back
 * all the same, each of them is there twice.
 */
import * as Effect from "effect/Effect"

export class Copies {
  readonly #counters: { redelivered: number; unknown: number }
  #elsewhere = 0
  #redelivered = 0

  /** @param counters the daemon's, kept right whatever becomes of the message */
  constructor(counters: { redelivered: number; unknown: number }) {
    this.#counters = counters
  }

  /** Kafka has taken these. */
  delivered(records: number): void {
    this.#elsewhere += records
  }

  /** So many of the delivered ones are told as redelivered, as long as the message does not come back. */
  redelivered(records: number): void {
    this.#counters.redelivered += records
    this.#redelivered += records
  }

  /** Gives records another place. From its begin on they may be there; `placed` says whether they are. */
  place<A, E extends { readonly reason: string }>(
    records: number,
    work: Effect.Effect<A, E>,
    placed: (answer: A) => boolean
  ): Effect.Effect<A, E> {
    const add = (count: number) =>
      Effect.sync(() => {
        this.#elsewhere += count
      })
    return Effect.zipRight(add(records), work).pipe(
      Effect.tap(answer => (placed(answer) ? Effect.void : add(-records))),
      Effect.tapError(({ reason }) => (reason === "Unknown" ? Effect.void : add(-records)))
    )
  }

  /** The message comes back although some of it has a place elsewhere. */
  readonly comesBack: Effect.Effect<void> = Effect.sync(() => {
    this.#counters.unknown += this.#elsewhere
    this.#counters.redelivered -= this.#redelivered
    this.#elsewhere = 0
    this.#redelivered = 0
  })
}
