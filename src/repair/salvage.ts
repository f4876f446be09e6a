import type {CallOptions, Repository} from '../registry/interfaces.js'
import type {StoreKeys} from './store-keys.js'

import {isObjectFault} from '../kloset/faults.js'
import {type Mac} from '../kloset/mac.js'
import {type PackfileBlob, readAtOf, readBlob, readPackfileIndex} from '../kloset/packfile.js'
import {type LocationFields} from '../kloset/state.js'
import {type Digest} from '../registry/digest.js'
import {collect} from '../util/collect.js'
import {openUnchecked} from './quarantine.js'

/** plakar's packfiles have 64 MiB at the most; what is much larger is not taken into memory. */
const MAX_PACKFILE_BYTES = 512 * 1024 * 1024

/** A damaged packfile, blob by blob. */
export interface Salvaged {
  readonly bytes: Buffer
  /** Blobs that still decode to what their MAC says, as they lie in it. */
  readonly kept: readonly PackfileBlob[]
  readonly lost: readonly PackfileBlob[]
}

/**
 * Reads what is left of a packfile and tries every blob: those that its own index names, or, when that is damaged too,
 * those that the states know of.
 * @param known blobs that states place in it
 * @returns nothing when there are no bytes of it
 */
export async function salvage(
  repository: Repository,
  layer: Digest,
  {keys, known, signal, what}: CallOptions & SalvageOptions,
): Promise<Salvaged | undefined> {
  const found = await openUnchecked(repository, layer, signal)
  if (!found || found.size > MAX_PACKFILE_BYTES) return undefined
  const bytes = await collect(found.stream, {limit: MAX_PACKFILE_BYTES, what})
  const readAt = readAtOf(bytes, what)
  return keys.contents.lend('packfile', async (hasher) => {
    const reading = {codec: keys.codec!, hasher: hasher!, what}
    const blobs = new Map<string, PackfileBlob>()
    for (const blob of known) blobs.set(`${blob.type} ${blob.mac}`, blob)
    try {
      const index = await readPackfileIndex({...reading, readAt, size: bytes.length})
      for (const blob of index) blobs.set(`${blob.type} ${blob.mac}`, blob)
    } catch (error) {
      if (!isObjectFault(error)) throw error
    }

    const [kept, lost]: [PackfileBlob[], PackfileBlob[]] = [[], []]
    for (const blob of [...blobs.values()].sort((a, b) => a.offset - b.offset)) {
      try {
        await readBlob(blob, readAt, reading)
        kept.push(blob)
      } catch (error) {
        if (!isObjectFault(error)) throw error
        lost.push(blob)
      }
    }

    return {bytes, kept, lost}
  })
}

export interface SalvageOptions {
  readonly keys: StoreKeys
  readonly known: readonly PackfileBlob[]
  /** Names the packfile in errors. */
  readonly what: string
}

/** Blobs that states place in some packfiles, by packfile. */
export function blobsIn(
  packfiles: ReadonlySet<Mac>,
  locations: Iterable<LocationFields>,
): ReadonlyMap<Mac, readonly PackfileBlob[]> {
  const found = new Map<Mac, PackfileBlob[]>([...packfiles].map((mac) => [mac, []]))
  for (const {packfile, ...blob} of locations) found.get(packfile)?.push(blob)
  return found
}
