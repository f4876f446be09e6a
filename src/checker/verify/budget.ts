import type {CallOptions, Repository} from '../../registry/interfaces.js'
import type {Clock} from '../../util/clock.js'

import {readObjectManifest} from '../../kloset/object-manifest.js'
import {throwIfAborted} from '../../util/abort.js'

export interface BudgetOptions extends CallOptions {
  readonly clock: Clock
  /** Bytes of packfiles after which no other is begun. */
  readonly maxBytes: number
  /** Milliseconds from `started` on after which no other is begun. */
  readonly maxDuration: number
  readonly repository: Repository
  readonly started: number
}

/**
 * What a run may look at. Packfiles are counted when they are begun and not when they are done with, however many are
 * under way: the budget in bytes is gone over by a part of the last of them and no more.
 */
export class Budget {
  #begun = 0
  #bytes = 0
  readonly #options: BudgetOptions

  constructor(options: BudgetOptions) {
    this.#options = options
  }

  /** Whether another packfile may be begun. One at least: who comes back every night gets through. */
  async admits(tag: string): Promise<boolean> {
    const {clock, maxBytes, maxDuration, started} = this.#options
    if (this.#begun > 0 && (this.#bytes >= maxBytes || clock.now() - started >= maxDuration)) return false
    this.#begun += 1
    if (maxBytes !== Infinity) this.#bytes += await this.#sizeOf(tag)
    return true
  }

  /** Of what cannot be asked nothing is counted: it is told when it is looked at. */
  async #sizeOf(tag: string): Promise<number> {
    const {repository, signal} = this.#options
    try {
      const {layer, size} = readObjectManifest(await repository.manifests.get(tag, {signal}), tag)
      // The official plugin states none.
      return size > 0 ? size : (await repository.blobs.resolve(layer, {signal})).size
    } catch {
      throwIfAborted(signal)
      return 0
    }
  }
}
