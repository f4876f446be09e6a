import type {Mac} from '../kloset/mac.js'

/**
 * The locks that plakar has put through this process and not yet removed. plakar removes its lock in the background and
 * closes the store at the same time; whoever answers the Close too early ends plakar before its request was sent.
 */
export class OwnLocks {
  readonly #held = new Set<Mac>()
  #whenNone: (() => void) | undefined

  /** Resolves when there are none, or after so many milliseconds. */
  async none(milliseconds: number): Promise<void> {
    if (this.#held.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds)
      this.#whenNone = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#whenNone = undefined
  }

  put(mac: Mac): void {
    this.#held.add(mac)
  }

  removed(mac: Mac): void {
    this.#held.delete(mac)
    if (this.#held.size === 0) this.#whenNone?.()
  }
}
