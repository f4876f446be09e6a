import type {BlobType} from '../../kloset/blob-type.js'
import type {StoreContents} from '../../kloset/contents.js'
import type {Mac} from '../../kloset/mac.js'
import type {Finding} from '../findings.js'
import type {LostBlob} from './packfile-judge.js'

import {hasCode, isNotFound, messageOf} from '../../errors.js'
import {BLOB_TYPES, blobTypeName} from '../../kloset/blob-type.js'
import {isObjectFault} from '../../kloset/faults.js'
import {macToBytes} from '../../kloset/mac.js'
import {tagOf} from '../../kloset/resource.js'
import {type BlobReference, type BrokenReference, snapshotReferences} from '../../kloset/snapshot/index.js'
import {throwIfAborted} from '../../util/abort.js'
import {finding} from '../failures.js'
import {KeyTable} from '../key-table.js'
import {Toll} from './toll.js'

/** Missing or unreadable blobs that are told one by one. */
const MAX_FOUND = 10_000

/** One thing that is wrong, and what of a packfile it takes away. */
export interface Damage {
  readonly finding: Finding
  /** Its blobs that cannot be read; undefined when all of them may be gone. */
  readonly lost?: readonly LostBlob[] | undefined
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
  /** Where the walk is. */
  #entry: string | undefined
  readonly #findings: Finding[] = []
  readonly #lost = new Map<string, number[]>()
  /** The damage of a state that could not be read. */
  #lostState: number | undefined
  /** What lies below an entry or object that was read, when something of it is damaged. */
  readonly #memory = new Map<string, Set<number>>()
  #object: string | undefined
  /** A part that could not be read: what it refers to is not known. */
  readonly #onBroken = ({before, error, from, mac, path, type}: BrokenReference): void => {
    if (!isObjectFault(error)) throw error
    const hits = this.#hits(type, mac)
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
  readonly #seen = new KeyTable(33)
  #snapshot!: Mac
  readonly #tolls: Toll[] = []

  readonly #whole = new Map<Mac, number[]>()

  constructor(contents: StoreContents, damages: readonly Damage[], options: MapOptions) {
    this.#contents = contents
    this.#options = options
    for (const {finding: found, lost, packfile} of damages) {
      const number = this.#add(found)
      if (found.object?.resource === 'state') this.#lostState ??= number
      if (packfile === undefined) continue
      if (lost) for (const {mac, type} of lost) push(this.#lost, `${packfile} ${keyOf(type, mac)}`, number)
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

  /** A damage takes a file, or with no path something that the snapshot needs as a whole. */
  #charge(number: number, path: string | undefined): void {
    this.#damagedSnapshots.add(this.#snapshot)
    this.#tolls[number]!.charge(this.#snapshot, path)
    for (const key of [this.#entry, this.#object]) {
      if (key === undefined) continue
      const known = this.#memory.get(key)
      if (known) known.add(number)
      else this.#memory.set(key, new Set([number]))
    }
  }

  /** Damages that take a blob away, from where it is read. */
  #hits(type: BlobType, mac: Mac): readonly number[] {
    const location = this.#contents.index.locate(type, mac)
    if (!location) return [this.#missing(type, mac)]
    const {packfile} = location
    const known = this.#whole.get(packfile) ?? this.#lost.get(`${packfile} ${keyOf(type, mac)}`)
    if (known) return known
    return this.#options.hasPackfile(packfile) ? [] : [this.#missing(type, mac)]
  }

  #missing(type: BlobType, mac: Mac): number {
    // A state is lost as well: the blob is there, then, and nobody says where.
    if (this.#lostState !== undefined) return this.#lostState
    const key = `missing ${keyOf(type, mac)}`
    const known = this.#lost.get(key)?.[0]
    if (known !== undefined) return known
    const name = blobTypeName(type)
    const rest = this.#findings.length > MAX_FOUND
    const message = rest ? 'more blobs that snapshots need are in no packfile' : `${name} ${mac}: no packfile has it`
    const same = rest ? this.#lost.get('missing more')?.[0] : undefined
    const number = same ?? this.#add(finding('reference-missing', message, rest ? {} : {blob: {mac, type: name}}))
    push(this.#lost, rest ? 'missing more' : key, number)
    return number
  }

  #note({mac, path, type}: BlobReference): void {
    const key = keyOf(type, mac)
    switch (type) {
      case BLOB_TYPES.chunk: {
        break
      }

      case BLOB_TYPES.object: {
        this.#object = key
        break
      }

      default: {
        this.#object = undefined
        this.#entry = type === BLOB_TYPES.vfsEntry || type === BLOB_TYPES.xattrEntry ? key : undefined
      }
    }

    // What was found below it in another snapshot, or under another path, counts here as well.
    for (const number of this.#memory.get(key) ?? []) this.#charge(number, path)
    for (const number of this.#hits(type, mac)) this.#charge(number, path)
  }

  #unreadable(type: BlobType, mac: Mac, error: unknown): number {
    const key = `unreadable ${keyOf(type, mac)}`
    const known = this.#lost.get(key)?.[0]
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
    push(this.#lost, key, number)
    return number
  }

  async #walk(snapshot: Mac): Promise<void> {
    this.#snapshot = snapshot
    this.#entry = undefined
    this.#object = undefined
    const root: BlobReference = {mac: snapshot, path: undefined, type: BLOB_TYPES.snapshot}
    let opened
    try {
      opened = await this.#contents.snapshot(snapshot)
    } catch (error) {
      this.#onBroken({...root, error})
      return
    }

    const shouldRead = (type: BlobType, mac: Mac) => this.#seen.add(seenKey(type, mac)).isNew
    for await (const reference of snapshotReferences(opened, {onBroken: this.#onBroken, shouldRead})) {
      throwIfAborted(this.#options.signal)
      this.#note(reference)
    }
  }
}

function keyOf(type: BlobType, mac: Mac): string {
  return `${type} ${mac}`
}

function push<K>(map: Map<K, number[]>, key: K, number: number): void {
  const known = map.get(key)
  if (known) known.push(number)
  else map.set(key, [number])
}

function seenKey(type: BlobType, mac: Mac): Buffer {
  return Buffer.concat([Buffer.of(type), macToBytes(mac)])
}
