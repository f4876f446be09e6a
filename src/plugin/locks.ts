import type {CallOptions} from '../registry/interfaces.js'
import type {Clock} from '../util/clock.js'

import {hasCode, isNotFound, KlosetOciError} from '../errors.js'
import {type Mac} from '../kloset/mac.js'
import {type KlosetStore} from '../kloset/store.js'
import {collect} from '../util/collect.js'

/** A lock is some hundred bytes. */
const MAX_LOCK_BYTES = 1024 * 1024

/** How long a lock that was listed can still be read after it has gone. */
const KEPT_MS = 15_000

/** Locks read at the same time. */
const PARALLEL = 8

/**
 * Locks come and go while others look at them. plakar lists them and then reads each, and gives up a backup when one
 * has gone in between; so listing reads them: a lock that has gone already is not listed, and one that goes afterwards
 * is still read as it was listed, for a short time.
 */
export class Locks {
  readonly #clock: Clock
  readonly #kept = new Map<Mac, {readonly bytes: Buffer; readonly until: number}>()
  readonly #store: KlosetStore

  constructor(store: KlosetStore, clock: Clock) {
    this.#clock = clock
    this.#store = store
  }

  forget(mac: Mac): void {
    this.#kept.delete(mac)
  }

  /** @throws NotFoundError */
  async get(mac: Mac, options: CallOptions): Promise<Buffer> {
    const kept = this.#kept.get(mac)
    this.#kept.delete(mac)
    return kept && kept.until > this.#clock.now() ? kept.bytes : this.#read(mac, options)
  }

  /** The locks that can be read now. */
  async list(options: CallOptions): Promise<Mac[]> {
    const listed: Mac[] = []
    for await (const mac of this.#store.list('lock', options)) listed.push(mac)
    this.#kept.clear()
    const alive: Mac[] = []
    const queue = listed.values()
    const work = async () => {
      for (const mac of queue) {
        const bytes = await this.#tryRead(mac, options)
        if (!bytes) continue
        alive.push(mac)
        this.#kept.set(mac, {bytes, until: this.#clock.now() + KEPT_MS})
      }
    }

    await Promise.all(Array.from({length: Math.min(PARALLEL, listed.length)}, work))
    return alive
  }

  async #read(mac: Mac, options: CallOptions): Promise<Buffer> {
    return collect(await this.#store.get('lock', mac, options), {limit: MAX_LOCK_BYTES, what: `lock ${mac}`})
  }

  async #tryRead(mac: Mac, options: CallOptions): Promise<Buffer | undefined> {
    try {
      return await this.#read(mac, options)
    } catch (error) {
      if (isNotFound(error)) return undefined
      if (!hasCode(error, 'DAMAGE')) throw error
      // Nobody can tell any more whose it is: passing it over could let maintenance run beside a backup.
      throw new KlosetOciError('DAMAGE', error.message, {
        cause: error,
        facts: error.facts,
        suggestions: [
          `Make sure that nothing uses the store, then remove the lock: \`kloset-oci locks rm\` of ${mac}.`,
        ],
      })
    }
  }
}
