import {setMaxListeners} from 'node:events'

import {InterruptedError} from '../errors.js'
import {EXIT} from '../exit-codes.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
type Name = (typeof SIGNALS)[number]

/**
 * The first signal asks: `signal` aborts, and what is half done is taken back. The second one ends the process.
 *
 * The listener stays until then: a library that cleans up when nobody else listens (signal-exit, behind the locks of
 * layouts) takes a listener that is gone for leave to end the process at once.
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
    if (this.signal.aborted) {
      // Not by the signal: what has to be undone when a process ends, a layout's lock say, is undone on the way.
      // eslint-disable-next-line n/no-process-exit, unicorn/no-process-exit
      process.exit(EXIT.interrupted)
    }

    this.#controller.abort(new InterruptedError('interrupted', {facts: {signal: name}}))
    if (process.stderr.isTTY) process.stderr.write(`\n${name}: stopping, once more to force\n`)
  }
}
