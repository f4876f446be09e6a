import type {ResourceName} from '../kloset/resource.js'

import {CONFIG_HASHING, type Hasher, HasherPool, type Hashing} from '../kloset/hashing.js'

/** The keys under which a store's MACs are made, as far as they are known. */
export class ContentKeys {
  readonly #config: HasherPool | undefined
  readonly #objects: HasherPool | undefined

  private constructor(config: HasherPool | undefined, objects: HasherPool | undefined) {
    this.#config = config
    this.#objects = objects
  }

  /** For a store whose key is known: derived from its identifier, or from its passphrase. */
  static known(hashing: Hashing, key: Uint8Array, {encrypted}: {readonly encrypted: boolean}): ContentKeys {
    return new ContentKeys(new HasherPool(CONFIG_HASHING, encrypted ? key : undefined), new HasherPool(hashing, key))
  }

  static unknown(): ContentKeys {
    return new ContentKeys(undefined, undefined)
  }

  /** Whether MACs can be checked. */
  get areKnown(): boolean {
    return this.#objects !== undefined
  }

  /** Runs `use` with what is needed for one object: a hasher for its envelope, and one for the name of a packfile. */
  async lend<T>(resource: ResourceName, use: (hasher?: Hasher, naming?: Hasher) => Promise<T>): Promise<T> {
    const pool = resource === 'config' ? this.#config : this.#objects
    if (!pool) return use()
    return pool.lend((hasher) => (resource === 'packfile' ? pool.lend((naming) => use(hasher, naming)) : use(hasher)))
  }
}
