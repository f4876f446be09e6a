import {pMapIterable} from 'p-map'

import type {ResourceName} from '../../kloset/resource.js'

import {NotFoundError} from '../../errors.js'
import {BLOB_TYPES} from '../../kloset/blob-type.js'
import {listSnapshots} from '../../kloset/catalog.js'
import {type Secret} from '../../kloset/codec/secret.js'
import {StoreContents} from '../../kloset/contents.js'
import {isObjectFault} from '../../kloset/faults.js'
import {type Mac} from '../../kloset/mac.js'
import {DEFAULT_CONCURRENCY, KlosetStore, type StoreEntry} from '../../kloset/store.js'
import {formatTimestamp, timestampFromMillis, timestampToMillis} from '../../kloset/timestamp.js'
import {type CallOptions, canListBlobs, canListManifests, type Repository} from '../../registry/interfaces.js'
import {type Clock, systemClock} from '../../util/clock.js'
import {gcCheck} from '../gc-check.js'
import {LockReader} from '../lock-look.js'
import {GRACE_MS} from '../reference-check.js'
import {type Amount, type BlobUsage, measureBlobs} from './blob-usage.js'

export type UsagePhase = 'objects' | 'snapshots' | 'states' | 'storage'

export interface UsageOptions extends CallOptions {
  /** Go through the trees of all snapshots, for what of the packfiles they need. Default false. */
  readonly blobs?: boolean | undefined
  readonly clock?: Clock | undefined
  readonly concurrency?: number | undefined
  readonly onProgress?: ((phase: UsagePhase, done: number) => void) | undefined
  /** Of an encrypted store. Without it only what the registry says is known. */
  readonly secret?: Secret | undefined
}

/** Space that can be had back, and from when on. */
export interface Drop extends Amount {
  /** RFC 3339: when the time of grace of the last of them is over. */
  readonly date: string
}

/** What the states tell of the objects. */
export interface InsideUsage {
  /** Deleted by maintenance, and waiting for their time of grace. */
  readonly coloured: Amount
  /** Deleted, and kept until maintenance has taken what only they need. */
  readonly deletedSnapshots: number
  /** States of snapshots that are deleted. */
  readonly deletedStates: Amount
  /** Coloured packfiles by the day on which they can go, the first one first. */
  readonly drops: readonly Drop[]
  readonly live: Amount
  /** Places of blobs. */
  readonly locations: number
  /** Bytes of all files of all snapshots. */
  readonly logical: number
  /** Packfiles that a state needs and that have no tag. */
  readonly missing: number
  readonly snapshots: number
  /** Packfiles that no state knows: a backup under way, or one that was broken off. */
  readonly unknown: Amount
  /** States and headers of snapshots that could not be read. */
  readonly unreadable: number
}

export interface UsageReport {
  readonly blobs: BlobUsage | undefined
  /** Objects whose size could not be had. */
  readonly broken: number
  readonly foreign: number
  /** None for an encrypted store without its passphrase. */
  readonly inside: InsideUsage | undefined
  readonly objects: Readonly<Record<ResourceName, Amount>>
  /** Locks that nobody holds any more. */
  readonly staleLocks: Amount
  /** What the registry keeps beside the objects, until its own garbage collection takes it; where it can be told. */
  readonly storage: undefined | {readonly unreferencedBlobs: Amount; readonly untaggedManifests: Amount}
  /** Bytes of all objects. */
  readonly stored: number
}

class Sum implements Amount {
  bytes = 0
  count = 0

  add(bytes: number): void {
    this.bytes += bytes
    this.count += 1
  }
}

const DAY_MS = 24 * 60 * 60 * 1000

/**
 * What a store takes, and what of it can be had back. Nothing is changed.
 * @throws NotFoundError when there is no store, and what the registry throws when it fails
 */
export async function measureUsage(repository: Repository, options: UsageOptions = {}): Promise<UsageReport> {
  const {concurrency = DEFAULT_CONCURRENCY, onProgress, secret, signal} = options
  const store = new KlosetStore(repository, {concurrency})
  const {encryption} = await store.configuration({signal})
  const onState = (done: number) => onProgress?.('states', done)
  const contents =
    encryption && !secret ? undefined : await StoreContents.open(store, {concurrency, onState, secret, signal})
  try {
    const walk = new ObjectWalk(store, contents, options)
    await walk.run()
    const onSnapshot = (done: number) => onProgress?.('snapshots', done)
    return {
      blobs: contents && options.blobs ? await measureBlobs(contents, {onSnapshot, signal}) : undefined,
      broken: walk.broken,
      foreign: walk.foreign,
      inside: contents && (await walk.inside(contents)),
      objects: walk.objects,
      staleLocks: walk.staleLocks,
      storage: await measureStorage(repository, options),
      stored: Object.values(walk.objects).reduce((total, {bytes}) => total + bytes, 0),
    }
  } finally {
    contents?.close()
  }
}

/** One look at every object's size. */
class ObjectWalk {
  broken = 0
  foreign = 0
  readonly objects: Record<ResourceName, Sum> = {
    config: new Sum(),
    lock: new Sum(),
    packfile: new Sum(),
    state: new Sum(),
  }
  readonly staleLocks = new Sum()
  readonly #coloured = new Sum()
  readonly #contents: StoreContents | undefined
  readonly #deletedStates = new Sum()
  /** By the day on which they can go. */
  readonly #drops = new Map<number, Sum>()
  #knownSeen = 0
  readonly #live = new Sum()
  #locks: LockReader | undefined
  readonly #options: UsageOptions
  readonly #store: KlosetStore
  readonly #unknown = new Sum()

  constructor(store: KlosetStore, contents: StoreContents | undefined, options: UsageOptions) {
    this.#contents = contents
    this.#options = options
    this.#store = store
  }

  async inside(contents: StoreContents): Promise<InsideUsage> {
    const {index, unreadable} = contents
    const {broken, snapshots} = await listSnapshots(contents, {}, this.#options.concurrency)
    let known = 0
    for (const packfile of index.packfiles()) if (packfile.known && !packfile.coloured) known += 1
    return {
      coloured: this.#coloured,
      deletedSnapshots: [...index.coloured(BLOB_TYPES.snapshot)].length,
      deletedStates: this.#deletedStates,
      drops: [...this.#drops]
        .sort(([a], [b]) => a - b)
        .map(([day, {bytes, count}]) => ({bytes, count, date: formatTimestamp(timestampFromMillis(day))})),
      live: this.#live,
      locations: index.locationCount,
      logical: snapshots.reduce((total, {size}) => total + size, 0),
      missing: Math.max(0, known - this.#knownSeen),
      snapshots: snapshots.length,
      unknown: this.#unknown,
      unreadable: unreadable.length + broken.length,
    }
  }

  async run(): Promise<void> {
    const {clock = systemClock, concurrency = DEFAULT_CONCURRENCY, onProgress, secret, signal} = this.#options
    this.#locks = await LockReader.open(this.#store.repository, {clock, secret, signal})
    let done = 0
    const sizes = pMapIterable(this.#store.listAll({signal}), async (entry) => this.#look(entry), {
      backpressure: concurrency * 4,
      concurrency,
    })
    for await (const add of sizes) {
      add()
      onProgress?.('objects', ++done)
    }

    const {config, lock, packfile, state} = this.objects
    if (config.count + lock.count + packfile.count + state.count === 0) {
      throw new NotFoundError(`${this.#store.location}: no store here`)
    }
  }

  /** @returns what to note of an object: in the order of the list, and not while others are asked for */
  async #look(entry: StoreEntry): Promise<() => void> {
    const {signal} = this.#options
    if (entry.kind === 'foreign') {
      return () => {
        this.foreign += 1
      }
    }

    try {
      if (entry.kind === 'config') {
        const {length} = await this.#store.getConfig({signal})
        return () => this.objects.config.add(length)
      }

      const {mac, resource} = entry
      const {size} = await this.#store.stat(resource, mac, {signal})
      const lock = resource === 'lock' ? await this.#locks?.look(mac, {signal}) : undefined
      return () => {
        this.objects[resource].add(size)
        if (lock?.state === 'stale') this.staleLocks.add(size)
        if (resource === 'packfile') this.#notePackfile(mac, size)
        if (resource === 'state') this.#noteState(mac, size)
      }
    } catch (error) {
      if (!isObjectFault(error)) throw error
      return () => {
        this.broken += 1
        if (entry.kind === 'object' && entry.resource === 'packfile') this.#notePackfile(entry.mac, 0)
      }
    }
  }

  #notePackfile(mac: Mac, size: number): void {
    if (!this.#contents) return
    const found = this.#contents.index.packfile(mac)
    if (found?.coloured) {
      this.#coloured.add(size)
      const free = timestampToMillis(found.coloured) + GRACE_MS
      const day = Math.ceil(free / DAY_MS) * DAY_MS
      const drop = this.#drops.get(day) ?? new Sum()
      this.#drops.set(day, drop)
      drop.add(size)
    } else if (found?.known) {
      this.#knownSeen += 1
      this.#live.add(size)
    } else this.#unknown.add(size)
  }

  #noteState(mac: Mac, size: number): void {
    if (this.#contents?.index.colouredAt(BLOB_TYPES.snapshot, mac)) this.#deletedStates.add(size)
  }
}

/** What lies beside the objects, where the backend can list what it holds. */
async function measureStorage(repository: Repository, options: UsageOptions): Promise<UsageReport['storage']> {
  if (!canListManifests(repository) && !canListBlobs(repository)) return undefined
  const {clock, concurrency, onProgress, signal} = options
  const sums = {unreferencedBlobs: new Sum(), untaggedManifests: new Sum()}
  const check = gcCheck(repository, {
    clock,
    concurrency,
    onProgress: ({done}) => onProgress?.('storage', done),
    signal,
    states: false,
  })
  for await (const {found, kind} of check) {
    const size = typeof found === 'number' ? found : 0
    if (kind === 'unreferenced-blob') sums.unreferencedBlobs.add(size)
    else if (kind === 'untagged-manifest' || kind === 'untagged-object') sums.untaggedManifests.add(0)
  }

  return sums
}
