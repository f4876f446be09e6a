import type {Digest} from '../../registry/digest.js'
import type {Root, ServedRepository} from './root.js'

import {MEDIA_TYPE} from '../../registry/media-types.js'
import {MemoryHost, type MemoryRepository} from '../../registry/memory/repository.js'

/** Repositories in memory: for tests, gone with the process. */
export class MemoryRoot implements Root {
  readonly #host: MemoryHost

  constructor(host = new MemoryHost()) {
    this.#host = host
  }

  async close(): Promise<void> {}

  async create(name: string): Promise<ServedRepository> {
    return this.#host.repository(name)
  }

  async mount(digest: Digest, from: string, to: string): Promise<boolean> {
    if (!this.#find(from)) return false
    return this.#host.repository(to).blobs.mount({digest, mediaType: MEDIA_TYPE.octetStream, size: -1}, from)
  }

  async names(): Promise<readonly string[]> {
    return this.#host.names()
  }

  async open(name: string): Promise<ServedRepository | undefined> {
    return this.#find(name)
  }

  #find(name: string): MemoryRepository | undefined {
    return this.#host.names().includes(name) ? this.#host.repository(name) : undefined
  }
}
