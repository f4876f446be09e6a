import type {Readable} from 'node:stream'

import {pMapIterable} from 'p-map'

import type {CallOptions, Repository, UntagOptions, UntagResult} from '../registry/interfaces.js'
import type {Clock} from '../util/clock.js'
import type {ContentSource} from '../util/content-source.js'

import {InvalidArgumentError, isNotFound, NotFoundError} from '../errors.js'
import {type Digest} from '../registry/digest.js'
import {canProbeAccess} from '../registry/interfaces.js'
import {systemClock} from '../util/clock.js'
import {collect} from '../util/collect.js'
import {bufferSource} from '../util/content-source.js'
import {type Configuration, openConfiguration} from './configuration.js'
import {type Mac, parseMac} from './mac.js'
import {namesItself} from './object-manifest.js'
import {CONFIG_TAG, meaningOf, type Resource, type TagMeaning, tagOf} from './resource.js'
import {objectMissing} from './store-errors.js'
import {type GetOptions, type PutOptions, TagStore} from './tag-store.js'

export {type GetOptions, type ObjectRange, type PutOptions} from './tag-store.js'

/** A configuration is some hundred bytes; what is larger is not one. */
export const MAX_CONFIG_BYTES = 1024 * 1024

/** Tags looked up at the same time by walks over the whole store. */
export const DEFAULT_CONCURRENCY = 16

/** Candidates named when a prefix fits more than one object. */
const MAX_CANDIDATES = 5

/** One object as the store holds it. */
export interface ObjectStat {
  /** RFC 3339, when the manifest says. */
  readonly created: string | undefined
  readonly digest: Digest
  readonly mac: Mac
  readonly manifestDigest: Digest
  readonly resource: Resource
  readonly shape: 'official' | 'own'
  /** Bytes of the stored object. */
  readonly size: number
  readonly tag: string
}

/** A tag of the repository and what it names. */
export type StoreEntry = TagMeaning & {readonly tag: string}

/** What the credentials allow. `MODE_BITS` are the numbers of plakar's protocol. */
export interface StoreMode {
  readonly read: boolean
  readonly write: boolean
}

/** @see kloset connectors/storage/storage.go `ModeWrite`, `ModeRead` */
export const MODE_BITS = {read: 4, write: 2} as const

export interface StoreOptions {
  readonly clock?: Clock | undefined
  /** Requests at the same time in walks over the store: `size`. Default 16. */
  readonly concurrency?: number | undefined
  /** CONFIG's bytes when the caller has them. */
  readonly configuration?: Uint8Array | undefined
}

/**
 * A Kloset store in an OCI repository: objects under a resource and a MAC, and one configuration.
 * Made by `openStore` and `createStore`; the constructor itself contacts nothing, and serves where there is no
 * configuration to read (a damaged store, a copy under way).
 */
export class KlosetStore {
  readonly repository: Repository
  readonly #concurrency: number
  #config: Buffer | undefined
  #configuration: Promise<Configuration> | undefined
  readonly #tags: TagStore

  constructor(repository: Repository, options: StoreOptions = {}) {
    const {clock = systemClock, concurrency = DEFAULT_CONCURRENCY, configuration} = options
    this.repository = repository
    this.#concurrency = concurrency
    this.#config = configuration && Buffer.from(configuration)
    this.#tags = new TagStore(repository, clock)
  }

  /** How an operator writes it: `oci://host/path` or `oci-layout:PATH`. */
  get location(): string {
    return this.repository.location
  }

  /** Frees the repository's connections and locks. */
  async close(): Promise<void> {
    await this.repository.close()
  }

  /**
   * The configuration, decoded once. The MAC of an encrypted store's needs the secret and is not checked here.
   * @throws NotFoundError | StoreFormatError | VersionError
   */
  async configuration(options?: CallOptions): Promise<Configuration> {
    const bytes = await this.getConfig(options)
    this.#configuration ??= openConfiguration(bytes)
    return this.#configuration
  }

  /**
   * Removes an object's tag, and its manifest when nothing else uses it.
   * @throws NotFoundError | UnsupportedError
   */
  async delete(resource: Resource, mac: Mac, options?: UntagOptions): Promise<UntagResult> {
    const tag = tagOf(resource, mac)
    this.#tags.forget(tag)
    try {
      const sharers = resource === 'lock' ? lockSharers(tag) : undefined
      return await this.repository.manifests.untag(tag, {...options, sharers})
    } catch (error) {
      throw isNotFound(error) ? objectMissing(this.location, tag, error) : error
    } finally {
      this.#tags.forget(tag)
    }
  }

  /**
   * Streams an object. Whole objects are checked against their digest while they pass; of a range its length is.
   * A range that is empty or begins at or beyond the end gives no bytes; one that reaches beyond it is cut there.
   * @throws NotFoundError when there is no such object
   * @throws KlosetOciError `DAMAGE` when its tag is there and its content is not
   */
  async get(resource: Resource, mac: Mac, options?: GetOptions): Promise<Readable> {
    return this.#tags.open(tagOf(resource, mac), options)
  }

  /** CONFIG's bytes, read once. @throws NotFoundError */
  async getConfig({signal}: CallOptions = {}): Promise<Buffer> {
    this.#config ??= await collect(await this.#tags.open(CONFIG_TAG, {signal}), {
      limit: MAX_CONFIG_BYTES,
      what: CONFIG_TAG,
    })
    return this.#config
  }

  /**
   * MACs of every object of one kind, each once, in the registry's order.
   * @yields a MAC
   */
  async *list(resource: Resource, options?: CallOptions): AsyncIterable<Mac> {
    for await (const entry of this.listAll(options)) {
      if (entry.kind === 'object' && entry.resource === resource) yield entry.mac
    }
  }

  /**
   * Every tag of the repository with what it names; foreign ones too.
   * @yields a tag and its meaning
   */
  async *listAll(options?: CallOptions): AsyncIterable<StoreEntry> {
    for await (const tag of this.repository.tags(options)) yield {...meaningOf(tag), tag}
  }

  /** What these credentials allow. A backend that cannot tell without writing is taken to allow both. */
  async mode(options?: CallOptions): Promise<StoreMode> {
    if (canProbeAccess(this.repository)) return this.repository.access(options)
    await this.ping(options)
    return {read: true, write: true}
  }

  async ping(options?: CallOptions): Promise<void> {
    await this.repository.ping(options)
  }

  /**
   * Stores an object: its blob first, its tag last.
   * Putting the same bytes again is no error and heals a blob that has gone.
   * @returns bytes of the object
   * @throws AlreadyExistsError when other content is there and `overwrite` is false
   * @throws IntegrityError when `durable` finds something else than was written
   */
  async put(resource: Resource, mac: Mac, source: ContentSource, options: PutOptions = {}): Promise<number> {
    const {overwrite = resource === 'lock'} = options
    await this.#tags.put(resource, tagOf(resource, mac), source, {...options, overwrite})
    return source.size
  }

  /**
   * Stores the configuration.
   * @throws AlreadyExistsError unless `overwrite`, when there is one with other content
   */
  async putConfig(bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
    const {overwrite = false} = options
    await this.#tags.put('config', CONFIG_TAG, bufferSource(bytes), {...options, overwrite})
    this.#config = Buffer.from(bytes)
    this.#configuration = undefined
  }

  /**
   * The one object whose MAC begins with `prefix`: for reading only, since a list can be old.
   * @throws InvalidArgumentError when it fits several, or is no prefix of a MAC
   * @throws NotFoundError
   */
  async resolveMac(resource: Resource, prefix: string, options?: CallOptions): Promise<Mac> {
    const lower = prefix.toLowerCase()
    if (lower.length >= 64) return parseMac(lower)
    if (!/^[\da-f]+$/.test(lower))
      throw new InvalidArgumentError(`not the beginning of a MAC: "${prefix.slice(0, 80)}"`)
    let count = 0
    const shown: Mac[] = []
    for await (const mac of this.list(resource, options)) {
      if (!mac.startsWith(lower)) continue
      count += 1
      if (shown.length < MAX_CANDIDATES) shown.push(mac)
    }

    const [first] = shown
    if (first === undefined) {
      throw new NotFoundError(`${this.location}: no ${resource} begins with ${lower}`, {
        facts: {prefix: lower, resource},
      })
    }

    if (count === 1) return first
    throw new InvalidArgumentError(`${count} ${resource}s begin with ${lower}`, {
      facts: {candidates: shown.join(' '), count, prefix: lower, resource},
      suggestions: shown.map((mac) => `Did you mean ${mac}?`),
    })
  }

  /**
   * Bytes stored under all tags of the store. Sizes that a manifest does not state are asked of the blobs; an object
   * that vanishes meanwhile counts nothing.
   */
  async size({signal}: CallOptions = {}): Promise<number> {
    let total = 0
    const sizes = pMapIterable(this.#ownTags(signal), async (tag) => this.#sizeOf(tag, signal), {
      concurrency: this.#concurrency,
    })
    for await (const size of sizes) total += size
    return total
  }

  /** @throws NotFoundError | StoreFormatError */
  async stat(resource: Resource, mac: Mac, {signal}: CallOptions = {}): Promise<ObjectStat> {
    const tag = tagOf(resource, mac)
    const {created, layer, manifest, shape, size} = await this.#tags.locateSized(tag, signal)
    return {created, digest: layer, mac, manifestDigest: manifest, resource, shape, size, tag}
  }

  async *#ownTags(signal: AbortSignal | undefined): AsyncGenerator<string> {
    for await (const {kind, tag} of this.listAll({signal})) if (kind !== 'foreign') yield tag
  }

  async #sizeOf(tag: string, signal: AbortSignal | undefined): Promise<number> {
    try {
      const {size} = await this.#tags.locateSized(tag, signal)
      return size
    } catch (error) {
      if (isNotFound(error)) return 0
      throw error
    }
  }
}

/**
 * A lock goes at the end of every backup, and a store has tens of thousands of packfiles: they are not asked whether
 * they are that lock, once its manifest names itself as we write it. Locks and foreign tags are.
 */
function lockSharers(tag: string): UntagOptions['sharers'] {
  return (manifest) => {
    if (!namesItself(manifest, tag)) return
    return (other) => {
      const meaning = meaningOf(other)
      return meaning.kind !== 'object' || meaning.resource === 'lock'
    }
  }
}
