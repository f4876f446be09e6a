/** Bytes that may be in memory at the same time. Whoever wants more waits for those before to give back. */
export class ByteBudget {
  readonly #limit: number
  #used = 0
  readonly #waiting: {readonly bytes: number; readonly resolve: () => void}[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  release(bytes: number): void {
    this.#used -= bytes
    for (let first = this.#waiting[0]; first && this.#fits(first.bytes); first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#used += first.bytes
      first.resolve()
    }
  }

  /** Resolves in the order of the calls. More than the whole is lent alone. */
  async take(bytes: number): Promise<void> {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#used += bytes
      return
    }

    await new Promise<void>((resolve) => {
      this.#waiting.push({bytes, resolve})
    })
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#limit
  }
}
