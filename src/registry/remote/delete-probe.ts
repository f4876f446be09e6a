import {randomBytes} from 'node:crypto'

import type {CallOptions, ManifestStore} from '../interfaces.js'
import type {RawManifest} from '../manifest.js'
import type {TagDeletion} from './capabilities.js'
import type {RemoteContext} from './context.js'

import {isNotFound} from '../../errors.js'
import {type Digest, digestOf} from '../digest.js'
import {RegistryResponseError} from '../errors.js'
import {noteTrial, trialTag} from '../trial-tags.js'
import {type Deletion, deletionOf} from './refusals.js'
import {nonce} from './stand-in.js'

/**
 * Finds out what the registry deletes, once, without touching anything that is there: first by deleting what does not
 * exist, then, where that looks good, with a tag of its own.
 */
export class DeleteProbe {
  readonly #context: RemoteContext
  readonly #manifests: ManifestStore

  constructor(context: RemoteContext, manifests: ManifestStore) {
    this.#context = context
    this.#manifests = manifests
  }

  /** DELETE of a tag or a digest, which is only answered here. */
  async delete(reference: string, {signal}: CallOptions): Promise<Deletion> {
    const url = this.#context.urls.manifest(reference)
    return deletionOf(await this.#context.send({access: 'delete', method: 'DELETE', retry: 'safe', signal, url}))
  }

  /** Whether manifests can be deleted by digest. The refusal is kept for the error that it leads to. */
  async digestDeletion(
    options: CallOptions,
  ): Promise<{readonly error?: RegistryResponseError; readonly offered: boolean}> {
    const {capabilities} = this.#context
    if (capabilities.digestDelete === 'yes') return {offered: true}
    const deletion = await this.delete(digestOf(randomBytes(32)), options)
    capabilities.digestDelete = deletion.outcome === 'refused' ? 'no' : 'yes'
    return deletion.outcome === 'refused' ? {error: deletion.error, offered: false} : {offered: true}
  }

  /**
   * What DELETE does to a tag.
   * @param removed the tag that is to go. The probe's own is named after it: what a process has left that was killed
   * meanwhile, the next one that removes the same tag takes away.
   * @param standIn a manifest of its own digest that may lie in the repository for a moment
   */
  async tagDeletion(removed: string, standIn: () => Promise<RawManifest>, options: CallOptions): Promise<TagDeletion> {
    const {capabilities} = this.#context
    if (capabilities.tagDelete === 'unknown') capabilities.tagDelete = await this.#probe(removed, standIn, options)
    return capabilities.tagDelete
  }

  async #cleanUp(tag: string, digest: Digest, options: CallOptions): Promise<void> {
    const {capabilities} = this.#context
    try {
      const deletion = await this.delete(digest, options)
      if (deletion.outcome !== 'absent') capabilities.digestDelete = deletion.outcome === 'done' ? 'yes' : 'no'
      if (deletion.outcome !== 'done') await this.delete(tag, options)
    } catch (error) {
      if (!(error instanceof RegistryResponseError)) throw error
    }
  }

  async #isThere(reference: string, options: CallOptions): Promise<boolean> {
    try {
      await this.#manifests.resolve(reference, options)
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  async #probe(removed: string, standIn: () => Promise<RawManifest>, options: CallOptions): Promise<TagDeletion> {
    const absent = await this.delete(`kloset-oci-absent-${nonce()}`, options)
    if (absent.outcome === 'refused') return 'no'
    const tag = trialTag('deletion', digestOf(Buffer.from(removed)).slice('sha256:'.length, 31))
    let digest: Digest
    try {
      const noted = noteTrial(await standIn(), this.#context.policy.clock.now())
      const pushed = await this.#manifests.push(noted, {...options, tag})
      digest = pushed.digest
    } catch (error) {
      // No right to push, tags that cannot be changed, a quota: then only what is proved unshared may be deleted so.
      if (error instanceof RegistryResponseError && error.status < 500 && error.status !== 429) return 'unproven'
      throw error
    }

    try {
      const deletion = await this.delete(tag, options)
      if (deletion.outcome !== 'done' || (await this.#isThere(tag, options))) return 'no'
      return (await this.#isThere(digest, options)) ? 'untags' : 'takes-manifest'
    } finally {
      await this.#cleanUp(tag, digest, options)
    }
  }
}
