import {expect} from 'chai'
import {Readable} from 'node:stream'

import {type ErrorCode, KlosetOciError} from '../../src/errors.js'
import {type Descriptor} from '../../src/registry/descriptor.js'
import {digestOf} from '../../src/registry/digest.js'
import {type Repository} from '../../src/registry/interfaces.js'
import {type RawManifest} from '../../src/registry/manifest.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {bufferSource, type ContentSource} from '../../src/util/content-source.js'

/** Rejects with an error of the given code, and hands the error back. */
export async function rejects(promise: Promise<unknown>, code: ErrorCode): Promise<KlosetOciError> {
  try {
    await promise
  } catch (error) {
    expect(error, String(error)).to.be.instanceOf(KlosetOciError)
    expect((error as KlosetOciError).code, String(error)).to.equal(code)
    return error as KlosetOciError
  }

  throw new Error(`expected ${code}, but nothing was thrown`)
}

export function blobOf(bytes: Uint8Array): Descriptor {
  return {digest: digestOf(bytes), mediaType: MEDIA_TYPE.octetStream, size: bytes.byteLength}
}

export async function pushBlob(repository: Repository, bytes: Uint8Array): Promise<Descriptor> {
  const target = blobOf(bytes)
  await repository.blobs.push(target, bufferSource(bytes))
  return target
}

export interface ManifestParts {
  readonly annotations?: Record<string, string>
  readonly artifactType?: string
  readonly layers?: readonly Descriptor[]
  readonly subject?: Descriptor
}

export function imageManifest(config: Descriptor, parts: ManifestParts = {}): RawManifest {
  const json = {
    config: {...config, mediaType: MEDIA_TYPE.imageConfig},
    layers: parts.layers ?? [],
    mediaType: MEDIA_TYPE.imageManifest,
    schemaVersion: 2,
    ...(parts.annotations && {annotations: parts.annotations}),
    ...(parts.artifactType && {artifactType: parts.artifactType}),
    ...(parts.subject && {subject: parts.subject}),
  }
  return {bytes: Buffer.from(JSON.stringify(json)), mediaType: MEDIA_TYPE.imageManifest}
}

/** Pushes a small object under a tag: config, one layer and a manifest that is unlike any other. */
export async function pushObject(repository: Repository, tag: string, content = `content of ${tag}`) {
  const config = await pushBlob(repository, Buffer.from('{}'))
  const layer = await pushBlob(repository, Buffer.from(content))
  const manifest = imageManifest(config, {annotations: {'test.tag': tag}, layers: [layer]})
  const descriptor = await repository.manifests.push(manifest, {tag})
  return {config, descriptor, layer, manifest}
}

export async function listed<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

/** A source that says one thing and yields another. */
export function lyingSource(size: number, ...chunks: Buffer[]): ContentSource {
  return {open: () => Readable.from(chunks, {objectMode: false}), size}
}
