import type {Digest} from '../../src/registry/digest.js'
import type {GoldenName} from './hooks.js'

import {digestOf} from '../../src/registry/digest.js'
import {MEDIA_TYPE} from '../../src/registry/media-types.js'
import {MemoryRepository} from '../../src/registry/memory/repository.js'
import {MemoryState, type StoredManifest} from '../../src/registry/memory/state.js'
import {type GoldenObject, goldenObjects, loadGolden} from './golden.js'

/** A golden store in memory whose objects are damaged where they lie, and healed again. */
export class WoundedStore {
  readonly repository: MemoryRepository
  readonly #manifests = new Map<string, StoredManifest>()
  readonly #objects: ReadonlyMap<string, GoldenObject>
  readonly #pushed: [blob: Digest, manifest: Digest][] = []
  readonly #state: MemoryState

  private constructor(name: GoldenName, state: MemoryState) {
    this.repository = new MemoryRepository(state)
    this.#objects = new Map(goldenObjects(name).map((object) => [object.tag, object]))
    this.#state = state
  }

  static async golden(name: GoldenName): Promise<WoundedStore> {
    const made = new WoundedStore(name, new MemoryState(`memory:${name}`))
    await loadGolden(name, made.repository)
    for (const {manifest, tag} of made.#objects.values()) made.#manifests.set(tag, made.#state.manifests.get(manifest)!)
    return made
  }

  get tags(): readonly string[] {
    return [...this.#objects.keys()]
  }

  bytesOf(tag: string): Buffer {
    return this.#objects.get(tag)!.bytes
  }

  /** Has everything as it was. */
  heal(): void {
    for (const [blob, manifest] of this.#pushed.splice(0)) {
      this.#state.blobs.delete(blob)
      this.#state.manifests.delete(manifest)
    }

    for (const {bytes, layer, tag} of this.#objects.values()) {
      const {bytes: raw, descriptor} = this.#manifests.get(tag)!
      this.#state.blobs.set(layer, bytes)
      this.#state.manifests.set(descriptor.digest, {bytes: raw, descriptor})
      this.#state.tags.set(tag, descriptor)
    }
  }

  /** Other bytes under the tag, with a digest and size that agree: as somebody has them who pushes them again. */
  push(tag: string, bytes: Buffer): void {
    const manifest = JSON.parse(this.#manifests.get(tag)!.bytes.toString()) as {
      layers: {digest: Digest; size: number}[]
    }
    const layer = digestOf(bytes)
    Object.assign(manifest.layers[0]!, {digest: layer, size: bytes.length})
    const raw = Buffer.from(JSON.stringify(manifest))
    const descriptor = {digest: digestOf(raw), mediaType: MEDIA_TYPE.imageManifest, size: raw.length}
    this.#state.blobs.set(layer, bytes)
    this.#state.manifests.set(descriptor.digest, {bytes: raw, descriptor})
    this.#state.tags.set(tag, descriptor)
    this.#pushed.push([layer, descriptor.digest])
  }

  /** Other bytes where the object's lie: a disk that forgets. */
  rot(tag: string, bytes: Buffer): void {
    this.#state.blobs.set(this.#objects.get(tag)!.layer, bytes)
  }
}
