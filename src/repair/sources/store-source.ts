import type {Digest} from '../../registry/digest.js'
import type {CallOptions, Repository} from '../../registry/interfaces.js'
import type {ObjectName} from '../proof.js'
import type {Copy, Source, Wanted} from './source.js'

import {hasCode, isNotFound} from '../../errors.js'
import {readObjectManifest} from '../../kloset/object-manifest.js'
import {meaningOf} from '../../kloset/resource.js'
import {MEDIA_TYPE} from '../../registry/media-types.js'

/** Another store, in a registry or a layout: found by the same tag, or by the digest alone. */
export class StoreSource implements Source {
  readonly kind = 'store'
  readonly location: string
  readonly #repository: Repository

  constructor(repository: Repository) {
    this.location = repository.location
    this.#repository = repository
  }

  async close(): Promise<void> {
    await this.#repository.close()
  }

  async *copies(wanted: Wanted, options: CallOptions = {}): AsyncGenerator<Copy> {
    const tagged = await this.#tagged(wanted.tag, options)
    if (tagged) yield tagged
    if (wanted.digest === undefined || wanted.digest === tagged?.digest) return
    const copy = await copyOf(this.#repository, wanted.digest, {...options, name: wanted.digest})
    if (copy) yield copy
  }

  async *states(options: CallOptions = {}): AsyncGenerator<ObjectName> {
    for await (const tag of this.#repository.tags(options)) {
      const meaning = meaningOf(tag)
      if (meaning.kind === 'object' && meaning.resource === 'state') yield {mac: meaning.mac, resource: 'state', tag}
    }
  }

  async #tagged(tag: string, options: CallOptions): Promise<Copy | undefined> {
    try {
      const fetched = await this.#repository.manifests.get(tag, options)
      const {layer} = readObjectManifest(fetched, tag)
      return await copyOf(this.#repository, layer, {...options, manifest: fetched.descriptor.digest, name: tag})
    } catch (error) {
      return passOver(error)
    }
  }
}

/** The blob of a repository as a copy; none when it is not there. */
export async function copyOf(
  repository: Repository,
  digest: Digest,
  {manifest, name, signal}: CallOptions & {readonly manifest?: Digest | undefined; readonly name: string},
): Promise<Copy | undefined> {
  try {
    const {size} = await repository.blobs.resolve(digest, {signal})
    const target = {digest, mediaType: MEDIA_TYPE.octetStream, size}
    return {digest, manifest, name, open: async (options) => repository.blobs.fetch(target, options), size}
  } catch (error) {
    return passOver(error)
  }
}

/** What a source has and cannot give is as good as not there. A source that cannot be reached at all is an error. */
export function passOver(error: unknown): undefined {
  if (
    isNotFound(error) ||
    ['DAMAGE', 'INTEGRITY', 'PROTOCOL', 'STORE_FORMAT'].some((code) => hasCode(error, code as 'DAMAGE'))
  )
    return
  throw error
}
