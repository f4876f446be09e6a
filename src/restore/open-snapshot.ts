import type {StoreContents} from '../kloset/contents.js'
import type {Mac} from '../kloset/mac.js'

import {BLOB_TYPES, blobKey} from '../kloset/blob-type.js'
import {isObjectFault} from '../kloset/faults.js'
import {macFromBytes} from '../kloset/mac.js'
import {type BlobReader, encodeEmptyObject, Snapshot} from '../kloset/snapshot/index.js'

/**
 * A snapshot for those who want its files back. What empty files are made of is known without the store: its MACs, which
 * stand in what was read, prove it. So an empty file is not lost with the blobs that say so; `verify` tells that they are
 * gone, since plakar needs them.
 * @throws NotFoundError | StoreFormatError | VersionError
 */
export async function openSnapshot(contents: StoreContents, mac: Mac): Promise<Snapshot> {
  return Snapshot.open(knowingEmptyFiles(contents), mac)
}

/** Reads as `contents` does, and gives what is lost where its MAC tells that it belongs to an empty file. */
export function knowingEmptyFiles({hasher, read}: Pick<StoreContents, 'hasher' | 'read'>): BlobReader {
  const macOf = (bytes: Uint8Array): Mac => {
    hasher.reset()
    hasher.update(bytes)
    return macFromBytes(hasher.digest())
  }

  let known: ReadonlyMap<string, Buffer> | undefined
  const knownBlobs = () => {
    const nothing = Buffer.alloc(0)
    const ofNothing = macOf(nothing)
    const object = encodeEmptyObject(ofNothing)
    return new Map([
      [blobKey(BLOB_TYPES.chunk, ofNothing), nothing],
      [blobKey(BLOB_TYPES.object, macOf(object)), object],
    ])
  }

  return async (type, mac) => {
    try {
      return await read(type, mac)
    } catch (error) {
      if (!isObjectFault(error)) throw error
      known ??= knownBlobs()
      const bytes = known.get(blobKey(type, mac))
      if (bytes) return bytes
      throw error
    }
  }
}
