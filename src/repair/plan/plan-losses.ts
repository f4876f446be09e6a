import {randomBytes} from 'node:crypto'

import type {Mac} from '../../kloset/mac.js'
import type {PlanContext} from './context.js'
import type {LostObject} from './plan-objects.js'
import type {Lost, LostState} from './plan-states.js'
import type {LostPath} from './types.js'

import {BLOB_TYPES, blobKey, type BlobType} from '../../kloset/blob-type.js'
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

/** Stands for all packfiles whose content no state tells any more. */
const UNTOLD = ''

/** In the place of a tag: that of the state and the packfiles that had them nobody knows. */
const UNTOLD_TAG = 'blobs of a lost state'

/** Says what stays lost and what it costs; what can be saved of damaged packfiles is planned for. */
export async function planLosses({hasUntold, objects: lost, states}: Lost, context: PlanContext): Promise<void> {
  const {book, keys, overlay, signal} = context
  const packfiles = lost.filter(({patient}) => patient.resource === 'packfile' && patient.mac !== undefined)
  for (const {patient, reason} of lost) {
    if (patient.resource === 'packfile') continue
    book.lose({paths: [], reason: `${reason}; no source has a sound copy`, snapshots: 'unknown', tag: patient.tag})
  }

  if (packfiles.length === 0 && states.length === 0 && !hasUntold) return
  if (!keys?.codec) {
    for (const {patient, reason} of packfiles) {
      const why = `${reason}; no source has a sound copy; what of it can be saved is not known without the passphrase`
      book.lose({paths: [], reason: why, snapshots: 'unknown', tag: patient.tag})
    }

    return
  }

  const contents = await StoreContents.open(new KlosetStore(overlay), {secret: keys.secret, signal})
  try {
    await new LossFinder(contents, context).plan(packfiles, states, hasUntold)
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

  async plan(packfiles: readonly LostObject[], states: readonly LostState[], hasUntold: boolean): Promise<void> {
    const {index} = this.#contents
    const gone = new Set(packfiles.map(({patient}) => patient.mac!))
    const known = blobsIn(gone, index.allLocations())
    const kept = new Map<Mac, ReadonlySet<string>>()
    const salvageable = new Set<Mac>()
    for (const one of packfiles) {
      const mac = one.patient.mac!
      const saved = await this.#salvage(one, known.get(mac) ?? [])
      kept.set(mac, new Set(saved.map(({mac, type}) => blobKey(type, mac))))
      if (saved.some(({type}) => type !== BLOB_TYPES.random)) salvageable.add(mac)
    }

    for (const [packfile, blobs] of known) {
      for (const {mac, type} of blobs) {
        if (type === BLOB_TYPES.random) continue
        const places = index.locations(type, mac)
        const key = blobKey(type, mac)
        const isSaved = places.some((place) => {
          const still = kept.get(place.packfile)
          return still === undefined || still.has(key)
        })
        if (!isSaved) this.#lost.set(key, packfile)
      }
    }

    const costs = await this.#costs(states.length > 0 || hasUntold)
    // Only a lost state knew what they hold.
    const untold = new Set(states.length === 0 ? [] : [...gone].filter((mac) => known.get(mac)!.length === 0))
    for (const mac of salvageable) untold.delete(mac)
    for (const one of packfiles) this.#tell(one, {costs, salvageable, untold})
    const cost = untold.size === 0 ? costs.get(UNTOLD) : undefined
    if (states.length > 0) this.#tellStates(states, cost)
    else if (cost) this.#tellUntold(cost)
  }

  /** What the lost blobs cost, by the packfile that had them. @param isStateLost where some of them lay nobody tells */
  async #costs(isStateLost: boolean): Promise<Costs> {
    const costs = new Map<string, Cost>()
    if (this.#lost.size === 0 && !isStateLost) return costs
    let listed = 0
    const {index} = this.#contents
    const charge = ({mac, type}: BlobName, snapshot: Mac, path: string | undefined) => {
      const isUntold = isStateLost && !index.locate(type, mac)
      const packfile = this.#lost.get(blobKey(type, mac)) ?? (isUntold ? UNTOLD : undefined)
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

    for (const {mac} of index.snapshots()) await this.#walk(mac, charge)
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

  #tell(
    {patient, reason}: LostObject,
    {costs, salvageable, untold}: {costs: Costs; salvageable: ReadonlySet<Mac>; untold: ReadonlySet<Mac>},
  ): void {
    const {book} = this.#context
    const mac = patient.mac!
    const isUntold = untold.has(mac)
    const cost = costs.get(isUntold ? UNTOLD : mac)
    const isSalvaged = salvageable.has(mac)
    if (isSalvaged && !cost) {
      book.note(`${patient.tag}: all that snapshots need of it can still be read, and moves into a new packfile`)
      return
    }

    const how = isSalvaged
      ? 'no source has a sound copy, and a part of it cannot be read'
      : 'no source has a sound copy'
    const nobody = isUntold ? ', and no state tells any more what it held' : ''
    const more = cost && cost.count > cost.paths.length ? `; ${cost.count} paths in all` : ''
    book.lose({
      paths: cost?.paths ?? [],
      reason: `${reason}; ${how}${nobody}${more}`,
      snapshots: isUntold && !cost ? 'unknown' : [...(cost?.snapshots ?? [])],
      tag: patient.tag,
    })
  }

  /** @param untold what the blobs cost that no lost packfile can be blamed for */
  #tellStates(states: readonly LostState[], untold: Cost | undefined): void {
    let cost = untold
    for (const {isRebuilt, patient, reason} of states) {
      if (isRebuilt && !cost) continue
      const what = isRebuilt
        ? 'a new one is made of the packfiles that are left, and blobs that snapshots need are in none of them'
        : 'no packfile is without a state: what it told of, deletions perhaps, is told by others or lost'
      this.#context.book.lose({
        paths: cost?.paths ?? [],
        reason: `${reason}; ${what}`,
        snapshots: cost ? [...cost.snapshots] : 'unknown',
        tag: patient.tag,
      })
      cost = undefined
    }
  }

  /** No object is known to be lost, and still there are blobs that nobody has. */
  #tellUntold({count, paths, snapshots}: Cost): void {
    const more = count > paths.length ? `; ${count} paths in all` : ''
    this.#context.book.lose({
      paths,
      reason: `snapshots need them, no state says where they are, and no source has such a state with its packfiles${more}`,
      snapshots: [...snapshots],
      tag: UNTOLD_TAG,
    })
  }

  async #walk(snapshot: Mac, charge: (blob: BlobName, snapshot: Mac, path: string | undefined) => void): Promise<void> {
    const onBroken = ({before, from, mac, path, type}: BrokenReference) => {
      const range = from === undefined && before === undefined ? undefined : `${from ?? '/'} … ${before ?? ''}`
      charge({mac, type}, snapshot, path ?? range)
    }

    try {
      const opened = await this.#contents.snapshot(snapshot)
      for await (const {mac, path, type} of snapshotReferences(opened, {onBroken})) {
        if (path !== undefined || type !== BLOB_TYPES.snapshot) charge({mac, type}, snapshot, path)
      }
    } catch (error) {
      if (!isObjectFault(error)) throw error
      charge({mac: snapshot, type: BLOB_TYPES.snapshot}, snapshot, '(all of it: its header cannot be read)')
    }
  }
}

interface BlobName {
  readonly mac: Mac
  readonly type: BlobType
}

interface Cost {
  count: number
  readonly paths: LostPath[]
  readonly seen: Set<string>
  readonly snapshots: Set<Mac>
}

/** By the packfile that had what was lost. */
type Costs = ReadonlyMap<string, Cost>
