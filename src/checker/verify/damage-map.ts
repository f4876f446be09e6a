import type {BlobType} from '../../kloset/blob-type.js'
import type {StoreContents} from '../../kloset/contents.js'
import type {Mac} from '../../kloset/mac.js'
import type {Finding} from '../findings.js'

import {hasCode, isNotFound, messageOf} from '../../errors.js'
import {BLOB_TYPES, blobKey, blobTypeName} from '../../kloset/blob-type.js'
import {isObjectFault} from '../../kloset/faults.js'
import {tagOf} from '../../kloset/resource.js'
import {type BlobReference, type BrokenReference, snapshotReferences} from '../../kloset/snapshot/index.js'
import {throwIfAborted} from '../../util/abort.js'
import {finding} from '../failures.js'
import {referencesIn} from './references.js'
import {RowNotes, RowSet} from './row-notes.js'
import {Toll} from './toll.js'

/** Missing or unreadable blobs that are told one by one. */
const MAX_FOUND = 10_000

/** A blob that no state places anywhere. */
const NOWHERE = -1

/** One thing that is wrong, and what of a packfile it takes away. */
export interface Damage {
  readonly finding: Finding
  /** A `ReferenceList` of its blobs that cannot be read; undefined when all of them may be gone. */
  readonly lost?: Uint8Array | undefined
  readonly packfile?: Mac | undefined
}

export interface MapOptions {
  /** Whether a packfile has a tag. */
  readonly hasPackfile: (mac: Mac) => boolean
  readonly onSnapshot?: ((done: number) => void) | undefined
  readonly signal?: AbortSignal | undefined
}

/** What all damages together cost. */
export interface DamageReport {
  readonly damagedSnapshots: readonly Mac[]
  /** The damages' findings with what each costs, and those that the walk added. */
  readonly findings: readonly Finding[]
  readonly snapshots: number
}

/**
 * Goes through every snapshot that the states list and notes which damage takes which file: also blobs that are needed
 * and that nobody has. Files that snapshots share are read once.
 * @throws what the registry throws when it fails
 */
export async function mapDamage(
  contents: StoreContents,
  damages: readonly Damage[],
  options: MapOptions,
): Promise<DamageReport> {
  return new DamageWalk(contents, damages, options).run()
}

class DamageWalk {
  readonly #contents: StoreContents
  readonly #damagedSnapshots = new Set<Mac>()
  /** Where the walk is: the number of a location, as all that is noted of blobs. */
  #entry = NOWHERE
  readonly #findings: Finding[] = []
  readonly #found = new Map<string, number>()
  /** Damages that take a blob away. */
  readonly #lost = new RowNotes()
  /** The damage of a state that could not be read. */
  #lostState: number | undefined
  /** What lies below an entry or object that was read, when something of it is damaged. */
  readonly #memory = new RowNotes()
  /** Where the reference lies that came last. */
  #noted = NOWHERE
  #object = NOWHERE
  /** A part that could not be read: what it refers to is not known. */
  readonly #onBroken = ({before, error, from, mac, path, type}: BrokenReference): void => {
    if (!isObjectFault(error)) throw error
    const hits = [...this.#hits(type, mac)]
    const numbers = hits.length > 0 ? hits : [this.#unreadable(type, mac, error)]
    for (const number of numbers) {
      if (path === undefined) {
        this.#damagedSnapshots.add(this.#snapshot)
        this.#tolls[number]!.hide(this.#snapshot, {before, from})
      } else {
        this.#charge(number, path)
      }
    }
  }
  readonly #options: MapOptions
  readonly #seen: RowSet
  #snapshot!: Mac
  readonly #tolls: Toll[] = []

  readonly #whole = new Map<Mac, number[]>()

  constructor(contents: StoreContents, damages: readonly Damage[], options: MapOptions) {
    this.#contents = contents
    this.#options = options
    this.#seen = new RowSet(contents.index.rowCount)
    for (const {finding: found, lost, packfile} of damages) {
      const number = this.#add(found)
      if (found.object?.resource === 'state') this.#lostState ??= number
      if (packfile === undefined) continue
      if (lost) this.#lose(lost, packfile, number)
      else push(this.#whole, packfile, number)
    }
  }

  async run(): Promise<DamageReport> {
    const {onSnapshot, signal} = this.#options
    let snapshots = 0
    for (const {mac} of this.#contents.index.snapshots()) {
      throwIfAborted(signal)
      await this.#walk(mac)
      onSnapshot?.(++snapshots)
    }

    const isWhole = this.#contents.unreadable.length === 0
    const findings = this.#findings.map((found, number) => this.#tolls[number]!.on(found, {isWhole}))
    for (const {snapshots: own} of findings)
      if (Array.isArray(own)) for (const mac of own) this.#damagedSnapshots.add(mac as Mac)
    return {damagedSnapshots: [...this.#damagedSnapshots], findings, snapshots}
  }

  #add(found: Finding): number {
    this.#tolls.push(new Toll())
    return this.#findings.push(found) - 1
  }

  /** A place of a blob that kloset does not read it from. */
  #anyRowOf(type: BlobType, mac: Mac): number {
    return this.#contents.index.rowsOf(type, mac)[0] ?? NOWHERE
  }

  /** A damage takes a file, or with no path something that the snapshot needs as a whole. */
  #charge(number: number, path: string | undefined): void {
    this.#damagedSnapshots.add(this.#snapshot)
    this.#tolls[number]!.charge(this.#snapshot, path)
    for (const row of [this.#entry, this.#object]) if (row !== NOWHERE) this.#memory.add(row, number)
  }

  /** Damages that take a blob away, from where it is read. */
  #hits(type: BlobType, mac: Mac, row = this.#contents.index.rowOf(type, mac)): Iterable<number> {
    if (row === NOWHERE) return [this.#missing(type, mac)]
    const {packfile} = this.#contents.index.rowAt(row)!
    const whole = this.#whole.get(packfile)
    if (whole) return whole
    const lost = this.#lost.get(row)
    return lost.size > 0 || this.#options.hasPackfile(packfile) ? lost : [this.#missing(type, mac)]
  }

  /** Blobs that a damage takes away from a packfile, where states place them in it. */
  #lose(lost: Uint8Array, packfile: Mac, number: number): void {
    const {index} = this.#contents
    for (const {mac, type} of referencesIn(lost)) {
      for (const row of index.rowsOf(type, mac)) {
        if (index.rowAt(row)?.packfile === packfile) this.#lost.add(row, number)
      }
    }
  }

  #missing(type: BlobType, mac: Mac): number {
    // A state is lost as well: the blob is there, then, and nobody says where.
    if (this.#lostState !== undefined) return this.#lostState
    if (this.#contents.unreadable.length > 0) return this.#unread()
    const key = `missing ${blobKey(type, mac)}`
    const known = this.#found.get(key)
    if (known !== undefined) return known
    const name = blobTypeName(type)
    const rest = this.#findings.length > MAX_FOUND
    const message = rest ? 'more blobs that snapshots need are in no packfile' : `${name} ${mac}: no packfile has it`
    const same = rest ? this.#found.get('missing more') : undefined
    const number = same ?? this.#add(finding('reference-missing', message, rest ? {} : {blob: {mac, type: name}}))
    this.#found.set(rest ? 'missing more' : key, number)
    return number
  }

  #note({mac, path, type}: BlobReference): void {
    const readable = this.#contents.index.rowOf(type, mac)
    const row = readable === NOWHERE ? this.#anyRowOf(type, mac) : readable
    this.#noted = row
    switch (type) {
      case BLOB_TYPES.chunk: {
        break
      }

      case BLOB_TYPES.object: {
        this.#object = row
        break
      }

      default: {
        this.#object = NOWHERE
        this.#entry = type === BLOB_TYPES.vfsEntry || type === BLOB_TYPES.xattrEntry ? row : NOWHERE
      }
    }

    // What was found below it in another snapshot, or under another path, counts here as well.
    for (const number of this.#memory.get(row)) this.#charge(number, path)
    for (const number of this.#hits(type, mac, readable)) this.#charge(number, path)
  }

  /** A state could not be read, and nobody says that it is damaged: it may place what no other one does. */
  #unread(): number {
    const known = this.#found.get('unread')
    if (known !== undefined) return known
    const isNewer = this.#contents.unreadable.every(({error}) => hasCode(error, 'VERSION'))
    const message =
      'blobs that snapshots need are told of by no state that could be read: whether they are there is not known'
    const number = this.#add(finding(isNewer ? 'unknown-version' : 'unreachable', message))
    this.#found.set('unread', number)
    return number
  }

  #unreadable(type: BlobType, mac: Mac, error: unknown): number {
    const key = `unreadable ${blobKey(type, mac)}`
    const known = this.#found.get(key)
    if (known !== undefined) return known
    const packfile = this.#contents.index.locate(type, mac)?.packfile
    const isStructure = hasCode(error, 'STORE_FORMAT') || hasCode(error, 'VERSION')
    const kind =
      isNotFound(error) || hasCode(error, 'DAMAGE')
        ? 'reference-missing'
        : isStructure
          ? 'snapshot-unreadable'
          : 'blob-corrupt'
    const details = packfile && {
      object: {mac: packfile, resource: 'packfile' as const},
      tag: tagOf('packfile', packfile),
    }
    const number = this.#add(finding(kind, messageOf(error), {...details, blob: {mac, type: blobTypeName(type)}}))
    this.#found.set(key, number)
    return number
  }

  async #walk(snapshot: Mac): Promise<void> {
    this.#snapshot = snapshot
    this.#entry = NOWHERE
    this.#object = NOWHERE
    const root: BlobReference = {mac: snapshot, path: undefined, type: BLOB_TYPES.snapshot}
    let opened
    try {
      opened = await this.#contents.snapshot(snapshot)
    } catch (error) {
      this.#onBroken({...root, error})
      return
    }

    // Asked right after the reference was noted: it is read once, and each time when there is nothing to be read.
    const shouldRead = () => this.#noted === NOWHERE || this.#seen.add(this.#noted)
    for await (const reference of snapshotReferences(opened, {onBroken: this.#onBroken, shouldRead})) {
      throwIfAborted(this.#options.signal)
      this.#note(reference)
    }
  }
}

function push<K>(map: Map<K, number[]>, key: K, number: number): void {
  const known = map.get(key)
  if (known) known.push(number)
  else map.set(key, [number])
}
