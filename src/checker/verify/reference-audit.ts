import type {LocationLog} from './location-log.js'

import {yieldTurn} from '../../util/abort.js'
import {Buckets, BUCKETS} from '../../util/buckets.js'
import {BLOB_KEY_BYTES, blobTypeIn, setBlobType, writeBlobKey} from './blob-key.js'
import {INDEXED, INDEXED_TYPES, REFERENCE_BYTES} from './references.js'

/** References that were noted lately, so that those which come again and again are noted once. */
const RECENT = 2 ** 16

/**
 * Holds what blobs refer to against what the states know, whatever the number of either: both are noted on the disk and
 * compared bucket by bucket, some hundredth of the store at a time.
 */
export class ReferenceAudit {
  #isEmpty = true
  readonly #key = Buffer.alloc(BLOB_KEY_BYTES)
  readonly #needed = new Buckets(BLOB_KEY_BYTES)
  /** Filled with a type that no blob has. */
  readonly #recent = Buffer.alloc(RECENT * BLOB_KEY_BYTES, 0xff)

  get isEmpty(): boolean {
    return this.#isEmpty
  }

  dispose(): void {
    this.#needed.dispose()
  }

  /** Whether every reference leads to a blob that can be read. */
  async isSound(log: LocationLog, signal?: AbortSignal): Promise<boolean> {
    const key = this.#key
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      await yieldTurn(signal)
      const readable = log.readable(bucket)
      for (const needed of this.#needed.records(bucket)) {
        needed.copy(key)
        const types = blobTypeIn(key) === INDEXED ? INDEXED_TYPES : [blobTypeIn(key)]
        const isThere = types.some((type) => {
          setBlobType(key, type)
          return readable.has(key)
        })
        if (!isThere) return false
      }
    }

    return true
  }

  /** Notes a `ReferenceList`. @throws LocalIoError when it cannot be noted */
  note(references: Uint8Array): void {
    const key = this.#key
    for (let at = 0; at < references.length; at += REFERENCE_BYTES) {
      writeBlobKey(key, references[at]!, references, at + 1)
      const slot = (key.readUInt32LE(1) % RECENT) * BLOB_KEY_BYTES
      if (this.#recent.compare(key, 0, BLOB_KEY_BYTES, slot, slot + BLOB_KEY_BYTES) === 0) continue
      key.copy(this.#recent, slot)
      this.#needed.add(key)
      this.#isEmpty = false
    }
  }
}
