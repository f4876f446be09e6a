import pMap from 'p-map'

import type {Descriptor} from '../descriptor.js'
import type {Digest} from '../digest.js'
import type {LayoutIndex} from './index-model.js'
import type {ManifestFiles} from './manifest-files.js'

import {throwIfAborted} from '../../util/abort.js'
import {referrerOf} from '../local/referrer.js'

const READS_AT_ONCE = 16

/**
 * Which manifests of a layout refer to which subject. Each manifest is looked into once; as long as the index stays as
 * it is, a question costs one look-up.
 */
export class LayoutReferrers {
  /** Referrers by subject, then by their own digest. */
  readonly #bySubject = new Map<Digest, Map<Digest, Descriptor>>()
  #current: undefined | {readonly index: LayoutIndex; readonly version: number}
  readonly #manifests: ManifestFiles
  /** The subject of every manifest that was looked into, if it has one. */
  readonly #subjects = new Map<Digest, Digest | undefined>()

  constructor(manifests: ManifestFiles) {
    this.#manifests = manifests
  }

  /** @param list gives every manifest of `index` */
  async of(
    subject: Digest,
    index: LayoutIndex,
    list: () => AsyncIterable<Descriptor>,
    signal?: AbortSignal,
  ): Promise<readonly Descriptor[]> {
    const {version} = index
    if (this.#current?.index !== index || this.#current.version !== version) {
      const isComplete = await this.#update(list, signal)
      if (isComplete) this.#current = {index, version}
    }

    return [...(this.#bySubject.get(subject)?.values() ?? [])]
  }

  #forget(digest: Digest): void {
    const subject = this.#subjects.get(digest)
    this.#subjects.delete(digest)
    if (subject === undefined) return
    const referrers = this.#bySubject.get(subject)
    referrers?.delete(digest)
    if (referrers?.size === 0) this.#bySubject.delete(subject)
  }

  async #lookInto(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<boolean> {
    throwIfAborted(signal)
    let bytes: Buffer
    try {
      bytes = await this.#manifests.read(descriptor)
    } catch {
      // It is found damaged where it is asked for; here it cannot tell what it refers to, now.
      return false
    }

    const referrer = referrerOf({bytes, mediaType: descriptor.mediaType}, descriptor)
    this.#subjects.set(descriptor.digest, referrer?.subject)
    if (!referrer) return true
    const referrers = this.#bySubject.get(referrer.subject) ?? new Map<Digest, Descriptor>()
    this.#bySubject.set(referrer.subject, referrers.set(descriptor.digest, referrer.descriptor))
    return true
  }

  /** @returns false when a manifest could not be read: the next question tries it again */
  async #update(list: () => AsyncIterable<Descriptor>, signal: AbortSignal | undefined): Promise<boolean> {
    const present = new Set<Digest>()
    const unknown: Descriptor[] = []
    for await (const descriptor of list()) {
      present.add(descriptor.digest)
      if (!this.#subjects.has(descriptor.digest)) unknown.push(descriptor)
    }

    for (const digest of this.#subjects.keys()) if (!present.has(digest)) this.#forget(digest)
    const done = await pMap(unknown, (descriptor) => this.#lookInto(descriptor, signal), {concurrency: READS_AT_ONCE})
    return done.every(Boolean)
  }
}
