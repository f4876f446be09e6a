/** When death comes, as seen from the request that it hits. */
export type Death =
  /** The request was carried out; its answer never arrived. */
  | 'after'
  /** The request never left. */
  | 'before'
  /** Half of the request's body had left. A request without one is survived, and so is everything after it. */
  | 'middle'

export const DEATHS: readonly Death[] = ['before', 'middle', 'after']

export class DeadError extends Error {
  constructor() {
    super('the process was killed here, by the test')
    this.name = 'DeadError'
  }
}

/**
 * The life of a process under test, counted in requests (or in operations on a disk): it ends at the one that was
 * chosen, and nothing that the dead process still tries has any effect. Without a choice it never ends, and counts.
 */
export class Life {
  /** Requests begun so far. */
  count = 0
  isOver = false
  readonly #at: number
  readonly #death: Death
  readonly #onDeath: (() => void)[] = []
  readonly #running = new Set<Promise<unknown>>()

  /** @param at the request, from 1, at which it dies; by default none */
  constructor(at = Number.POSITIVE_INFINITY, death: Death = 'before') {
    this.#at = at
    this.#death = death
  }

  end(): void {
    if (this.isOver) return
    this.isOver = true
    for (const listener of this.#onDeath.splice(0)) listener()
  }

  onEnd(listener: () => void): void {
    this.#onDeath.push(listener)
  }

  /** Waits until what had left before death has been carried out: the other side lives on. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  /**
   * Carries out one request. `half` is what one that is cut in its middle does; without it there is no such death.
   * @throws DeadError at death and ever after
   */
  async step<T>(request: () => Promise<T>, half?: () => Promise<unknown>): Promise<T> {
    if (this.isOver) throw new DeadError()
    const isLast = ++this.count === this.#at && (this.#death !== 'middle' || half !== undefined)
    if (isLast && this.#death !== 'after') {
      this.end()
      if (this.#death === 'middle' && half) await this.#track(half()).catch(() => {})
      throw new DeadError()
    }

    const answer = await this.#track(request())
    if (isLast) this.end()
    if (this.isOver) throw new DeadError()
    return answer
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    this.#running.add(promise)
    promise.finally(() => this.#running.delete(promise)).catch(() => {})
    return promise
  }
}
