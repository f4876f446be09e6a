import type {Descriptor} from '../../src/registry/descriptor.js'
import type {Digest} from '../../src/registry/digest.js'
import type {BlobStore, CallOptions, ManifestStore, Repository} from '../../src/registry/interfaces.js'

import {NotFoundError, UnsupportedError} from '../../src/errors.js'
import {newConfiguration, sealConfiguration} from '../../src/kloset/configuration.js'
import {macFromBytes} from '../../src/kloset/mac.js'
import {buildObjectManifest, CONFIG_DESCRIPTOR} from '../../src/kloset/object-manifest.js'
import {CONFIG_TAG, tagOf} from '../../src/kloset/resource.js'
import {digestOf} from '../../src/registry/digest.js'
import {describeManifest} from '../../src/registry/manifest.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {readableOf} from '../../src/util/content-source.js'

export interface EndlessCounts {
  /** Manifests that were asked for. */
  manifests: number
  /** Tags given out and not asked for yet, at most. */
  mostAhead: number
  /** Requests at the same time, at most. */
  mostRunning: number
  tags: number
}

const LAYER_BYTES = 1_000_000

/**
 * A store of any number of packfiles that takes no memory: everything is made when it is asked for. It counts how far
 * its listing is read ahead and how much is asked for at once.
 */
export async function endlessStore(packfiles: number): Promise<{counts: EndlessCounts; repository: Repository}> {
  const config = await sealConfiguration(newConfiguration({now: 0, repositoryId: Buffer.alloc(16, 1)}))
  const configLayer: Descriptor = {digest: digestOf(config), mediaType: MEDIA_TYPE.octetStream, size: config.length}
  const counts: EndlessCounts = {manifests: 0, mostAhead: 0, mostRunning: 0, tags: 0}
  let running = 0
  let ahead = 0
  const request = async <T>(answer: () => T): Promise<T> => {
    running += 1
    counts.mostRunning = Math.max(counts.mostRunning, running)
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
    running -= 1
    return answer()
  }

  const manifestOf = (tag: string) => {
    const isConfig = tag === CONFIG_TAG
    const layer = isConfig
      ? configLayer
      : {...configLayer, digest: `sha256:${tag.slice(-64)}` as Digest, size: LAYER_BYTES}
    return buildObjectManifest({artifactType: true, created: 0, layer, resource: isConfig ? 'config' : 'packfile', tag})
  }

  const unsupported = async (): Promise<never> => {
    throw new UnsupportedError('not here')
  }

  const blobs: BlobStore = {
    delete: unsupported,
    async fetch({digest}) {
      if (digest !== configLayer.digest) throw new NotFoundError('no content here')
      return readableOf(config)
    },
    push: unsupported,
    async resolve(reference) {
      return request(() => {
        const known = [configLayer, CONFIG_DESCRIPTOR].find(({digest}) => digest === reference)
        return known ?? {...configLayer, digest: reference as Digest, size: LAYER_BYTES}
      })
    },
  }
  const manifests: ManifestStore = {
    delete: unsupported,
    async get(tag) {
      return request(() => {
        counts.manifests += 1
        ahead -= 1
        const raw = manifestOf(tag)
        return {...raw, descriptor: describeManifest(raw)}
      })
    },
    push: unsupported,
    async resolve(tag) {
      return request(() => describeManifest(manifestOf(tag)))
    },
    tag: unsupported,
    untag: unsupported,
  }
  return {
    counts,
    repository: {
      blobs,
      async close() {},
      location: 'endless:',
      manifests,
      async ping() {},
      async *tags({signal}: CallOptions = {}) {
        counts.tags += 1
        const isFirst = counts.tags === 1
        yield CONFIG_TAG
        const bytes = Buffer.alloc(32)
        for (let number = 0; number < packfiles; number++) {
          if (number % 1000 === 0) {
            signal?.throwIfAborted()
            await new Promise<void>((resolve) => {
              setImmediate(resolve)
            })
          }

          bytes.writeUInt32LE(Math.imul(number, 2_654_435_761) >>> 0) // eslint-disable-line no-bitwise -- scattered
          bytes.writeUInt32BE(number, 28)
          if (isFirst) counts.mostAhead = Math.max(counts.mostAhead, (ahead += 1))  
          yield tagOf('packfile', macFromBytes(bytes))
        }
      },
    },
  }
}
