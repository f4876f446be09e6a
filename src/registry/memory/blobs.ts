import type {Readable} from 'node:stream'

import type {ContentSource} from '../../util/content-source.js'
import type {Descriptor} from '../descriptor.js'
import type {CallOptions, FetchOptions, Mounter, PushOptions} from '../interfaces.js'
import type {MemoryState} from './state.js'

import {NotFoundError} from '../../errors.js'
import {abortable, interruption, throwIfAborted, yieldTurn} from '../../util/abort.js'
import {readableOf} from '../../util/content-source.js'
import {type Digest, parseDigest} from '../digest.js'
import {type BlobIngest} from '../local/ingest.js'
import {type OwnedBlobs} from '../local/owned-repository.js'
import {checkPushTarget} from '../local/push.js'
import {checkStoredSize, cutRange} from '../local/range.js'
import {MEDIA_TYPE} from '../media-types.js'
import {verified} from '../verify-stream.js'
import {MemoryIngest} from './ingest.js'

/** Blobs of one repository in memory. Made by `MemoryRepository`. */
export class MemoryBlobs implements Mounter, OwnedBlobs {
  readonly #neighbour: (name: string) => MemoryState | undefined
  readonly #state: MemoryState

  constructor(state: MemoryState, neighbour: (name: string) => MemoryState | undefined) {
    this.#state = state
    this.#neighbour = neighbour
  }

  async delete(digest: Digest, {signal}: CallOptions = {}): Promise<void> {
    await yieldTurn(signal)
    this.#bytes(digest)
    this.#state.blobs.delete(digest)
  }

  async fetch(target: Descriptor, {range, signal}: FetchOptions = {}): Promise<Readable> {
    await yieldTurn(signal)
    const bytes = this.#bytes(target.digest)
    checkStoredSize(target, bytes.length)
    if (!range) return abortable(verified(readableOf(bytes), target), signal)
    const {end, start} = cutRange(range, bytes.length, target.digest)
    return abortable(readableOf(bytes.subarray(start, end)), signal)
  }

  async ingest(): Promise<BlobIngest> {
    return new MemoryIngest((digest, bytes) => this.#state.blobs.set(digest, bytes))
  }

  async keep({digest, size}: Pick<Descriptor, 'digest' | 'size'>): Promise<boolean> {
    const bytes = this.#state.blobs.get(digest)
    return bytes !== undefined && (size < 0 || bytes.length === size)
  }

  async mount(target: Descriptor, from: string, {signal}: CallOptions = {}): Promise<boolean> {
    await yieldTurn(signal)
    const bytes = this.#neighbour(from)?.blobs.get(target.digest)
    if (!bytes) return false
    this.#state.blobs.set(target.digest, bytes)
    return true
  }

  async push(target: Descriptor, source: ContentSource, {force, signal}: PushOptions = {}): Promise<boolean> {
    await yieldTurn(signal)
    checkPushTarget(target, source)
    if (!force && this.#state.blobs.get(target.digest)?.length === target.size) return false
    this.#state.blobs.set(target.digest, await collect(verified(source.open(), target), signal))
    return true
  }

  async resolve(reference: string, {signal}: CallOptions = {}): Promise<Descriptor> {
    await yieldTurn(signal)
    const digest = parseDigest(reference)
    return {digest, mediaType: MEDIA_TYPE.octetStream, size: this.#bytes(digest).length}
  }

  #bytes(digest: Digest): Buffer {
    const bytes = this.#state.blobs.get(digest)
    if (bytes) return bytes
    throw new NotFoundError(`${this.#state.location}: no blob ${digest}`, {facts: {digest}})
  }
}

async function collect(stream: Readable, signal: AbortSignal | undefined): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of abortable(stream, signal)) chunks.push(chunk as Buffer)
  } catch (error) {
    throw signal?.aborted ? interruption(signal) : error
  }

  throwIfAborted(signal)
  return Buffer.concat(chunks)
}
