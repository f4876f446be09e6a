import type {Mac} from '../kloset/mac.js'
import type {StateEntry} from '../kloset/state.js'
import type {Timestamp} from '../kloset/timestamp.js'

import {BLOB_TYPES} from '../kloset/blob-type.js'
import {macFromBytes, macToBytes} from '../kloset/mac.js'
import {KeyTable} from './key-table.js'
import {OwnName, StateNames} from './state-names.js'

const KNOWN = 1
const REMOVED = 2
const COLOURED = 4
const UNCOLOURED = 8
const DELETED_SNAPSHOT = 16

const PACKFILE_AT = 37

/** How far into a packfile some state places blobs. */
export interface Reach {
  /** Where the last of them ends, from the beginning of the packfile's data. */
  readonly end: number
  /** The state that places it there. */
  readonly state: Mac
}

/** What one state says, kept apart until its MAC has proven it. */
export class StateNotes {
  /** When packfiles were deleted. */
  readonly coloured = new Map<Mac, Timestamp>()
  readonly flags = new Map<Mac, number>()
  hasDeletes = false
  /** What the state says that it is. */
  readonly name = new OwnName()
  readonly reaches = new Map<string, number>()
  /** Snapshots, with the packfile of each. */
  readonly snapshots = new Map<Mac, Mac>()
  readonly times = new Map<Mac, Timestamp>()
  #lastEnd = 0
  #lastPackfile: Buffer | undefined

  /** To be called when the last entry has been taken. */
  end(): this {
    this.#keepLast()
    return this
  }

  /** Takes an entry in. */
  take(entry: StateEntry): void {
    switch (entry.kind) {
      case 'coloured': {
        if (entry.type === BLOB_TYPES.snapshot) this.#mark(entry.mac, DELETED_SNAPSHOT)
        if (entry.type !== BLOB_TYPES.packfile) break
        this.#mark(entry.mac, COLOURED)
        this.coloured.set(entry.mac, entry.when)
        break
      }

      case 'delete': {
        this.hasDeletes = true
        if (entry.entry === 'packfile') this.#mark(entry.packfile, REMOVED)
        else if (
          entry.entry === 'coloured' &&
          (entry.type === BLOB_TYPES.packfile || entry.type === BLOB_TYPES.snapshot)
        )
          this.#mark(entry.mac, UNCOLOURED)
        break
      }

      case 'location': {
        if (entry.type === BLOB_TYPES.snapshot) this.snapshots.set(entry.mac, entry.packfile)
        this.#reach(entry.record, entry.offset + entry.length)
        break
      }

      case 'packfile': {
        this.#mark(entry.packfile, KNOWN)
        this.name.note(entry.state)
        this.times.set(entry.packfile, entry.timestamp)
        break
      }

      default: {
        break
      }
    }
  }

  #keepLast(): void {
    if (!this.#lastPackfile) return
    const packfile = this.#lastPackfile.toString('hex')
    this.reaches.set(packfile, Math.max(this.reaches.get(packfile) ?? 0, this.#lastEnd))
  }

  #mark(mac: Mac, flag: number): void {
    const flags = this.flags.get(mac) ?? 0
    if (Math.floor(flags / flag) % 2 === 0) this.flags.set(mac, flags + flag)
  }

  /** Locations come packfile by packfile, nearly: a name is made of the bytes only when they change. */
  #reach(record: Buffer, end: number): void {
    const last = this.#lastPackfile
    if (last && record.compare(last, 0, 32, PACKFILE_AT, PACKFILE_AT + 32) === 0) {
      if (end > this.#lastEnd) this.#lastEnd = end
      return
    }

    this.#keepLast()
    this.#lastPackfile = Buffer.from(record.subarray(PACKFILE_AT, PACKFILE_AT + 32))
    this.#lastEnd = end
  }
}

/** What all states together say of packfiles: some hundred bytes for each packfile, however many blobs there are. */
export class StateBook {
  /** Whether a state takes back what others say. */
  hasDeletes = false
  /** False when a state could not be read: what it says is missing here. */
  isWhole = true
  readonly names = new StateNames()
  readonly #coloured = new Map<Mac, Timestamp>()
  readonly #reaches: (Reach | undefined)[] = []
  readonly #snapshots = new Map<Mac, Mac[]>()
  readonly #table = new KeyTable(32)
  readonly #times: (Timestamp | undefined)[] = []

  /** How many snapshots plakar lists: in a packfile that a state knows, and not deleted. */
  get snapshotCount(): number {
    let count = 0
    for (const [snapshot, packfiles] of this.#snapshots) {
      const index = this.#table.indexOf(macToBytes(snapshot))
      const isDeleted = index !== undefined && this.#has(index, DELETED_SNAPSHOT) && !this.#has(index, UNCOLOURED)
      if (!isDeleted && packfiles.some((packfile) => this.#isKnown(packfile))) count += 1
    }

    return count
  }

  /** Takes in what a state says that was proven. */
  add(state: Mac, notes: StateNotes): void {
    this.hasDeletes ||= notes.hasDeletes
    this.names.note(state, notes.name.value)
    for (const [mac, flags] of notes.flags) {
      const {index} = this.#table.add(macToBytes(mac))
      const known = this.#table.flags(index)
      // eslint-disable-next-line no-bitwise
      this.#table.setFlags(index, known | flags)
    }

    for (const [mac, when] of notes.coloured) this.#coloured.set(mac, when)
    for (const [mac, time] of notes.times) this.#times[this.#table.add(macToBytes(mac)).index] ??= time
    for (const [snapshot, packfile] of notes.snapshots) {
      this.#snapshots.set(snapshot, [...(this.#snapshots.get(snapshot) ?? []), packfile])
    }

    for (const [packfile, end] of notes.reaches) {
      const {index} = this.#table.add(Buffer.from(packfile, 'hex'))
      if (end > (this.#reaches[index]?.end ?? -1)) this.#reaches[index] = {end, state}
    }
  }

  /** Packfiles that are deleted, and since when: after their time of grace they may go. */
  *coloured(): Generator<{readonly mac: Mac; readonly when: Timestamp}> {
    for (const [mac, when] of this.#coloured) {
      const index = this.#table.indexOf(macToBytes(mac))!
      if (!this.#has(index, UNCOLOURED)) yield {mac, when}
    }
  }

  /** Packfiles that must be there: a state knows them, and none has removed or coloured them. */
  *expected(): Generator<Mac> {
    for (let index = 0; index < this.#table.size; index++) {
      if (this.#isExpected(index)) yield macFromBytes(this.#table.key(index))
    }
  }

  /** Whether a state says that a snapshot is deleted. */
  isDeletedSnapshot(snapshot: Mac): boolean {
    const index = this.#table.indexOf(macToBytes(snapshot))
    return index !== undefined && this.#has(index, DELETED_SNAPSHOT)
  }

  isExpected(packfile: Mac): boolean {
    const index = this.#table.indexOf(macToBytes(packfile))
    return index !== undefined && this.#isExpected(index)
  }

  /** Whether any state has an entry for it, one that takes it back included. */
  knows(packfile: Mac): boolean {
    const index = this.#table.indexOf(macToBytes(packfile))
    return index !== undefined && this.#table.flags(index) > 0
  }

  reach(packfile: Mac): Reach | undefined {
    const index = this.#table.indexOf(macToBytes(packfile))
    return index === undefined ? undefined : this.#reaches[index]
  }

  /** When a packfile was written, as the states say. */
  timeOf(packfile: Mac): Timestamp | undefined {
    const index = this.#table.indexOf(macToBytes(packfile))
    return index === undefined ? undefined : this.#times[index]
  }

  #has(index: number, flag: number): boolean {
    return Math.floor(this.#table.flags(index) / flag) % 2 === 1
  }

  #isExpected(index: number): boolean {
    if (!this.#has(index, KNOWN) || this.#has(index, REMOVED)) return false
    return !this.#has(index, COLOURED) || this.#has(index, UNCOLOURED)
  }

  #isKnown(packfile: Mac): boolean {
    const index = this.#table.indexOf(macToBytes(packfile))
    return index !== undefined && this.#has(index, KNOWN) && !this.#has(index, REMOVED)
  }
}
