import fs from 'node:fs/promises'

import type {Descriptor} from '../descriptor.js'
import type {CallOptions, UntagOptions, UntagResult} from '../interfaces.js'
import type {FetchedManifest, RawManifest} from '../manifest.js'
import type {LayoutBlobs} from './blobs.js'
import type {IndexView} from './index-model.js'
import type {ManifestFiles} from './manifest-files.js'

import {isNotFound, NotFoundError} from '../../errors.js'
import {throwIfAborted} from '../../util/abort.js'
import {bufferSource} from '../../util/content-source.js'
import {errnoOf, localIoError} from '../../util/fs-error.js'
import {algorithmOf, type Digest} from '../digest.js'
import {type OwnedManifests} from '../local/owned-repository.js'
import {describePushed, type ManifestPushOptions} from '../local/push.js'
import {parseManifestReference, parseTag} from '../tag.js'
import {sizeOfBlob} from './blob-file.js'
import {assertWritable, type LayoutContext} from './context.js'
import {descriptorOfEntry, entryOf} from './index-entry.js'

/** Manifests and tags of a layout directory: blobs that `index.json` names. */
export class LayoutManifests implements OwnedManifests {
  readonly #blobs: LayoutBlobs
  readonly #context: LayoutContext
  readonly #manifests: ManifestFiles

  constructor(context: LayoutContext, blobs: LayoutBlobs, manifests: ManifestFiles) {
    this.#context = context
    this.#blobs = blobs
    this.#manifests = manifests
  }

  async delete(digest: Digest, {signal}: CallOptions = {}): Promise<void> {
    assertWritable(this.#context)
    await this.#context.index.update(
      {
        after: (index) => this.#removeFile(index, digest),
        edit: async (draft) => {
          if (!(await this.#manifests.lookUp(draft, digest))) throw this.#unknown(digest)
          draft.removeDigest(digest)
        },
      },
      signal,
    )
  }

  async get(reference: string, {signal}: CallOptions = {}): Promise<FetchedManifest> {
    const descriptor = await this.#known(reference, signal)
    try {
      const bytes = await this.#manifests.read(descriptor)
      throwIfAborted(signal)
      return {bytes, descriptor, mediaType: descriptor.mediaType}
    } catch (error) {
      throw isNotFound(error) ? this.#manifests.missing(descriptor.digest, reference) : error
    }
  }

  async getStored(reference: string, {signal}: CallOptions = {}): Promise<FetchedManifest> {
    const descriptor = await this.#known(reference, signal)
    const bytes = await this.#manifests.readStored(descriptor.digest)
    throwIfAborted(signal)
    return {bytes, descriptor, mediaType: descriptor.mediaType}
  }

  async push(manifest: RawManifest, {digest, signal, tag}: ManifestPushOptions = {}): Promise<Descriptor> {
    throwIfAborted(signal)
    assertWritable(this.#context)
    if (tag !== undefined) parseTag(tag)
    const descriptor = describePushed(manifest, digest)
    await this.#store(descriptor, manifest.bytes, signal)
    await this.#context.index.update(
      {
        edit(draft) {
          if (tag === undefined) draft.addUntagged(entryOf(descriptor))
          else draft.setTag(tag, entryOf(descriptor))
        },
        // Another process may have removed the same manifest since: under the lock it cannot any more.
        prepare: () => this.#storeAgain(descriptor, manifest.bytes),
      },
      signal,
    )
    return descriptor
  }

  async resolve(reference: string, {signal}: CallOptions = {}): Promise<Descriptor> {
    const descriptor = await this.#known(reference, signal)
    await this.#manifests.requireFile(descriptor.digest, reference)
    throwIfAborted(signal)
    return descriptor
  }

  async tag(target: Descriptor, tag: string, {signal}: CallOptions = {}): Promise<void> {
    throwIfAborted(signal)
    assertWritable(this.#context)
    parseTag(tag)
    await this.#context.index.update(
      {
        edit: async (draft) => {
          const descriptor = await this.#manifests.lookUp(draft, target.digest)
          if (!descriptor) throw this.#unknown(target.digest)
          await this.#manifests.requireFile(target.digest, target.digest)
          draft.setTag(tag, entryOf(descriptor))
        },
      },
      signal,
    )
  }

  async untag(tag: string, {deleteManifest = true, signal}: UntagOptions = {}): Promise<UntagResult> {
    throwIfAborted(signal)
    assertWritable(this.#context)
    parseTag(tag)
    const {isDeleted} = await this.#context.index.update<{readonly digest: Digest; readonly isDeleted: boolean}>(
      {
        after: async (index, {digest, isDeleted: isGone}) => {
          if (isGone) await this.#removeFile(index, digest)
        },
        edit: async (draft) => {
          const holder = draft.tagged(tag)
          if (!holder) throw new NotFoundError(`${this.#context.location}: no tag ${tag}`, {facts: {reference: tag}})
          const {digest} = holder
          const isShared =
            draft.ofDigest(digest).some((entry) => entry.tag !== tag) || (await this.#manifests.isListed(draft, digest))
          draft.removeTag(tag)
          const keeps = isShared || !deleteManifest
          if (keeps) draft.addUntagged(holder)
          return {digest, isDeleted: !keeps}
        },
      },
      signal,
    )
    return {manifestDeleted: isDeleted, strategy: 'tag'}
  }

  async #known(reference: string, signal: AbortSignal | undefined): Promise<Descriptor> {
    const asked = parseManifestReference(reference)
    const index = await this.#context.index.read(signal)
    if ('tag' in asked) {
      const entry = index.tagged(asked.tag)
      if (entry) return descriptorOfEntry(entry)
      throw new NotFoundError(`${this.#context.location}: no tag ${asked.tag}`, {facts: {reference}})
    }

    const found = await this.#manifests.lookUp(index, asked.digest)
    throwIfAborted(signal)
    if (found) return found
    throw this.#unknown(asked.digest)
  }

  /** Deletes a manifest's blob unless a later change of the same write has named it again. */
  async #removeFile(index: IndexView, digest: Digest): Promise<void> {
    if (index.ofDigest(digest).length > 0) return
    const path = this.#context.files.blobPath(digest)
    await fs.unlink(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw localIoError(error, 'delete', path)
    })
  }

  /** Writes a manifest's blob unless the very bytes are there: a damaged one is healed by a push. */
  async #store(descriptor: Descriptor, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const isThere =
      (await this.#blobs.keep(descriptor)) &&
      (await this.#manifests.read(descriptor).then(
        () => true,
        () => false,
      ))
    if (!isThere) await this.#blobs.push(descriptor, bufferSource(bytes), {force: true, signal})
  }

  async #storeAgain(descriptor: Descriptor, bytes: Uint8Array): Promise<void> {
    const size = await sizeOfBlob(this.#context.files, descriptor.digest).catch(() => -1)
    if (size !== descriptor.size) await this.#blobs.push(descriptor, bufferSource(bytes), {force: true})
  }

  #unknown(digest: Digest): NotFoundError {
    return new NotFoundError(`${this.#context.location}: no ${algorithmOf(digest)} manifest ${digest}`, {
      facts: {digest, reference: digest},
    })
  }
}
