import type {Finding} from '../../checker/findings.js'
import type {Digest} from '../../registry/digest.js'
import type {CallOptions, Repository} from '../../registry/interfaces.js'
import type {ObjectName} from '../proof.js'
import type {StoreKeys} from '../store-keys.js'
import type {Copy, Source, Wanted} from './source.js'

import {isNotFound} from '../../errors.js'
import {HEADER_BYTES, parseHeader, resourceOfType} from '../../kloset/envelope.js'
import {isMac, type Mac} from '../../kloset/mac.js'
import {readObjectManifest} from '../../kloset/object-manifest.js'
import {CONFIG_TAG, meaningOf, type ResourceName, tagOf} from '../../kloset/resource.js'
import {isDigest} from '../../registry/digest.js'
import {canListBlobs, canListManifests} from '../../registry/interfaces.js'
import {MAX_MANIFEST_BYTES, type RawManifest} from '../../registry/manifest.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'
import {collect} from '../../util/collect.js'
import {judgeObject} from '../proof.js'
import {readStateFacts} from '../state-facts.js'
import {copyOf, passOver} from './store-source.js'

/** A configuration has some hundred bytes. */
const MAX_CONFIG_BYTES = 16 * 1024

/** Objects without a tag that are looked into: a store whose manifests were all lost has more, and is told so. */
const MAX_LOOSE = 100_000

interface Loose {
  readonly copy: Copy
  /** Told by the content, once it was read: the MAC of a packfile or state. */
  readonly mac: Mac | undefined
  readonly resource: ResourceName
}

/**
 * The store itself: what lies in it without its tag, or under another's. Where the storage can be listed, untagged
 * manifests and blobs that no manifest names are known from the check.
 */
export class SelfSource implements Source {
  readonly kind = 'self'
  readonly location: string
  readonly #blobs = new Set<Digest>()
  readonly #configs: Copy[] = []
  readonly #keys: StoreKeys | undefined
  #loose: readonly Loose[] | undefined
  /** Manifests by the tag that they are said to belong to. */
  readonly #manifests = new Map<string, Set<Digest>>()
  readonly #repository: Repository
  /** Manifests that do not say what they hold. */
  readonly #unnamed = new Set<Digest>()

  constructor(repository: Repository, keys: StoreKeys | undefined) {
    this.location = repository.location
    this.#keys = keys
    this.#repository = repository
  }

  async close(): Promise<void> {}

  async *copies(wanted: Wanted, options: CallOptions = {}): AsyncGenerator<Copy> {
    for (const manifest of this.#manifests.get(wanted.tag) ?? []) {
      const copy = await this.#inManifest(manifest, options)
      if (copy) yield copy
    }

    if (wanted.digest !== undefined) {
      const copy = await copyOf(this.#repository, wanted.digest, {...options, name: wanted.digest})
      if (copy) yield copy
    }

    if (wanted.resource === 'config') yield* this.#configs
    for (const {copy, mac, resource} of await this.#index(options)) {
      if (resource === wanted.resource && (resource === 'config' || (mac !== undefined && mac === wanted.mac)))
        yield copy
    }
  }

  /** Learns of something that lies in the store and belongs elsewhere. */
  async learn({digest, found, kind, object, tag}: Finding, options: CallOptions = {}): Promise<void> {
    if (kind === 'unreferenced-blob' && digest) this.#blobs.add(digest)
    if ((kind === 'untagged-object' || kind === 'config-duplicate' || kind === 'untagged-manifest') && digest) {
      if (tag === undefined) this.#unnamed.add(digest)
      else this.#note(tag, digest)
    }

    if (kind === 'name-mismatch' && tag !== undefined && typeof found === 'string') {
      const resource = object?.resource
      const named = (resource === 'packfile' || resource === 'state') && isMac(found) ? tagOf(resource, found) : found
      if (meaningOf(named).kind === 'foreign') return
      const manifest = await this.#repository.manifests.resolve(tag, options).catch((error: unknown) => passOver(error))
      if (manifest) this.#note(named, manifest.digest)
    }
  }

  /** Looks for configurations without a tag, where the storage can be listed. */
  async learnConfigs(options: CallOptions = {}): Promise<void> {
    const repository = this.#repository
    if (canListManifests(repository)) {
      for await (const {digest} of repository.manifestDigests(options)) {
        const found = await this.#inManifest(digest, options)
        if (found && found.size <= MAX_CONFIG_BYTES && (await this.#holdsConfig(found, options)))
          this.#note(CONFIG_TAG, digest)
      }
    }

    if (!canListBlobs(repository)) return
    for await (const {digest, size} of repository.blobDigests(options)) {
      if (size > MAX_CONFIG_BYTES) continue
      const copy = await copyOf(repository, digest, {...options, name: digest})
      if (copy && (await this.#holdsConfig(copy, options))) this.#configs.push(copy)
    }
  }

  /** Packfiles that lie in the store without their tags. */
  async *packfiles(options: CallOptions = {}): AsyncGenerator<ObjectName> {
    yield* this.#named('packfile', options)
  }

  async *states(options: CallOptions = {}): AsyncGenerator<ObjectName> {
    yield* this.#named('state', options)
  }

  async #holdsConfig(copy: Copy, options: CallOptions): Promise<boolean> {
    return (await this.#identify(copy, options))?.resource === 'config'
  }

  async #identify(copy: Copy, options: CallOptions): Promise<Loose | undefined> {
    try {
      const head: Buffer[] = []
      let size = 0
      for await (const chunk of await copy.open(options)) {
        head.push(chunk as Buffer)
        size += (chunk as Buffer).length
        if (size >= HEADER_BYTES) break
      }

      const resource = resourceOfType(parseHeader(Buffer.concat(head), copy.name).type)
      if (resource === undefined || resource === 'lock') return undefined
      if (resource === 'config') return {copy, mac: undefined, resource}
      return {copy, mac: await this.#nameOf(resource, copy, options), resource}
    } catch (error) {
      return passOver(error)
    }
  }

  /** What the loose blobs and the manifests without a name hold, read once. */
  async #index(options: CallOptions): Promise<readonly Loose[]> {
    if (this.#loose) return this.#loose
    const loose: Loose[] = []
    for (const digest of this.#unnamed) {
      const copy = await this.#inManifest(digest, options)
      const known = copy && (await this.#identify(copy, options))
      if (known) loose.push(known)
    }

    for (const digest of this.#blobs) {
      if (loose.length >= MAX_LOOSE) break
      const copy = await copyOf(this.#repository, digest, {...options, name: digest})
      const known = copy && (await this.#identify(copy, options))
      if (known) loose.push(known)
    }

    this.#loose = loose
    return loose
  }

  async #inManifest(manifest: Digest, options: CallOptions): Promise<Copy | undefined> {
    try {
      const fetched = await this.#manifest(manifest, options)
      const {layer} = readObjectManifest(fetched, manifest)
      return await copyOf(this.#repository, layer, {...options, manifest, name: manifest})
    } catch (error) {
      return passOver(error)
    }
  }

  /** A manifest, also one that the storage knows as a blob only: its entry was lost. */
  async #manifest(digest: Digest, options: CallOptions): Promise<RawManifest> {
    try {
      return await this.#repository.manifests.get(digest, options)
    } catch (error) {
      if (!isNotFound(error)) throw error
      const target = await this.#repository.blobs.resolve(digest, options)
      const stream = await this.#repository.blobs.fetch(target, options)
      return {
        bytes: await collect(stream, {limit: MAX_MANIFEST_BYTES, what: digest}),
        mediaType: MEDIA_TYPE.imageManifest,
      }
    }
  }

  async *#named(wanted: 'packfile' | 'state', options: CallOptions): AsyncGenerator<ObjectName> {
    for (const tag of this.#manifests.keys()) {
      const meaning = meaningOf(tag)
      if (meaning.kind === 'object' && meaning.resource === wanted) yield {mac: meaning.mac, resource: wanted, tag}
    }

    for (const {mac, resource} of await this.#index(options)) {
      if (resource === wanted && mac !== undefined) yield {mac, resource, tag: tagOf(resource, mac)}
    }
  }

  async #nameOf(resource: 'packfile' | 'state', copy: Copy, options: CallOptions): Promise<Mac | undefined> {
    if (!this.#keys?.codec) return undefined
    if (resource === 'state') {
      const facts = await readStateFacts(copy, this.#keys, options)
      return facts?.name
    }

    const anything = '0'.repeat(64) as Mac
    const name = {mac: anything, resource, tag: copy.name}
    const judged = await judgeObject(name, await copy.open(options), {keys: this.#keys, size: copy.size})
    return judged.isAuthentic === true && judged.name !== undefined && isMac(judged.name) ? judged.name : undefined
  }

  #note(tag: string, manifest: Digest): void {
    const known = this.#manifests.get(tag)
    if (known) known.add(manifest)
    else this.#manifests.set(tag, new Set([manifest]))
  }
}

/** A layer's digest out of a manifest that readers refuse, as far as it can be made out. */
export function looseLayerOf(bytes: Uint8Array): Digest | undefined {
  const found = /"layers"\s*:\s*\[\s*\{[^\]]*?"digest"\s*:\s*"(sha(?:256|512):[\da-f]+)"/.exec(
    Buffer.from(bytes).toString('utf8'),
  )?.[1]
  return found !== undefined && isDigest(found) ? found : undefined
}
