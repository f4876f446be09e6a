import type {Readable} from 'node:stream'

import type {Descriptor} from '../registry/descriptor.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {Clock} from '../util/clock.js'
import type {ContentSource} from '../util/content-source.js'
import type {ResourceName} from './resource.js'

import {AlreadyExistsError, hasCode, IntegrityError, InvalidArgumentError, isNotFound} from '../errors.js'
import {type Digest, Digester} from '../registry/digest.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {abortable} from '../util/abort.js'
import {readableOf} from '../util/content-source.js'
import {isCount} from '../util/json.js'
import {ObjectIndex, type ObjectLocation} from './object-index.js'
import {ObjectWriter} from './object-writer.js'
import {contentMissing, objectMissing} from './store-errors.js'

/** Bytes of an object; unlike a registry's range it may be empty and may lie beyond the end. */
export interface ObjectRange {
  readonly length: number
  readonly offset: number
}

export interface GetOptions extends CallOptions {
  readonly range?: ObjectRange | undefined
}

export interface PutOptions extends CallOptions {
  /** The source's digest when the caller has counted it already, or the source is read once more to get it. */
  readonly digest?: Digest | undefined
  /** Read the blob's and the tag's descriptor back and compare, so that success means stored (default false). */
  readonly durable?: boolean | undefined
  /**
   * Replace an object that is there with other content. Default: false for packfiles and states, which never change
   * under their MAC; true for locks, which are refreshed in place. True also saves the request that asks.
   */
  readonly overwrite?: boolean | undefined
  /** Ask whether the blob is there before it is sent. Default: only when there is a reason to think so. */
  readonly probe?: boolean | undefined
}

/** Bytes under the tags of one repository, as a Kloset store keeps them: what `KlosetStore` is built on. */
export class TagStore {
  readonly #clock: Clock
  readonly #index: ObjectIndex
  readonly #repository: Repository
  readonly #writer: ObjectWriter

  constructor(repository: Repository, clock: Clock) {
    this.#clock = clock
    this.#index = new ObjectIndex(repository)
    this.#repository = repository
    this.#writer = ObjectWriter.for(repository)
  }

  forget(tag: string): void {
    this.#index.forget(tag)
  }

  /** @throws NotFoundError | ProtocolError | StoreFormatError */
  async locate(tag: string, signal?: AbortSignal): Promise<ObjectLocation> {
    try {
      return await this.#index.locate(tag, {signal})
    } catch (error) {
      throw isNotFound(error) ? objectMissing(this.#repository.location, tag, error) : error
    }
  }

  /** As `locate`, with the size asked of the blob when the manifest does not state it. */
  async locateSized(tag: string, signal?: AbortSignal): Promise<ObjectLocation> {
    const location = await this.locate(tag, signal)
    if (location.size >= 0) return location
    try {
      const {size} = await this.#repository.blobs.resolve(location.layer, {signal})
      const sized = {...location, size}
      this.#index.note(tag, sized)
      return sized
    } catch (error) {
      throw isNotFound(error) ? contentMissing(this.#repository.location, tag, location, error) : error
    }
  }

  /**
   * Streams what a tag holds. Whole it is checked against its digest while it passes; of a range the length is.
   * A range that is empty or begins at or beyond the end gives no bytes; one that reaches beyond it is cut there.
   * @throws NotFoundError when there is no such tag
   * @throws KlosetOciError `DAMAGE` when the tag is there and its content is not
   */
  async open(tag: string, options: GetOptions = {}): Promise<Readable> {
    const {range, signal} = options
    if (range && !(isCount(range.offset) && isCount(range.length))) throw rangeInvalid(tag, range)
    const location = await this.locate(tag, signal)
    try {
      return await this.#fetch(tag, location, options)
    } catch (error) {
      if (!isNotFound(error)) throw error
      // Written anew since it was looked up, perhaps: a lock is, every few minutes.
      this.#index.forget(tag)
      const latest = await this.locate(tag, signal)
      if (latest.layer === location.layer) throw contentMissing(this.#repository.location, tag, latest, error)
      return this.#fetch(tag, latest, options)
    }
  }

  /**
   * Stores bytes under a tag: the blob first, the tag last. The same bytes again are no error, and heal a blob that has gone.
   * @throws AlreadyExistsError when other content is there, unless `overwrite`
   * @throws IntegrityError when `durable` finds something else than was written
   */
  async put(resource: ResourceName, tag: string, source: ContentSource, options: PutOptions): Promise<void> {
    const {durable = false, overwrite = false, probe = false, signal} = options
    const digest = options.digest ?? (await digestOfSource(source, signal))
    const layer: Descriptor = {digest, mediaType: MEDIA_TYPE.octetStream, size: source.size}
    const existing = overwrite ? undefined : await this.#existing(tag, signal)
    if (existing && existing.layer !== digest) throw alreadyThere(this.#repository.location, tag, existing, digest)
    if (existing) {
      await this.#writer.ensureConfigBlob({signal})
      await this.#repository.blobs.push(layer, source, {signal})
      if (durable) await this.#readBack(tag, layer, existing.manifest, signal)
      return
    }

    this.#index.forget(tag)
    const created = this.#clock.now()
    const manifest = await this.#writer.write({layer, resource, source, tag}, {created, probe, signal})
    if (durable) await this.#readBack(tag, layer, manifest.digest, signal)
    this.#index.note(tag, {
      created: new Date(created).toISOString(),
      layer: digest,
      manifest: manifest.digest,
      shape: 'own',
      size: source.size,
    })
  }

  async #existing(tag: string, signal: AbortSignal | undefined): Promise<ObjectLocation | undefined> {
    this.#index.forget(tag)
    try {
      return await this.#index.locate(tag, {signal})
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  /** @returns an empty stream when the range holds no byte of the object */
  async #fetch(tag: string, location: ObjectLocation, {range, signal}: GetOptions): Promise<Readable> {
    const {layer, shape} = location
    // The official writer's size comes from a header: the digest alone judges what it wrote.
    const target = {digest: layer, mediaType: MEDIA_TYPE.octetStream, size: shape === 'own' ? location.size : -1}
    if (!range) return this.#repository.blobs.fetch(target, {signal})
    if (range.length === 0) return readableOf(Buffer.alloc(0))
    if (location.size < 0 || range.offset >= location.size) {
      // Before the answer is "nothing there", the blob itself is asked: a manifest's size can be wrong.
      const {size} = await this.#repository.blobs.resolve(layer, {signal})
      if (location.size < 0) this.#index.note(tag, {...location, size})
      if (range.offset >= size) return readableOf(Buffer.alloc(0))
    }

    try {
      return await this.#repository.blobs.fetch(target, {range, signal})
    } catch (error) {
      if (!hasCode(error, 'INVALID_ARGUMENT')) throw error
      // Less is there than the manifest says.
      const {size} = await this.#repository.blobs.resolve(layer, {signal})
      if (range.offset < size) throw error
      return readableOf(Buffer.alloc(0))
    }
  }

  /** @throws IntegrityError when the registry does not hold what it has just acknowledged */
  async #readBack(tag: string, layer: Descriptor, manifest: Digest, signal: AbortSignal | undefined): Promise<void> {
    const {blobs, manifests} = this.#repository
    const [blob, tagged] = await Promise.all([
      blobs.resolve(layer.digest, {signal}).catch((error: unknown) => lost(tag, `blob ${layer.digest}`, error)),
      manifests.resolve(tag, {signal}).catch((error: unknown) => lost(tag, `manifest ${manifest}`, error)),
    ])
    if (blob.size !== layer.size) {
      throw new IntegrityError(`${tag}: stored blob has ${blob.size} bytes, expected ${layer.size}`, {
        facts: {actualSize: blob.size, digest: layer.digest, expectedSize: layer.size, tag},
      })
    }

    if (tagged.digest !== manifest) {
      throw new IntegrityError(`${tag}: points at ${tagged.digest} after the write, expected ${manifest}`, {
        facts: {actual: tagged.digest, expected: manifest, tag},
        suggestions: ['Another writer may have written the same object: read it, and write again if it is not yours.'],
      })
    }
  }
}

function alreadyThere(location: string, tag: string, existing: ObjectLocation, digest: Digest): AlreadyExistsError {
  return new AlreadyExistsError(`${location}: ${tag} is there already, with other content`, {
    facts: {actual: existing.layer, expected: digest, tag},
    suggestions: ['Compare the two before you replace it: an object never changes under its MAC.'],
  })
}

async function digestOfSource(source: ContentSource, signal: AbortSignal | undefined): Promise<Digest> {
  const digester = new Digester()
  const stream = source.open()
  for await (const chunk of signal ? abortable(stream, signal) : stream) digester.update(chunk as Buffer)
  return digester.value()
}

function lost(tag: string, what: string, cause: unknown): never {
  if (!isNotFound(cause)) throw cause
  throw new IntegrityError(`${tag}: ${what} is not there after it was written`, {cause, facts: {tag}})
}

function rangeInvalid(tag: string, {length, offset}: ObjectRange): InvalidArgumentError {
  return new InvalidArgumentError(`${tag}: no such range: ${length} bytes at ${offset}`)
}
