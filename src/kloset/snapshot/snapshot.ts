import type {Mac} from '../mac.js'
import type {BlobReader} from './btree.js'

import {StoreFormatError} from '../../errors.js'
import {BLOB_TYPES} from '../blob-type.js'
import {Filesystem} from './filesystem.js'
import {decodeHeader, type SnapshotHeader} from './header.js'

/** A snapshot: its header, and the way to its files. */
export class Snapshot {
  readonly header: SnapshotHeader
  readonly read: BlobReader

  private constructor(read: BlobReader, header: SnapshotHeader) {
    this.header = header
    this.read = read
  }

  /** @throws StoreFormatError | VersionError, and whatever the reader throws */
  static async open(read: BlobReader, mac: Mac): Promise<Snapshot> {
    return new Snapshot(read, decodeHeader(await read(BLOB_TYPES.snapshot, mac), mac))
  }

  /**
   * The files of a source; nearly all snapshots have one.
   * @throws StoreFormatError when there is no such source, and whatever the reader throws
   */
  async files(source = 0): Promise<Filesystem> {
    const found = this.header.sources[source]
    if (found) return Filesystem.open(this.read, found.vfs)
    throw new StoreFormatError(`snapshot ${this.header.identifier} has no source ${source}`)
  }
}
