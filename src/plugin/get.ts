import type {Mac} from '../kloset/mac.js'
import type {DiskCache} from '../kloset/reader/disk-cache.js'
import type {PackfileReader} from '../kloset/reader/packfile-reader.js'
import type {KlosetStore, ObjectRange} from '../kloset/store.js'
import type {Locks} from './locks.js'
import type {Sending} from './rpc/call.js'

import {decodeGet, getResponseHead} from './messages.js'
import {macOf, resourceOf} from './resources.js'

/** The most that one message carries; the host takes 4 MiB at the utmost. */
const CHUNK_BYTES = 1024 * 1024

export interface GetterOptions {
  /** Keeps states between runs. */
  readonly cache?: DiskCache | undefined
  readonly locks: Locks
  readonly reader: PackfileReader
  readonly store: KlosetStore
}

/** Answers Gets: small ranges of packfiles from memory and at once, everything else as it comes. */
export class Getter {
  readonly #cache: DiskCache | undefined
  readonly #locks: Locks
  readonly #reader: PackfileReader
  readonly #store: KlosetStore

  constructor({cache, locks, reader, store}: GetterOptions) {
    this.#cache = cache
    this.#locks = locks
    this.#reader = reader
    this.#store = store
  }

  /** Nothing is returned when the whole answer was in memory. */
  get(request: Buffer, call: Sending): Promise<void> | void {
    const {mac: bytes, range, type} = decodeGet(request)
    const resource = resourceOf(type)
    const mac = macOf(bytes)
    if (resource === 'lock') return this.#lock(mac, range, call)
    if (resource === 'state' && !range && this.#cache) return this.#stream(() => this.#state(mac, call), call)
    if (resource === 'state' || !range)
      return this.#stream(() => this.#store.get(resource, mac, {range, signal: call.signal}), call)
    if (this.#reader.readNow(mac, range, (part) => sendPart(call, part))) return
    return this.#stream(async () => this.#reader.read(mac, range, {signal: call.signal}), call)
  }

  async #lock(mac: Mac, range: ObjectRange | undefined, call: Sending): Promise<void> {
    const bytes = await this.#locks.get(mac, {signal: call.signal})
    sendPart(call, range ? bytes.subarray(range.offset, range.offset + range.length) : bytes)
  }

  /** From the disk, or from the registry and on to the disk. Where the state is, and whether, the registry says. */
  async #state(mac: Mac, {signal}: Sending): Promise<AsyncIterable<unknown>> {
    const blob = await this.#store.stat('state', mac, {signal})
    const cached = await this.#cache!.read(blob)
    return cached ?? this.#cache!.fill(blob, await this.#store.get('state', mac, {signal}))
  }

  async #stream(open: () => Promise<AsyncIterable<unknown>>, call: Sending): Promise<void> {
    for await (const part of await open()) {
      if (!sendPart(call, part as Buffer)) await call.drained()
      if (call.signal.aborted) return
    }
  }
}

/** @returns false when the host has not taken enough of it yet */
function sendPart(call: Sending, part: Buffer): boolean {
  if (part.length <= CHUNK_BYTES) return part.length === 0 || call.send(getResponseHead(part.length), part)
  let room = true
  for (let at = 0; at < part.length; at += CHUNK_BYTES) {
    const chunk = part.subarray(at, at + CHUNK_BYTES)
    room = call.send(getResponseHead(chunk.length), chunk)
  }

  return room
}
