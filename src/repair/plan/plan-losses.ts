import {randomBytes} from 'node:crypto'

import type {Mac} from '../../kloset/mac.js'
import type {PlanContext} from './context.js'
import type {LostObject} from './plan-objects.js'
import type {LostPath} from './types.js'

import {BLOB_TYPES, type BlobType} from '../../kloset/blob-type.js'
import {StoreContents} from '../../kloset/contents.js'
import {isObjectFault} from '../../kloset/faults.js'
import {macFromBytes} from '../../kloset/mac.js'
import {type PackfileBlob} from '../../kloset/packfile.js'
import {type BrokenReference, snapshotReferences} from '../../kloset/snapshot/index.js'
import {KlosetStore} from '../../kloset/store.js'
import {blobsIn, salvage} from '../salvage.js'
import {draft} from './draft.js'

/** Paths listed for all that is lost; beyond it they are counted. */
const MAX_PATHS = 10_000

/** Says what stays lost and what it costs; what can be saved of damaged packfiles is planned for. */
export async function planLosses(lost: readonly LostObject[], context: PlanContext): Promise<void> {
  const {book, keys, overlay, signal} = context
  if (lost.length === 0) return
  const packfiles = lost.filter(({patient}) => patient.resource === 'packfile' && patient.mac !== undefined)
  for (const {patient, reason} of lost) {
    if (patient.resource === 'packfile') continue
    book.lose({paths: [], reason: `${reason}; no source has a sound copy`, snapshots: 'unknown', tag: patient.tag})
  }

  if (packfiles.length === 0) return
  if (!keys?.codec) {
    for (const {patient, reason} of packfiles) {
      const why = `${reason}; no source has a sound copy; what of it can be saved is not known without the passphrase`
      book.lose({paths: [], reason: why, snapshots: 'unknown', tag: patient.tag})
    }

    return
  }

  const contents = await StoreContents.open(new KlosetStore(overlay), {secret: keys.secret, signal})
  try {
    await new LossFinder(contents, context).plan(packfiles)
  } finally {
    contents.close()
  }
}

class LossFinder {
  readonly #contents: StoreContents
  readonly #context: PlanContext
  /** Blobs that no packfile has sound any more, with the packfile that had them. */
  readonly #lost = new Map<string, Mac>()

  constructor(contents: StoreContents, context: PlanContext) {
    this.#contents = contents
    this.#context = context
  }

  async plan(packfiles: readonly LostObject[]): Promise<void> {
    const {index} = this.#contents
    const gone = new Set(packfiles.map(({patient}) => patient.mac!))
    const known = blobsIn(gone, index.allLocations())
    const kept = new Map<Mac, ReadonlySet<string>>()
    const salvageable = new Set<Mac>()
    for (const one of packfiles) {
      const mac = one.patient.mac!
      const saved = await this.#salvage(one, known.get(mac) ?? [])
      kept.set(mac, new Set(saved.map((blob) => keyOf(blob))))
      if (saved.some(({type}) => type !== BLOB_TYPES.random)) salvageable.add(mac)
    }

    for (const [packfile, blobs] of known) {
      for (const {mac, type} of blobs) {
        if (type === BLOB_TYPES.random) continue
        const places = index.locations(type, mac)
        const key = keyOf({mac, type})
        const isSaved = places.some((place) => {
          const still = kept.get(place.packfile)
          return still === undefined || still.has(key)
        })
        if (!isSaved) this.#lost.set(key, packfile)
      }
    }

    const costs = await this.#costs()
    const {book} = this.#context
    for (const {patient, reason} of packfiles) {
      const cost = costs.get(patient.mac!)
      const isSalvaged = salvageable.has(patient.mac!)
      if (isSalvaged && !cost) {
        book.note(`${patient.tag}: all that snapshots need of it can still be read, and moves into a new packfile`)
        continue
      }

      const how = isSalvaged
        ? 'no source has a sound copy, and a part of it cannot be read'
        : 'no source has a sound copy'
      const more = cost && cost.count > cost.paths.length ? `; ${cost.count} paths in all` : ''
      book.lose({
        paths: cost?.paths ?? [],
        reason: `${reason}; ${how}${more}`,
        snapshots: [...(cost?.snapshots ?? [])],
        tag: patient.tag,
      })
    }
  }

  /** What the lost blobs cost, by the packfile that had them. */
  async #costs(): Promise<ReadonlyMap<Mac, Cost>> {
    const costs = new Map<Mac, Cost>()
    if (this.#lost.size === 0) return costs
    let listed = 0
    const charge = (key: string, snapshot: Mac, path: string | undefined) => {
      const packfile = this.#lost.get(key)
      if (packfile === undefined) return
      const cost = costs.get(packfile) ?? {count: 0, paths: [], seen: new Set<string>(), snapshots: new Set<Mac>()}
      costs.set(packfile, cost)
      cost.snapshots.add(snapshot)
      const name = path ?? '(a part of the tree: which files lie below it cannot be told)'
      if (cost.seen.has(`${snapshot}${name}`)) return
      cost.count += 1
      if (listed >= MAX_PATHS) return
      listed += 1
      cost.seen.add(`${snapshot}${name}`)
      cost.paths.push({path: name, snapshot})
    }

    for (const {mac} of this.#contents.index.snapshots()) await this.#walk(mac, charge)
    return costs
  }

  async #salvage(
    {layer, patient, reason}: LostObject,
    known: readonly PackfileBlob[],
  ): Promise<readonly PackfileBlob[]> {
    const {book, keys, repository, signal} = this.#context
    if (!layer) return []
    const options = {keys: keys!, known, signal, what: patient.tag}
    const saved = await salvage(repository, layer, options)
    if (!saved || saved.kept.every(({type}) => type === BLOB_TYPES.random)) return []
    const action = {kind: 'salvage-packfile', layer, state: macFromBytes(randomBytes(32))} as const
    const why = {message: `${reason}: ${saved.kept.length} of its blobs can still be read, ${saved.lost.length} cannot`}
    book.add(draft(patient, action, {sources: book.locations, why: [why]}))
    return saved.kept
  }

  async #walk(snapshot: Mac, charge: (key: string, snapshot: Mac, path: string | undefined) => void): Promise<void> {
    const onBroken = ({before, from, mac, path, type}: BrokenReference) => {
      const range = from === undefined && before === undefined ? undefined : `${from ?? '/'} … ${before ?? ''}`
      charge(keyOf({mac, type}), snapshot, path ?? range)
    }

    try {
      const opened = await this.#contents.snapshot(snapshot)
      for await (const {mac, path, type} of snapshotReferences(opened, {onBroken})) {
        if (path !== undefined || type !== BLOB_TYPES.snapshot) charge(keyOf({mac, type}), snapshot, path)
      }
    } catch (error) {
      if (!isObjectFault(error)) throw error
      charge(keyOf({mac: snapshot, type: BLOB_TYPES.snapshot}), snapshot, '(all of it: its header cannot be read)')
    }
  }
}

interface Cost {
  count: number
  readonly paths: LostPath[]
  readonly seen: Set<string>
  readonly snapshots: Set<Mac>
}

function keyOf({mac, type}: {readonly mac: Mac; readonly type: BlobType}): string {
  return `${type} ${mac}`
}
