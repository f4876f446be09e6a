import {pMapIterable} from 'p-map'

import type {StoreContents} from '../../kloset/contents.js'
import type {Mac} from '../../kloset/mac.js'
import type {LocationFields, StateIndex} from '../../kloset/state.js'
import type {CallOptions} from '../../registry/interfaces.js'

import {BLOB_TYPES} from '../../kloset/blob-type.js'
import {isObjectFault} from '../../kloset/faults.js'
import {snapshotReferences} from '../../kloset/snapshot/index.js'
import {yieldTurn} from '../../util/abort.js'
import {BlobMarks} from './blob-marks.js'

/** Snapshots gone through at the same time: to have the next blob on its way while one is decoded. */
const SNAPSHOTS_AT_ONCE = 4

/** Rows looked at before others get a turn. */
const ROWS_A_TURN = 10_000

export interface Amount {
  readonly bytes: number
  readonly count: number
}

/** What the blobs of one packfile are to the snapshots, in bytes as they are stored. */
export interface PackfileUse {
  /** Blobs that another packfile has too, and is read from. */
  readonly duplicate: Amount
  readonly mac: Mac
  /** Blobs that no snapshot needs. */
  readonly unreachable: Amount
  readonly used: Amount
}

export interface BlobUsage {
  /** Blobs and snapshots that could not be read: nothing is said to be unreachable then. */
  readonly broken: number
  readonly duplicate: Amount
  readonly packfiles: readonly PackfileUse[]
  /** Random bytes that plakar puts between blobs, to hide their sizes. */
  readonly padding: Amount
  /** What each snapshot has that no other has: that is what goes when it goes. */
  readonly snapshots: readonly {readonly id: Mac; readonly unique: Amount}[]
  readonly unreachable: Amount
  readonly used: Amount
}

export interface MeasureOptions extends CallOptions {
  readonly onSnapshot?: ((done: number) => void) | undefined
}

/**
 * Goes through the trees of all snapshots and tells what of the packfiles they need. What two snapshots share is read
 * twice at the most, however many have it. Four bytes a location beside the index.
 * @throws what the registry throws when it fails
 */
export async function measureBlobs(contents: StoreContents, options: MeasureOptions = {}): Promise<BlobUsage> {
  const {onSnapshot, signal} = options
  const marks = new BlobMarks(contents.index.rowCount)
  const ids = [...contents.index.snapshots()].map(({mac}) => mac)
  let broken = contents.unreadable.length
  let done = 0
  const walks = pMapIterable(
    ids.entries(),
    async ([number, id]) => markSnapshot(contents, {id, marks, number, signal}),
    {concurrency: SNAPSHOTS_AT_ONCE},
  )
  for await (const faults of walks) {
    broken += faults
    onSnapshot?.(++done)
  }

  return sumUp(contents.index, {broken, ids, marks, signal})
}

interface Walk {
  readonly id: Mac
  readonly marks: BlobMarks
  readonly number: number
  readonly signal: AbortSignal | undefined
}

/** @returns how much of it could not be read */
async function markSnapshot(contents: StoreContents, {id, marks, number, signal}: Walk): Promise<number> {
  const {index} = contents
  let faults = 0
  let isNews = true
  try {
    const snapshot = await contents.snapshot(id)
    const references = snapshotReferences(snapshot, {
      onBroken({error}) {
        if (!isObjectFault(error)) throw error
        faults += 1
      },
      // Asked right after the reference was given: what another snapshot has told already is not read a third time.
      shouldRead: () => isNews,
    })
    let count = 0
    for await (const {mac, type} of references) {
      if (++count % ROWS_A_TURN === 0) await yieldTurn(signal)
      const row = index.rowOf(type, mac)
      isNews = row !== -1 && marks.mark(row, number)
    }
  } catch (error) {
    if (!isObjectFault(error)) throw error
    faults += 1
  }

  return faults
}

class Sum implements Amount {
  bytes = 0
  count = 0

  add(length: number): void {
    this.bytes += length
    this.count += 1
  }
}

interface Marked {
  readonly broken: number
  readonly ids: readonly Mac[]
  readonly marks: BlobMarks
  readonly signal: AbortSignal | undefined
}

async function sumUp(index: StateIndex, {broken, ids, marks, signal}: Marked): Promise<BlobUsage> {
  const packfiles = new Map<Mac, {duplicate: Sum; mac: Mac; unreachable: Sum; used: Sum}>()
  const unique = ids.map(() => new Sum())
  const total = {duplicate: new Sum(), padding: new Sum(), unreachable: new Sum(), used: new Sum()}
  for (let row = 0; row < index.rowCount; row++) {
    if (row % ROWS_A_TURN === 0) await yieldTurn(signal)
    const location = index.rowAt(row)
    if (!location) continue
    const {coloured, known} = index.packfile(location.packfile)!
    if (!known || coloured) continue
    if (location.type === BLOB_TYPES.random) {
      total.padding.add(location.length)
      continue
    }

    const kind = kindOf(index, marks, row, location)
    let sums = packfiles.get(location.packfile)
    if (!sums) {
      sums = {duplicate: new Sum(), mac: location.packfile, unreachable: new Sum(), used: new Sum()}
      packfiles.set(location.packfile, sums)
    }

    sums[kind].add(location.length)
    total[kind].add(location.length)
    const owner = marks.onlyOwner(row)
    if (owner !== undefined) unique[owner]?.add(location.length)
  }

  const snapshots = ids.map((id, number) => ({id, unique: unique[number]!}))
  return {broken, ...total, packfiles: [...packfiles.values()], snapshots}
}

function kindOf(
  index: StateIndex,
  marks: BlobMarks,
  row: number,
  {mac, type}: LocationFields,
): 'duplicate' | 'unreachable' | 'used' {
  if (marks.isMarked(row)) return 'used'
  return index.rowOf(type, mac) === row ? 'unreachable' : 'duplicate'
}
