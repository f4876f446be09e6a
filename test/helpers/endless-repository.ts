import type {Descriptor} from '../../src/registry/descriptor.js'
import type {Digest} from '../../src/registry/digest.js'
import type {BlobStore, CallOptions, ManifestStore, Repository} from '../../src/registry/interfaces.js'

import {NotFoundError, UnsupportedError} from '../../src/errors.js'
import {sealConfiguration} from '../../src/kloset/configuration.js'
import {type Mac, macFromBytes} from '../../src/kloset/mac.js'
import {buildObjectManifest, CONFIG_DESCRIPTOR} from '../../src/kloset/object-manifest.js'
import {CONFIG_TAG, tagOf} from '../../src/kloset/resource.js'
import {digestOf} from '../../src/registry/digest.js'
import {describeManifest} from '../../src/registry/manifest.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {readableOf} from '../../src/util/content-source.js'
import {testMac} from './macs.js'
import {CONFIGURATION, knows, stateOf} from './test-store.js'

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
const STATE_TAG = tagOf('state', testMac(1))

function layerOf(bytes: Buffer): Descriptor {
  return {digest: digestOf(bytes), mediaType: MEDIA_TYPE.octetStream, size: bytes.length}
}

/** MACs that are scattered and that say their number. */
function* macs(count: number): Generator<Mac> {
  const bytes = Buffer.alloc(32)
  for (let number = 0; number < count; number++) {
    bytes.writeUInt32LE(Math.imul(number, 2_654_435_761) >>> 0) // eslint-disable-line no-bitwise -- to unsigned
    bytes.writeUInt32BE(number, 28)
    yield macFromBytes(bytes)
  }
}

/**
 * A store of any number of packfiles and one state that knows them, which takes little memory: everything but the state
 * is made when it is asked for. It counts how far its listing is read ahead and how much is asked for at once.
 */
export async function endlessStore(packfiles: number): Promise<{counts: EndlessCounts; repository: Repository}> {
  const config = await sealConfiguration(CONFIGURATION)
  const configLayer = layerOf(config)
  const state = await stateOf(Array.from(macs(packfiles), (mac) => knows(mac)))
  const stateLayer = layerOf(state)
  const contents = new Map([
    [configLayer.digest, config],
    [stateLayer.digest, state],
  ])
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
    const resource = tag === CONFIG_TAG ? 'config' : tag === STATE_TAG ? 'state' : 'packfile'
    const ownLayer = {...configLayer, digest: `sha256:${tag.slice(-64)}` as Digest, size: LAYER_BYTES}
    const layer = {config: configLayer, packfile: ownLayer, state: stateLayer}[resource]
    return buildObjectManifest({artifactType: true, created: 0, layer, resource, tag})
  }

  const unsupported = async (): Promise<never> => {
    throw new UnsupportedError('not here')
  }

  const blobs: BlobStore = {
    delete: unsupported,
    async fetch({digest}) {
      const content = contents.get(digest)
      if (!content) throw new NotFoundError('no content here')
      return readableOf(content)
    },
    push: unsupported,
    async resolve(reference) {
      return request(() => {
        const known = [configLayer, stateLayer, CONFIG_DESCRIPTOR].find(({digest}) => digest === reference)
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
        yield STATE_TAG
        let number = 0
        for (const mac of macs(packfiles)) {
          if (number % 1000 === 0) {
            signal?.throwIfAborted()
            await new Promise<void>((resolve) => {
              setImmediate(resolve)
            })
          }

          number += 1
          if (isFirst) ahead += 1
          counts.mostAhead = Math.max(counts.mostAhead, ahead)
          yield tagOf('packfile', mac)
        }
      },
    },
  }
}
