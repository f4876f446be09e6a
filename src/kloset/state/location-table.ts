/* eslint-disable no-bitwise -- two fields in a word */
import type {BlobType} from '../blob-type.js'
import type {Mac} from '../mac.js'
import type {Version} from '../version.js'
import type {LocationEntry} from './entries.js'

import {hasCode, StoreFormatError} from '../../errors.js'
import {TemporaryFile, type TemporaryFileOptions} from '../../util/temporary-file.js'
import {HashIndex, hashWords, MAC_WORDS, sameWords, WordReader} from './hash-index.js'
import {macAt} from './mac-table.js'
import {StoredRun} from './stored-run.js'

/** Rows in memory: when there are so many they are a run, and go to the disk. */
const RUN_ROWS = 2 ** 19

/** Rows of one segment: what is in memory grows by segments and is never copied. */
const SEGMENT = 2 ** 14

/** A row in words: MAC, offset, length, packfile, and the offset's upper half with the kind. */
const OFFSET = MAC_WORDS
const LENGTH = OFFSET + 1
const PACKFILE = LENGTH + 1
const KIND = PACKFILE + 1
const ROW_WORDS = KIND + 1
const ROW_BYTES = 4 * ROW_WORDS

/** Rows read at once where one is asked for after the other. */
const PAGE_ROWS = 512

/** Combinations of type, version and flags: a store has a few dozen. */
const MAX_KINDS = 65_000
/** The kind of a row that was taken back. */
const REMOVED = 2 ** 16 - 1

/** What the index can number; a table this large would have 100 GiB. */
const MAX_ROWS = 2 ** 31

interface Kind {
  readonly flags: number
  readonly type: BlobType
  readonly version: Version
}

/** A row, read. */
export interface Row extends Kind {
  readonly length: number
  readonly mac: Mac
  readonly offset: number
  /** The packfile's number. */
  readonly packfile: number
}

export interface LocationTableOptions extends Pick<TemporaryFileOptions, 'dir'> {
  /** Rows kept in memory, a power of two of at most 2^20. Default half a million. */
  readonly runRows?: number | undefined
}

/**
 * Locations by the million: a row is 48 bytes. The newest half a million are in memory, the others in a temporary file,
 * with some 56 bytes there and two in memory each. Packfiles are numbers here.
 */
export class LocationTable {
  #at = 0
  #count = 0
  readonly #file: TemporaryFile
  #hashes = this.#newIndex()
  readonly #kindNumbers = new Map<string, number>()
  readonly #kinds: Kind[] = []
  #lastKind = -1
  readonly #page: Uint32Array
  readonly #pageBytes: Buffer
  /** Rows that the page has: from the first on, before the last. */
  #pageEnd = 0
  #pageFirst = 0
  readonly #reader = new WordReader()
  #removed = 0
  readonly #runRows: number
  readonly #runs: {readonly rowsAt: number; readonly run: StoredRun}[] = []
  readonly #segmentRows: number
  /** Of the rows that are in memory. */
  #segments: Uint32Array[] = []
  #stores = true
  /** Where the last row that was sought lies. */
  #words: Uint32Array = new Uint32Array(0)

  constructor({dir, runRows = RUN_ROWS}: LocationTableOptions = {}) {
    this.#file = new TemporaryFile({dir, suffix: 'locations'})
    this.#runRows = runRows
    this.#segmentRows = Math.min(SEGMENT, runRows)
    this.#page = new Uint32Array(Math.min(PAGE_ROWS, runRows) * ROW_WORDS)
    this.#pageBytes = Buffer.from(this.#page.buffer)
  }

  get #firstInMemory(): number {
    return this.#runs.length * this.#runRows
  }

  /** Memory that the table takes. */
  get bytes(): number {
    const inMemory = this.#segments.length * this.#segmentRows * ROW_BYTES + this.#hashes.bytes
    return this.#runs.reduce((sum, {run}) => sum + run.bytes, inMemory)
  }

  /** Bytes that lie on the disk. */
  get bytesOnDisk(): number {
    return this.#file.size
  }

  /** Rows ever added, with those that were removed. */
  get rows(): number {
    return this.#count
  }

  /** Rows that are there. */
  get size(): number {
    return this.#count - this.#removed
  }

  /** Adds a row. Whether one like it is there already, the caller asks with `rowsOf`. @throws LocalIoError */
  add(entry: LocationEntry, packfile: number): void {
    if (this.#count === MAX_ROWS) throw new StoreFormatError(`more than ${MAX_ROWS} locations`)
    if (this.#count - this.#firstInMemory >= this.#runRows && this.#stores) this.#store()
    const row = this.#count++
    const local = row - this.#firstInMemory
    if (local % this.#segmentRows === 0) this.#segments.push(new Uint32Array(this.#segmentRows * ROW_WORDS))
    this.#seek(row)
    const {offset, record, type} = entry
    const [words, at] = [this.#words, this.#at]
    words.set(this.#reader.read(record, 5), at)
    words[at + OFFSET] = offset % 2 ** 32
    words[at + LENGTH] = entry.length
    words[at + PACKFILE] = packfile
    words[at + KIND] = (Math.floor(offset / 2 ** 32) << 16) | this.#kindNumber(entry)
    this.#hashes.insert(hashWords(words, at, type), local)
  }

  /** Lets go of what lies on the disk: nothing can be asked any more. */
  dispose(): void {
    this.#file.dispose()
  }

  /** The number of a row's packfile. */
  packfileOf(row: number): number {
    this.#seek(row)
    return this.#words[this.#at + PACKFILE]!
  }

  /** Undefined for a row that was removed. @throws LocalIoError, as whatever asks for rows */
  read(row: number): Row | undefined {
    const kind = this.#kindOf(row)
    if (!kind) return undefined
    const [words, at] = [this.#words, this.#at]
    return {
      flags: kind.flags,
      length: words[at + LENGTH]!,
      mac: macAt(words, at),
      offset: words[at + OFFSET]! + (words[at + KIND]! >>> 16) * 2 ** 32,
      packfile: words[at + PACKFILE]!,
      type: kind.type,
      version: kind.version,
    }
  }

  remove(row: number): void {
    if (!this.#kindOf(row)) return
    this.#words[this.#at + KIND]! |= REMOVED
    this.#removed += 1
    if (row >= this.#firstInMemory) return
    const bytes = this.#pageBytes.subarray(4 * this.#at, 4 * this.#at + ROW_BYTES)
    this.#file.write(bytes, this.#placeOf(row))
  }

  /** The rows of the blob whose MAC lies at a place of some bytes, in the order in which they came. */
  rowsOf(type: BlobType, source: Buffer, at = 0): number[] {
    const rows: number[] = []
    const wanted = this.#reader.read(source, at)
    const hash = hashWords(wanted, 0, type)
    for (const [number, {run}] of this.#runs.entries()) {
      for (const local of run.numbersOf(hash)) {
        const row = number * this.#runRows + local
        if (this.#isOf(row, type, wanted)) rows.push(row)
      }
    }

    for (let slot = this.#hashes.first(hash); ; slot = this.#hashes.next(slot)) {
      const local = this.#hashes.at(slot)
      // Those that the hashes in memory have under one may come in any order.
      if (local === -1) return rows.length > 1 ? rows.sort((a, b) => a - b) : rows
      const row = this.#firstInMemory + local
      if (this.#isOf(row, type, wanted)) rows.push(row)
    }
  }

  /** The type of a row's blob; undefined for one that was removed. */
  typeOf(row: number): BlobType | undefined {
    return this.#kindOf(row)?.type
  }

  /** A removed row keeps a place, under any hash: nothing finds it. */
  #hashOf(row: number): number {
    const type = this.typeOf(row) ?? 0
    return hashWords(this.#words, this.#at, type)
  }

  #isOf(row: number, type: BlobType, mac: Uint32Array): boolean {
    return this.typeOf(row) === type && sameWords(this.#words, this.#at, mac)
  }

  #kindNumber({flags, type, version}: Kind): number {
    const last = this.#kinds[this.#lastKind]
    if (last?.type === type && last.version === version && last.flags === flags) return this.#lastKind
    const key = `${type} ${version} ${flags}`
    const known = this.#kindNumbers.get(key)
    if (known === undefined && this.#kinds.length === MAX_KINDS) {
      throw new StoreFormatError('locations of too many types and versions')
    }

    this.#lastKind = known ?? this.#kinds.push({flags, type, version}) - 1
    this.#kindNumbers.set(key, this.#lastKind)
    return this.#lastKind
  }

  #kindOf(row: number): Kind | undefined {
    this.#seek(row)
    return this.#kinds[this.#words[this.#at + KIND]! & REMOVED]
  }

  #newIndex(): HashIndex {
    return new HashIndex((local) => this.#hashOf(this.#firstInMemory + local))
  }

  #placeOf(row: number): number {
    return this.#runs[Math.floor(row / this.#runRows)]!.rowsAt + (row % this.#runRows) * ROW_BYTES
  }

  /** Finds the words of a row: reads those that follow as well when it is asked for after the one before it. */
  #seek(row: number): void {
    const local = row - this.#firstInMemory
    if (local >= 0) {
      this.#words = this.#segments[Math.floor(local / this.#segmentRows)]!
      this.#at = (local % this.#segmentRows) * ROW_WORDS
      return
    }

    if (row < this.#pageFirst || row >= this.#pageEnd) {
      const count = row === this.#pageEnd ? Math.min(PAGE_ROWS, this.#runRows - (row % this.#runRows)) : 1
      this.#pageEnd = 0
      this.#pageFirst = 0
      this.#file.read(this.#pageBytes.subarray(0, count * ROW_BYTES), this.#placeOf(row))
      this.#pageFirst = row
      this.#pageEnd = row + count
    }

    this.#words = this.#page
    this.#at = (row - this.#pageFirst) * ROW_WORDS
  }

  /** Takes the rows that are in memory to the disk. Where nothing can be written they stay. */
  #store(): void {
    const hashes = Uint32Array.from({length: this.#runRows}, (_, local) => this.#hashOf(this.#firstInMemory + local))
    try {
      const rowsAt = this.#file.size
      for (const segment of this.#segments) this.#file.append(Buffer.from(segment.buffer))
      this.#runs.push({rowsAt, run: new StoredRun(this.#file, hashes)})
    } catch (error) {
      if (!hasCode(error, 'IO')) throw error
      this.#stores = false
      return
    }

    this.#segments = []
    this.#hashes = this.#newIndex()
  }
}
