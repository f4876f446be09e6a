import {setMaxListeners} from 'node:events'

import {InterruptedError} from '../errors.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Name = (typeof SIGNALS)[number]

/**
 * The first signal asks: `signal` aborts, and what is half done is taken back. The second one is not caught:
 * the process dies of it.
 */
export class Interruption {
  readonly #controller = new AbortController()
  readonly #listener = (name: Name) => this.#onSignal(name)

  constructor() {
    // Every request under way listens: as many as --concurrency allows, and that is no leak.
    setMaxListeners(0, this.#controller.signal)
    for (const name of SIGNALS) process.on(name, this.#listener)
  }

  /** Aborts with `InterruptedError` as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  dispose(): void {
    for (const name of SIGNALS) process.off(name, this.#listener)
  }

  #onSignal(name: Name): void {
    this.dispose()
    this.#controller.abort(new InterruptedError('interrupted', {facts: {signal: name}}))
    if (process.stderr.isTTY) process.stderr.write(`\n${name}: stopping, once more to force\n`)
  }
}
