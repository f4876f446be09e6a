import type {CallOptions, Repository} from '../registry/interfaces.js'

import {isNotFound} from '../errors.js'
import {CONFIG_DESCRIPTOR, type ObjectManifest} from '../kloset/object-manifest.js'
import {ObjectWriter} from '../kloset/object-writer.js'
import {type Digest} from '../registry/digest.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {fetchHeld} from './fetched-source.js'

/** A config blob says nothing that a store needs; one beyond this is not copied, the manifest is written anew. */
const MAX_CONFIG_BLOB_BYTES = 1024 * 1024

/** Different ones that are remembered. A store has one; a thousand are a hostile repository's. */
const MAX_REMEMBERED = 1000

/** Sees to it that the config blobs of copied manifests are at the target: each once, however many manifests share it. */
export class ConfigBlobCopier {
  readonly #from: Repository
  readonly #seen = new Map<Digest, Promise<boolean>>()
  readonly #signal: AbortSignal | undefined
  readonly #to: Repository

  constructor({from, signal, to}: CallOptions & {readonly from: Repository; readonly to: Repository}) {
    this.#from = from
    this.#signal = signal
    this.#to = to
  }

  /** @returns false when it is nowhere to be had: a manifest that names it cannot be written */
  async ensure(config: ObjectManifest['config']): Promise<boolean> {
    if (!config) return false
    let pending = this.#seen.get(config.digest)
    if (!pending) {
      if (this.#seen.size >= MAX_REMEMBERED) this.#seen.clear()
      pending = this.#copy(config.digest)
      this.#seen.set(config.digest, pending)
      pending.catch(() => this.#seen.delete(config.digest))
    }

    return pending
  }

  async #copy(digest: Digest): Promise<boolean> {
    const signal = this.#signal
    if (digest === CONFIG_DESCRIPTOR.digest) {
      // Everybody knows its two bytes, whether or not the source still has them.
      await ObjectWriter.for(this.#to).ensureConfigBlob({signal})
      return true
    }

    try {
      const {size} = await this.#from.blobs.resolve(digest, {signal})
      if (size > MAX_CONFIG_BLOB_BYTES) return false
      const target = {digest, mediaType: MEDIA_TYPE.imageConfig, size}
      await this.#to.blobs.push(target, await fetchHeld(this.#from, target, {signal}), {signal})
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }
}
