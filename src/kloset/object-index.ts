import {LRUCache} from 'lru-cache'

import type {Digest} from '../registry/digest.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'

import {throwIfAborted, unlessAborted} from '../util/abort.js'
import {readObjectManifest} from './object-manifest.js'
import {meaningOf} from './resource.js'

/** Where an object's bytes are: all that a ranged read needs to know of it. */
export interface ObjectLocation {
  /** Time the object was written, when its manifest says so. */
  readonly created: string | undefined
  readonly layer: Digest
  readonly manifest: Digest
  readonly shape: 'official' | 'own'
  /** As the manifest states it, -1 when unknown. */
  readonly size: number
}

/** Tags remembered, at some 400 bytes each: more than the packfiles of a store of 2 TiB. */
const MAX_ENTRIES = 32_768

/**
 * Remembers where objects are, so that an object costs one manifest request, ever. Packfiles and states only: they never
 * change under their tag, while a lock is written anew every few minutes and would be read stale.
 */
export class ObjectIndex {
  /** Bounded by size, not by `max`: that would make room for all of them at once. */
  readonly #entries = new LRUCache<string, ObjectLocation>({maxSize: MAX_ENTRIES, sizeCalculation: () => 1})
  readonly #pending = new Map<string, Promise<ObjectLocation>>()
  readonly #repository: Repository

  constructor(repository: Repository) {
    this.#repository = repository
  }

  forget(tag: string): void {
    this.#entries.delete(tag)
    this.#pending.delete(tag)
  }

  /** Whether the next `locate` of this tag needs no request. */
  has(tag: string): boolean {
    return this.#entries.has(tag)
  }

  /**
   * Requests for one tag that are under way at the same time are one request.
   * @throws NotFoundError | ProtocolError | StoreFormatError, or a transport error
   */
  async locate(tag: string, {signal}: CallOptions = {}): Promise<ObjectLocation> {
    throwIfAborted(signal)
    const known = this.#entries.get(tag)
    if (known) return known
    if (!isCacheable(tag)) return this.#read(tag, signal)
    let pending = this.#pending.get(tag)
    if (!pending) {
      pending = this.#read(tag)
      this.#pending.set(tag, pending)
      const settled = pending
      const done = (location?: ObjectLocation) => {
        // Forgotten in the meantime (deleted, written anew): what was read may be the old one.
        if (this.#pending.get(tag) !== settled) return
        this.#pending.delete(tag)
        if (location) this.#entries.set(tag, location)
      }

      pending.then(done, () => done())
    }

    return unlessAborted(pending, signal)
  }

  /** Takes note of an object that was just written. */
  note(tag: string, location: ObjectLocation): void {
    this.#pending.delete(tag)
    if (isCacheable(tag)) this.#entries.set(tag, location)
  }

  async #read(tag: string, signal?: AbortSignal): Promise<ObjectLocation> {
    const fetched = await this.#repository.manifests.get(tag, {signal})
    return locationOf(fetched.descriptor.digest, readObjectManifest(fetched, tag))
  }
}

export function locationOf(
  manifest: Digest,
  {annotations, layer, shape, size}: ReturnType<typeof readObjectManifest>,
): ObjectLocation {
  return {created: annotations['org.opencontainers.image.created'], layer, manifest, shape, size}
}

function isCacheable(tag: string): boolean {
  const meaning = meaningOf(tag)
  return meaning.kind === 'object' && meaning.resource !== 'lock'
}
