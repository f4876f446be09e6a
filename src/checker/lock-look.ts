import type {Codec} from '../kloset/codec/codec.js'
import type {Secret} from '../kloset/codec/secret.js'
import type {Mac} from '../kloset/mac.js'
import type {Digest} from '../registry/digest.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'

import {hasCode, isNotFound, messageOf} from '../errors.js'
import {hashingOf, macKeyOf, openConfiguration} from '../kloset/configuration.js'
import {isStale, type Lock, LOCK_TTL_MS, lockAge} from '../kloset/lock.js'
import {isEmptied, type ObjectManifest, readObjectManifest} from '../kloset/object-manifest.js'
import {tagOf} from '../kloset/resource.js'
import {KlosetStore} from '../kloset/store.js'
import {formatTimestamp} from '../kloset/timestamp.js'
import {canTellTime} from '../registry/interfaces.js'
import {ANNOTATION} from '../registry/media-types.js'
import {type Clock, systemClock} from '../util/clock.js'
import {ContentKeys} from './content-keys.js'
import {codecOf} from './decoder.js'
import {Failures} from './failures.js'
import {readLock} from './lock-check.js'

/** Why a lock's holder and age cannot be told. */
export type LockRiddle = 'damaged' | 'no-configuration' | 'no-passphrase' | 'unknown-version'

/** One lock as it is now. */
export interface LockLook {
  /** Milliseconds since it was renewed, by this machine's clock; negative when its writer's clock is ahead. */
  readonly ageMs?: number
  readonly hostname?: string
  readonly mac: Mac
  /** The manifest that its tag leads to: another one after each renewal. */
  readonly manifest?: Digest
  readonly mode?: 'exclusive' | 'shared'
  /** Why it cannot be read. */
  readonly problem?: string
  /** When its holder last wrote it, RFC 3339, by the holder's clock. */
  readonly renewed?: string
  readonly riddle?: LockRiddle
  /** `unknown`: nobody can say whether it has a holder. It counts as held. */
  readonly state: 'fresh' | 'stale' | 'unknown'
  readonly tag: string
  /** When its manifest says that it was written: a hint, since anybody can write it. */
  readonly written?: string
}

/** What the clocks say: a lock is stale when it is by each of them. */
export interface Clocks {
  /** This machine's, in milliseconds since the epoch. */
  readonly local: number
  /** Of the registry, when it says. */
  readonly registry?: number | undefined
  /** How far the registry's clock is ahead of ours. */
  readonly skewMs?: number | undefined
}

/** Clocks closer together than this agree. */
const AGREE_MS = 30_000

export interface LockReaderOptions extends CallOptions {
  readonly clock?: Clock | undefined
  /** Of an encrypted store; without it its locks are unknown. */
  readonly secret?: Secret | undefined
}

/** Reads the locks of one store, each time anew: they change every few minutes. */
export class LockReader {
  readonly clocks: Clocks
  readonly #codec: Codec | undefined
  readonly #keys: ContentKeys
  readonly #repository: Repository
  readonly #riddle: Pick<LockLook, 'problem' | 'riddle'>

  private constructor(
    repository: Repository,
    clocks: Clocks,
    parts: {codec?: Codec | undefined; keys?: ContentKeys; riddle?: Pick<LockLook, 'problem' | 'riddle'>},
  ) {
    this.#repository = repository
    this.clocks = clocks
    this.#codec = parts.codec
    this.#keys = parts.keys ?? ContentKeys.unknown()
    this.#riddle = parts.riddle ?? {}
  }

  /** Reads the configuration. One that is missing or damaged leaves all locks unknown, and is no error here. */
  static async open(repository: Repository, options: LockReaderOptions = {}): Promise<LockReader> {
    const {clock = systemClock, secret, signal} = options
    const clocks = await readClocks(repository, clock, signal)
    const riddle = (kind: LockRiddle, problem: string) =>
      new LockReader(repository, clocks, {riddle: {problem, riddle: kind}})
    try {
      const bytes = await new KlosetStore(repository).getConfig({signal})
      const configuration = await openConfiguration(bytes, {secret: secret?.bytes})
      const key = await macKeyOf(configuration, secret?.bytes)
      if (!key) return riddle('no-passphrase', 'the store is encrypted and its passphrase was not given')
      const encrypted = configuration.encryption !== undefined
      const keys = ContentKeys.known(hashingOf(configuration), key, {encrypted})
      return new LockReader(repository, clocks, {codec: await codecOf(configuration, secret), keys})
    } catch (error) {
      if (hasCode(error, 'VERSION')) return riddle('unknown-version', error.message)
      if (isUnsound(error) || isNotFound(error)) return riddle('no-configuration', messageOf(error))
      throw error
    }
  }

  /** One lock; undefined when there is none, or no more. */
  async look(mac: Mac, {signal}: CallOptions = {}): Promise<LockLook | undefined> {
    const tag = tagOf('lock', mac)
    const base = {mac, tag}
    let manifest: Digest | undefined
    let content: ObjectManifest
    try {
      const fetched = await this.#repository.manifests.get(tag, {signal})
      manifest = fetched.descriptor.digest
      content = readObjectManifest(fetched, tag)
    } catch (error) {
      // A tag without a manifest is there all the same where it is listed: the caller knows.
      if (isNotFound(error)) return undefined
      if (!isUnsound(error)) throw error
      const known = {...base, ...(manifest && {manifest}), problem: messageOf(error)}
      // Its holder, or who removed it, was done with it, and there is nothing left that could be renewed.
      return isEmptied(error) ? {...known, state: 'stale'} : {...known, riddle: 'damaged', state: 'unknown'}
    }

    const written = content.annotations[ANNOTATION.created]?.slice(0, 40)
    const known = {...base, manifest, ...(written !== undefined && {written})}
    if (!this.#codec) return {...known, ...this.#riddle, state: 'unknown'}
    try {
      const {size} = await this.#repository.blobs.resolve(content.layer, {signal})
      const context = {
        codec: this.#codec,
        deep: false,
        failures: new Failures(),
        keys: this.#keys,
        now: this.clocks.local,
        repository: this.#repository,
        signal,
      }
      const lock = await readLock({mac, resource: 'lock', tag}, {digest: content.layer, size}, context)
      return {...known, ...this.#judge(lock)}
    } catch (error) {
      if (hasCode(error, 'VERSION')) {
        return {...known, problem: messageOf(error), riddle: 'unknown-version', state: 'unknown'}
      }

      if (!isUnsound(error) && !isNotFound(error)) throw error
      return {...known, problem: messageOf(error), riddle: 'damaged', state: 'unknown'}
    }
  }

  #judge(lock: Lock): Pick<LockLook, 'ageMs' | 'hostname' | 'mode' | 'renewed' | 'state'> {
    const {local, registry} = this.clocks
    const stale = isStale(lock, local) && (registry === undefined || isStale(lock, registry))
    return {
      ageMs: lockAge(lock, local),
      hostname: lock.hostname.slice(0, 255),
      mode: lock.exclusive ? 'exclusive' : 'shared',
      renewed: formatTimestamp(lock.timestamp),
      state: stale ? 'stale' : 'fresh',
    }
  }
}

/** When a lock could be stale at the earliest, when it is not renewed; undefined where its age is not known. */
export function staleAt({ageMs}: LockLook, {local, skewMs = 0}: Clocks): number | undefined {
  return ageMs === undefined ? undefined : local - ageMs + LOCK_TTL_MS + Math.max(0, -skewMs)
}

async function readClocks(repository: Repository, clock: Clock, signal: AbortSignal | undefined): Promise<Clocks> {
  if (!canTellTime(repository)) return {local: clock.now()}
  const before = clock.now()
  const registry = await repository.time({signal})
  const local = clock.now()
  if (registry === undefined) return {local}
  const skewMs = Math.round(registry - (before + local) / 2)
  // Within what the header and the way can account for they are one clock.
  return Math.abs(skewMs) < AGREE_MS ? {local} : {local, registry: local + skewMs, skewMs}
}

function isUnsound(error: unknown): boolean {
  return (['DAMAGE', 'INTEGRITY', 'PROTOCOL', 'STORE_FORMAT'] as const).some((code) => hasCode(error, code))
}
