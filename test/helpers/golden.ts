import {readFileSync} from 'node:fs'
import {join} from 'node:path'

import type {Digest} from '../../src/registry/digest.js'
import type {Repository} from '../../src/registry/interfaces.js'

import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {memoryRepository} from '../../src/registry/memory/repository.js'
import {bufferSource} from '../../src/util/content-source.js'
import {FIXTURES, type GoldenName} from './hooks.js'

interface GoldenManifest {
  readonly annotations: Record<string, string>
  readonly digest: Digest
  readonly mediaType: string
}

/** One object of a golden store, with its bytes. */
export interface GoldenObject {
  readonly bytes: Buffer
  readonly config: Digest
  readonly layer: Digest
  readonly manifest: Digest
  readonly tag: string
}

/** Reads every object of a golden store without the code under test. */
export function goldenObjects(name: GoldenName): GoldenObject[] {
  const root = join(FIXTURES, `${name}.oci`)
  const blob = (digest: string) => readFileSync(join(root, 'blobs/sha256', digest.slice('sha256:'.length)))
  const index = JSON.parse(readFileSync(join(root, 'index.json'), 'utf8')) as {manifests: GoldenManifest[]}
  return index.manifests.map(({annotations, digest}) => {
    const manifest = JSON.parse(blob(digest).toString()) as {config: {digest: Digest}; layers: {digest: Digest}[]}
    const layer = manifest.layers[0]!.digest
    return {
      bytes: blob(layer),
      config: manifest.config.digest,
      layer,
      manifest: digest,
      tag: annotations['org.opencontainers.image.ref.name']!,
    }
  })
}

/** Copies a golden store into a repository, exactly as it is. */
export async function loadGolden<T extends Repository>(name: GoldenName, repository: T): Promise<T> {
  const root = join(FIXTURES, `${name}.oci`)
  const blob = (digest: string) => readFileSync(join(root, 'blobs/sha256', digest.slice('sha256:'.length)))
  for (const {bytes, config, layer, manifest, tag} of goldenObjects(name)) {
    const configBytes = blob(config)
    await repository.blobs.push(
      {digest: config, mediaType: MEDIA_TYPE.imageConfig, size: configBytes.length},
      bufferSource(configBytes),
    )
    await repository.blobs.push(
      {digest: layer, mediaType: MEDIA_TYPE.octetStream, size: bytes.length},
      bufferSource(bytes),
    )
    await repository.manifests.push({bytes: blob(manifest), mediaType: MEDIA_TYPE.imageManifest}, {tag})
  }

  return repository
}

/** A golden store in memory. */
export async function goldenInMemory(name: GoldenName) {
  return loadGolden(name, memoryRepository(name))
}
