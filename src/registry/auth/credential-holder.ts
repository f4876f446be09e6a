import type {Clock} from '../../util/clock.js'

import {unlessAborted} from '../../util/abort.js'
import {type Credential, type CredentialSource, type CredentialTarget, sameCredential} from './credential.js'

/** A login without a body that is refused with 403 after this long may have expired. */
const OLD_MS = 10 * 60 * 1000

/** The credential of one registry, asked for once and kept, until a refusal shows that it is no good any more. */
export class CredentialHolder {
  #askedAt = 0
  readonly #clock: Clock
  #current: Promise<Credential | undefined> | undefined
  readonly #source: CredentialSource
  readonly #target: CredentialTarget

  constructor(source: CredentialSource, target: CredentialTarget, clock: Clock) {
    this.#source = source
    this.#target = target
    this.#clock = clock
  }

  /** @throws CredentialError */
  get(signal?: AbortSignal): Promise<Credential | undefined> {
    this.#current ??= this.#ask()
    return unlessAborted(this.#current, signal)
  }

  /** Whether the credential was asked for so long ago that it may have run out. */
  isOld(): boolean {
    return this.#current !== undefined && this.#clock.now() - this.#askedAt >= OLD_MS
  }

  /**
   * A credential other than the one that was refused, or undefined when the source has no other. Whoever comes late
   * with one that was replaced meanwhile gets the newer one, and the source is asked once.
   */
  async renewed(refused: Credential | undefined, signal?: AbortSignal): Promise<Credential | undefined> {
    const held = this.#current
    const current = await this.get(signal)
    if (!sameCredential(current, refused)) return current
    if (this.#current === held) this.#current = this.#ask()
    const fresh = await this.get(signal)
    return sameCredential(fresh, refused) ? undefined : fresh
  }

  #ask(): Promise<Credential | undefined> {
    this.#askedAt = this.#clock.now()
    // Without a signal: others may wait for the same answer. Helpers have their own limit of time.
    const asked = this.#lookUp()
    asked.catch(() => {
      // A failure is not kept: the next one who asks may have more luck.
      if (this.#current === asked) this.#current = undefined
    })
    return asked
  }

  async #lookUp(): Promise<Credential | undefined> {
    const found = await this.#source.credentialFor(this.#target)
    return found?.credential
  }
}
