import {randomBytes} from 'node:crypto'
import {hostname} from 'node:os'

import type {Repository} from '../registry/interfaces.js'
import type {Clock} from '../util/clock.js'
import type {StoreKeys} from './store-keys.js'

import {isNotFound, KlosetOciError, LockedError, messageOf} from '../errors.js'
import {openEnvelope, sealEnvelope} from '../kloset/envelope.js'
import {decodeLock, encodeLock, isStale, LOCK_REFRESH_MS, LOCK_TTL_MS, MAX_LOCK_BYTES} from '../kloset/lock.js'
import {type Mac, macFromBytes} from '../kloset/mac.js'
import {isEmptied} from '../kloset/object-manifest.js'
import {tagOf} from '../kloset/resource.js'
import {KlosetStore} from '../kloset/store.js'
import {timestampFromMillis} from '../kloset/timestamp.js'
import {makeVersion} from '../kloset/version.js'
import {systemClock} from '../util/clock.js'
import {collect} from '../util/collect.js'
import {bufferSource} from '../util/content-source.js'

/** A lock is believed dead by others at its TTL; we stop writing this long before that. */
const SAFETY_MS = 60_000

/** Two that come at the same moment both see the other: each waits a while of its own and tries again. */
const COLLISION_TRIES = 4
const COLLISION_MS = 1500

export interface StoreLockOptions {
  readonly clock?: Clock | undefined
  /** Locks that are not asked: the plan itself removes them. */
  readonly ignore?: ReadonlySet<Mac> | undefined
  readonly keys: StoreKeys
  /** Told of the lock before it is written. */
  readonly onTaken?: ((mac: Mac) => Promise<void>) | undefined
  readonly signal?: AbortSignal | undefined
  /** The lock that an earlier run of the same work left. */
  readonly takeOver?: Mac | undefined
  /** Milliseconds that others are waited for. Default 0. */
  readonly waitMs?: number | undefined
}

interface Holder {
  readonly isUnsure: boolean
  readonly mac: Mac
  readonly who: string
}

/**
 * An exclusive lock in plakar's own format: plakar's backups and maintenance respect it, and it respects theirs. It is
 * written anew while the work goes on.
 */
export class StoreLock {
  readonly mac: Mac
  readonly #clock: Clock
  readonly #keys: StoreKeys
  #refreshed = 0
  readonly #store: KlosetStore
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> = Promise.resolve()

  private constructor(repository: Repository, mac: Mac, {clock = systemClock, keys}: StoreLockOptions) {
    this.mac = mac
    this.#clock = clock
    this.#keys = keys
    this.#store = new KlosetStore(repository, {clock})
  }

  /**
   * Writes the lock, then looks whether anybody else has one.
   * @throws LockedError when somebody has, and still has when the waiting is over
   * @throws KlosetOciError `UNAUTHORIZED` for an encrypted store without its passphrase
   */
  static async take(repository: Repository, options: StoreLockOptions): Promise<StoreLock> {
    const {clock = systemClock, onTaken, signal, takeOver, waitMs = 0} = options
    const deadline = clock.now() + waitMs
    for (let attempt = 1; ; attempt++) {
      const mac = takeOver ?? macFromBytes(randomBytes(32))
      const lock = new StoreLock(repository, mac, options)
      await onTaken?.(mac)
      await lock.#write(signal)
      let others: Holder[]
      try {
        others = await lock.#others(options)
      } catch (error) {
        await lock.#remove()
        throw error
      }

      if (others.length === 0) {
        lock.#keepFresh()
        return lock
      }

      await lock.#remove()
      const collided = attempt < COLLISION_TRIES && others.some(({who}) => who.startsWith(OWN_HOST))
      const left = deadline - clock.now()
      if (left <= 0 && !collided) throw lockedBy(repository.location, others)
      const pause = collided ? COLLISION_MS * Math.random() * attempt : Math.min(left, 5000)
      await clock.sleep(pause, signal)
    }
  }

  /** @throws LockedError when it could not be refreshed: others may take it for dead */
  assertHeld(): void {
    if (this.#clock.now() - this.#refreshed < LOCK_TTL_MS - SAFETY_MS) return
    throw new LockedError('the lock of the store could not be refreshed: nothing more is written', {
      facts: {lock: this.mac},
      suggestions: [
        'Look whether the store can be reached and written, then run `repair apply` again: it goes on where it stopped.',
      ],
    })
  }

  /** Takes the lock away. @returns false when that failed, which is no harm: in ten minutes it is dead */
  async release(): Promise<boolean> {
    clearInterval(this.#timer)
    await this.#writing.catch(() => {})
    return this.#remove()
  }

  #keepFresh(): void {
    this.#timer = setInterval(() => {
      this.#writing = this.#writing.then(async () => this.#write()).catch(() => {})
    }, LOCK_REFRESH_MS / 2)
    this.#timer.unref()
  }

  async #others({clock = systemClock, ignore, signal}: StoreLockOptions): Promise<Holder[]> {
    const found: Holder[] = []
    for await (const mac of this.#store.list('lock', {signal})) {
      if (mac === this.mac || ignore?.has(mac)) continue
      const holder = await this.#read(mac, clock, signal)
      if (holder) found.push(holder)
    }

    return found
  }

  async #read(mac: Mac, clock: Clock, signal: AbortSignal | undefined): Promise<Holder | undefined> {
    const tag = tagOf('lock', mac)
    try {
      const bytes = await collect(await this.#store.get('lock', mac, {signal}), {limit: MAX_LOCK_BYTES, what: tag})
      const {codec, contents} = this.#keys
      const {data} = await contents.lend('lock', async (hasher) =>
        openEnvelope(bytes, {hasher, resource: 'lock', what: tag}),
      )
      const lock = decodeLock(codec!.decode(data, MAX_LOCK_BYTES), tag)
      if (isStale(lock, clock.now())) return undefined
      const kind = lock.exclusive ? 'exclusive' : 'shared'
      return {isUnsure: false, mac, who: `${lock.hostname.slice(0, 80)} (${kind})`}
    } catch (error) {
      if (isNotFound(error) || isEmptied(error)) return undefined
      const isUnsound =
        error instanceof KlosetOciError &&
        ['DAMAGE', 'INTEGRITY', 'PROTOCOL', 'STORE_FORMAT', 'VERSION'].includes(error.code)
      if (!isUnsound) throw error
      return {isUnsure: true, mac, who: `a lock that cannot be read (${messageOf(error)})`}
    }
  }

  async #remove(): Promise<boolean> {
    try {
      await this.#store.delete('lock', this.mac)
      return true
    } catch (error) {
      return isNotFound(error)
    }
  }

  async #write(signal?: AbortSignal): Promise<void> {
    const {codec, contents} = this.#keys
    if (!codec) {
      throw new KlosetOciError('UNAUTHORIZED', 'an encrypted store is locked with its passphrase', {
        suggestions: [
          'Give it with --passphrase-file or PLAKAR_PASSPHRASE.',
          'Or make sure that nothing else uses the store, and give --no-lock.',
        ],
      })
    }

    const now = this.#clock.now()
    const version = makeVersion(1, 0, 0)
    const lock = {exclusive: true, hostname: `${OWN_HOST}${hostname()}`, timestamp: timestampFromMillis(now), version}
    const data = codec.encode(encodeLock(lock))
    const bytes = await contents.lend('lock', async (hasher) =>
      sealEnvelope(data, {hasher: hasher!, resource: 'lock', version}),
    )
    await this.#store.put('lock', this.mac, bufferSource(bytes), {durable: false, signal})
    this.#refreshed = now
  }
}

const OWN_HOST = 'kloset-oci@'

function lockedBy(location: string, others: readonly Holder[]): LockedError {
  const [first] = others
  const unsure = others.some(({isUnsure}) => isUnsure)
  return new LockedError(
    `${location}: in use: ${others
      .map(({who}) => who)
      .slice(0, 5)
      .join(', ')}`,
    {
      facts: {lock: first!.mac, locks: others.length},
      suggestions: unsure
        ? [
            "A lock that cannot be read may be anybody's: look with `gc-check`, make sure that nothing uses the store, and remove it with `rm … lock MAC --force`.",
          ]
        : ['Wait until it is over, or give --lock-wait SECONDS.'],
    },
  )
}
