/**
 * Work nobody waits for yet, until somebody does.
 */
export class OpenWork {
  readonly #open = new Set<Promise<void>>()
  #failure: unknown

  get size(): number {
    return this.#open.size
  }

  add(work: Promise<unknown>): void {
    const settled = work.then(
      () => undefined,
      (error: unknown) => {
        this.#failure ??= error
      }
    )
    this.#open.add(settled)
    settled.then(() => this.#open.delete(settled))
  }

  /** Resolves when all of it has ended; fails with the first error of any. */
  async ended(): Promise<void> {
    await Promise.all(this.#open)
    if (this.#failure !== undefined) throw this.#failure
  }
}
