import type {Clock} from '../../util/clock.js'
import type {Secret} from './secret.js'

import {unlessAborted} from '../../util/abort.js'

/** A bearer token. Times are those of the `Clock` it was got with. */
export interface Token {
  readonly expiresAt: number
  /** From here on a new one is got before this one is used. */
  readonly refreshAt: number
  readonly value: Secret
}

export interface TokenLookup {
  readonly fetch: () => Promise<Token>
  readonly key: string
  /** The token that the registry refused just now: anything but this one. */
  readonly rejected?: Token | undefined
  readonly signal?: AbortSignal | undefined
}

/** After a failed refresh the old token is used this long before the next try. */
const REFRESH_PAUSE_MS = 10_000

/** A registry that names other scopes each time must not fill the memory: the oldest goes. */
const MAX_TOKENS = 256

/** Tokens by what they are good for. Whoever asks while one is being fetched waits for that one. */
export class TokenCache {
  readonly #clock: Clock
  readonly #flights = new Map<string, Promise<Token>>()
  readonly #tokens = new Map<string, Token>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @throws what `fetch` threw, when there is no valid token left; InterruptedError when the signal ends the wait */
  async get({fetch, key, rejected, signal}: TokenLookup): Promise<Token> {
    const known = this.#tokens.get(key)
    if (known && known === rejected) this.#tokens.delete(key)
    else if (known && this.#clock.now() < known.refreshAt) return known
    let flight = this.#flights.get(key)
    if (!flight) {
      flight = this.#fetch(key, fetch).finally(() => this.#flights.delete(key))
      this.#flights.set(key, flight)
    }

    return unlessAborted(flight, signal)
  }

  async #fetch(key: string, fetch: () => Promise<Token>): Promise<Token> {
    try {
      const token = await fetch()
      this.#tokens.delete(key)
      this.#tokens.set(key, token)
      const [oldest] = this.#tokens.keys()
      if (this.#tokens.size > MAX_TOKENS && oldest !== undefined) this.#tokens.delete(oldest)
      return token
    } catch (error) {
      const old = this.#tokens.get(key)
      const now = this.#clock.now()
      if (!old || now >= old.expiresAt) throw error
      const kept = {...old, refreshAt: Math.min(old.expiresAt, now + REFRESH_PAUSE_MS)}
      this.#tokens.set(key, kept)
      return kept
    }
  }
}
