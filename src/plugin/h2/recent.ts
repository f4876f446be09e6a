/** The numbers that were added last, as many as `limit`; older ones are forgotten. */
export class RecentNumbers {
  readonly #limit: number
  readonly #numbers = new Set<number>()

  constructor(limit: number) {
    this.#limit = limit
  }

  add(value: number): void {
    this.#numbers.add(value)
    if (this.#numbers.size > this.#limit) this.#numbers.delete(this.#numbers.values().next().value!)
  }

  has(value: number): boolean {
    return this.#numbers.has(value)
  }
}
