import type {Descriptor} from '../descriptor.js'
import type {Digest} from '../digest.js'
import type {CallOptions, UntagOptions, UntagResult} from '../interfaces.js'
import type {FetchedManifest, RawManifest} from '../manifest.js'
import type {MemoryState, StoredManifest} from './state.js'

import {NotFoundError} from '../../errors.js'
import {yieldTurn} from '../../util/abort.js'
import {type OwnedManifests} from '../local/owned-repository.js'
import {describePushed, type ManifestPushOptions} from '../local/push.js'
import {parseManifestReference, parseTag} from '../tag.js'

/** Manifests and tags of one repository in memory. Made by `MemoryRepository`. */
export class MemoryManifests implements OwnedManifests {
  readonly #state: MemoryState

  constructor(state: MemoryState) {
    this.#state = state
  }

  async delete(digest: Digest, {signal}: CallOptions = {}): Promise<void> {
    await yieldTurn(signal)
    this.#stored(digest)
    this.#state.manifests.delete(digest)
    this.#state.tags.deleteAll(digest)
  }

  async get(reference: string, {signal}: CallOptions = {}): Promise<FetchedManifest> {
    await yieldTurn(signal)
    const {bytes, descriptor} = this.#stored(reference)
    return {bytes: Buffer.from(bytes), descriptor, mediaType: descriptor.mediaType}
  }

  getStored(reference: string, options?: CallOptions): Promise<FetchedManifest> {
    return this.get(reference, options)
  }

  async push(manifest: RawManifest, {digest, signal, tag}: ManifestPushOptions = {}): Promise<Descriptor> {
    await yieldTurn(signal)
    if (tag !== undefined) parseTag(tag)
    const descriptor = describePushed(manifest, digest)
    this.#state.manifests.set(descriptor.digest, {bytes: Buffer.from(manifest.bytes), descriptor})
    if (tag !== undefined) this.#state.tags.set(tag, descriptor)
    return descriptor
  }

  async resolve(reference: string, {signal}: CallOptions = {}): Promise<Descriptor> {
    await yieldTurn(signal)
    return this.#stored(reference).descriptor
  }

  async tag(target: Descriptor, tag: string, {signal}: CallOptions = {}): Promise<void> {
    await yieldTurn(signal)
    this.#state.tags.set(parseTag(tag), this.#stored(target.digest).descriptor)
  }

  async untag(tag: string, {deleteManifest = true, signal}: UntagOptions = {}): Promise<UntagResult> {
    await yieldTurn(signal)
    const {manifests, tags} = this.#state
    const {digest} = this.#tagged(parseTag(tag))
    tags.delete(tag)
    const shared = tags.count(digest) > 0 || this.#state.isListedByIndex(digest)
    const manifestDeleted = deleteManifest && !shared && manifests.delete(digest)
    return {manifestDeleted, strategy: 'tag'}
  }

  #stored(reference: string): StoredManifest {
    const asked = parseManifestReference(reference)
    const digest = 'digest' in asked ? asked.digest : this.#tagged(asked.tag).digest
    const stored = this.#state.manifests.get(digest)
    if (stored) return stored
    throw new NotFoundError(`${this.#state.location}: no manifest ${reference}`, {facts: {digest, reference}})
  }

  #tagged(tag: string): Descriptor {
    const target = this.#state.tags.get(tag)
    if (target) return target
    throw new NotFoundError(`${this.#state.location}: no tag ${tag}`, {facts: {reference: tag}})
  }
}
