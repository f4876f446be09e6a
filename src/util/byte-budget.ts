interface Waiting {
  readonly resolve: () => void
  readonly share: number
}

/** What is lent at a time. */
export interface Lent {
  readonly bytes: number
  readonly loans: number
}

export interface ByteBudgetOptions {
  /** Asked where something is lent and there is room for more: false lets who comes next wait until some is given back. */
  readonly mayLend?: ((lent: Lent) => boolean) | undefined
}

/**
 * Bytes that may be in memory at the same time. Whoever comes when there is no room waits for those before to give back,
 * in the order of the calls. What is larger than the whole is lent all of it.
 */
export class ByteBudget {
  readonly #lent = {bytes: 0, loans: 0}
  readonly #limit: number
  readonly #mayLend: (lent: Lent) => boolean
  readonly #waiting: Waiting[] = []

  constructor(limit: number, {mayLend = () => true}: ByteBudgetOptions = {}) {
    this.#limit = limit
    this.#mayLend = mayLend
  }

  /** Gives back what `take` lent. */
  release(bytes: number): void {
    this.#lent.bytes -= this.#shareOf(bytes)
    this.#lent.loans -= 1
    for (let first = this.#waiting[0]; first && this.#hasRoom(first.share); first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#lend(first.share)
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
    if (this.#waiting.length === 0 && this.#hasRoom(share)) {
      this.#lend(share)
      return
    }

    await new Promise<void>((resolve) => {
      this.#waiting.push({resolve, share})
    })
  }

  #hasRoom(share: number): boolean {
    const {bytes, loans} = this.#lent
    return loans === 0 || (bytes + share <= this.#limit && this.#mayLend(this.#lent))
  }

  #lend(share: number): void {
    this.#lent.bytes += share
    this.#lent.loans += 1
  }

  #shareOf(bytes: number): number {
    return Math.min(bytes, this.#limit)
  }
}
