import type {CallOptions} from '../registry/interfaces.js'
import type {BlobType} from './blob-type.js'
import type {Secret} from './codec/secret.js'
import type {Mac} from './mac.js'
import type {KlosetStore} from './store.js'

import {NotFoundError, StoreFormatError} from '../errors.js'
import {throwIfAborted, yieldTurn} from '../util/abort.js'
import {blobTypeName} from './blob-type.js'
import {type Codec, createCodec, MAX_BLOB_BYTES} from './codec/codec.js'
import {type Configuration, hashingOf, macKeyOf, openConfiguration} from './configuration.js'
import {HEADER_BYTES} from './envelope.js'
import {isObjectFault} from './faults.js'
import {type Hasher, HasherPool} from './hashing.js'
import {decodeBlob, type PackfileIndex, readPackfileIndex} from './packfile.js'
import {PackfileReader} from './reader/packfile-reader.js'
import {type BlobReader, Snapshot} from './snapshot/index.js'
import {type LoadedStates, loadStates, type LoadStatesOptions, type LocationFields} from './state.js'
import {DEFAULT_CONCURRENCY} from './store.js'

/** What compression and encryption may add to a blob at the most, generously. */
const MAX_STORED_BYTES = MAX_BLOB_BYTES + 16 * 1024 * 1024

const READS_A_TURN = 256

export interface OpenContentsOptions extends CallOptions, Pick<LoadStatesOptions, 'createIndex' | 'keptBytes'> {
  /** Bytes of packfiles kept in memory. Default 128 MiB. */
  readonly cacheBytes?: number | undefined
  /** States read at the same time. Default 16. */
  readonly concurrency?: number | undefined
  /** Told after every state that was read. */
  readonly onState?: ((done: number) => void) | undefined
  /** Of an encrypted store (`unlock`). */
  readonly secret?: Secret | undefined
}

/**
 * A store opened for reading what is in it: its configuration, what its states say, and every blob by type and MAC.
 * Nothing is written. It belongs to one thread.
 */
export class StoreContents {
  readonly codec: Codec
  readonly configuration: Configuration
  /** Keyed as the store's MACs are; each use resets it. */
  readonly hasher: Hasher
  /** The same, for what takes more than one turn. */
  readonly hashers: HasherPool
  readonly packfiles: PackfileReader
  /**
   * A blob's content, checked against its MAC: from where kloset reads it, or from any other place that has it sound.
   * @throws NotFoundError when no packfile has it, IntegrityError | StoreFormatError, and what the registry throws
   */
  readonly read: BlobReader = async (type, mac) => {
    // What is in memory is given at once: now and then others get a turn, a signal for one.
    if (++this.#reads % READS_A_TURN === 0) await yieldTurn(this.#signal)
    throwIfAborted(this.#signal)
    const location = this.index.locate(type, mac)
    try {
      if (!location) throw blobMissing(type, mac)
      return await this.readAt(location)
    } catch (error) {
      if (!isObjectFault(error)) throw error
      const spare = await this.#readElsewhere(type, mac, location)
      if (spare) return spare
      throw error
    }
  }
  readonly store: KlosetStore
  #reads = 0
  readonly #signal: AbortSignal | undefined

  readonly #states: LoadedStates

  private constructor(
    store: KlosetStore,
    keys: Pick<StoreContents, 'codec' | 'configuration' | 'hasher' | 'hashers'>,
    states: LoadedStates,
    {cacheBytes, signal}: OpenContentsOptions,
  ) {
    this.codec = keys.codec
    this.configuration = keys.configuration
    this.hasher = keys.hasher
    this.hashers = keys.hashers
    this.packfiles = new PackfileReader(store, {cacheBytes})
    this.store = store
    this.#signal = signal
    this.#states = states
  }

  /**
   * Reads the configuration and all states.
   * @throws NotFoundError when there is no store
   * @throws KlosetOciError with the code UNAUTHORIZED when it is encrypted and there is no secret
   * @throws StoreFormatError | VersionError when its configuration is not sound, and what the registry throws
   */
  static async open(store: KlosetStore, options: OpenContentsOptions = {}): Promise<StoreContents> {
    const {concurrency = DEFAULT_CONCURRENCY, createIndex, keptBytes, onState, secret, signal} = options
    const bytes = await store.getConfig({signal})
    const configuration = await openConfiguration(bytes, {secret: secret?.bytes})
    const codec = await createCodec(configuration, secret)
    const key = await macKeyOf(configuration, secret?.bytes)
    const hashers = new HasherPool(hashingOf(configuration), key)
    const hasher = await hashers.take()
    const states = await loadStates(store, {codec, concurrency, createIndex, hashers, keptBytes, onState, signal})
    return new StoreContents(store, {codec, configuration, hasher, hashers}, states, options)
  }

  /** What all states say together. */
  get index(): LoadedStates['index'] {
    return this.#states.index
  }

  /** States that could not be read: what they say is missing from the index. */
  get unreadable(): LoadedStates['unreadable'] {
    return this.#states.unreadable
  }

  /** Ends what is being loaded, and lets go of where blobs lie; the store stays open. */
  close(): void {
    this.packfiles.close()
    this.index.dispose()
  }

  /** The blob at a place, checked against its MAC. */
  async readAt({length, mac, offset, packfile, type}: Place): Promise<Buffer> {
    const what = `packfile ${packfile}`
    if (length > MAX_STORED_BYTES) {
      throw new StoreFormatError(`${what}: ${blobTypeName(type)} ${mac} would have ${length} bytes`, {
        facts: {blob: mac, length},
      })
    }

    const bytes = await this.#readRange(packfile, HEADER_BYTES + offset, length)
    return decodeBlob({mac, type}, bytes, {codec: this.codec, hasher: this.hasher, what})
  }

  /** The index of a packfile, checked. @throws NotFoundError | IntegrityError | StoreFormatError */
  async readIndex(packfile: Mac): Promise<PackfileIndex> {
    const {size} = await this.store.stat('packfile', packfile, {signal: this.#signal})
    const readAt = async (offset: number, length: number) => this.#readRange(packfile, offset, length)
    return readPackfileIndex({codec: this.codec, hasher: this.hasher, readAt, size, what: `packfile ${packfile}`})
  }

  /** @throws NotFoundError | StoreFormatError | VersionError */
  async snapshot(mac: Mac): Promise<Snapshot> {
    return Snapshot.open(this.read, mac)
  }

  async #readElsewhere(type: BlobType, mac: Mac, tried: LocationFields | undefined): Promise<Buffer | undefined> {
    for (const location of this.index.locations(type, mac)) {
      if (location.packfile === tried?.packfile && location.offset === tried.offset) continue
      try {
        return await this.readAt(location)
      } catch (error) {
        if (!isObjectFault(error)) throw error
      }
    }

    return undefined
  }

  async #readRange(packfile: Mac, offset: number, length: number): Promise<Buffer> {
    const parts: Buffer[] = []
    const range = {length, offset}
    const now = this.packfiles.readNow(packfile, range, (part) => parts.push(part))
    if (!now) for await (const part of this.packfiles.read(packfile, range, {signal: this.#signal})) parts.push(part)
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
    if (bytes.length === length) return bytes
    throw new StoreFormatError(`packfile ${packfile}: ${length} bytes at ${offset} lie beyond its end`, {
      facts: {length, offset},
    })
  }
}

type Place = Pick<LocationFields, 'length' | 'mac' | 'offset' | 'packfile' | 'type'>

function blobMissing(type: BlobType, mac: Mac): NotFoundError {
  return new NotFoundError(`${blobTypeName(type)} ${mac}: no packfile that the store knows has it`, {
    facts: {blob: mac, type: blobTypeName(type)},
  })
}
