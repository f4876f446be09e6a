import type {CallOptions, ManifestStore, Pusher, UntagOptions, UntagResult} from '../interfaces.js'
import type {RemoteContext} from './context.js'
import type {TagWalker} from './tag-walker.js'

import {IntegrityError, isNotFound} from '../../errors.js'
import {bufferSource} from '../../util/content-source.js'
import {isString} from '../../util/json.js'
import {type Descriptor} from '../descriptor.js'
import {type Digest, parseDigest} from '../digest.js'
import {expectStatus} from '../errors.js'
import {describePushed, type ManifestPushOptions} from '../local/push.js'
import {type FetchedManifest, type RawManifest} from '../manifest.js'
import {parseTag} from '../tag.js'
import {discard} from '../transport/body.js'
import {checkDigestHeader} from './headers.js'
import {ManifestReader} from './manifest-reader.js'
import {recordReferrer} from './referrers.js'
import {expectDeleted} from './refusals.js'
import {TagIndex} from './tag-index.js'
import {Untagger} from './untagger.js'

export interface RemoteManifestsParts {
  readonly blobs: Pusher
  readonly context: RemoteContext
  readonly tags: TagWalker
}

/** Manifests and tags of a registry's repository. */
export class RemoteManifests implements ManifestStore {
  readonly #context: RemoteContext
  readonly #index: TagIndex
  readonly #reader: ManifestReader
  readonly #untagger: Untagger

  constructor({blobs, context, tags}: RemoteManifestsParts) {
    this.#context = context
    this.#reader = new ManifestReader(context)
    this.#index = new TagIndex(context, this.#reader, (options) => tags.walk(options))
    this.#untagger = new Untagger({blobs, context, index: this.#index, manifests: this})
  }

  async delete(digest: Digest, {signal}: CallOptions = {}): Promise<void> {
    const url = this.#context.urls.manifest(parseDigest(digest))
    const response = await this.#context.send({access: 'delete', method: 'DELETE', retry: 'safe', signal, url})
    await expectDeleted(response, `manifest ${digest}`)
    this.#index.forgetDigest(digest)
  }

  async get(reference: string, options: CallOptions = {}): Promise<FetchedManifest> {
    return this.#reader.get(reference, options)
  }

  async push(manifest: RawManifest, options: ManifestPushOptions = {}): Promise<Descriptor> {
    const descriptor = describePushed(manifest, options.digest)
    const {signal, tag} = options
    const reference = tag === undefined ? descriptor.digest : parseTag(tag)
    const what = `manifest ${reference}`
    // A PUT of the same bytes is the same PUT: it may be sent again.
    const response = await this.#context.send({
      access: 'push',
      body: bufferSource(manifest.bytes),
      headers: {'content-type': manifest.mediaType},
      method: 'PUT',
      retry: 'safe',
      signal,
      url: this.#context.urls.manifest(reference),
    })
    await expectStatus(response, [200, 201, 202, 204], 'PUT')
    await discard(response.body)
    checkDigestHeader(response, descriptor.digest, what)
    this.#context.capabilities.pushed = true
    if (tag !== undefined) this.#index.note(tag, manifest, descriptor.digest)
    // Anything but 201 is no promise.
    if (this.#context.durable || response.status !== 201) await this.#confirm(reference, descriptor, signal)
    if (!isString(response.headers['oci-subject'])) await recordReferrer(this, {descriptor, manifest, signal})
    return descriptor
  }

  async resolve(reference: string, options: CallOptions = {}): Promise<Descriptor> {
    return this.#reader.resolve(reference, options)
  }

  async tag(target: Descriptor, tag: string, options: CallOptions = {}): Promise<void> {
    parseTag(tag)
    const {bytes, mediaType} = await this.get(parseDigest(target.digest), options)
    await this.push({bytes, mediaType}, {...options, tag})
  }

  async untag(tag: string, options: UntagOptions = {}): Promise<UntagResult> {
    return this.#untagger.untag(parseTag(tag), options)
  }

  /** @throws IntegrityError when the registry does not hold what it has just acknowledged */
  async #confirm(reference: string, expected: Descriptor, signal: AbortSignal | undefined): Promise<void> {
    const digest = await this.#digestOf(reference, signal)
    if (digest === expected.digest) return
    if (digest === undefined) {
      throw new IntegrityError(`manifest ${reference}: is not there after it was pushed`, {
        facts: {expected: expected.digest},
        suggestions: ['The registry acknowledged it: look at its log and storage.'],
      })
    }

    throw new IntegrityError(`manifest ${reference}: is ${digest} after it was pushed, expected ${expected.digest}`, {
      facts: {actual: digest, expected: expected.digest},
      suggestions: ['Another writer may have moved the tag at the same moment: read it before you write again.'],
    })
  }

  async #digestOf(reference: string, signal: AbortSignal | undefined): Promise<Digest | undefined> {
    try {
      const {digest} = await this.resolve(reference, {signal})
      return digest
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }
}
