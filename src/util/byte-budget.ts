interface Waiting {
  readonly resolve: () => void
  readonly share: number
}

/**
 * Bytes that may be in memory at the same time. Whoever comes when there is no room waits for those before to give back,
 * in the order of the calls. What is larger than the whole is lent all of it.
 */
export class ByteBudget {
  #free: number
  readonly #limit: number
  readonly #waiting: Waiting[] = []

  constructor(limit: number) {
    this.#free = limit
    this.#limit = limit
  }

  /** Gives back what `take` lent. */
  release(bytes: number): void {
    this.#free += this.#shareOf(bytes)
    for (let first = this.#waiting[0]; first && first.share <= this.#free; first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#free -= first.share
      first.resolve()
    }
  }

  /** Runs `use` when there is room. */
  async spend<T>(bytes: number, use: () => Promise<T>): Promise<T> {
    await this.take(bytes)
    try {
      return await use()
    } finally {
      this.release(bytes)
    }
  }

  /** Resolves when there is room. */
  async take(bytes: number): Promise<void> {
    const share = this.#shareOf(bytes)
    if (this.#waiting.length === 0 && share <= this.#free) {
      this.#free -= share
      return
    }

    await new Promise<void>((resolve) => {
      this.#waiting.push({resolve, share})
    })
  }

  #shareOf(bytes: number): number {
    return Math.min(bytes, this.#limit)
  }
}
