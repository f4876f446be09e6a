import {pMapIterable} from 'p-map'

import type {CallOptions} from '../../registry/interfaces.js'
import type {Codec} from '../codec/codec.js'
import type {HasherPool} from '../hashing.js'
import type {KlosetStore} from '../store.js'
import type {Version} from '../version.js'

import {throwIfAborted, yieldTurn} from '../../util/abort.js'
import {EnvelopeWindow} from '../envelope.js'
import {isObjectFault} from '../faults.js'
import {type Mac} from '../mac.js'
import {orderStates} from './order.js'
import {readStateStream} from './read-state.js'
import {StateIndex} from './state-index.js'

/** Of states that are kept in memory. */
const KEPT_BYTES = 64 * 1024 * 1024

export interface LoadStatesOptions extends CallOptions {
  readonly codec: Codec
  /** States read at the same time. */
  readonly concurrency: number
  /** An empty index; asked again when what was read until then has to be given up. Default keeps everything. */
  readonly createIndex?: (() => StateIndex) | undefined
  readonly hashers: HasherPool
  /**
   * Bytes of states, as they are stored, kept in memory between the two times that they are gone through; others are
   * read twice. Default 64 MiB.
   */
  readonly keptBytes?: number | undefined
  /** Told after every state that was read. */
  readonly onState?: ((done: number) => void) | undefined
}

/** A state that is left out: gone, damaged, or not of a known version. */
export interface UnreadableState {
  readonly error: unknown
  readonly mac: Mac
}

export interface LoadedStates {
  /** States in a ring, which kloset leaves out as well. */
  readonly cyclic: readonly Mac[]
  readonly index: StateIndex
  /** What the index lacks: blobs may be missing from it, and what was deleted may be there. */
  readonly unreadable: readonly UnreadableState[]
}

interface ProvenState {
  /** The pieces in which it came, unless it is to be read again. */
  readonly kept: readonly Buffer[] | undefined
  readonly parent: Mac | undefined
  /** Of the stored object. */
  readonly size: number
  readonly version: Version
}

type StateStore = Pick<KlosetStore, 'get' | 'list' | 'stat'>

/**
 * Takes in all states of a store, each proven by its MAC first, after the ones that it follows. One that cannot be read
 * is left out and told of.
 * @throws what the registry throws when it fails, and StoreFormatError when there are more locations than fit
 */
export async function loadStates(store: StateStore, options: LoadStatesOptions): Promise<LoadedStates> {
  return new Loader(store, options).load()
}

class Loader {
  #budget: number
  readonly #options: LoadStatesOptions
  readonly #store: StateStore
  readonly #unreadable = new Map<Mac, unknown>()

  constructor(store: StateStore, options: LoadStatesOptions) {
    this.#budget = options.keptBytes ?? KEPT_BYTES
    this.#options = options
    this.#store = store
  }

  async load(): Promise<LoadedStates> {
    const proven = await this.#prove()
    for (;;) {
      const {cyclic, ordered} = orderStates(new Map([...proven].map(([mac, {parent}]) => [mac, parent])))
      const {createIndex = () => new StateIndex()} = this.#options
      const index = createIndex()
      const failed = await this.#fill(index, ordered, proven).catch((error: unknown) => {
        index.dispose()
        throw error
      })
      if (failed === undefined) {
        const unreadable = [...this.#unreadable].map(([mac, error]) => ({error, mac}))
        return {cyclic, index, unreadable}
      }

      // An index with half a state in it is worth nothing.
      index.dispose()
      proven.delete(failed)
    }
  }

  /** A state that was not kept: its digest makes it the one that was proven. */
  async #again(mac: Mac): Promise<AsyncIterable<unknown>> {
    return this.#store.get('state', mac, {signal: this.#options.signal})
  }

  /** @returns the state that could not be taken in, if one could not */
  async #fill(
    index: StateIndex,
    ordered: readonly Mac[],
    proven: ReadonlyMap<Mac, ProvenState>,
  ): Promise<Mac | undefined> {
    const {codec, signal} = this.#options
    for (const mac of ordered) {
      await yieldTurn(signal)
      const {kept, size, version} = proven.get(mac)!
      try {
        const source = kept ?? (await this.#again(mac))
        await index.addState(mac, codec.decodeStream(dataOf(source, size)), version)
      } catch (error) {
        if (!isObjectFault(error)) throw error
        this.#unreadable.set(mac, error)
        return mac
      }
    }

    return undefined
  }

  async #prove(): Promise<Map<Mac, ProvenState>> {
    const {concurrency, onState, signal} = this.#options
    const proven = new Map<Mac, ProvenState>()
    let done = 0
    const states = pMapIterable(this.#store.list('state', {signal}), async (mac) => this.#proveOne(mac), {concurrency})
    for await (const {mac, state} of states) {
      if (state) proven.set(mac, state)
      onState?.(++done)
    }

    return proven
  }

  async #proveOne(mac: Mac): Promise<{readonly mac: Mac; readonly state: ProvenState | undefined}> {
    const {codec, hashers, signal} = this.#options
    throwIfAborted(signal)
    const what = `state-${mac}`
    try {
      const {size} = await this.#store.stat('state', mac, {signal})
      const kept = this.#reserve(size)
      const state = await hashers.lend(async (hasher) => {
        const stream = (await this.#store.get('state', mac, {signal})) as AsyncIterable<Buffer>
        return readStateStream({codec, hasher, size, stream, what}, {onStored: kept && ((bytes) => kept.push(bytes))})
      })
      return {mac, state: {kept, parent: state.parent, size, version: state.version}}
    } catch (error) {
      if (!isObjectFault(error)) throw error
      this.#unreadable.set(mac, error)
      return {mac, state: undefined}
    }
  }

  #reserve(size: number): Buffer[] | undefined {
    if (size > this.#budget) return undefined
    this.#budget -= size
    return []
  }
}

/** The data of an envelope, as it comes. */
async function* dataOf(stream: AsyncIterable<unknown> | Iterable<unknown>, size: number): AsyncGenerator<Buffer> {
  const window = new EnvelopeWindow(size)
  for await (const chunk of stream) {
    const part = window.cut(chunk as Buffer)
    if (part.length > 0) yield part
  }
}
