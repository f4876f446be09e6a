import type {Mac} from '../kloset/mac.js'
import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {StoreKeys} from './store-keys.js'

import {readObjectManifest} from '../kloset/object-manifest.js'
import {type PackfileIndex, type ReadAt, readPackfileIndex} from '../kloset/packfile.js'
import {tagOf} from '../kloset/resource.js'
import {type Digest} from '../registry/digest.js'
import {MEDIA_TYPE} from '../registry/media-types.js'
import {collect} from '../util/collect.js'

/** Reads ranges of a blob, which nothing checks but what the reader makes of them. */
export function rangeReader(repository: Repository, digest: Digest, size: number, {signal}: CallOptions = {}): ReadAt {
  const target = {digest, mediaType: MEDIA_TYPE.octetStream, size}
  return async (offset, length) => {
    if (length === 0) return Buffer.alloc(0)
    const stream = await repository.blobs.fetch(target, {range: {length, offset}, signal})
    return collect(stream, {limit: length, what: digest})
  }
}

/**
 * The index of a packfile of the store.
 * @throws NotFoundError | StoreFormatError | IntegrityError
 */
export async function packfileIndexOf(
  repository: Repository,
  mac: Mac,
  keys: StoreKeys,
  options: CallOptions = {},
): Promise<PackfileIndex> {
  const tag = tagOf('packfile', mac)
  const {layer} = readObjectManifest(await repository.manifests.get(tag, options), tag)
  const {size} = await repository.blobs.resolve(layer, options)
  const readAt = rangeReader(repository, layer, size, options)
  return keys.contents.lend('packfile', async (hasher) =>
    readPackfileIndex({codec: keys.codec!, hasher: hasher!, readAt, size, what: tag}),
  )
}
