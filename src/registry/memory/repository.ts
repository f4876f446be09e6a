import type {Descriptor} from '../descriptor.js'
import type {CallOptions} from '../interfaces.js'

import {throwIfAborted, yieldTurn} from '../../util/abort.js'
import {type Digest} from '../digest.js'
import {type OwnedRepository} from '../local/owned-repository.js'
import {referrerOf} from '../local/referrer.js'
import {MEDIA_TYPE} from '../media-types.js'
import {MemoryBlobs} from './blobs.js'
import {MemoryManifests} from './manifests.js'
import {MemoryState} from './state.js'

/** A walk gives the event loop a turn after this many items. */
const ITEMS_PER_TURN = 1000

/** A repository in memory, for tests and embedding: it checks what is pushed as a registry does. */
export class MemoryRepository implements OwnedRepository {
  readonly blobs: MemoryBlobs
  readonly location: string
  readonly manifests: MemoryManifests
  readonly #state: MemoryState

  /** @param neighbour finds another repository of the same host, from which blobs can be mounted */
  constructor(state: MemoryState, neighbour: (name: string) => MemoryState | undefined = () => {}) {
    this.location = state.location
    this.#state = state
    this.blobs = new MemoryBlobs(state, neighbour)
    this.manifests = new MemoryManifests(state)
  }

  async adoptBlob(digest: Digest, from: OwnedRepository, {signal}: CallOptions = {}): Promise<boolean> {
    await yieldTurn(signal)
    if (!(await from.blobs.keep({digest, size: -1}))) return false
    const target = await from.blobs.resolve(digest, {signal})
    const ingest = await this.blobs.ingest()
    await ingest.append(await from.blobs.fetch(target, {signal}), {limit: target.size, signal})
    await ingest.commit(digest, {signal})
    return true
  }

  async *blobDigests({signal}: CallOptions = {}): AsyncIterable<Descriptor> {
    const blobs = [...this.#state.blobs].map(([digest, bytes]) => ({
      digest,
      mediaType: MEDIA_TYPE.octetStream,
      size: bytes.length,
    }))
    yield* walk(blobs, signal)
  }

  async close(): Promise<void> {}

  async *manifestDigests({signal}: CallOptions = {}): AsyncIterable<Descriptor> {
    yield* walk(
      [...this.#state.manifests.values()].map(({descriptor}) => descriptor),
      signal,
    )
  }

  async ping({signal}: CallOptions = {}): Promise<void> {
    await yieldTurn(signal)
  }

  async *referrers(subject: Digest, {signal}: CallOptions = {}): AsyncIterable<Descriptor> {
    for await (const {bytes, descriptor} of walk([...this.#state.manifests.values()], signal)) {
      const referrer = referrerOf({bytes, mediaType: descriptor.mediaType}, descriptor)
      if (referrer?.subject === subject) yield referrer.descriptor
    }
  }

  async sortedTags({signal}: CallOptions = {}): Promise<readonly string[]> {
    await yieldTurn(signal)
    return this.#state.tags.sorted()
  }

  async *tags({signal}: CallOptions = {}): AsyncIterable<string> {
    yield* walk(this.#state.tags.sorted(), signal)
  }
}

/** The repositories of one process: between them blobs can be mounted. */
export class MemoryHost {
  readonly #states = new Map<string, MemoryState>()

  has(name: string): boolean {
    return this.#states.has(name)
  }

  /** Names of the repositories that were opened, in order. */
  names(): string[] {
    return [...this.#states.keys()].sort()
  }

  /** Opens a repository; the same name gives the same content. */
  repository(name: string): MemoryRepository {
    let state = this.#states.get(name)
    if (!state) {
      state = new MemoryState(`memory:${name}`)
      this.#states.set(name, state)
    }

    return new MemoryRepository(state, (other) => this.#states.get(other))
  }
}

/** An empty repository of its own. */
export function memoryRepository(name = 'store'): MemoryRepository {
  return new MemoryHost().repository(name)
}

async function* walk<T>(items: readonly T[], signal: AbortSignal | undefined): AsyncGenerator<T> {
  for (const [index, item] of items.entries()) {
    if (index % ITEMS_PER_TURN === 0) await yieldTurn(signal)
    else throwIfAborted(signal)
    yield item
  }

  await yieldTurn(signal)
}
