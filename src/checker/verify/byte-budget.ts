interface Waiting {
  readonly bytes: number
  readonly start: () => void
}

/** Lets no more bytes into memory than a limit: whoever comes when it is full waits for their turn. */
export class ByteBudget {
  #free: number
  readonly #limit: number
  readonly #queue: Waiting[] = []

  constructor(limit: number) {
    this.#free = limit
    this.#limit = limit
  }

  /** Runs `use` when there is room. What is larger than the limit takes all of it. */
  async spend<T>(bytes: number, use: () => Promise<T>): Promise<T> {
    const share = Math.min(bytes, this.#limit)
    if (this.#queue.length > 0 || share > this.#free) {
      await new Promise<void>((start) => {
        this.#queue.push({bytes: share, start})
      })
    } else {
      this.#free -= share
    }

    try {
      return await use()
    } finally {
      this.#free += share
      for (let next = this.#queue[0]; next && next.bytes <= this.#free; next = this.#queue[0]) {
        this.#queue.shift()
        this.#free -= next.bytes
        next.start()
      }
    }
  }
}
