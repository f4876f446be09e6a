import {pMapIterable} from 'p-map'

import type {Mac} from '../kloset/mac.js'
import type {KlosetStore, StoreEntry} from '../kloset/store.js'

import {type ErrorJson, errorToJson, hasCode} from '../errors.js'
import {CONFIG_TAG, type ResourceName} from '../kloset/resource.js'

/** One line of a listing. Sizes and what follows only when asked for. */
export interface ListedObject {
  readonly created?: string | undefined
  readonly digest?: string
  /** Instead of a size: why the object cannot be read. */
  readonly error?: Pick<ErrorJson, 'code' | 'message'>
  readonly mac?: Mac
  readonly resource: ResourceName
  readonly size?: number
  readonly tag: string
}

export type Counts = Record<'foreign' | ResourceName, number>

export interface ListingOptions {
  readonly concurrency: number
  /** Look up each object's size, digest and time: a request or two per object. */
  readonly long: boolean
  /** Only this kind. */
  readonly resource?: ResourceName | undefined
  readonly signal: AbortSignal
}

/** A walk over a store's tags that holds nothing but what is under way. `counts` is right once it has ended. */
export class Listing {
  readonly counts: Counts = {config: 0, foreign: 0, lock: 0, packfile: 0, state: 0}
  readonly #options: ListingOptions
  readonly #store: KlosetStore

  constructor(store: KlosetStore, options: ListingOptions) {
    this.#store = store
    this.#options = options
  }

  /** Objects of every kind that is counted, the wanted ones only. */
  async *objects(): AsyncGenerator<ListedObject> {
    const {concurrency, long} = this.#options
    if (long)
      yield* pMapIterable(this.#wanted(), async (entry) => this.#look(entry), {
        backpressure: concurrency * 4,
        concurrency,
      })
    else for await (const entry of this.#wanted()) yield entry
  }

  async #look(entry: ListedObject): Promise<ListedObject> {
    const {signal} = this.#options
    try {
      if (entry.mac === undefined || entry.resource === 'config') {
        return {...entry, size: (await this.#store.getConfig({signal})).length}
      }

      const {created, digest, size} = await this.#store.stat(entry.resource, entry.mac, {signal})
      return {...entry, created, digest, size}
    } catch (error) {
      // One broken object is a line of the listing; a registry that is gone is the end of it.
      for (const code of ['DAMAGE', 'INTEGRITY', 'NOT_FOUND', 'PROTOCOL', 'STORE_FORMAT'] as const) {
        if (hasCode(error, code)) return {...entry, error: {code, message: errorToJson(error).message}}
      }

      throw error
    }
  }

  async *#wanted(): AsyncGenerator<ListedObject> {
    const {resource, signal} = this.#options
    for await (const entry of this.#store.listAll({signal})) {
      const kind = kindOf(entry)
      this.counts[kind]++
      if (kind === 'foreign' || (resource !== undefined && kind !== resource)) continue
      yield entry.kind === 'object'
        ? {mac: entry.mac, resource: entry.resource, tag: entry.tag}
        : {resource: 'config', tag: CONFIG_TAG}
    }
  }
}

function kindOf(entry: StoreEntry): 'foreign' | ResourceName {
  return entry.kind === 'object' ? entry.resource : entry.kind
}

/** Objects of a store that were counted; foreign tags are not among them. */
export function totalOf(counts: Counts): number {
  return counts.config + counts.lock + counts.packfile + counts.state
}
