import {opendir, stat} from 'node:fs/promises'
import {basename, dirname, join} from 'node:path'

import type {CallOptions} from '../../registry/interfaces.js'
import type {Colour} from '../plan/types.js'
import type {ObjectName} from '../proof.js'
import type {Copy, Source} from './source.js'

import {StoreFormatError} from '../../errors.js'
import {formatUuid} from '../../kloset/configuration.js'
import {isMac, type Mac, macFromBytes} from '../../kloset/mac.js'
import {decodeMsgpack, MsgpackFields} from '../../kloset/msgpack.js'
import {COLOURED_BYTES, PACKFILE_BYTES} from '../../kloset/state/entries.js'
import {throwIfAborted} from '../../util/abort.js'
import {errnoOf, localIoError} from '../../util/fs-error.js'
import {SqliteFile} from './sqlite/database.js'
import {type SqlValue} from './sqlite/record.js'

const DATABASE = 'state.db'
const MAX_DEPTH = 6
const LIMITS = {maxCount: 64, maxLength: 4096}

/** What plakar's cache says of a store's states. It bears no MAC: what it names is looked at before it is believed. */
export interface CachedStates {
  readonly coloured: readonly Colour[]
  /** The state that made each packfile known. */
  readonly packfiles: ReadonlyMap<Mac, Mac>
  /** States that plakar has taken in, with the one that each follows. */
  readonly states: ReadonlyMap<Mac, Mac | undefined>
}

/**
 * plakar's cache of what a store's states say: an SQLite database for each store. It has no object's bytes; it says which
 * packfiles a lost state told of, and what had been deleted, which no packfile's index knows.
 * @see kloset caching/sqlstate.go
 */
export class StateCacheSource implements Source {
  readonly kind = 'cache'
  readonly location: string
  readonly #root: string

  constructor(root: string) {
    this.location = `cache:${root}`
    this.#root = root
  }

  async close(): Promise<void> {}

  async *copies(): AsyncGenerator<Copy> {
    // It keeps no bytes.
  }

  /**
   * What it says of one store.
   * @returns nothing when it does not know the store
   * @throws StoreFormatError when it is damaged
   */
  async read(repositoryId: Uint8Array, {signal}: CallOptions = {}): Promise<CachedStates | undefined> {
    const path = await this.#find(formatUuid(repositoryId))
    if (path === undefined) return undefined
    const file = await SqliteFile.open(path)
    try {
      const states = new Map<Mac, Mac | undefined>()
      for await (const [mac, payload] of file.rows('states')) states.set(macOf(mac), parentIn(bytesOf(payload)))
      const packfiles = new Map<Mac, Mac>()
      for await (const [, payload] of file.rows('packfiles')) {
        throwIfAborted(signal)
        const bytes = bytesOf(payload, PACKFILE_BYTES)
        packfiles.set(macFromBytes(bytes.subarray(0, 32)), macFromBytes(bytes.subarray(32, 64)))
      }

      const coloured: Colour[] = []
      for await (const row of file.rows('deleteds')) {
        throwIfAborted(signal)
        const bytes = bytesOf(row[2], COLOURED_BYTES)
        const when = bytes.readBigInt64LE(33).toString()
        coloured.push({mac: macFromBytes(bytes.subarray(1, 33)), type: bytes[0]!, when})
      }

      return {coloured, packfiles, states}
    } finally {
      await file.close()
    }
  }

  async *states(): AsyncGenerator<ObjectName> {
    // What it knows of them is asked with `read`.
  }

  /** The database of a store: the file itself, or the one below that lies in a folder of the store's name. */
  async #find(uuid: string): Promise<string | undefined> {
    const there = await stat(this.#root).catch((error: unknown) => {
      throw localIoError(error, 'read', this.#root)
    })
    if (there.isFile()) return this.#root
    for await (const path of databasesBelow(this.#root, MAX_DEPTH)) if (basename(dirname(path)) === uuid) return path
    return undefined
  }
}

async function* databasesBelow(path: string, depth: number): AsyncGenerator<string> {
  try {
    for await (const entry of await opendir(path)) {
      if (entry.isFile() && entry.name === DATABASE) yield join(path, entry.name)
      else if (entry.isDirectory() && depth > 0) yield* databasesBelow(join(path, entry.name), depth - 1)
    }
  } catch (error) {
    if (!['EACCES', 'ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) throw localIoError(error, 'list', path)
  }
}

function macOf(value: SqlValue | undefined): Mac {
  if (typeof value === 'string' && isMac(value)) return value
  throw new StoreFormatError('state cache: a state without a MAC')
}

function bytesOf(value: SqlValue | undefined, length?: number): Buffer {
  if (Buffer.isBuffer(value) && (length === undefined || value.length === length)) return value
  throw new StoreFormatError('state cache: an entry of another length than entries have')
}

function parentIn(payload: Buffer): Mac | undefined {
  const parent = new MsgpackFields(decodeMsgpack(payload, 'state cache', LIMITS), 'state cache').bytes('parent')
  return parent.length === 32 && parent.some((byte) => byte !== 0) ? macFromBytes(parent) : undefined
}
