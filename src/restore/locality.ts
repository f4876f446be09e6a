import {pMapIterable} from 'p-map'

import type {BlobType} from '../kloset/blob-type.js'
import type {Mac} from '../kloset/mac.js'
import type {FileObject, Filesystem} from '../kloset/snapshot/index.js'
import type {Found} from './selection.js'

import {BLOB_TYPES} from '../kloset/blob-type.js'
import {isObjectFault} from '../kloset/faults.js'

/** Where a blob lies; undefined when nobody knows. */
export type PlaceOf = (type: BlobType, mac: Mac) => undefined | {readonly offset: number; readonly packfile: Mac}

/** Files put into the order of their content at a time. */
const BATCH = 256

/** Chunks that a batch may have: a file of a terabyte has a million. */
const MAX_BATCH_CHUNKS = 64 * 1024

const OBJECTS_AT_ONCE = 16

/** An entry with its content's description; or why one of them is not to be had. */
export interface Located extends Pick<Found, 'entry' | 'error' | 'path'> {
  readonly object?: FileObject | undefined
}

interface Described extends Located {
  readonly chunks: number
  readonly first: Mac | undefined
}

/** Entries with their objects, some hundred at a time in the order in which their content lies in packfiles. */
export async function* byPlace(
  entries: AsyncIterable<Found>,
  files: Filesystem,
  placeOf: PlaceOf = () => undefined, // eslint-disable-line unicorn/no-useless-undefined -- it is the answer
): AsyncGenerator<Located> {
  let batch: Described[] = []
  let chunks = 0
  const described = pMapIterable(entries, async (found) => describe(files, found), {concurrency: OBJECTS_AT_ONCE})
  for await (const one of described) {
    batch.push(one)
    chunks += one.chunks
    if (batch.length < BATCH && chunks < MAX_BATCH_CHUNKS) continue
    yield* sorted(batch, placeOf)
    batch = []
    chunks = 0
  }

  yield* sorted(batch, placeOf)
}

async function describe(files: Filesystem, {entry, error, path}: Found): Promise<Described> {
  if (!entry || error !== undefined) return {chunks: 0, entry, error, first: undefined, path}
  try {
    const object = await files.object(entry)
    const chunks = object?.chunks.length ?? 0
    return {chunks, entry, first: chunks > 0 ? object?.chunks.at(0).mac : undefined, object, path}
  } catch (error_) {
    if (!isObjectFault(error_)) throw error_
    return {chunks: 0, entry, error: error_, first: undefined, path}
  }
}

function sorted(batch: readonly Described[], placeOf: PlaceOf): Described[] {
  const places = new Map(batch.map((one) => [one, one.first && placeOf(BLOB_TYPES.chunk, one.first)]))
  return [...batch].sort((a, b) => {
    const [left, right] = [places.get(a), places.get(b)]
    if (!left || !right) return Number(right !== undefined) - Number(left !== undefined)
    if (left.packfile !== right.packfile) return left.packfile < right.packfile ? -1 : 1
    return left.offset - right.offset
  })
}
