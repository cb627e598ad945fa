/**
 * A node that shares its process with others has a life of its own, shorter than the process's. All of the node's code runs inside `run`,
 * because everything that happens to it comes through its ports (guarded-*.ts). Promise: once the life is over, by the owner's
 * will or by an error in the node's code, none of that code runs again, as if its process had been killed.
 */
export class NodeLife {
  readonly #onError: (error: unknown) => void
  #over = false

  /** `onError` hears of what the node's code throws: a broken invariant. It must end the life. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  get over(): boolean {
    return this.#over
  }

  end(): void {
    this.#over = true
  }

  run(work: () => void): void {
    if (this.#over) return
    try {
      work()
    } catch (error) {
      this.#onError(error)
    }
  }
}
