import type {Digest} from '../registry/digest.js'

import {DigestTable} from './tag-table.js'

/** Digests that something in the repository refers to; kept only where the backend can list what it holds. */
export class References {
  readonly #table: DigestTable | undefined

  constructor({enabled}: {readonly enabled: boolean}) {
    this.#table = enabled ? new DigestTable() : undefined
  }

  get areKept(): boolean {
    return this.#table !== undefined
  }

  add(...digests: readonly Digest[]): void {
    for (const digest of digests) this.#table?.add(digest)
  }

  has(digest: Digest): boolean {
    return this.#table?.has(digest) ?? false
  }
}
