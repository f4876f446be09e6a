import {Readable} from 'node:stream'

import type {Descriptor} from '../../registry/descriptor.js'
import type {FetchedManifest} from '../../registry/manifest.js'
import type {ObjectName} from '../proof.js'
import type {Copy} from '../sources/source.js'

import {NotFoundError, UnsupportedError} from '../../errors.js'
import {buildObjectManifest} from '../../kloset/object-manifest.js'
import {type Digest} from '../../registry/digest.js'
import {
  type BlobStore,
  type CallOptions,
  canListBlobs,
  canListManifests,
  canTellTime,
  type FetchOptions,
  type ManifestStore,
  type Repository,
} from '../../registry/interfaces.js'
import {describeManifest} from '../../registry/manifest.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'

/** A sound copy of an object, with the digest that was counted. */
export interface SoundCopy extends Copy {
  readonly digest: Digest
}

/**
 * A store as it will be when some of its objects have been healed: those are read from their copies, and objects that
 * nothing can heal are left out. Planning reads through it what the damage hides. Nothing is written.
 */
export class OverlayRepository implements Repository {
  readonly blobs: BlobStore
  readonly location: string
  readonly manifests: ManifestStore
  readonly #base: Repository
  readonly #copies = new Map<Digest, SoundCopy>()
  readonly #hidden = new Set<string>()
  readonly #manifests = new Map<string, FetchedManifest>()

  constructor(base: Repository) {
    this.#base = base
    this.location = base.location
    this.blobs = {
      delete: refuse,
      fetch: async (target, options) => this.#fetch(target, options),
      push: refuse,
      resolve: async (reference, options) => {
        const copy = this.#copies.get(reference as Digest)
        if (copy) return {digest: copy.digest, mediaType: MEDIA_TYPE.octetStream, size: copy.size}
        return this.#base.blobs.resolve(reference, options)
      },
    }
    this.manifests = {
      delete: refuse,
      get: async (reference, options) => this.#known(reference) ?? this.#base.manifests.get(reference, options),
      push: refuse,
      resolve: async (reference, options) =>
        this.#known(reference)?.descriptor ?? this.#base.manifests.resolve(reference, options),
      tag: refuse,
      untag: refuse,
    }
  }

  /** The base stays open: it is its owner's. */
  async close(): Promise<void> {}

  /** Shows an object as its copy has it. */
  heal({resource, tag}: ObjectName, copy: SoundCopy): void {
    const layer = {digest: copy.digest, mediaType: MEDIA_TYPE.octetStream, size: copy.size}
    const raw = buildObjectManifest({artifactType: true, created: 0, layer, resource, tag})
    this.#copies.set(copy.digest, copy)
    this.#hidden.delete(tag)
    this.#manifests.set(tag, {...raw, descriptor: describeManifest(raw)})
  }

  /** Leaves a tag out. */
  hide(tag: string): void {
    this.#manifests.delete(tag)
    this.#hidden.add(tag)
  }

  async ping(options?: CallOptions): Promise<void> {
    await this.#base.ping(options)
  }

  async *tags(options?: CallOptions): AsyncGenerator<string> {
    const left = new Set(this.#manifests.keys())
    for await (const tag of this.#base.tags(options)) {
      left.delete(tag)
      if (!this.#hidden.has(tag)) yield tag
    }

    yield* left
  }

  /** The same, with what lies in the storage and with the time, where the base tells of them. */
  withStorage(): Repository {
    const base = this.#base
    const {blobs, location, manifests} = this
    return {
      blobs,
      close: async () => this.close(),
      location,
      manifests,
      ping: async (options) => this.ping(options),
      tags: (options) => this.tags(options),
      ...(canTellTime(base) && {time: async (options?: CallOptions) => base.time(options)}),
      ...(canListBlobs(base) && {blobDigests: (options?: CallOptions) => base.blobDigests(options)}),
      ...(canListManifests(base) && {manifestDigests: (options?: CallOptions) => base.manifestDigests(options)}),
    }
  }

  async #fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    const copy = this.#copies.get(target.digest)
    if (!copy) return this.#base.blobs.fetch(target, options)
    const {range, signal} = options
    // A copy that lies in a repository would take a range as well, and it would be cut twice.
    const stream = await copy.open({signal})
    return range ? cut(stream, range) : stream
  }

  #known(reference: string): FetchedManifest | undefined {
    if (this.#hidden.has(reference)) {
      throw new NotFoundError(`${this.location}: no tag ${reference}`, {facts: {reference}})
    }

    return this.#manifests.get(reference)
  }
}

/** A copy is read from its beginning: what lies before the range is thrown away. */
function cut(stream: Readable, {length, offset}: NonNullable<FetchOptions['range']>): Readable {
  async function* within(): AsyncGenerator<Buffer> {
    let at = 0
    for await (const piece of stream) {
      const chunk = piece as Buffer
      const start = Math.max(0, offset - at)
      const end = Math.min(chunk.length, offset + length - at)
      at += chunk.length
      if (end > start) yield chunk.subarray(start, end)
      if (at >= offset + length) return
    }
  }

  return Readable.from(within())
}

async function refuse(): Promise<never> {
  throw new UnsupportedError('nothing is written while a repair is planned')
}
