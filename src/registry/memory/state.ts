import type {Descriptor} from '../descriptor.js'
import type {Digest} from '../digest.js'

import {childrenOf} from '../local/referrer.js'
import {TagTable} from '../local/tag-table.js'

export interface StoredManifest {
  readonly bytes: Buffer
  readonly descriptor: Descriptor
}

/** What one repository in memory holds. */
export class MemoryState {
  readonly blobs = new Map<Digest, Buffer>()
  readonly manifests = new Map<Digest, StoredManifest>()
  readonly tags = new TagTable()

  constructor(readonly location: string) {}

  /** Whether an index of this repository lists the manifest. */
  isListedByIndex(digest: Digest): boolean {
    for (const {bytes, descriptor} of this.manifests.values()) {
      if (childrenOf({bytes, mediaType: descriptor.mediaType}).includes(digest)) return true
    }

    return false
  }
}
