/**
 * Questions whose answers come later, as messages with the number of the question.
 */
export class Calls<A> {
  readonly #open = new Map<number, (answer: A) => void>()
  #last = 0

  /** @param otherwise the answer when none has come within `withinMs` */
  ask(withinMs: number, otherwise: () => A, send: (call: number) => void): Promise<A> {
    return new Promise(resolve => {
      const call = ++this.#last
      const end = (answer: A) => {
        clearTimeout(timer)
        this.#open.delete(call)
        resolve(answer)
      }
      const timer = setTimeout(() => end(otherwise()), withinMs)
      this.#open.set(call, end)
      send(call)
    })
  }

  /** An answer that comes too late is passed over. */
  answer(call: number, answer: A): void {
    this.#open.get(call)?.(answer)
  }

  /** The same answer to all that are open. */
  answerAll(answer: A): void {
    for (const end of Array.from(this.#open.values())) end(answer)
  }
}
