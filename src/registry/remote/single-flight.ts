import {hasCode} from '../../errors.js'
import {interruption, throwIfAborted} from '../../util/abort.js'

/** Runs an operation once for all who ask for the same key at the same time. */
export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>()

  /**
   * Starts `operation`, or waits for the one that runs. When that one fails because of its own caller (ended, or its
   * content was wrong), whoever waited runs its own.
   * @returns `led` says whether it was this caller's operation that ran
   */
  async run(
    key: string,
    operation: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<{readonly led: boolean; readonly value: T}> {
    for (;;) {
      throwIfAborted(signal)
      const running = this.#running.get(key)
      if (!running) return {led: true, value: await this.#lead(key, operation)}
      try {
        return {led: false, value: await orAborted(running, signal)}
      } catch (error) {
        if (!signal?.aborted && (hasCode(error, 'INTERRUPTED') || hasCode(error, 'INTEGRITY') || hasCode(error, 'IO')))
          continue
        throw error
      }
    }
  }

  async #lead(key: string, operation: () => Promise<T>): Promise<T> {
    const running = operation()
    this.#running.set(key, running)
    try {
      return await running
    } finally {
      this.#running.delete(key)
    }
  }
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(interruption(signal))

    signal.addEventListener('abort', onAbort, {once: true})
    const done = () => signal.removeEventListener('abort', onAbort)
    promise.then(resolve, reject).finally(done)
  })
}
