import {inspect} from 'node:util'

import {rememberSecret} from '../redact.js'

const HIDDEN = '<secret>'

/** A password or token. However it is printed, logged or serialised, it shows nothing; only `reveal` gives it away. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
    rememberSecret(value)
  }

  equals(other: Secret): boolean {
    return this.#value === other.#value
  }

  [inspect.custom](): string {
    return HIDDEN
  }

  /** The text itself, for the one place that sends or stores it. */
  reveal(): string {
    // Whoever gets it now may throw it back at any time from now on.
    rememberSecret(this.#value)
    return this.#value
  }

  toJSON(): string {
    return HIDDEN
  }

  toString(): string {
    return HIDDEN
  }
}
