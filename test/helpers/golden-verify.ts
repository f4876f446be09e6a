import type {Digest} from '../../src/registry/digest.js'
import type {GoldenName} from './hooks.js'

import {digestOf} from '../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {type MemoryRepository, memoryRepository} from '../../src/registry/memory/repository.js'
import {bufferSource} from '../../src/util/content-source.js'
import {goldenObjects, loadGolden} from './golden.js'

/** A golden store in memory whose objects can be replaced as somebody would who pushes them again. */
export class Replaceable {
  readonly repository: MemoryRepository
  readonly #manifests = new Map<string, {digest: Digest; mediaType: string; size: number}>()

  private constructor(repository: MemoryRepository) {
    this.repository = repository
  }

  static async golden(name: GoldenName): Promise<Replaceable> {
    const made = new Replaceable(await loadGolden(name, memoryRepository(name)))
    for (const {tag} of goldenObjects(name)) {
      made.#manifests.set(tag, await made.repository.manifests.resolve(tag))
    }

    return made
  }

  /** Puts other bytes under a tag, with a digest and size that agree. */
  async replace(tag: string, bytes: Buffer): Promise<void> {
    const {manifests} = this.repository
    const {bytes: raw, mediaType} = await manifests.get(tag)
    const manifest = JSON.parse(raw.toString()) as {layers: {digest: Digest; size: number}[]}
    const digest = digestOf(bytes)
    const descriptor = {digest, mediaType: MEDIA_TYPE.octetStream, size: bytes.length}
    await this.repository.blobs.push(descriptor, bufferSource(bytes))
    Object.assign(manifest.layers[0]!, {digest, size: bytes.length})
    await manifests.push({bytes: Buffer.from(JSON.stringify(manifest)), mediaType}, {tag})
  }

  /** Points the tag at what it had, and forgets the other bytes. */
  async restore(tag: string): Promise<void> {
    const other = await this.#layer(tag)
    await this.repository.manifests.tag(this.#manifests.get(tag)!, tag)
    if ((await this.#layer(tag)) !== other) await this.repository.blobs.delete(other)
  }

  async #layer(tag: string): Promise<Digest> {
    const {bytes} = await this.repository.manifests.get(tag)
    return (JSON.parse(bytes.toString()) as {layers: {digest: Digest}[]}).layers[0]!.digest
  }
}
