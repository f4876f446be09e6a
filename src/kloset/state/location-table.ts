import type {BlobType} from '../blob-type.js'
import type {Mac} from '../mac.js'
import type {Version} from '../version.js'
import type {LocationEntry} from './entries.js'

import {StoreFormatError} from '../../errors.js'
import {HashIndex, hashWords, MAC_WORDS, sameWords, WordReader} from './hash-index.js'
import {macAt} from './mac-table.js'

/** Rows of one segment: the table grows by segments and never copies what it holds. */
const SEGMENT = 16_384

/** MAC, packfile, offset in 6 bytes, length, kind. */
const ROW_BYTES = 32 + 4 + 6 + 4 + 2

/** Combinations of type, version and flags: a store has a few dozen. */
const MAX_KINDS = 65_000
/** The kind of a row that was taken back. */
const REMOVED = 65_535

/** What the index can number; a table this large would have 100 GiB. */
const MAX_ROWS = 2 ** 31

interface Segment {
  readonly kinds: Uint16Array
  readonly lengths: Uint32Array
  readonly macs: Uint32Array
  readonly offsetsHigh: Uint16Array
  readonly offsetsLow: Uint32Array
  readonly packfiles: Uint32Array
}

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

/**
 * Locations by the million: a row is 48 bytes in typed arrays, and its place in the index takes 5 to 11 more.
 * Packfiles are numbers here.
 */
export class LocationTable {
  #count = 0
  readonly #index: HashIndex
  readonly #kindNumbers = new Map<string, number>()
  readonly #kinds: Kind[] = []
  #lastKind = -1
  readonly #reader = new WordReader()
  #removed = 0
  readonly #segments: Segment[] = []

  constructor() {
    this.#index = new HashIndex((row) => this.#hashOf(row))
  }

  /** Memory that the table takes. */
  get bytes(): number {
    return this.#segments.length * SEGMENT * ROW_BYTES + this.#index.bytes
  }

  /** Rows ever added, with those that were removed. */
  get rows(): number {
    return this.#count
  }

  /** Rows that are there. */
  get size(): number {
    return this.#count - this.#removed
  }

  /** Adds a row. Whether one like it is there already, the caller asks with `rowsOf`. */
  add(entry: LocationEntry, packfile: number): void {
    if (this.#count === MAX_ROWS) throw new StoreFormatError(`more than ${MAX_ROWS} locations`)
    const row = this.#count++
    if (row % SEGMENT === 0) this.#segments.push(newSegment())
    const {kinds, lengths, macs, offsetsHigh, offsetsLow, packfiles} = this.#segment(row)
    const at = row % SEGMENT
    const {offset, record, type} = entry
    const words = this.#reader.read(record, 5)
    macs.set(words, at * MAC_WORDS)
    kinds[at] = this.#kindNumber(entry)
    lengths[at] = entry.length
    offsetsHigh[at] = Math.floor(offset / 2 ** 32)
    offsetsLow[at] = offset % 2 ** 32
    packfiles[at] = packfile
    this.#index.insert(hashWords(words, 0, type), row)
  }

  /** The number of a row's packfile. */
  packfileOf(row: number): number {
    return this.#segment(row).packfiles[row % SEGMENT]!
  }

  /** Undefined for a row that was removed. */
  read(row: number): Row | undefined {
    const {kinds, lengths, macs, offsetsHigh, offsetsLow, packfiles} = this.#segment(row)
    const at = row % SEGMENT
    const kind = this.#kinds[kinds[at]!]
    return (
      kind && {
        flags: kind.flags,
        length: lengths[at]!,
        mac: macAt(macs, at * MAC_WORDS),
        offset: offsetsLow[at]! + offsetsHigh[at]! * 2 ** 32,
        packfile: packfiles[at]!,
        type: kind.type,
        version: kind.version,
      }
    )
  }

  remove(row: number): void {
    const {kinds} = this.#segment(row)
    if (kinds[row % SEGMENT] === REMOVED) return
    kinds[row % SEGMENT] = REMOVED
    this.#removed += 1
  }

  /** The rows of the blob whose MAC lies at a place of some bytes, in the order in which they came. */
  rowsOf(type: BlobType, source: Buffer, at = 0): number[] {
    const rows: number[] = []
    const words = this.#reader.read(source, at)
    for (let slot = this.#index.first(hashWords(words, 0, type)); ; slot = this.#index.next(slot)) {
      const row = this.#index.at(slot)
      if (row === -1) return rows
      if (this.typeOf(row) === type && sameWords(this.#segment(row).macs, (row % SEGMENT) * MAC_WORDS, words)) {
        rows.push(row)
      }
    }
  }

  /** The type of a row's blob; undefined for one that was removed. */
  typeOf(row: number): BlobType | undefined {
    return this.#kinds[this.#segment(row).kinds[row % SEGMENT]!]?.type
  }

  /** A removed row keeps a place, under any hash: nothing finds it. */
  #hashOf(row: number): number {
    return hashWords(this.#segment(row).macs, (row % SEGMENT) * MAC_WORDS, this.typeOf(row) ?? 0)
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

  #segment(row: number): Segment {
    return this.#segments[Math.floor(row / SEGMENT)]!
  }
}

function newSegment(): Segment {
  return {
    kinds: new Uint16Array(SEGMENT),
    lengths: new Uint32Array(SEGMENT),
    macs: new Uint32Array(SEGMENT * MAC_WORDS),
    offsetsHigh: new Uint16Array(SEGMENT),
    offsetsLow: new Uint32Array(SEGMENT),
    packfiles: new Uint32Array(SEGMENT),
  }
}
