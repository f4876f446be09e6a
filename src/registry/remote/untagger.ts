import type {Descriptor} from '../descriptor.js'
import type {CallOptions, ManifestStore, Pusher, UntagOptions, UntagResult} from '../interfaces.js'
import type {RawManifest} from '../manifest.js'
import type {RemoteContext} from './context.js'
import type {TagIndex} from './tag-index.js'

import {hasCode, isNotFound, ProtocolError} from '../../errors.js'
import {bufferSource} from '../../util/content-source.js'
import {type Digest} from '../digest.js'
import {RegistryResponseError} from '../errors.js'
import {type TagDeletion} from './capabilities.js'
import {DeleteProbe} from './delete-probe.js'
import {cannotDelete} from './refusals.js'
import {EMPTY_CONFIG, EMPTY_CONFIG_BYTES, emptyStandIn, standInFor} from './stand-in.js'

/** Pauses before a tag that is still there is believed to be: some registries take a moment. */
const SETTLE_MS = [100, 400, 1600] as const

export interface UntaggerParts {
  readonly blobs: Pusher
  readonly context: RemoteContext
  readonly index: TagIndex
  readonly manifests: ManifestStore
}

/** One tag on its way out. */
interface Removal {
  /** The manifest's bytes, read when first needed; undefined when they cannot be. */
  readonly bytes: () => Promise<RawManifest | undefined>
  readonly digest: Digest
  readonly options: UntagOptions
  readonly tag: string
}

/**
 * Removes one tag and nothing that another tag needs. Which way depends on what the registry does:
 *
 * - DELETE of a tag takes the tag alone: that, and the manifest by its digest when no other tag needs it.
 * - DELETE of a tag may take the manifest: that, when no other tag needs it.
 * - Only digests are deleted, or the caller knows which tags could need the manifest: the digest, when none does.
 * - Otherwise the tag is first pointed at a stand-in that nothing else can need, and that is deleted.
 *
 * "No other tag needs it" is proved by asking for every tag that could, never guessed.
 */
export class Untagger {
  readonly #blobs: Pusher
  readonly #context: RemoteContext
  readonly #index: TagIndex
  readonly #manifests: ManifestStore
  readonly #probe: DeleteProbe

  constructor({blobs, context, index, manifests}: UntaggerParts) {
    this.#blobs = blobs
    this.#context = context
    this.#index = index
    this.#manifests = manifests
    this.#probe = new DeleteProbe(context, manifests)
  }

  async untag(tag: string, options: UntagOptions): Promise<UntagResult> {
    const digest = await this.#digestOf(tag, options)
    if (!digest) return {manifestDeleted: false, strategy: 'tag'}
    let read: Promise<RawManifest | undefined> | undefined
    const bytes = async () => {
      read ??= this.#read(digest, options)
      return read
    }

    const removal: Removal = {bytes, digest, options, tag}
    const result = (await this.#unshared(removal)) ?? (await this.#asOffered(removal))
    this.#index.forget(tag)
    return result
  }

  /** In the way that the registry is found to offer. */
  async #asOffered(removal: Removal): Promise<UntagResult> {
    const {options, tag} = removal
    const how = await this.#probe.tagDeletion(tag, async () => this.#standIn(removal), options)
    return this.#remove(removal, how)
  }

  async #byDigest({digest, options, tag}: Removal): Promise<UntagResult> {
    await this.#delete(digest, options)
    await this.#confirmGone(tag, digest, options)
    return {manifestDeleted: true, strategy: 'digest'}
  }

  /** Points the tag at a manifest of its own and deletes that; on failure the tag is put back. */
  async #byStandIn(removal: Removal, how: TagDeletion): Promise<UntagResult> {
    const {bytes, options, tag} = removal
    const original = await bytes()
    const pushed = await this.#pushStandIn(removal)
    try {
      await this.#delete(how === 'no' ? pushed.digest : tag, options)
      await this.#confirmGone(tag, pushed.digest, options)
    } catch (error) {
      // Not the caller's signal: the tag must come back also after an interruption.
      if (original) await this.#manifests.push(original, {tag}).catch(() => {})
      throw error
    }

    return {manifestDeleted: false, strategy: 'replace'}
  }

  /** DELETE of the tag; the manifest too when it is not needed any more. */
  async #byTag({digest, options, tag}: Removal): Promise<UntagResult> {
    const wanted = options.deleteManifest !== false && (await this.#deletesDigests(options))
    // Proved before anything is changed: what cannot be proved stops here.
    const needed = !wanted || (await this.#index.others(digest, tag, options)).length > 0
    await this.#delete(tag, options)
    await this.#confirmGone(tag, digest, options)
    const manifestDeleted = !needed && (await this.#deleteDigest(digest, options))
    return {manifestDeleted, strategy: 'tag'}
  }

  async #confirmGone(tag: string, digest: Digest, {signal}: CallOptions): Promise<void> {
    for (let check = 0; await this.#isAt(tag, digest, {signal}); check++) {
      const pause = SETTLE_MS[check]
      if (pause !== undefined) {
        await this.#context.policy.pause(pause, signal)
        continue
      }

      throw new ProtocolError(`tag ${tag}: still there after the registry acknowledged its deletion`, {
        facts: {digest, tag},
        suggestions: ["Look at the registry's settings for retention and immutable tags, and at its log."],
      })
    }
  }

  async #delete(reference: string, options: CallOptions): Promise<void> {
    const deletion = await this.#probe.delete(reference, options)
    if (deletion.outcome === 'refused') throw cannotDelete(`manifest ${reference}`, deletion.error)
    // Gone already is as good as done: the caller looks.
  }

  /** Deletes a manifest whose tag has gone. The registry's own garbage collection may do it where we may not. */
  async #deleteDigest(digest: Digest, options: CallOptions): Promise<boolean> {
    try {
      const deletion = await this.#probe.delete(digest, options)
      if (deletion.outcome === 'refused') this.#context.capabilities.digestDelete = 'no'
      return deletion.outcome !== 'refused'
    } catch (error) {
      if (error instanceof RegistryResponseError && error.status < 500 && error.status !== 429) return false
      throw error
    }
  }

  async #deletesDigests(options: CallOptions): Promise<boolean> {
    const {capabilities} = this.#context
    if (capabilities.digestDelete === 'unknown') await this.#probe.digestDeletion(options)
    return capabilities.digestDelete === 'yes'
  }

  /** @returns undefined when the tag led nowhere and was removed at once: there is no manifest to take along */
  async #digestOf(tag: string, options: CallOptions): Promise<Digest | undefined> {
    try {
      const {digest} = await this.#manifests.resolve(tag, options)
      return digest
    } catch (error) {
      if (!isNotFound(error)) throw error
      const deletion = await this.#probe.delete(tag, options).catch(() => {})
      if (deletion?.outcome !== 'done') throw error
      return undefined
    }
  }

  async #emptyStandIn({signal}: CallOptions): Promise<RawManifest> {
    await this.#blobs.push(EMPTY_CONFIG, bufferSource(EMPTY_CONFIG_BYTES), {signal})
    return emptyStandIn()
  }

  /** False also when somebody else has written it anew meanwhile: what was to go is gone. */
  async #isAt(tag: string, digest: Digest, {signal}: CallOptions): Promise<boolean> {
    try {
      const current = await this.#manifests.resolve(tag, {signal})
      return current.digest === digest
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  /** The stand-in of the original's kind; one of nothing where the registry misses the original's blobs. */
  async #pushStandIn(removal: Removal): Promise<Descriptor> {
    const {options, tag} = removal
    const standIn = await this.#standIn(removal)
    try {
      return await this.#manifests.push(standIn, {signal: options.signal, tag})
    } catch (error) {
      const misses = error instanceof RegistryResponseError && (error.status === 400 || error.status === 404)
      if (!misses) throw error
      try {
        return await this.#manifests.push(await this.#emptyStandIn(options), {signal: options.signal, tag})
      } catch {
        throw error
      }
    }
  }

  /** @returns undefined for a manifest that is damaged or of a kind we do not know: it can be removed all the same */
  async #read(digest: Digest, {signal}: CallOptions): Promise<RawManifest | undefined> {
    try {
      const {bytes, mediaType} = await this.#manifests.get(digest, {signal})
      return {bytes, mediaType}
    } catch (error) {
      if (hasCode(error, 'INTEGRITY') || hasCode(error, 'PROTOCOL') || isNotFound(error)) return undefined
      throw error
    }
  }

  async #remove(removal: Removal, how: TagDeletion): Promise<UntagResult> {
    if (how === 'untags') return this.#byTag(removal)
    const {digest, options, tag} = removal
    if (how === 'no') {
      const {error, offered} = await this.#probe.digestDeletion(options)
      if (!offered && error) throw cannotDelete(`tag ${tag}`, error)
    }

    // Without the wish to have the manifest gone there is no need to prove anything: the stand-in harms nobody.
    const shared = options.deleteManifest === false || (await this.#index.others(digest, tag, options)).length > 0
    if (shared) return this.#byStandIn(removal, how)
    return how === 'no' ? this.#byDigest(removal) : this.#byTag(removal)
  }

  async #standIn({bytes, options}: Removal): Promise<RawManifest> {
    const original = await bytes()
    return original ? standInFor(original) : this.#emptyStandIn(options)
  }

  /**
   * At once, when the few tags that could need the manifest do not: whatever a DELETE takes along then is not needed, and
   * nothing has to be tried out.
   * @returns undefined when that cannot be told, or the registry does neither
   */
  async #unshared({bytes, digest, options, tag}: Removal): Promise<undefined | UntagResult> {
    const {deleteManifest, sharers, signal} = options
    if (!sharers || deleteManifest === false) return undefined
    const manifest = await bytes()
    const could = manifest && sharers(manifest)
    if (!could) return undefined
    const among = (other: string) => other !== tag && could(other)
    if ((await this.#index.others(digest, tag, {among, signal})).length > 0) return undefined
    const {capabilities} = this.#context
    if (capabilities.tagDelete !== 'no') {
      // The tag first: a registry may delete a manifest and keep what led to it.
      const {outcome} = await this.#probe.delete(tag, options)
      if (outcome === 'done' && !(await this.#isAt(tag, digest, options))) {
        return {manifestDeleted: await this.#deleteDigest(digest, options), strategy: 'tag'}
      }
    }

    if (capabilities.digestDelete === 'no' || !(await this.#deleteDigest(digest, options))) return undefined
    return (await this.#isAt(tag, digest, options)) ? undefined : {manifestDeleted: true, strategy: 'digest'}
  }
}
