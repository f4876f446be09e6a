import type {Digest} from '../../registry/digest.js'
import type {OwnedRepository} from '../../registry/local/owned-repository.js'
import type {Root} from './root.js'

import {MemoryHost} from '../../registry/memory/repository.js'

/** Repositories in memory: for tests, gone with the process. */
export class MemoryRoot implements Root {
  readonly #host: MemoryHost

  constructor(host = new MemoryHost()) {
    this.#host = host
  }

  async close(): Promise<void> {}

  async create(name: string): Promise<OwnedRepository> {
    return this.#host.repository(name)
  }

  async mount(digest: Digest, from: string, to: string): Promise<boolean> {
    return this.#host.has(from) && this.#host.repository(to).adoptBlob(digest, this.#host.repository(from))
  }

  async names(): Promise<readonly string[]> {
    return this.#host.names()
  }

  async open(name: string): Promise<OwnedRepository | undefined> {
    return this.#host.has(name) ? this.#host.repository(name) : undefined
  }
}
