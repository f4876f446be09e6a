import type {Mac} from '../../kloset/mac.js'

import {macToBytes} from '../../kloset/mac.js'
import {type DeleteEntry, type LocationEntry, MacTable, type StateEntry, StateIndex} from '../../kloset/state.js'
import {Buckets} from '../../util/buckets.js'
import {KeyTable} from '../key-table.js'
import {BLOB_KEY_BYTES, writeBlobKey} from './blob-key.js'

/** Key, whether it was taken back, the packfile's number, and when: a number that grows with every entry. */
const REMOVED_AT = BLOB_KEY_BYTES
const PACKFILE_AT = REMOVED_AT + 1
const WHEN_AT = PACKFILE_AT + 4
const RECORD_BYTES = WHEN_AT + 6

export interface LocationLogOptions {
  /** Whether a packfile is there. */
  readonly hasPackfile: (mac: Mac) => boolean
}

/**
 * What states say together, with no location in memory: those are noted on the disk, in the order in which they come and
 * are taken back, and say bucket by bucket which blobs can be read in the end.
 */
export class LocationLog extends StateIndex {
  /** When a packfile was taken back, by its number: what was placed in it before is gone. */
  readonly #gone = new Map<number, number>()
  readonly #hasPackfile: LocationLogOptions['hasPackfile']
  #hasRemovals = false
  readonly #log = new Buckets(RECORD_BYTES)
  readonly #numbers = new MacTable()
  readonly #record = Buffer.alloc(RECORD_BYTES)
  #when = 0

  constructor({hasPackfile}: LocationLogOptions) {
    super({keep: () => false})
    this.#hasPackfile = hasPackfile
  }

  /** Takes in one entry. @throws LocalIoError when it cannot be noted */
  override add(entry: StateEntry): void {
    super.add(entry)
    this.#when += 1
    if (entry.kind === 'location') this.#place(entry)
    else if (entry.kind === 'delete') this.#takeBack(entry)
  }

  override dispose(): void {
    super.dispose()
    this.#log.dispose()
  }

  /** The keys of those blobs of a bucket that kloset can read, when all states have been taken in. */
  readable(bucket: number): KeyTable {
    const removals = this.#removals(bucket)
    const keys = new KeyTable(BLOB_KEY_BYTES)
    const verdicts = new Map<number, boolean>()
    for (const record of this.#log.records(bucket)) {
      if (record[REMOVED_AT] === 1) continue
      const packfile = record.readUInt32LE(PACKFILE_AT)
      const isReadable = verdicts.get(packfile) ?? this.#isReadable(packfile)
      verdicts.set(packfile, isReadable)
      const when = record.readUIntLE(WHEN_AT, 6)
      if (!isReadable || when < (this.#gone.get(packfile) ?? 0)) continue
      if (removals.size > 0 && when < (removals.get(placeOf(record)) ?? 0)) continue
      keys.add(record.subarray(0, BLOB_KEY_BYTES))
    }

    return keys
  }

  #isReadable(number: number): boolean {
    const mac = this.#numbers.read(number)
    const packfile = this.packfile(mac)
    return packfile !== undefined && packfile.known && packfile.coloured === undefined && this.#hasPackfile(mac)
  }

  #note(removed: boolean, packfile: number): void {
    this.#record[REMOVED_AT] = removed ? 1 : 0
    this.#record.writeUInt32LE(packfile, PACKFILE_AT)
    this.#record.writeUIntLE(this.#when, WHEN_AT, 6)
    this.#log.add(this.#record)
  }

  #place({record, type}: LocationEntry): void {
    writeBlobKey(this.#record, type, record, 5)
    this.#note(false, this.#numbers.intern(record, 37))
  }

  /** When each place was last taken back. Maintenance takes back whole packfiles: there are few. */
  #removals(bucket: number): ReadonlyMap<string, number> {
    const removals = new Map<string, number>()
    if (!this.#hasRemovals) return removals
    for (const record of this.#log.records(bucket)) {
      if (record[REMOVED_AT] === 1) removals.set(placeOf(record), record.readUIntLE(WHEN_AT, 6))
    }

    return removals
  }

  #takeBack({entry, mac, packfile, type}: DeleteEntry): void {
    if (entry === 'coloured') return
    const number = this.#numbers.intern(macToBytes(packfile))
    if (entry === 'packfile') {
      this.#gone.set(number, this.#when)
      return
    }

    this.#hasRemovals = true
    writeBlobKey(this.#record, type, macToBytes(mac), 0)
    this.#note(true, number)
  }
}

/** Blob and packfile. */
function placeOf(record: Buffer): string {
  const packfile = record.toString('latin1', PACKFILE_AT, WHEN_AT)
  return record.toString('latin1', 0, BLOB_KEY_BYTES) + packfile
}
