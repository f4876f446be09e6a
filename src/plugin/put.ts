import pLimit, {type LimitFunction} from 'p-limit'

import type {Mac} from '../kloset/mac.js'
import type {Resource} from '../kloset/resource.js'
import type {KlosetStore} from '../kloset/store.js'
import type {Digest} from '../registry/digest.js'
import type {Receiving} from './rpc/call.js'

import {spool, SpoolMemory} from '../util/spool.js'
import {invalidRequest} from './failures.js'
import {decodePut} from './messages.js'
import {macOf, resourceOf} from './resources.js'

/** What one Put may have under way to us; while it waits for its turn it has the usual 64 KiB. */
const WINDOW_BYTES = 1024 * 1024

/**
 * Memory for objects on their way, of all together: room for two of plakar's packfiles, the one that is sent and the one
 * that comes in meanwhile. What finds none goes to a file.
 */
const MEMORY_BYTES = 136 * 1024 * 1024

/** Objects received and sent on at the same time. More wait with what the window holds, so that memory stays bounded. */
const MAX_PUTS = 8

export interface PutResult {
  readonly mac: Mac
  readonly resource: Resource
  readonly size: number
}

export interface PutterOptions {
  /** Read back what was written before the call is answered. */
  readonly durable: boolean
  /** Folder for objects on their way. */
  readonly spoolDir: string | undefined
}

/** Takes objects from the host and stores them: whole and with their digest known before the first byte is sent on. */
export class Putter {
  readonly #limit: LimitFunction = pLimit(MAX_PUTS)
  readonly #memory = new SpoolMemory(MEMORY_BYTES)
  readonly #options: PutterOptions
  readonly #store: KlosetStore

  constructor(store: KlosetStore, options: PutterOptions) {
    this.#options = options
    this.#store = store
  }

  async put(call: Receiving): Promise<PutResult> {
    try {
      return await this.#put(call)
    } catch (error) {
      await receiveRest(call)
      throw error
    }
  }

  async #put(call: Receiving): Promise<PutResult> {
    const first = await call.next()
    if (!first) throw invalidRequest('plakar sent an object without a name')
    const {chunk, mac: macBytes, type} = decodePut(first)
    const resource = resourceOf(type)
    const mac = macOf(macBytes)
    return this.#limit(async () => {
      call.widen(WINDOW_BYTES)
      const source = await spool(chunksOf(chunk, call), {
        dir: this.#options.spoolDir,
        memory: this.#memory,
        signal: call.signal,
      })
      try {
        const digest: Digest = `sha256:${source.sha256}` as Digest
        const size = await this.#store.put(resource, mac, source, {
          digest,
          durable: this.#options.durable,
          signal: call.signal,
        })
        return {mac, resource, size}
      } finally {
        await source.dispose()
      }
    })
  }
}

/** Lets the host send to its end: told earlier, it reports that it could not send, and not what it was told. */
async function receiveRest(call: Receiving): Promise<void> {
  try {
    while (await call.next());
  } catch {
    // The call was cancelled.
  }
}

async function* chunksOf(first: Buffer, call: Receiving): AsyncGenerator<Buffer> {
  if (first.length > 0) yield first
  for (let message = await call.next(); message; message = await call.next()) {
    const {chunk} = decodePut(message)
    if (chunk.length > 0) yield chunk
  }
}
