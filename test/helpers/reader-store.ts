import {Readable} from 'node:stream'

import type {Mac} from '../../src/kloset/mac.js'
import type {ReadableStore} from '../../src/kloset/reader/packfile-reader.js'
import type {Resource} from '../../src/kloset/resource.js'
import type {GetOptions} from '../../src/kloset/store.js'

import {NotFoundError} from '../../src/errors.js'

export interface GetRecord {
  readonly length: number
  readonly mac: string
  readonly offset: number
}

/** Packfiles in memory that note every request, and can hold them back or fail. */
export class RecordingStore implements ReadableStore {
  /** Called before a request is answered; it may wait or throw. */
  before: (record: GetRecord) => Promise<void> | void = () => {}
  /** Bytes of a piece of an answer. */
  chunkBytes = 1000
  readonly gets: GetRecord[] = []
  readonly objects = new Map<string, Buffer>()
  readonly stats: string[] = []

  async get(_: Resource, mac: Mac, {range, signal}: GetOptions = {}): Promise<Readable> {
    const bytes = this.#find(mac)
    const offset = range?.offset ?? 0
    const record = {length: range?.length ?? bytes.length, mac, offset}
    this.gets.push(record)
    await this.before(record)
    signal?.throwIfAborted()
    const wanted = bytes.subarray(offset, offset + record.length)
    const {chunkBytes} = this
    return Readable.from(
      (function* () {
        for (let at = 0; at < wanted.length; at += chunkBytes) yield Buffer.from(wanted.subarray(at, at + chunkBytes))
      })(),
    )
  }

  async stat(_: Resource, mac: Mac): Promise<{readonly size: number}> {
    this.stats.push(mac)
    return {size: this.#find(mac).length}
  }

  #find(mac: string): Buffer {
    const bytes = this.objects.get(mac)
    if (bytes) return bytes
    throw new NotFoundError(`no packfile ${mac}`)
  }
}
