import {BLOB_TYPES, type BlobType} from '../blob-type.js'
import {type Mac, macToBytes} from '../mac.js'
import {type Timestamp} from '../timestamp.js'
import {type Version} from '../version.js'
import {StateDecoder} from './decoder.js'
import {
  type ColouredEntry,
  type ConfigurationEntry,
  type DeleteEntry,
  type LocationEntry,
  type LocationFields,
  type MetadataEntry,
  type PackfileEntry,
  type StateEntry,
  timestampToNanos,
} from './entries.js'
import {LocationTable, type LocationTableOptions} from './location-table.js'
import {MacTable} from './mac-table.js'

/** A packfile that some entry names. */
export interface KnownPackfile {
  /** When it was deleted, if it was: after its time of grace it may go. */
  readonly coloured: Timestamp | undefined
  /** False for one that only locations or colours name: what lies there is not found through the states. */
  readonly known: boolean
  readonly mac: Mac
  /** The state that made it known, and when. */
  readonly state: Mac | undefined
  readonly timestamp: Timestamp | undefined
}

/** A state that was taken in. */
export interface KnownState {
  readonly mac: Mac
  readonly metadata: MetadataEntry
  readonly parent: Mac | undefined
  /** Entries of kinds that this program does not know. */
  readonly unknownEntries: number
}

export interface StateIndexOptions extends LocationTableOptions {
  /** Which locations to keep; default all. */
  readonly keep?: ((entry: LocationEntry) => boolean) | undefined
}

interface Packfile {
  coloured: Timestamp | undefined
  /** Rows below this number were removed together with the packfile. */
  deadRows: number
  /** Its rows lie before this number, */
  endRow: number
  entry: PackfileEntry | undefined
  /** and from this one on. */
  firstRow: number
}

/**
 * What all states of a store say together: where every blob lies, which packfiles there are, what is deleted.
 * States are taken in after the ones that they follow (`orderStates`). Of many locations most lie in a temporary file,
 * and two bytes of each in memory: whoever is done with the index disposes of it.
 * @see kloset repository/state/state.go and caching/sqlstate.go, whose rules these are
 */
export class StateIndex {
  readonly #coloured = new Map<string, ColouredEntry>()
  readonly #configuration = new Map<string, ConfigurationEntry>()
  readonly #keep: (entry: LocationEntry) => boolean
  readonly #locations: LocationTable
  readonly #packfileNumbers = new MacTable()
  readonly #packfiles: Packfile[] = []
  readonly #states = new Map<Mac, KnownState>()

  constructor({keep = () => true, ...options}: StateIndexOptions = {}) {
    this.#keep = keep
    this.#locations = new LocationTable(options)
  }

  /** Memory that the locations take. */
  get bytes(): number {
    return this.#locations.bytes + this.#packfileNumbers.bytes
  }

  /** Locations, those in deleted packfiles with them. An upper bound once packfiles have been removed. */
  get locationCount(): number {
    return this.#locations.size
  }

  /** Locations have numbers below this: those that were removed with them. */
  get rowCount(): number {
    return this.#locations.rows
  }

  get states(): ReadonlyMap<Mac, KnownState> {
    return this.#states
  }

  /**
   * Takes in one entry; metadata says nothing here.
   * @throws StoreFormatError when there are too many locations, LocalIoError when the temporary file cannot be read
   */
  add(entry: StateEntry): void {
    switch (entry.kind) {
      case 'coloured': {
        this.#colour(entry)
        break
      }

      case 'configuration': {
        const known = this.#configuration.get(entry.key)
        if (!known || timestampToNanos(known.createdAt) < timestampToNanos(entry.createdAt)) {
          this.#configuration.set(entry.key, entry)
        }

        break
      }

      case 'delete': {
        this.#delete(entry)
        break
      }

      case 'location': {
        this.#addLocation(entry)
        break
      }

      case 'packfile': {
        this.#packfiles[this.#packfileNumber(macToBytes(entry.packfile))]!.entry ??= entry
        break
      }

      default: {
        break
      }
    }
  }

  /**
   * Takes in a whole state, from the decoded data of its envelope. One that fails in the middle leaves what came before
   * the fault: prove it first, or give the index up.
   * @throws StoreFormatError | VersionError, and whatever the source throws
   */
  async addState(mac: Mac, source: AsyncIterable<Uint8Array>, version: Version): Promise<KnownState> {
    const decoder = new StateDecoder(version, `state ${mac}`)
    let unknownEntries = 0
    for await (const chunk of source) {
      for (const entry of decoder.push(chunk)) {
        if (entry.kind === 'unknown') unknownEntries += 1
        else this.add(entry)
      }
    }

    const state = {mac, metadata: decoder.end(), parent: decoder.parent, unknownEntries}
    this.#states.set(mac, state)
    return state
  }

  /** Every location, of one type or of all, in the order in which they came. */
  *allLocations(type?: BlobType): Generator<LocationFields> {
    for (let row = 0; row < this.#locations.rows; row++) {
      if (type !== undefined && this.#locations.typeOf(row) !== type) continue
      const fields = this.#isLive(row) ? this.#fields(row) : undefined
      if (fields) yield fields
    }
  }

  /** What is deleted, of one type or of all. */
  *coloured(type?: BlobType): Generator<ColouredEntry> {
    for (const entry of this.#coloured.values()) if (type === undefined || entry.type === type) yield entry
  }

  colouredAt(type: BlobType, mac: Mac): Timestamp | undefined {
    return this.#coloured.get(colourKey(type, mac))?.when
  }

  configuration(key: string): ConfigurationEntry | undefined {
    return this.#configuration.get(key)
  }

  /** Lets go of the locations that lie on the disk: none can be asked for any more. */
  dispose(): void {
    this.#locations.dispose()
  }

  /** Where kloset reads a blob from: the first place in a packfile that is known and not deleted. */
  locate(type: BlobType, mac: Buffer | Mac): LocationFields | undefined {
    const row = this.rowOf(type, mac)
    return row === -1 ? undefined : this.#fields(row)
  }

  /** Every place of a blob, deleted and unknown packfiles with them. */
  locations(type: BlobType, mac: Buffer | Mac): LocationFields[] {
    return this.rowsOf(type, mac).map((row) => this.#fields(row)!)
  }

  /** Every location in a packfile, in the order in which they came. */
  *locationsIn(packfile: Mac): Generator<LocationFields> {
    const number = this.#packfileNumbers.numberOf(macToBytes(packfile))
    const {endRow = 0, firstRow = 0} = this.#packfiles[number] ?? {}
    for (let row = firstRow; row < endRow; row++) {
      const fields = this.#locations.packfileOf(row) === number ? this.rowAt(row) : undefined
      if (fields) yield fields
    }
  }

  packfile(mac: Mac): KnownPackfile | undefined {
    const number = this.#packfileNumbers.numberOf(macToBytes(mac))
    return number === -1 ? undefined : this.#describe(number)
  }

  /** Every packfile that some entry names. */
  *packfiles(): Generator<KnownPackfile> {
    for (let number = 0; number < this.#packfiles.length; number++) yield this.#describe(number)
  }

  /** The location with a number; undefined for one that was removed. */
  rowAt(row: number): LocationFields | undefined {
    return this.#isLive(row) ? this.#fields(row) : undefined
  }

  /** The number of the location that `locate` finds; -1 for none. */
  rowOf(type: BlobType, mac: Buffer | Mac): number {
    return this.rowsOf(type, mac).find((row) => this.#isReadable(row)) ?? -1
  }

  /** The numbers of what `locations` finds. */
  rowsOf(type: BlobType, mac: Buffer | Mac): number[] {
    return this.#locations.rowsOf(type, bytesOf(mac)).filter((row) => this.#isLive(row))
  }

  /** The serial that the next state has: the newest state's, or in a new store its identifier. */
  serial(repositoryId: Buffer): Buffer {
    let newest: MetadataEntry | undefined
    for (const {metadata} of this.#states.values()) {
      if (!newest || timestampToNanos(newest.timestamp) < timestampToNanos(metadata.timestamp)) newest = metadata
    }

    return newest?.serial ?? repositoryId
  }

  /** Snapshots that plakar lists: in a known packfile and not deleted themselves. */
  *snapshots(): Generator<LocationFields> {
    const seen = new Set<Mac>()
    for (const location of this.allLocations(BLOB_TYPES.snapshot)) {
      if (seen.has(location.mac) || this.colouredAt(BLOB_TYPES.snapshot, location.mac)) continue
      if (!this.packfile(location.packfile)?.known) continue
      seen.add(location.mac)
      yield location
    }
  }

  #addLocation(entry: LocationEntry): void {
    if (!this.#keep(entry)) return
    const packfile = this.#packfileNumber(entry.record, 37)
    for (const row of this.#locations.rowsOf(entry.type, entry.record, 5)) {
      if (this.#isLive(row) && this.#locations.packfileOf(row) === packfile) return
    }

    const known = this.#packfiles[packfile]!
    known.firstRow = Math.min(known.firstRow, this.#locations.rows)
    this.#locations.add(entry, packfile)
    known.endRow = this.#locations.rows
  }

  #colour(entry: ColouredEntry): void {
    const key = colourKey(entry.type, entry.mac)
    if (this.#coloured.has(key)) return
    this.#coloured.set(key, entry)
    if (entry.type !== BLOB_TYPES.packfile) return
    this.#packfiles[this.#packfileNumber(macToBytes(entry.mac))]!.coloured = entry.when
  }

  #delete({entry, mac, packfile, type}: DeleteEntry): void {
    switch (entry) {
      case 'coloured': {
        this.#coloured.delete(colourKey(type, mac))
        const number = type === BLOB_TYPES.packfile ? this.#packfileNumbers.numberOf(macToBytes(mac)) : -1
        if (number !== -1) this.#packfiles[number]!.coloured = undefined
        break
      }

      case 'location': {
        const number = this.#packfileNumbers.numberOf(macToBytes(packfile))
        for (const row of this.#locations.rowsOf(type, macToBytes(mac))) {
          if (this.#isLive(row) && this.#locations.packfileOf(row) === number) this.#locations.remove(row)
        }

        break
      }

      default: {
        const number = this.#packfileNumbers.numberOf(macToBytes(packfile))
        if (number === -1) break
        const known = this.#packfiles[number]!
        known.entry = undefined
        known.deadRows = this.#locations.rows
      }
    }
  }

  #describe(number: number): KnownPackfile {
    const {coloured, entry} = this.#packfiles[number]!
    return {
      coloured,
      known: entry !== undefined,
      mac: this.#packfileNumbers.read(number),
      state: entry?.state,
      timestamp: entry?.timestamp,
    }
  }

  #fields(row: number): LocationFields | undefined {
    const read = this.#locations.read(row)
    if (!read) return undefined
    const {flags, length, mac, offset, type, version} = read
    return {flags, length, mac, offset, packfile: this.#packfileNumbers.read(read.packfile), type, version}
  }

  #isLive(row: number): boolean {
    return row >= this.#packfiles[this.#locations.packfileOf(row)]!.deadRows
  }

  #isReadable(row: number): boolean {
    const {coloured, entry} = this.#packfiles[this.#locations.packfileOf(row)]!
    return entry !== undefined && coloured === undefined
  }

  /** The number of a packfile, new or known. */
  #packfileNumber(source: Buffer, at = 0): number {
    const number = this.#packfileNumbers.intern(source, at)
    this.#packfiles[number] ??= {coloured: undefined, deadRows: 0, endRow: 0, entry: undefined, firstRow: Infinity}
    return number
  }
}

function bytesOf(mac: Buffer | Mac): Buffer {
  return typeof mac === 'string' ? macToBytes(mac) : mac
}

function colourKey(type: BlobType, mac: Mac): string {
  return `${type} ${mac}`
}
